# SPDX-License-Identifier: MIT
"""
The screen's daemon dies, hangs and is replaced while a film is made and somebody types: no frame, key or click is lost, and none
comes twice. The guest (tests/guest/frame/frame_show.c) has its number in each frame, and prints each event. And viewers that
misbehave: the guest does not notice.
"""
import os
import re
import signal
import socket
import struct
import time

import bh
import pictures
from bh import BUILD, check, main, test, wait_until
from hostile import Watch, expect_bounded, frame, memory
from hostile_peers import control
from recovery import WHERES, Guest, deaths, every_way, one_way_each

bh._tests.clear()  # those of the modules that we borrow from

SCREEN, OK, JOIN, INPUT, SEEN, WELCOME, TAKEN, FRAME, STRICT = 122, 1, 1, 2, 3, 4, 5, 6, 1
LETTERS = "qwertyuiopasdfghjklzxcvbnm"
CODES = dict(zip(LETTERS, [*range(16, 26), *range(30, 39), *range(44, 51)]))
TYPED = "asdfghjklzxcvbnm" * 20


class Show(Guest):
    """As a Guest, of another kind: its progress is frames, and its lines are events."""

    def __init__(self, t, *options):
        self.t, self.faults, self.scripts = t, 0, 0
        self.vm = t.start(*t.command(*t.machine("--platform", "frame", "--kernel", f"{BUILD}/tests/guest/frame_show.elf", *options)))
        self.vm.expect("ready")
        self.path = t.dir + "/film.png"
        self.recorder = t.start(*t.command("record", t.name, self.path))
        wait_until(lambda: os.path.exists(self.path) and os.path.getsize(self.path), "it records")
        self.typist = None
        self.type_on()

    def type_on(self):
        """Somebody types all the time, a few keys at once."""
        if self.typist and self.typist.poll() is None:
            return
        check(not self.typist or self.typist.code == 0, "the typist was told that all was taken")
        path = self.t.dir + "/script"
        with open(path, "w") as f:
            f.writelines(f"key {c}\nwait 5ms\n" for c in TYPED)
        self.typist = self.t.start(*self.t.command("input", self.t.name, "script", path))
        self.scripts += 1

    def expect_progress(self, lines=20, seconds=15):
        self.type_on()
        self.t.bulkhead("input", self.t.name, "script", "-", input=f"frames {lines}\n", seconds=seconds).expect(0)

    def end(self, report=True):
        check(self.typist.wait(60) == 0, "the typist was told that all was taken")
        self.t.bulkhead("input", self.t.name, "script", "-", input="frames 5\nkey q\n").expect(0)
        check(self.vm.wait() == 7 and self.recorder.wait() == 0, f"{self.vm.code} {self.recorder.code} {self.recorder.stderr()}")
        events = [tuple(map(int, e)) for e in re.findall(r"event 1 (\d+) (\d+)", self.vm.talk.text)]
        wanted = [(CODES[c], down) for c in TYPED * self.scripts + "q" for down in (1, 0)]
        check(events == wanted, f"{len(events)} events of {len(wanted)}: {[(i, e, w) for i, (e, w) in enumerate(zip(events, wanted)) if e != w][:5]}")
        check("takes none" not in self.vm.stderr(), self.vm.stderr())
        numbers = [pictures.number(f) for f in pictures.animation(self.path)]
        check(numbers == list(range(numbers[0], numbers[0] + len(numbers))), f"gaps: {[(a, b) for a, b in zip(numbers, numbers[1:]) if b != a + 1]}")
        print(f"  {self.faults} faults: {len(numbers)} frames and {len(events)} events without a gap")


@test(limit=200)
def death(t):
    """kill -9 at moments of no choice."""
    deaths(Show(t, "--device-failure-limit", "0"), "displayd", 6)


@test(limit=200)
def matrix_short(t):
    """At each point where it can die, one way each."""
    one_way_each(Show(t, "--device-failure-limit", "0"), "displayd",
                 zip(("taken", "before-commit", "after-commit", "restart"), ("segv", "kill", "exit", "kill")))


@test(limit=3600)
def matrix_full(t):
    every_way(Show(t, "--device-failure-limit", "0"), "displayd", (w for w in WHERES if w != "line-high"))  # it has none


@test
def given_up(t):
    """Without a screen the guest goes on, and the machine does not end well."""
    vm = t.start(*t.command(*t.machine("--platform", "frame", "--kernel", f"{BUILD}/tests/guest/frame_steady.elf",
                                       "--on-device-failure", "degrade")))
    vm.expect("first frame")
    os.kill(t.processes()["displayd"], signal.SIGKILL)
    vm.expect("steady done", seconds=30)
    check(vm.wait() == 42, vm.code)
    check("given up" in vm.stderr(), vm.stderr())


# ---- viewers that misbehave

