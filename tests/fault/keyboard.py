# SPDX-License-Identifier: MIT
"""
The keyboard's and mouse's daemon dies, hangs and is replaced while somebody types, moves and clicks: no key, click or way is lost, and
none comes twice. The guest (tests/guest/small/ps2.c) prints each key and each report. And typists that misbehave.
"""
import os
import re
import socket
import struct

import bh
from bh import check, main, test, wait_until
from hostile import Watch, expect_bounded, frame, memory
from hostile_peers import control
from recovery import WHERES, Guest, deaths, every_way, one_way_each
from screen import CODES, INPUT, JOIN, OK, is_hung_up, packet

bh._tests.clear()  # those of the modules that we borrow from

ASK_INPUT = 160  # MSG_INPUT of proto/control.proto
TYPED = "asdfghjklzxcvbnm" * 40  # no q, r, w: these the guest obeys


class Typed(Guest):
    """As a Guest, of another kind: its progress is what it prints of keys and ways."""

    def __init__(self, t, *options):
        self.t, self.faults, self.scripts = t, 0, 0
        self.vm = t.start(*t.command(*t.guest("ps2", "--ps2", *options)))
        self.vm.expect("ready")
        self.typist = None
        self.type_on()

    def type_on(self):
        """Somebody types and clicks all the time."""
        if self.typist and self.typist.poll() is None:
            return
        check(not self.typist or self.typist.code == 0, "the typist was told that all was taken")
        path = self.t.dir + "/script"
        with open(path, "w") as f:
            f.writelines(f"key {c}\nmove 3 1\nclick\nwait 5ms\n" for c in TYPED)
        self.typist = self.t.start(*self.t.command("input", self.t.name, "script", path))
        self.scripts += 1

    def lines(self, what):
        self.vm.talk.pump(0)
        return re.findall(rf"^{what} (.*?)\r?$", self.vm.talk.text, re.M)

    def expect_progress(self, lines=20, seconds=15):
        self.type_on()
        wanted = len(self.lines("key")) + lines

        def goes_on():
            self.type_on()
            return len(self.lines("key")) >= wanted

        wait_until(goes_on, "the guest hears on", seconds)

    def end(self, report=True):
        check(self.typist.wait(60) == 0, "the typist was told that all was taken")
        self.t.bulkhead("input", self.t.name, "key", "q").expect(0)
        check(self.vm.wait() == 7, self.vm.code)
        keys = [f"{CODES[c] | up:x}" for c in TYPED * self.scripts + "q" for up in (0, 0x80)]
        reports = ["3 -1 0 0", "0 0 0 1", "0 0 0 0"] * (len(TYPED) * self.scripts)
        for what, wanted in ("key", keys), ("mouse", reports):
            seen = self.lines(what)
            check(seen == wanted, f"{what}: {len(seen)} of {len(wanted)}: {[(i, s, w) for i, (s, w) in enumerate(zip(seen, wanted)) if s != w][:5]}")
        print(f"  {self.faults} faults: {len(keys)} bytes of keys and {len(reports)} reports without a gap")


@test(limit=200)
def death(t):
    """kill -9 at moments of no choice."""
    deaths(Typed(t, "--device-failure-limit", "0"), "inputd", 5)


@test(limit=200)
def matrix_short(t):
    """At each point where it can die, one way each."""
    one_way_each(Typed(t, "--device-failure-limit", "0"), "inputd",
                 zip(WHERES, ("segv", "kill", "exit", "sys", "kill")))


@test(limit=3600)
def matrix_full(t):
    every_way(Typed(t, "--device-failure-limit", "0"), "inputd", WHERES)


def typist(t):
    """A connection of proto/screen.h, without a picture."""
    s = control(t)
    s.send(frame(ASK_INPUT))
    data, fds, _, _ = socket.recv_fds(s, 65536, 4)
    check(struct.unpack_from("<HH", data)[1] == OK and len(fds) == 1, data)
    v = socket.socket(fileno=fds[0])
    v.settimeout(5)
    return v


@test
def odd_typists(t):
    """Garbage, events that are none, input out of order, too many of them: hung up on, and the guest types on."""
    vm = t.start(*t.command(*t.guest("ps2", "--ps2")))
    vm.expect("ready")
    watch = Watch(t)
    watch.ask()
    before = memory(t)
    odd = [packet(INPUT, 0, 2, [(1, 30, 1)]), packet(INPUT, 0, 1, [(1, 30, 3)]), packet(INPUT, 0, 1, [(1, 0x300, 1)]),
           packet(INPUT, 0, 1, [(2, 0, 0x7fffffff)]), packet(INPUT, 0, 1, [(3, 0, 0x80000000)]), packet(INPUT, 0, 1, [(9, 0, 0)]),
           packet(INPUT, 0, 1, [(1, 30, 1), (4, 4, 4)]), os.urandom(16), os.urandom(500)]
    for data in odd:
        v = typist(t)
        v.send(packet(JOIN, 0, 99))
        v.send(data)
        check(is_hung_up(v), f"hung up after {data[:32]!r}")
        v.close()
    crowd = [typist(t) for _ in range(8)]
    s = control(t)
    s.send(frame(ASK_INPUT))
    check(b"places of viewers are in use" in s.recv(65536), "a ninth is refused")
    for v in crowd:
        v.close()
    wait_until(lambda: t.bulkhead("input", t.name, "key", "a").code == 0, "there is room again")
    watch.ask()
    expect_bounded(before, memory(t), "odd typists")
    t.bulkhead("input", t.name, "key", "q").expect(0)
    check(vm.wait() == 7, vm.code)
    check(re.findall(r"^key (.*?)\r?$", vm.talk.text, re.M) == ["1e", "9e", "10", "90"], vm.talk.text[-300:])


@test
def given_up(t):
    """Then its ports read all-ones, and the machine does not end well."""
    vm = t.start(*t.command(*t.guest("ps2", "--ps2", "--on-device-failure", "degrade")))
    vm.expect("ready")
    os.kill(t.processes()["inputd"], 9)
    wait_until(lambda: "given up" in t.bulkhead("status", t.name).out, "it is given up")
    t.bulkhead("input", t.name, "key", "a", seconds=60).expect(1)
    t.bulkhead("stop", t.name, "--force").expect(0)
    check(vm.wait() == 37, f"{vm.code}: {vm.stderr()}")


if __name__ == "__main__":
    main()
