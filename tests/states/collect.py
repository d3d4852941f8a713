# SPDX-License-Identifier: MIT
"""
States as this version makes them, for the tests of all later ones: docs/protocol.md says why. A release runs it once:

    BUILD=build SOURCE=. PYTHONPATH=tests/e2e python3 tests/states/collect.py

A folder of a version that is there is not touched.
"""
import lzma
import os
import subprocess
import sys

from bh import BULKHEAD, Context, check, wait_until
from kinds import MOVABLE, options, process
from states import FOLDER, GUEST, take


def write(folder, name, data):
    with lzma.open(f"{folder}/{name}.xz", "wb") as f:
        f.write(data)


def capture(t, folder, kind):
    p = subprocess.run(t.command("device", "capture", t.name, process(kind)), env=t.env, stdout=subprocess.PIPE, timeout=40, check=True)
    write(folder, kind + ".bhd", p.stdout)


def collect(t, folder):
    extra = [word for kind in MOVABLE for word in options(kind)]
    vm = t.start(*t.command(*t.guest(GUEST, *extra)))
    vm.expect("L 000014", 60)  # every device has been worked
    os.mkdir(folder)
    for kind in MOVABLE:
        capture(t, folder, kind)
    state, ram = take(t)
    write(folder, "machine.state", state)
    write(folder, "machine.ram", ram)
    vm.expect("L 0", 20)  # it goes on
    t.bulkhead("kill", t.name)


def main():
    version = subprocess.run([BULKHEAD, "version"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()[1]
    folder = f"{FOLDER}/{version}"
    check(not os.path.exists(folder), f"{folder} is there already")
    t = Context("collect")
    try:
        collect(t, folder)
        wait_until(lambda: not t.processes(), "the machine is gone")
    finally:
        t.close()
    print("\n".join(f"{os.path.getsize(f'{folder}/{n}'):8} {folder}/{n}" for n in sorted(os.listdir(folder))))


if __name__ == "__main__":
    sys.exit(main())