def viewer(t):
    """A connection of proto/screen.h."""
    s = control(t)
    s.send(frame(SCREEN))
    data, fds, _, _ = socket.recv_fds(s, 65536, 4)
    check(struct.unpack_from("<HH", data)[1] == OK and len(fds) == 2, data)
    os.close(fds[1])
    v = socket.socket(fileno=fds[0])
    v.settimeout(5)
    return v


def packet(kind, flags=0, number=0, events=(), count=None):
    return struct.pack("<HHIQ", kind, flags, len(events) if count is None else count, number) + b"".join(
        struct.pack("<HHI", *e) for e in events)


def is_hung_up(v):
    try:
        while v.recv(4096):
            pass
        return True
    except ConnectionError:
        return True
    except TimeoutError:
        return False


@test
def odd_viewers(t):
    """Garbage, sizes that are none, events that are none, input out of order, too many of them: hung up on, and nothing else."""
    vm = t.start(*t.command(*t.machine("--platform", "frame", "--kernel", f"{BUILD}/tests/guest/frame_show.elf")))
    vm.expect("ready")
    watch = Watch(t)
    watch.ask()
    before = memory(t)
    odd = [b"x", os.urandom(700), packet(JOIN), packet(JOIN, 4, 1), packet(INPUT, 0, 1, [(1, 30, 1)]), packet(77, 0, 1),
           packet(JOIN, 0, 1, count=64), packet(JOIN, 0, 1, count=2 ** 32 - 1), packet(JOIN, 0, 1) + bytes(1000)]
    after_join = [packet(JOIN, 0, 1), packet(INPUT, 0, 2, [(1, 30, 1)]), packet(INPUT, 0, 1, [(9, 30, 1)]),
                  packet(INPUT, 0, 1, [(1, 0x300, 1)]), packet(INPUT, 0, 1, [(1, 1, 1)] * 65), packet(FRAME), os.urandom(16)]
    for data in odd + after_join:
        v = viewer(t)
        if data in after_join:
            v.send(packet(JOIN, 0, 99))
        v.send(data)
        check(is_hung_up(v), f"hung up after {data[:32]!r}")
        v.close()
    crowd = [viewer(t) for _ in range(8)]
    s = control(t)
    s.send(frame(SCREEN))
    check(b"places of viewers are in use" in s.recv(65536), "a ninth viewer is refused")
    for v in crowd:
        v.close()
    wait_until(lambda: t.bulkhead("input", t.name, "key", "a").code == 0, "there is room again")
    watch.ask()
    expect_bounded(before, memory(t), "odd viewers")
    t.bulkhead("input", t.name, "key", "q").expect(0)
    check(vm.wait() == 7, vm.code)
    check(re.findall(r"event 1 (\d+) 1", vm.talk.text) == ["30", "16"], vm.talk.text[-300:])


@test
def crowd(t):
    """Thousands of viewers, of whom none says anything or all talk nonsense: eight at a time, and no more memory than before."""
    vm = t.start(*t.command(*t.machine("--platform", "frame", "--kernel", f"{BUILD}/tests/guest/frame_show.elf")))
    vm.expect("ready")
    before = memory(t)
    refused = 0
    for i in range(2000):
        s = control(t)
        s.send(frame(SCREEN))
        data, fds, _, _ = socket.recv_fds(s, 65536, 4)
        refused += not fds
        if fds and i % 2:
            v = socket.socket(fileno=os.dup(fds[0]))
            v.send(b"x" * (i % 700))
            v.close()
        for fd in fds:
            os.close(fd)
        s.close()
    check(refused < 2000, "some were let in")
    expect_bounded(before, memory(t), "thousands of viewers")
    wait_until(lambda: t.bulkhead("input", t.name, "script", "-", input="frames 20\n").code == 0, "the guest goes on, and there is room")
    t.bulkhead("input", t.name, "key", "q").expect(0)
    check(vm.wait() == 7, vm.code)
    check(re.findall(r"event 1 (\d+) 1", vm.talk.text) == ["16"], vm.talk.text[-300:])


@test
def viewer_that_never_reads(t):
    """It misses frames; the guest and others do not wait for it. One that wants each frame and takes none is waited for, and then not."""
    vm = t.start(*t.command(*t.machine("--platform", "frame", "--kernel", f"{BUILD}/tests/guest/frame_show.elf")))
    vm.expect("ready")
    v = viewer(t)
    v.send(packet(JOIN, 0, 5))
    t.bulkhead("input", t.name, "script", "-", input="frames 3000\n").expect(0)
    strict = viewer(t)
    strict.send(packet(JOIN, STRICT, 6))
    check(struct.unpack("<HHIQ", strict.recv(100))[0] == WELCOME, "welcome")
    second = viewer(t)
    second.send(packet(JOIN, STRICT, 7))
    check(is_hung_up(second), "one at a time wants each frame")
    t.bulkhead("input", t.name, "script", "-", input="frames 20\nkey q\n").expect(0)
    check(vm.wait() == 7, vm.code)
    check("takes none" in vm.stderr(), vm.stderr())


if __name__ == "__main__":
    main()
