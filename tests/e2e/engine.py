# SPDX-License-Identifier: MIT
"""Which engine a machine runs on, and why."""
import json
import re

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


NOT_KEPT = "does not keep a time-stamp counter"


def ask(t, engine):
    """Has it gone over? False: this KVM does not keep a counter that is written to it; anything else fails."""
    r = t.bulkhead("engine", t.name, engine)
    check(r.code in (0, 30) or (engine == "kvm" and NOT_KEPT in r.err), r.err)  # 30: it has ended meanwhile
    return NOT_KEPT not in r.err


def keeps_counter(t, model):
    """Does a machine get to this host's KVM? Asked with a guest that stays until it is told to leave."""
    t.bulkhead(*t.guest("echo", "--detach", "--cpu", model)).expect(0)
    kept = ask(t, "kvm")
    t.bulkhead("kill", t.name).expect(0)
    return kept


def start_to_move(t, guest, *options):
    """A machine that goes to either engine; where KVM does not keep a written counter, one that has KVM's from the beginning."""
    need_kvm()
    model = both_have(t)
    if not keeps_counter(t, model):
        print("  KVM does not keep a written counter: begun on KVM", flush=True)
        t.engine = "kvm"
    t.bulkhead(*t.guest(guest, "--detach", "--cpu", model, *options)).expect(0)


@test
def hand_over(t):
    """To the emulator and back, twice, with a guest that sleeps in HLT and lives by interrupts; nothing that is typed is lost."""
    start_to_move(t, "echo")
    console = t.console()
    console.expect("ready")
    for n, text in enumerate(["emu", "kvm", "emu", "kvm"]):
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


@test
def refused_for_its_counter(t):
    """A KVM that does not keep a written IA32_TSC gets no guest: it is told why, and what to do; the guest goes on where it was."""
    need_kvm()
    t.bulkhead(*t.guest("echo", "--detach", "--cpu", both_have(t))).expect(0)
    console = t.console()
    console.expect("ready")
    if engine_of(t) == "kvm" or ask(t, "kvm"):
        raise Skip("this host's KVM keeps a time-stamp counter that is written to it")
    for _ in range(2):
        t.bulkhead("engine", t.name, "kvm").expect(1, err=NOT_KEPT + r".*IA32_TSC.*start the machine with --engine kvm")
        check(engine_of(t) == "emu", "it stays")
        console.send("abc")
        console.expect("ABC")
    console.send("q")
    console.expect("bye")
    t.bulkhead("wait", t.name).expect(0)


@test
def not_to_be_had(t):
    """A machine that was told which engine has no other; a word that is none; a machine that is not there."""
    t.engine = "emu"
    t.bulkhead(*t.guest("echo", "--detach")).expect(0)
    t.bulkhead("engine", t.name, "kvm").expect(1, err="start it with --engine auto")
    t.bulkhead("engine", t.name, "qemu").expect(1, err="emu or kvm")
    t.bulkhead("engine", "nobody", "emu").expect(30)
    t.bulkhead("kill", t.name).expect(0)


@test
def moved_under_load(t):
    """Several processors, in the middle of their interrupts to each other, to and fro."""
    start_to_move(t, "ipi", "--cpus", "2")
    for engine in ("emu", "kvm") * 3:
        r = t.bulkhead("engine", t.name, engine)
        check(NOT_KEPT not in r.err, r.err)
        if r.code:
            break  # it has ended meanwhile
    t.bulkhead("wait", t.name, seconds=60).expect(0)


if __name__ == "__main__":
    main()
