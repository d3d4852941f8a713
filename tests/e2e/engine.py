# SPDX-License-Identifier: MIT
"""Which engine a machine runs on, and why."""
import json

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


if __name__ == "__main__":
    main()
