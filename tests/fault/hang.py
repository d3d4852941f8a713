# SPDX-License-Identifier: MIT
"""
A vcpu process or a loader that lives and does not work: it is found, and the machine ends and says why. Devices that hang
are in recovery.py; who is starved, asleep or busy and is left alone, in the unit tests watch and pulse.
"""
import json
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


def odd_spawner(t, how):
    return {**evil_libexec(t, "supervisor", "odd-bulkhead-supervisor"), "BULKHEAD_SPAWNER": how}


@test
def spawner_stops(t):
    """The spawner is stopped before it has said a word: the start fails in time, and nothing is left."""
    need_sandbox()
    t.bulkhead(*t.guest("echo"), env=odd_spawner(t, "stops")).expect(FAILED, err="the spawner does not answer")
    t.expect_clean()


@test
def spawner_costs(t):
    """What restarts cost the host is told with what they cost the spawner."""
    vm = t.start(*t.command(*t.guest("echo")), env=odd_spawner(t, "works"))
    vm.expect("ready")

    def spent():
        with open(f"/proc/{t.processes()['spawner']}/schedstat") as f:
            return int(f.read().split()[0])

    device = lambda: next(p for p in json.loads(t.bulkhead("status", "--json", t.name).out)["processes"] if p["role"] == "timerd")
    before = spent()
    for deaths in range(1, 6):
        os.kill(t.processes()["timerd"], signal.SIGKILL)
        wait_until(lambda: device()["deaths"] == deaths and device()["state"] == "running", "it is back")
    cost, told = spent() - before, device()["restart_cpu_ns"]
    check(told > 0.9 * cost, f"{told} ns are told, and the spawner alone took {cost}")
    vm.send("q")
    check(vm.wait(20) == 0, vm.stderr())


if __name__ == "__main__":
    main()
