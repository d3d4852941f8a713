# SPDX-License-Identifier: MIT
"""
The display's daemon dies, hangs and is replaced while a guest (tests/guest/small/vga_text.c) writes text, asks for the cursor's place
before each character, and somebody records: no character is lost, the cursor is always where the guest has put it, and the recorder
does not notice.
"""
import os
import re
import time

import bh
import pictures
from bh import check, main, test, wait_until
from recovery import WHERES, Guest, deaths, every_way, one_way_each

bh._tests.clear()  # those of the module that we borrow from


class Text(Guest):
    """As a Guest, of another kind."""

    def __init__(self, t, *options):
        self.t, self.faults = t, 0
        self.vm = t.start(*t.command(*t.guest("vga_text", "--display", "vga", *options)))
        self.vm.expect("ready")
        self.path = t.dir + "/film.png"
        self.recorder = t.start(*t.command("record", t.name, self.path))
        wait_until(lambda: os.path.exists(self.path), "it records")
        self.vm.send("f")

    def lines(self):
        self.vm.talk.pump(0)
        found = re.findall(r"line (\d+)\r?\n", self.vm.talk.text[-2000:])
        return int(found[-1]) if found else 0

    def expect_progress(self, lines=200, seconds=15):
        start, end = self.lines(), time.monotonic() + seconds
        while self.lines() < start + lines:
            check(time.monotonic() < end and not self.vm.talk.ended, f"the guest goes on: {self.vm.talk.text[-300:]} {self.vm.stderr()[-1500:]}")
            self.vm.talk.pump(0.1)

    def end(self):
        before = self.lines()
        self.vm.send("s")  # ends the running on, and the next one is another line
        self.vm.send("s")
        time.sleep(0.2)
        last = self.lines()
        check(last > before, f"{last} lines, {before} before")
        shown = self.t.bulkhead("screen", self.t.name, "--expect", f"line {last % 100000:05}").expect(0).out.splitlines()
        check(shown == [f"line {n % 100000:05} of a guest that draws its text itself" for n in range(last - 23, last + 1)], shown)
        self.vm.send("q")
        self.vm.expect("0 wrong")
        check(self.vm.wait() == 7 and self.recorder.wait() == 0, f"{self.vm.code} {self.recorder.code} {self.recorder.stderr()}")
        frames = pictures.frames(self.path)
        print(f"  {self.faults} faults: {last} lines, {frames} frames")
        check(frames > 0, "a film")


@test(limit=200)
def death(t):
    """kill -9 at moments of no choice."""
    deaths(Text(t, "--device-failure-limit", "0"), "vgad", 4)


@test(limit=200)
def matrix_short(t):
    """At each point where it can die, one way each."""
    one_way_each(Text(t, "--device-failure-limit", "0"), "vgad",
                 zip(("taken", "before-commit", "after-commit", "restart"), ("segv", "kill", "exit", "kill")))


@test(limit=3600)
def matrix_full(t):
    every_way(Text(t, "--device-failure-limit", "0"), "vgad", (w for w in WHERES if w != "line-high"))  # it has none


main()
