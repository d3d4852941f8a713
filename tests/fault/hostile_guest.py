# SPDX-License-Identifier: MIT
"""
Guests that do their worst, on the engine that --engine names: no abort, memory and log bounded, and the supervisor
answers meanwhile (how fast is printed, not asserted).
"""
import os
import re
import time

from bh import Failure, Skip, check, main, test
from hostile import Watch, expect_bounded, memory

LOG_MAX = 200000
# The vcpu process of the emulator keeps translated blocks; bounded (--code-cache, 192 MiB by default), but not small.
SLACK_KB = {"vcpu": 224 * 1024}
OUR_FAULT = r"killed by signal|sandbox|engine cannot go on|ended unexpectedly|does not answer"


def tail_ok(text):
    check(not re.search(OUR_FAULT, text), f"the machine, not the guest, failed:\n{text[-1500:]}")


def expect_memory(before, after, what):
    for role, slack in SLACK_KB.items():
        if role in before and role in after:
            expect_bounded({role: before[role]}, {role: after[role]}, what, slack)
    expect_bounded({k: v for k, v in before.items() if k not in SLACK_KB},
                   {k: v for k, v in after.items() if k not in SLACK_KB}, what)


def run_watched(t, image, first, last, seconds=60, options=()):
    """Asks for the status while the guest rages, until it says `last`. The machine may be gone afterwards, or not."""
    vm = t.start(*t.command(*t.guest(image, "--no-reboot", *options)))
    vm.expect(first)
    watch, before, after = Watch(t), None, None
    end = time.monotonic() + seconds
    while not re.search(last, vm.talk.text) and vm.poll() is None:
        check(time.monotonic() < end, f"{image} goes on after {seconds} s: {vm.talk.text[-500:]}")
        try:
            watch.ask()
        except Failure:
            if vm.poll() is None and t.processes():
                raise
            break
        before = before or memory(t)
        after = memory(t) or after
        vm.talk.pump(0.1)
    if before:
        expect_memory(before, after, image)
    print(f"   {image}: {watch}; kB: {before} -> {after}")
    return vm


def skip_where_slow(t, why):
    """The KVM of our test machine is itself emulated: an exit takes 10 to 100 us."""
    if t.engine == "kvm" and not os.environ.get("LONG"):
        raise Skip(why + "; LONG=1 runs it")


@test(limit=400)
def ports_and_windows(t):
    skip_where_slow(t, "2.5 million exits take more than a minute under a software KVM")
    vm = run_watched(t, "hostile_storm", "storm begins", "storm over", seconds=300)
    check("storm over" in vm.talk.text, f"exit code {vm.poll()}: {vm.talk.text[-500:]} {vm.stderr()}")
    # A string instruction that takes hours is going on now.
    watch = Watch(t)
    before = memory(t)
    for _ in range(10):
        watch.ask()
        time.sleep(0.1)
    expect_memory(before, memory(t), "endless string instruction")
    print(f"   endless REP INS: {watch}")
    t.bulkhead("kill", t.name).expect(0)
    vm.wait()
    check(len(vm.stderr()) < LOG_MAX, f"{len(vm.stderr())} bytes of log")
    t.expect_clean()


@test(limit=120)
def registers(t):
    vm = run_watched(t, "hostile_registers", "registers begin", "registers over", seconds=100)
    check(vm.wait() == 0, f"exit code {vm.code}: {vm.talk.text[-500:]} {vm.stderr()}")
    # Open: under KVM "few" was seen (at most 100 in some ten seconds). Why is not known; asserted for the emulator only.
    check("interrupts: many" in vm.talk.text or t.engine == "kvm", f"interrupts came: {vm.talk.text[-200:]}")
    check(len(vm.stderr()) < LOG_MAX, f"{len(vm.stderr())} bytes of log")
    t.expect_clean()


@test(limit=120)
def pages_and_code(t):
    # What KVM gives up on is left to it here: with the fallback this guest takes minutes where KVM interprets.
    options = ("--no-fallback",) if t.engine == "kvm" else ()
    vm = run_watched(t, "hostile_pages", "pages begin", "self-modifying over|FAILED", options=options)
    code = vm.wait()
    if t.engine == "kvm" and code == 33 and "emulation of an instruction failed" in vm.stderr():
        print("   KVM cannot execute from a device's address, says so, and ends this guest only")
        t.expect_clean()
        return
    check(code == 0, f"exit code {code}: {vm.talk.text[-500:]} {vm.stderr()}")
    check("page faults: some, without: some" in vm.talk.text, "the chaos was one")
    t.expect_clean()


@test(limit=120)
def random_code(t):
    """User mode comes back every time. Kernel mode may end the guest in any way in which a guest can end, again and
    again with other bytes; the machine is never to blame."""
    skip_where_slow(t, "user mode never came back from this machine's software KVM within two minutes")
    ends, end = {}, time.monotonic() + float(os.environ.get("RANDOM_SECONDS", 4))
    while not ends or time.monotonic() < end:
        vm = t.start(*t.command(*t.guest("hostile_random", "--no-reboot", "--stop-timeout", "100ms")))
        vm.expect("user mode over", seconds=60)
        try:
            code = vm.wait(3)
        except Failure:  # it sleeps, or loops with interrupts off: that is its right
            t.bulkhead("status", t.name, seconds=10).expect(0)
            t.bulkhead("kill", t.name).expect(0)
            code = vm.wait(10)
            ends["hung"] = ends.get("hung", 0) + 1
        tail_ok(vm.stderr())
        ends[code] = ends.get(code, 0) + 1
    print(f"   random code in kernel mode: exit codes {ends}")
    t.expect_clean()


if __name__ == "__main__":
    main()
