# SPDX-License-Identifier: MIT
"""Words of processes that were taken over, meant for the terminal, the log or the JSON of whoever listens (rude.h)."""
import os

from bh import check, main, test, wait_until
from hostile import evil_libexec, expect_decent
from kinds import DEVICES

FLOOD, RUDE = "flood-bulkhead-vcpu", "bulkhead-rude"


@test
def of_a_guests_end(t):
    """A vcpu process tells of a triple fault, or that its engine cannot go on: a dump's lines, and no others."""
    env = evil_libexec(t, "vcpu", FLOOD)
    for kind, code in ("triple", 34), ("engine", 33):
        r = t.bulkhead(*t.guest("echo", name=f"{kind}-{os.getpid()}"), env=env)
        r.expect(code, err="rude")
        expect_decent(r.err, kind)
        check("\nRIP=1" in r.err, f"the dump's line: {r.err!r}")


@test
def of_a_start(t):
    """Loader, vcpu process, each daemon: what they refuse with ends the machine, and is printed."""
    for role, code in [("boot", 2), ("vcpu", 33), *((kind, 33) for kind in DEVICES)]:
        r = t.bulkhead(*t.guest("echo"), env=evil_libexec(t, role, RUDE))
        r.expect(code, err="rude")
        expect_decent(r.err, role)


@test
def of_a_detached_machine(t):
    """Its log, what the command line gives, what is waited for, JSON."""
    env = {**evil_libexec(t, "vcpu", FLOOD), "BULKHEAD_RUNTIME_DIR": t.runtime}
    name, log = f"engine-{os.getpid()}", t.dir + "/log"
    t.bulkhead(*t.guest("echo", "--detach", "--log", log, name=name), env=env)
    wait_until(lambda: t.is_clean(name), "it has ended")
    with open(log, "rb") as f:
        expect_decent(f.read(), "the log")
    name = f"halted-{os.getpid()}"
    t.bulkhead(*t.guest("echo", "--detach", "--on-halt", "wait", "--log", log, name=name), env=env).expect(0)
    # A device that is back again and again, and has left its last words.
    for words in ("status", name), ("status", "--json", name), ("list",), ("security", name):
        r = t.bulkhead(*words)
        expect_decent(r.out + r.err, " ".join(words))
    t.bulkhead("kill", name).expect(0)


if __name__ == "__main__":
    main()
