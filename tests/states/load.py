# SPDX-License-Identifier: MIT
"""
States of every released version, loaded by the programs of today: of each device by its daemon (--replay), of a machine by a
machine whose guest goes on. A test that fails here has broken a promise (docs/protocol.md): raise the version of that state, and make
the new one of the old one.
"""
import lzma
import os
import socket

from bh import BUILD, Failure, check, main, test, wait_until
from kinds import KINDS, MOVABLE, options
from states import FOLDER, GUEST, sealed, versions

STATE_MAX = 4 << 20  # proto/state.h


@test
def devices(t):
    check(versions(), "there is at least one version")
    for version in versions():
        for name in sorted(n for n in os.listdir(f"{FOLDER}/{version}") if n.endswith(".bhd.xz")):
            kind = name.split(".")[0]
            check(kind in KINDS, f"{version} had a {kind}, and nobody is there to take it")
            with open(t.dir + "/state.bhd", "wb") as f:
                f.write(unpacked(f"{FOLDER}/{version}/{name}"))
            r = t.call([f"{BUILD}/devices/bulkhead-{kind}", "--replay", t.dir + "/state.bhd"])
            check(r.code == 0, f"the state of {kind} of version {version} is not loaded: {r}")
            print(f"  {version}: {r.out.strip().splitlines()[-1]}")


def unpacked(path):
    with lzma.open(path) as f:
        return f.read()


@test
def machines(t):
    for version in versions():
        state, ram = (unpacked(f"{FOLDER}/{version}/machine.{part}.xz") for part in ("state", "ram"))
        goes_on(t, version, sealed(state, STATE_MAX), sealed(ram, len(ram)))


def goes_on(t, version, state, ram):
    """A machine that begins there: its guest counts on, takes what is typed, and leaves."""
    stash = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    name, first = f"{t.name}-{version}", 500
    for to, fd in enumerate((state, ram, stash[0].fileno(), stash[1].fileno()), first):
        os.dup2(fd, to, inheritable=True)
    # Kinds that have come since are none of that machine's.
    extra = [word for kind in MOVABLE if os.path.exists(f"{FOLDER}/{version}/{kind}.bhd.xz") for word in options(kind)]
    command = [f"{BUILD}/vmm/bulkhead-supervisor", *t.guest(GUEST, "--detach", "--from", "x", "--log", f"{t.dir}/log", *extra, name=name)[1:],
               "--keep", f"--taken-fd={first}"]
    pid = os.fork()
    if pid == 0:
        os.execve(command[0], command, t.env)
    for fd in range(first, first + 4):
        os.close(fd)
    talk = connect(t, name, pid)
    talk.send("x")  # what it has said before is in the history
    number = int(talk.expect(r"L ([0-9a-f]{6}) x ").group(1), 16)
    check(number > 20, f"it had got to line 20, and goes on at {number}")
    talk.send("!")
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    check(code == 42, f"the guest of version {version} leaves with 42, not {code}: {said(t)}")
    print(f"  {version}: a machine went on at line {number}")


def said(t):
    if not os.path.exists(t.dir + "/log"):
        return "nothing was said"
    with open(t.dir + "/log", errors="replace") as f:
        return f.read()


def connect(t, name, pid):
    """To its console, as soon as that is there."""
    found = []

    def there():
        if os.waitpid(pid, os.WNOHANG)[0]:
            raise Failure(f"it has ended: {said(t)}")
        try:
            found.append(t.console(name))
        except OSError:
            return False
        return True

    wait_until(there, "its console", 20)
    return found[0]


if __name__ == "__main__":
    main()
