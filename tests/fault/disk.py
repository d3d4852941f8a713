# SPDX-License-Identifier: MIT
"""
A virtio disk's two processes die, hang and are replaced under a guest that writes, reads back and compares: no error, no byte
lost. Faults come from daemons that were built to fail at a named point (fault_points.c), and from signals.
"""
import json
import os
import re
import signal
import time

from bh import check, debian, main, test, wait_until
from hostile import faulty
from recovery import Guest, wait_for_death

NAMES = ("virtiod0", "blkd0")
LOAD = ("test -b /dev/vda || exit 5; i=0; while :; do dd if=/dev/urandom of=/tmp/x bs=64k count=4 2>/dev/null; "
        "a=$(md5sum </tmp/x | cut -c1-32); dd if=/tmp/x of=/dev/vda bs=64k seek=$((i%64*4)) conv=fsync 2>/dev/null || echo LOST; "
        "echo 1 >/proc/sys/vm/drop_caches; b=$(dd if=/dev/vda bs=64k skip=$((i%64*4)) count=4 2>/dev/null | md5sum | cut -c1-32); "
        "test $a = $b || echo LOST; echo L $i x; i=$((i+1)); done")
WHERES = ("before-commit", "after-commit", "restart")
HOWS = ("segv", "stop", "loop", "exit", "kill", "sigstop")


def guest(t):
    path = t.dir + "/disk.img"
    with open(path, "wb") as f:
        f.truncate(64 << 20)
    g = Guest(t, "--device-failure-limit", "0", "--disk", path, command=LOAD, cmdline="console=ttyS0 quiet")
    g.expect_progress(3, 60)
    return g


def cell(g, name, where, how):
    """Its next incarnation fails there; the guest goes on."""
    now = g.device(name)
    turn = now["incarnation"] + (2 if where == "restart" else 1)
    at = "load" if where == "restart" else where
    path = faulty(g.t, name, f"{at} {'stop' if how in ('kill', 'sigstop') else how} {turn} {1 if where == 'restart' else 5}")
    g.t.bulkhead("device", "replace", g.t.name, name, "--binary", path).expect(0)
    if where == "restart":
        g.kill(name)
    elif how in ("kill", "sigstop"):
        time.sleep(0.1)
        g.kill(name, signal.SIGKILL if how == "kill" else signal.SIGSTOP)
    died = wait_for_death(g, name, now["deaths"] + (where == "restart"), 8)
    if died:
        g.wait_for_incarnation(name, turn + 1, 20)
    g.expect_progress(3, 30)
    return "survived" if died else "not reached"


def expect_nothing_lost(g):
    g.vm.talk.pump(0)
    check("LOST" not in g.vm.talk.text and "I/O error" not in g.vm.talk.text, g.vm.talk.text[-1500:])
    g.t.bulkhead("kill", g.t.name)
    g.vm.wait(20)


@test(limit=280)
def halves_short(t):
    """A diagonal of the matrix: where, and how. A front-end commits only what the guest asks of its registers: seldom."""
    g = guest(t)
    for i, name in enumerate(NAMES):
        for k, where in enumerate(WHERES):
            how = HOWS[(i + 2 * k) % len(HOWS)] if name == "blkd0" or where == "restart" else ("kill", "sigstop")[k % 2]
            print(f"  {name:<10} {where:<14} {how:<8} {cell(g, name, where, how)}", flush=True)
    expect_nothing_lost(g)


@test(limit=3600)
def halves_full(t):
    """Every point and every way to fail."""
    g = guest(t)
    for name in NAMES:
        for where in WHERES:
            for how in HOWS:
                print(f"  {name:<10} {where:<14} {how:<8} {cell(g, name, where, how)}", flush=True)
    expect_nothing_lost(g)


@test(limit=200)
def halves_replaced(t):
    """Another program in the place of each, by the command line, again and again."""
    g = guest(t)
    for name in NAMES * 2:
        t.bulkhead("device", "restart", t.name, name).expect(0)
        g.expect_progress(2, 30)
    check(all(g.device(name)["incarnation"] == 3 and g.device(name)["deaths"] == 0 for name in NAMES), g.status())
    expect_nothing_lost(g)


@test(limit=200)
def given_up(t):
    """The driver is told that nobody serves its queues any more; when somebody does again, Linux goes on where it was."""
    path, status = t.dir + "/disk.img", "/sys/bus/virtio/devices/virtio0/status"
    with open(path, "wb") as f:
        f.truncate(1 << 20)
    kernel, initrd = debian(t.dir)
    command = (f"cat {status}; until grep -q 4f {status}; do sleep 0.2; done; echo needs reset; "
               "dd if=/dev/vda of=/dev/null bs=4k count=1 2>/dev/null && echo was read")
    vm = t.start(*t.command(*t.machine("--kernel", kernel, "--initrd", initrd, "--memory", "256M", "--disk", path,
                                       "--on-device-failure", "degrade", "--cmdline",
                                       f'console=ttyS0 quiet bulkhead.run="{command}"')))
    vm.expect("0x0000000f", 120)
    os.kill(t.processes()["blkd0"], signal.SIGKILL)
    vm.expect("needs reset", 20)
    t.bulkhead("device", "restart", t.name, "blkd0").expect(0)
    vm.expect("was read", 20)
    vm.wait(30)


@test(limit=60)
def reset_at_once(t):
    """A guest that resets the machine with its first instructions, while the back-end has not said yet what it is."""
    path = t.dir + "/disk.img"
    with open(path, "wb") as f:
        f.truncate(1 << 20)
    with open(t.dir + "/reset.bin", "wb") as f:
        f.write(bytes.fromhex("baf90c b006 ee f4 ebfd"))  # out 6 to port cf9h; hlt
    t.start(*t.command(*t.machine("--format", "flat16", "--kernel", t.dir + "/reset.bin", "--disk", path)))
    pid = None
    while not pid:
        pid = t.processes().get("blkd0")
    os.kill(pid, signal.SIGSTOP)

    def reboots():
        return json.loads(t.bulkhead("status", "--json", t.name).expect(0).out)["reboots"]

    wait_until(lambda: reboots() > 20, "it starts again and again", 30)
    t.bulkhead("kill", t.name).expect(0)


if __name__ == "__main__":
    main()
