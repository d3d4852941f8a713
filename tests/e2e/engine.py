# SPDX-License-Identifier: MIT
"""Which engine a machine runs on, and why."""
import json
import re
import time

from bh import *


def status(t):
    return json.loads(t.bulkhead("status", "--json", t.name).expect(0).out)


@test
def auto(t):
    """It is measured, not guessed: where KVM interprets or is not there, the emulator; where it is the processor, KVM."""
    t.engine = "auto"
    t.bulkhead(*t.guest("echo", "--detach")).expect(0)
    t.console().expect("ready")
    s = status(t)
    kvm = s["engine_reason"].startswith("KVM runs on the processor itself")
    check(s["engine"] == ("kvm" if kvm else "emu"), s["engine_reason"])
    check(kvm or "KVM" in s["engine_reason"] or "/dev/kvm" in s["engine_reason"], s["engine_reason"])
    t.bulkhead("status", t.name).expect(0, out=r"engine +" + s["engine"] + r" \(")
    t.bulkhead("kill", t.name).expect(0)


@test
def asked_for(t):
    t.bulkhead(*t.guest("echo", "--detach")).expect(0)
    check(status(t)["engine_reason"] == "asked for", status(t))
    t.bulkhead("kill", t.name).expect(0)


def both_have(t):
    """A model that the emulator and this host's KVM both have."""
    t.engine = "kvm"
    t.bulkhead(*t.guest("echo", "--detach", name="asks")).expect(0)
    kvm = set(json.loads(t.bulkhead("status", "--json", "asks").expect(0).out)["cpu_features"])
    t.bulkhead("kill", "asks").expect(0)
    t.engine = "auto"
    t.bulkhead(*t.guest("echo", "--detach", "--cpu", "x86-64-v2", name="asks")).expect(0)
    emu = json.loads(t.bulkhead("status", "--json", "asks").expect(0).out)["cpu_features"]
    t.bulkhead("kill", "asks").expect(0)
    return ",-".join(["x86-64-v2"] + [f for f in emu if f not in kvm])


def need_kvm():
    if kvm_missing():
        raise Skip(kvm_missing())


def engine_of(t):
    return status(t)["engine"]


PROMPT = "bulkhead# "


def start_to_move(t, guest, *options):
    """A machine that goes to either engine."""
    need_kvm()
    model = both_have(t)
    t.engine = "auto"
    t.bulkhead(*t.guest(guest, "--detach", "--cpu", model, *options)).expect(0)


@test
def hand_over(t):
    """To the emulator and back, twice, with a guest that sleeps in HLT and lives by interrupts; nothing that is typed is lost."""
    start_to_move(t, "echo")
    console = t.console()
    console.expect("ready")
    for n, text in enumerate(["kvm", "emu", "kvm", "emu", "kvm"]):
        t.bulkhead("engine", t.name, text).expect(0)
        check(engine_of(t) == text, f"{n}: {status(t)}")
        console.send("x" + text)
        console.expect("X" + text.upper())
    t.bulkhead("engine", t.name, "kvm").expect(0)  # it is there already
    console.send("q")
    console.expect("Q.*\n?bye")
    console.read_to_end()
    t.expect_clean()


@test
def refused(t):
    """KVM lacks what the guest has seen of its processor: it is told what, and the guest goes on where it was."""
    need_kvm()
    t.engine = "auto"
    t.bulkhead(*t.guest("echo", "--detach", "--cpu", "max")).expect(0)
    console = t.console()
    console.expect("ready")
    if engine_of(t) == "kvm":
        raise Skip("KVM is hardware here, and the machine has begun with it")
    r = t.bulkhead("engine", t.name, "kvm")
    check(r.code == 1 and re.search("does not have .*: start the machine with --cpu MODEL,-NAME|xsave", r.err), r.err)
    check(engine_of(t) == "emu", "it stays")
    console.send("abc")
    console.expect("ABC")
    t.bulkhead("kill", t.name).expect(0)


NO_SYSCALL = "syscall: this host's KVM does not bring SYSCALL to the guest's kernel"
# A loop that makes no system call on its way, until it is interrupted.
COUNT = "trap 'echo at $i; s=1' INT; i=0; s=0; echo be$((1))gin; while [ $s = 0 ]; do i=$((i+1)); done\r"
WRONG = r"segfault at|[Mm]arking .* unstable|detected stall|lockup|BUG:|Kernel panic|backwards"


