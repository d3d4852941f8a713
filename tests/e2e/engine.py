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


@test
def hand_over(t):
    """To KVM and back, twice, with a guest that sleeps in HLT and lives by interrupts; nothing that is typed is lost."""
    need_kvm()
    t.bulkhead(*t.guest("echo", "--detach", "--cpu", both_have(t))).expect(0)
    console = t.console()
    console.expect("ready")
    first = engine_of(t)
    for n, text in enumerate(["kvm", "emu", "kvm", "emu"]):
        t.bulkhead("engine", t.name, text).expect(0)
        check(engine_of(t) == text, f"{n}: {status(t)}")
        console.send("x" + text)
        console.expect("X" + text.upper())
    t.bulkhead("engine", t.name, "emu").expect(0)  # it is there already
    check(first in ("emu", "kvm"), first)
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
    need_kvm()
    t.bulkhead(*t.guest("ipi", "--cpus", "2", "--cpu", both_have(t), "--detach")).expect(0)
    for engine in ("kvm", "emu") * 3:
        if t.bulkhead("engine", t.name, engine).code:
            break  # it has ended meanwhile
    t.bulkhead("wait", t.name, seconds=60).expect(0)


if __name__ == "__main__":
    main()
