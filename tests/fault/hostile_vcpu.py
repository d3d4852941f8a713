# SPDX-License-Identifier: MIT
"""A vcpu process that was taken over and floods its supervisor (flood_vcpu.c): log bounded, supervisor there, ends in time."""
import os
import time

from bh import check, main, test
from hostile import Watch, evil_libexec

FLOOD = "flood-bulkhead-vcpu"


@test
def halted(t):
    """It says without end that the guest has halted, and the machine is to wait then: each said, not each logged."""
    name, log = f"halted-{os.getpid()}", t.dir + "/log"
    env = evil_libexec(t, "vcpu", FLOOD)
    t.bulkhead(*t.guest("echo", "--detach", "--on-halt", "wait", "--log", log, name=name), env=env).expect(0)
    watch, end = Watch(t), time.monotonic() + 2
    while time.monotonic() < end:
        watch.ask(name)
    t.bulkhead("kill", name).expect(0)
    with open(log) as f:
        lines = f.read().splitlines()
    check(any("halted with interrupts off" in line for line in lines), f"it is said: {lines[-5:]}")
    check(len(lines) < 100, f"{len(lines)} lines of log: {lines[-5:]}")
    print(f"   {len(lines)} lines; {watch}")


@test
def last_words_without_end(t):
    """It says without end that the guest is at its end: the machine ends, and not only when the flood does."""
    env = evil_libexec(t, "vcpu", FLOOD)
    for kind, options, code in (("halted", (), 0), ("triple", (), 34)):
        name, start = f"{kind}-{os.getpid()}", time.monotonic()
        t.bulkhead(*t.guest("echo", *options, name=name), env=env).expect(code)
        print(f"   {kind}: ended after {time.monotonic() - start:.1f} s")


if __name__ == "__main__":
    main()
