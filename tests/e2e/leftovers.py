# SPDX-License-Identifier: MIT
"""Nothing is left behind, whoever is killed: no socket, no process, no mount."""
import os
import signal

from bh import check, main, test, wait_until
from kinds import DEVICES


def running(t, *options):
    vm = t.start(*t.command(*t.guest("echo", *options)))
    vm.expect("ready")
    return vm


def kill_and_expect(t, role, codes):
    vm = running(t)
    os.kill(t.processes()[role], signal.SIGKILL)
    check(vm.wait() in codes, f"exit code {vm.code}: {vm.stderr()}")
    t.expect_clean(sweep=role == "keeper")
    return vm.stderr()


@test
def supervisor_killed(t):
    check("supervisor" in kill_and_expect(t, "supervisor", {33}), "the message names the supervisor")


@test
def keeper_killed(t):
    check("keeper" in kill_and_expect(t, "keeper", {33}), "the message names the keeper")


@test
def vcpu_killed(t):
    check("vcpu" in kill_and_expect(t, "vcpu", {33}), "the message names it")


@test
def devices_killed(t):
    """A device comes back and the machine goes on (tests/fault/ looks closer); nothing is left of either in the end."""
    vm = running(t)
    for role in DEVICES:
        before = t.processes()[role]
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: t.processes().get(role, before) != before, f"a new {role}")
    vm.send("on")
    vm.expect("ON")
    vm.send("q")
    check(vm.wait() == 0, f"exit code {vm.code}: {vm.stderr()}")
    t.expect_clean()


@test
def command_line_terminated(t):
    """SIGTERM of the foreground command: an orderly stop."""
    vm = t.start(*t.command(*t.guest("board")))
    vm.expect("board ready")
    vm.signal(signal.SIGTERM)
    vm.expect("power button")
    check(vm.wait() == 0, f"exit code {vm.code}")
    t.expect_clean()


@test
def command_line_killed(t):
    vm = running(t, "--stop-timeout", "1s")
    vm.signal(signal.SIGKILL)
    t.expect_clean(seconds=15)


@test
def detached_killed(t):
    t.bulkhead(*t.guest("echo", "--detach")).expect(0)
    os.kill(t.processes()["supervisor"], signal.SIGKILL)
    t.expect_clean()
    t.bulkhead(*t.guest("hello16")).expect(7)  # the name is free again


@test
def both_killed(t):
    """Keeper and supervisor at once: the next command sweeps."""
    t.bulkhead(*t.guest("echo", "--detach")).expect(0)
    pids = t.processes()
    for role in ("keeper", "supervisor"):
        os.kill(pids[role], signal.SIGKILL)
    wait_until(lambda: not t.processes(), "all processes are gone")
    t.expect_clean(sweep=True)


@test
def stopped_processes(t):
    """SIGSTOP of the supervisor: kill still ends the machine."""
    t.bulkhead(*t.guest("echo", "--detach")).expect(0)
    os.kill(t.processes()["supervisor"], signal.SIGSTOP)
    t.bulkhead("kill", t.name, seconds=20).expect(0)
    t.expect_clean(sweep=True)


@test
def started_while_ending(t):
    """The same name again and again, without a pause."""
    for _ in range(10):
        t.run_guest("hello16").expect(7, out="hello from 16 bits")
    t.expect_clean()


if __name__ == "__main__":
    main()
