# SPDX-License-Identifier: MIT
"""
A daemon that was taken over (evil.c), for each of them in turn and for each kind of harm: the guest goes on, the
supervisor answers, other daemons and another machine do not notice; memory and log stay bounded.
"""
import os
import sys
import time

from bh import BUILD, Failure, check, debian, main, test, wait_until
from hostile import Neighbour, Watch, evil_libexec, expect_bounded, expect_decent, memory
from kinds import FRAMES, KINDS, WRITERS, options, process

MODES = ("memory", "ring", "answers", "truncate", "bells", "stderr", "events", "stats", "silent", "beats", "frames", "replies",
         "exit", "mix")
# In `make check`, for every daemon: all of it in turn, and what harms in ways of its own. EVIL_MODES=all takes all.
SHORT = ("mix", "memory", "events", "frames")
LOG_MAX = 200000  # bytes, of one machine in a few seconds
SECONDS = 1.5


def machine_name(t, mode):
    return f"evil-{mode}-{os.getpid()}"


def start(t, evil, mode):
    name = machine_name(t, mode)
    log = f"{t.dir}/{name}.log"
    # The guest waits for a device until that is given up; with the default limit for ten seconds. Filters would end it at
    # the first of many things; here it has got past them, and others have to hold.
    if evil in FRAMES:
        guest = t.machine("--platform", "frame", "--kernel", f"{BUILD}/tests/guest/frame_steady.elf", name=name)
    else:
        guest = t.guest("hostile_steady", name=name)
    vm = t.start(*t.command(*guest, "--log", log, "--device-failure-limit", "4", "--sandbox", "log", *options(evil)),
                 env=evil_libexec(t, evil))
    return name, log, vm


def is_over(vm):
    return vm.poll() is not None


def watch_for(t, vm, name, watch, seconds=SECONDS):
    """Status again and again, while the machine is there."""
    first, end = None, time.monotonic() + seconds
    while time.monotonic() < end and not is_over(vm):
        try:
            watch.ask(name)
        except Failure as e:
            if "no machine named" in str(e):
                break  # it ended in between
            raise
        first = first or memory(t, name)
        vm.talk.pump(0.05)
    return first or {}, memory(t, name)


def expect_alive(t, vm, name, evil, log):
    """What the guest says and how it leaves tell that processor, memory and the other devices were all right. A device that
    holds guest memory can do to this guest what it likes; the machine can be ended all the same."""
    if evil in WRITERS:
        if not is_over(vm):
            t.bulkhead("kill", name)
        vm.wait(20)
        return
    if evil == "platformd":  # has the exit port
        try:
            vm.expect("steady done", seconds=60)
        except Failure as e:
            raise Failure(f"{e}; log: {tail(log)}")
        t.bulkhead("kill", name)  # if it is still there: an exit code that was not heard ends it, too
        check(vm.wait(20) != 0, "a machine with that platformd ended with 0")
        return
    code = vm.wait(60)
    check(code == 42, f"exit code {code}; {vm.stderr()[-800:]}; log: {tail(log)}")
    if evil != "seriald":
        check("steady done" in vm.talk.text, f"the guest's last words: {vm.talk.text[-500:]}")


def tail(log):
    try:
        with open(log, errors="replace") as f:
            return f.read()[-1500:]
    except OSError:
        return "none"


def check_log(log):
    with open(log, "rb") as f:
        data = f.read()
    check(len(data) < LOG_MAX, f"{len(data)} bytes of log")
    expect_decent(data, "the log")


def attack(t, evil, mode, watch):
    name, log, vm = start(t, evil, mode)
    wait_until(lambda: is_over(vm) or "vcpu" in t.processes(name), "the machine is there")
    before, after = watch_for(t, vm, name, watch)
    expect_alive(t, vm, name, evil, log)
    if after:
        others = {role: kb for role, kb in before.items() if role != process(evil)}
        expect_bounded(others, {role: kb for role, kb in after.items() if role in others}, f"{evil}, {mode}")
    check_log(log)
    print(f"   {evil} {mode}: survived; {watch}")


