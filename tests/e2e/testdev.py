# SPDX-License-Identifier: MIT
"""The test device (--test-device): its ports, and what it stands for: a kind that only an option brings, of which there may
be two, and which holds guest memory. The guest is tests/guest/small/testdev.c."""
import json
import os
import re
import signal

from bh import check, main, test, wait_until
from kinds import DEVICES, options, process

ONE = options("testd")
NAMES = tuple(process("testd", n) for n in (0, 1))


def status(t):
    return json.loads(t.bulkhead("status", "--json", t.name).expect(0).out)


def names(t):
    """Of the machine's own processes: those around it come last."""
    found = [p["role"] for p in status(t)["processes"]]
    return found[:found.index("keeper")]


def start(t, *how):
    vm = t.start(*t.command(*t.guest("testdev", *how)))
    vm.expect(r"\d test devices\n")
    return vm


def end(vm):
    vm.send("q")
    check(vm.wait() == 0, f"exit code {vm.code}: {vm.talk.text[-300:]}")


@test
def every_port(t):
    vm = start(t, *ONE)
    check("1 test devices" in vm.talk.text, vm.talk.text)
    end(vm)
    t.expect_clean()


@test
def only_if_asked_for(t):
    """Without the option there is neither a process nor a port; and there are at most two."""
    t.run_guest("testdev").expect(3, out="0 test devices")
    vm = t.start(*t.command(*t.guest("echo")))
    vm.expect("ready")
    check(set(names(t)) == {"vcpu", *DEVICES}, names(t))
    t.bulkhead("device", "restart", t.name, NAMES[0]).expect(1, err="no such device")
    vm.send("q")
    check(vm.wait() == 0, f"exit code {vm.code}")
    t.run_guest("testdev", *ONE, *ONE, *ONE).expect(2, err="at most 2")


@test
def two(t):
    """Each has its ports, its process, its name; a restart and a death of one are not the other's."""
    vm = start(t, *ONE, *ONE)
    check("2 test devices" in vm.talk.text, vm.talk.text)
    check(set(NAMES) <= set(names(t)), names(t))
    t.bulkhead("device", "list", t.name).expect(0, out="(?s)testd0.*testd1")
    t.bulkhead("device", "restart", t.name, "test1").expect(0)
    t.bulkhead("device", "restart", t.name, "testd").expect(2, err="did you mean test0")
    lives = {p["role"]: p["incarnation"] for p in status(t)["processes"]}
    check(lives["testd0"] == 1 and lives["testd1"] == 2, lives)
    pids = t.processes()
    os.kill(pids["testd0"], signal.SIGKILL)
    wait_until(lambda: t.processes().get("testd0", pids["testd0"]) != pids["testd0"], "a new testd0")
    check(t.processes()["testd1"] == pids["testd1"], "testd1 stays")
    end(vm)  # looks at both latches again
    t.expect_clean()


@test
def memory_after_a_reset(t):
    """The daemons live through a reset of the guest, and see its fresh memory: empty, and the same as the processor's."""
    vm = start(t, *ONE, *ONE)
    before = t.processes()
    vm.send("r")
    vm.expect(r"2 test devices\n")
    after = t.processes()
    check(all(before[name] == after[name] for name in NAMES), f"{before} {after}")
    check(before["vcpu"] != after["vcpu"], "the vcpu process is a new one")
    pid = after["testd1"]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: t.processes().get("testd1", pid) != pid, "a new testd1")
    vm.send("r")
    vm.expect(r"2 test devices\n")
    end(vm)


@test
def security(t):
    """Its row says that it holds guest memory, and so does the report; of no other device."""
    vm = start(t, *ONE)
    rows = json.loads(t.bulkhead("security", "--json", t.name).expect(0).out)["processes"]
    if os.geteuid() == 0:
        holders = {row["process"] for row in rows if row["visible"] and row["guest_memory_mapped"]}
        check(holders == {"vcpu (emu)", "testd0"}, holders)
    check(re.search("testd0", t.bulkhead("security", t.name).expect(0).out), "named")
    end(vm)


if __name__ == "__main__":
    main()
