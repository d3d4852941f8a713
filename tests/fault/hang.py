# SPDX-License-Identifier: MIT
"""
A vcpu process or a loader that lives and does not work: it is found, and the machine ends and says why. Devices that hang
are in recovery.py; who is starved, asleep or busy and is left alone, in the unit tests watch and pulse.
"""
import os
import signal

from bh import check, main, need_sandbox, test, wait_until
from hostile import evil_libexec

FAILED = 33


@test
def stopped_vcpu(t):
    """Stopped by a signal, under a guest that sleeps; a moment of that is forgiven."""
    need_sandbox()
    t.bulkhead(*t.guest("echo", "--detach")).expect(0)
    console = t.console()
    console.expect("ready")
    pid = t.processes()["vcpu"]
    os.kill(pid, signal.SIGSTOP)
    os.kill(pid, signal.SIGCONT)
    console.send("still")
    console.expect("STILL")
    waiter = t.start(*t.command("wait", t.name))
    wait_until(lambda: waiter.poll() is not None or os.path.exists(f"/proc/{waiter.pid}/fd/3"), "somebody waits for the end")
    os.kill(pid, signal.SIGSTOP)
    code = waiter.wait(30)
    check(code == FAILED and "hang: vcpu was ended" in waiter.stderr() and "stopped by a signal" in waiter.stderr(),
          f"exit code {code}: {waiter.stderr()}")
    t.expect_clean()


@test
def deaf(t):
    """Programs that greet and then do nothing: asleep, or stopped."""
    need_sandbox()
    machines = []
    for role, how in ("boot", "stop"), ("boot", "sleep"), ("vcpu", "sleep"):
        name = f"deaf-{how}-{role}-{os.getpid()}"
        machines.append((role, how, name, t.start(*t.command(*t.guest("echo", name=name)),
                                                  env=evil_libexec(t, role, "bulkhead-deaf"))))
        if how == "stop":
            wait_until(lambda: role in t.processes(name), f"{name}: the {role} is there")
            os.kill(t.processes(name)[role], signal.SIGSTOP)
    for role, how, name, vm in machines:
        code = vm.wait(60)
        why = "stopped by a signal" if how == "stop" else "no sign of life"
        check(code == FAILED and f"{role} was ended" in vm.stderr() and why in vm.stderr(), f"{name}: {code}: {vm.stderr()}")
        wait_until(lambda: t.is_clean(name), f"{name}: nothing is left")


@test
def lost_engine(t):
    """The engine does not come back: the rest of the vcpu process finds out."""
    vm = t.start(*t.command(*t.guest("chatter")), env=evil_libexec(t, "vcpu", "lost-bulkhead-vcpu"))
    code = vm.wait(60)
    check(code == FAILED and "hang: vcpu 0 works for seconds" in vm.stderr(), f"exit code {code}: {vm.stderr()}")
    t.expect_clean()


if __name__ == "__main__":
    main()