def attack_all(t, evil):
    modes = os.environ["EVIL_MODES"].split(",") if "EVIL_MODES" in os.environ else SHORT
    watch, neighbour, failures = Watch(t), Neighbour(t), []
    for mode in MODES if modes == ["all"] else modes:
        try:
            attack(t, evil, mode, watch)
        except Failure as e:
            failures.append(f"{evil} {mode}: {e}")
        neighbour.check()
    neighbour.end()
    print(f"   {evil}: {watch}")
    check(not failures, "\n".join(failures))


def evil_of(kind):
    def evil(t):
        attack_all(t, kind)
    evil.__name__ = f"evil_{kind}"
    return evil


@test(limit=100)
def answers_of_halves(t):
    """A virtio device has one request more, LINK: who answers it with an error is not the machine's end."""
    watch = Watch(t)
    for _ in range(4):
        attack(t, "virtiod", "replies", watch)


for _kind in KINDS:
    test(evil_of(_kind), limit=170)


@test
def late_loader(t):
    """Under load a loader leaves long after the guest has begun; that is no harm to the neighbour."""
    neighbour = Neighbour(t, evil_libexec(t, "boot", "late-bulkhead-boot"))
    check("boot" in t.processes(neighbour.name), "the loader is still there")
    wait_until(lambda: "boot" not in t.processes(neighbour.name), "it has left")
    neighbour.end()


@test(limit=100)
def forced_stop(t):
    """A console daemon that does not answer, or lives and does not answer, does not hold up a forced stop: the command
    itself gives up, and fails, when the machine is not gone in time."""
    for mode in "silent", "beats":
        for words in ("stop", "--force"), ("kill",):
            name, log, vm = start(t, "seriald", mode)
            wait_until(lambda: "vcpu" in t.processes(name), "the machine is there")
            t.bulkhead(*words, name).expect(0)
            vm.wait()
            wait_until(lambda: t.is_clean(name), f"{mode}: nothing is left")


@test(limit=100)
def forced_again_and_again(t):
    """Whoever is impatient does not put the end off."""
    name, log, vm = start(t, "seriald", "beats")
    wait_until(lambda: "vcpu" in t.processes(name), "the machine is there")
    for _ in range(30):
        if vm.poll() is not None:
            break
        t.start(*t.command("stop", "--force", name))
        vm.talk.pump(0.4)
    check(vm.poll() is not None, "the machine is still there")


@test(limit=280)
def under_linux(t):
    """Debian on its shell while timerd, then platformd as well, is replaced by the hostile one."""
    kernel, initrd = debian(t.dir)
    name = machine_name(t, "memory")
    # What machine and guest think of these devices would be printed into the middle of answers: "sbulkhead: ... timerd
    # broke the ring protocol\ntill 90 here". So the one has a log, and the other's console is quiet.
    log = f"{t.dir}/{name}.log"
    vm = t.start(*t.command("run", "--name", name, "--engine", "emu", "--kernel", kernel, "--initrd", initrd, "--memory",
                            "512M", "--log", log, "--cmdline", "console=ttyS0 quiet"), on_terminal=True)
    vm.expect("userspace is up: Linux", 240)
    vm.expect("bulkhead# ", 60)
    # platformd may press the power button.
    vm.send("dmesg -n 1; killall acpid\n")
    watch, count, before = Watch(t), 0, memory(t, name)
    for role in ("timerd", "platformd"):
        t.bulkhead("device", "replace", name, role, "--binary", f"{BUILD}/tests/fault/bulkhead-evild").expect(0)
        end = time.monotonic() + 3
        while time.monotonic() < end:
            count += 1
            vm.send(f"echo still $(({count} * 3)) here\n")
            vm.expect(rf"\nstill {count * 3} here", 60)
            watch.ask(name)
        before.pop(role, None)
    after = memory(t, name)
    expect_bounded({k: v for k, v in before.items() if k != "vcpu"}, {k: after[k] for k in before if k != "vcpu"}, "Debian")
    t.bulkhead("kill", name).expect(0)
    vm.wait(20)
    check_log(log)
    print(f"   Debian: {count} commands under hostile daemons; {watch}")


if __name__ == "__main__":
    main()