def to_kvm(t, shell):
    """Does its KVM do all that Linux wants? Where it does not, it has been refused, and is forced."""
    r = t.bulkhead("engine", t.name, "kvm")
    if r.code == 0:
        return True
    check(NO_SYSCALL in r.err and engine_of(t) == "emu", r)
    shell.talk.send("echo st$((1))ays\r")
    shell.expect("st1ays")
    shell.expect(PROMPT)
    return False


# Programs that are started, read a file and talk by a pipe: the same on both engines.
PROGRAMS = "echo be$((1))gin; sha256sum /bin/busybox; echo pi$((1))pe | cat; echo e$((1))nd\r"


def programs(shell):
    shell.talk.send(PROGRAMS)
    said = shell.expect(r"be1gin\r?\n((?:.|\n)*?)e1nd", 100)[1]
    shell.expect(PROMPT, 60)
    return said


@test(limit=200)
def linux(t):
    """Debian's kernel, from the emulator to KVM with its programs, and back: nothing is lost, and its time goes on. On a KVM that cannot
    have SYSCALL the program there only computes, and the kernel takes interrupts and echoes what is typed."""
    need_kvm()
    model = both_have(t)
    kernel, initrd = debian(t.dir)
    t.engine = "auto"
    shell = t.start(*t.command(*t.machine("--kernel", kernel, "--initrd", initrd, "--memory", "256M", "--cpu", model, "--cmdline",
                                          "console=ttyS0")))
    shell.expect(PROMPT, 120)
    if engine_of(t) == "kvm":  # hardware
        t.bulkhead("engine", t.name, "emu").expect(0)
    there = programs(shell)
    check(re.search(r"^[0-9a-f]{64}  /bin/busybox\r?\npi1pe\r?\n$", there), there)
    if whole := to_kvm(t, shell):
        here = programs(shell)
        check(here == there, f"under KVM: {here}; under the emulator: {there}")
        t.bulkhead("engine", t.name, "emu").expect(0)
    else:
        print("  this KVM breaks SYSCALL: a program that makes no system calls", flush=True)
    shell.talk.send(COUNT)
    shell.expect("be1gin")
    time.sleep(0.5)  # until it is in its loop
    t.bulkhead("engine", t.name, "kvm", *([] if whole else ["--force"])).expect(0)
    check(engine_of(t) == "kvm", status(t))
    for n in range(3):
        time.sleep(0.5)  # some timer interrupts of the program's
        shell.talk.send(f"key{n}")
        shell.expect(f"key{n}", 60)
    t.bulkhead("engine", t.name, "emu").expect(0)
    shell.talk.send("\x03")
    check(int(shell.expect(r"at (\d+)")[1]) > 0, "it has counted")
    shell.expect(PROMPT)
    shell.talk.send("poweroff -f\r")
    check(shell.wait(60) == 0, shell.talk.text[-3000:])
    wrong = re.search(WRONG, shell.talk.text)
    check(not wrong, f"{wrong}: {shell.talk.text[-3000:]}")


@test
def warned(t):
    """Who asks for KVM is told, once, what a guest may stumble over there and what to do: what `bulkhead host` has found of it."""
    need_kvm()
    t.engine = "kvm"
    said = t.run_guest("hello64").expect(0, out="hello").err
    host = t.bulkhead("host").out
    kinds = {"SYSCALL": "SYSCALL", "TSC": "time-stamp counter", "kind": "interprets guest code"}
    for name, words in kinds.items():
        found = re.search(rf"^  (?:note|worse) +{name} .*{words}", host, re.M)
        check(said.count(words) == (1 if found else 0), f"{name}: {found}; {said}")
        check(not found or re.search(rf"{words}.*; .*--engine (emu|auto)", said), said)


@test
def not_to_be_had(t):
    """A machine that was told which engine has no other; a word that is none; a machine that is not there."""
    t.engine = "emu"
    t.bulkhead(*t.guest("echo", "--detach")).expect(0)
    t.bulkhead("engine", t.name, "kvm").expect(1, err="start it with --engine auto")
    t.bulkhead("engine", t.name, "qemu").expect(1, err="emu or kvm")
    t.bulkhead("engine", "nobody", "emu").expect(30)
    t.bulkhead("kill", t.name).expect(0)


@test(limit=85)
def moved_under_load(t):
    """Several processors, in the middle of their interrupts to each other, to and fro."""
    start_to_move(t, "ipi", "--cpus", "2")
    for engine in ("kvm", "emu") * 3:
        r = t.bulkhead("engine", t.name, engine)
        check(r.code in (0, 30) or "does not run" in r.err, r)
        if r.code:
            break  # it has ended meanwhile
    t.bulkhead("wait", t.name, seconds=60).expect(0)


if __name__ == "__main__":
    main()
