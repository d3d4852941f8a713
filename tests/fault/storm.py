# SPDX-License-Identifier: MIT
"""
Device processes are killed, singly, in pairs, all at once, while a guest works each of them and checks every answer
(tests/guest/small/survivor.c): nothing may be lost. That is counted: numbered lines with checksums, characters typed and
reported back, interrupts asked for (the guest itself fails when one does not come), values written and read back, and the
code with which the guest leaves, also when the device that has to deliver it is away just then.

A chunk of output or input may come twice (docs/specification.md); none may be missing.
"""
import json
import os
import random
import re
import signal
import sys
import time

from bh import Failure, check, debian, main, test

DEVICES = ("seriald", "timerd", "irqd", "platformd")
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
PATIENCE = 60  # seconds without a line; the guest itself gives up after about 40, and says for what it waited
LINE = re.compile(rb"L ([0-9a-f]{6}) ([A-Za-z0-9]*) ([0-9a-f]{4})\n")


def checksum(text):
    s = 0
    for c in text:
        s = (s * 31 + c) & 0xffff
    return s


class Victims:
    """The device processes of a machine, found by their parent: also those that have no title yet."""

    def __init__(self, t):
        self.t, self.supervisor, self.kills = t, None, 0

    def find(self):
        if not self.supervisor:
            self.supervisor = self.t.processes().get("supervisor")
        found = {}
        try:
            with open(f"/proc/{self.supervisor}/task/{self.supervisor}/children") as f:
                for pid in f.read().split():
                    with open(f"/proc/{pid}/comm") as c:
                        comm = c.read().strip()
                    for name in DEVICES:
                        if comm == "bh-" + name or comm == ("bulkhead-" + name)[:15]:
                            found[name] = int(pid)
        except (OSError, ValueError):
            pass
        return found

    def kill(self, names, number=signal.SIGKILL):
        pids = self.find()
        for name in names:
            if name in pids:
                try:
                    os.kill(pids[name], number)
                    self.kills += 1
                except ProcessLookupError:
                    pass


def singly(rng):
    return [rng.choice(DEVICES)]


def in_pairs(rng):
    return rng.sample(DEVICES, 2)


def all_four(rng):
    return list(DEVICES)


class Survivor:
    """A machine with the survivor in it, what is typed to it, and what it has reported."""

    def __init__(self, t, rng, *options):
        self.t, self.rng = t, rng
        self.vm = t.start(*t.command(*t.guest("survivor", *options)))
        self.talk = self.vm.talk
        self.victims = Victims(t)
        self.typed = []
        self.lines = 0
        self.heard = self.longest = time.monotonic()
        self.longest = 0.0

    def pump(self, seconds):
        """Reads for so long; notices when nothing comes for too long."""
        end = time.monotonic() + seconds
        while True:
            now = time.monotonic()
            before = len(self.talk.text)
            self.talk.pump(min(0.02, max(0, end - now)))
            if len(self.talk.text) > before:
                self.longest = max(self.longest, now - self.heard)
                self.heard = now
            check(now - self.heard < PATIENCE, f"silence for {PATIENCE} s: {self.tail()}")
            if now >= end or self.talk.ended:
                return

    def tail(self):
        return f"{self.talk.text[-600:]}\n--- stderr\n{self.vm.stderr()[-1500:]}"

    def type(self, count):
        text = "".join(self.rng.choice(ALPHABET) for _ in range(count))
        self.typed.append(text)
        self.vm.send(text)

    def ready(self):
        end = time.monotonic() + PATIENCE
        while "survivor\n" not in self.talk.text:
            check(time.monotonic() < end and not self.talk.ended, f"the guest starts: {self.tail()}")
            self.talk.pump(0.1)

    def wait(self, code):
        got = self.vm.wait(PATIENCE)
        check(got == code, f"exit code {got}, not {code}: {self.tail()}")

    def check_lines(self, boots=1):
        """Each number, once at least, always with the same contents. Returns lines and what they say was typed."""
        text = self.talk.text.encode()
        lost, repeats, typed, total = [], 0, "", 0
        parts = text.split(b"survivor\n") if boots > 1 else [text]
        for part in parts:
            lines = {}
            for m in LINE.finditer(part):
                if checksum(m.group(0)[:-5]) != int(m.group(3), 16):
                    continue
                n = int(m.group(1), 16)
                repeats += n in lines
                check(lines.setdefault(n, m.group(2)) == m.group(2), f"line {n} comes in two forms")
            lost += [n for n in range(max(lines, default=-1)) if n not in lines]
            typed += "".join(lines[n].decode() for n in sorted(lines))
            total += len(lines)
        check("FAILED" not in self.talk.text, f"the guest: {self.tail()}")
        check("bytes skipped" not in self.talk.text, "this test reads fast enough")
        check(not lost, f"{len(lost)} of {total} lines are lost: {lost[:10]}")
        return total, typed, repeats

    def check_typed(self, got):
        """All that was typed, in order; a chunk may come again. What was typed last may not be reported yet."""
        want, at, i, repeats = "".join(self.typed), 0, 0, 0
        while i < len(got):
            if at < len(want) and got[i] == want[at]:
                at, i = at + 1, i + 1
                continue
            probe = got[i:i + 12]
            back = want.rfind(probe, max(0, at - 2048), at + len(probe) - 1)
            check(back >= 0, f"typed {want[at - 20:at + 20]!r} at {at}, reported {got[i - 20:i + 20]!r}")
            at, repeats = back, repeats + 1
        return at, repeats


def kill_storm(t, s, kills, interval, pick, modes=(), typing=0):
    """So many kills, at those intervals more or less; the guest changes its mode every second or so."""
    rng, begin = s.rng, s.victims.kills
    next_kill = next_mode = time.monotonic()
    while s.victims.kills - begin < kills and not s.talk.ended:
        now = time.monotonic()
        if now >= next_kill:
            s.victims.kill(pick(rng))
            next_kill = now + interval * (0.5 + rng.random())
        if modes and now >= next_mode:
            s.vm.send(rng.choice(modes))
            next_mode = now + 0.5 + rng.random()
        if typing:
            s.type(typing)
        s.pump(0.02)
    check(not s.talk.ended, f"the machine ended: {s.tail()}")


def kill_until_end(s, interval, pick, limit=PATIENCE):
    """The killing goes on while the guest leaves."""
    end = time.monotonic() + limit
    while s.vm.poll() is None and time.monotonic() < end:
        s.victims.kill(pick(s.rng))
        s.talk.pump(interval) if not s.talk.ended else time.sleep(interval)


def report(s, what, lines, repeats, extra=""):
    print(f"  {what}: {s.victims.kills} kills, {lines} lines, none lost, {repeats} repeated; longest silence "
          f"{s.longest:.1f} s{extra}", flush=True)


def work(t, kills, interval, pick, modes, typing=8, seed=1, options=()):
    """The whole of it: from the first process on until after the guest has left."""
    s = Survivor(t, random.Random(seed), *options)
    boot_end = time.monotonic() + 10
    while "survivor\n" not in s.talk.text and time.monotonic() < boot_end:  # kills while it boots
        s.victims.kill(pick(s.rng))
        s.pump(interval)
    s.ready()
    kill_storm(t, s, max(0, kills - s.victims.kills), interval, pick, modes, typing)
    s.vm.send(".")
    s.type(1)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        got = s.check_lines()
        if s.check_typed(got[1])[0] >= len("".join(s.typed)):
            break
        s.pump(0.3)
    s.vm.send("!")
    kill_until_end(s, interval, pick)
    s.wait(42)
    lines, typed, repeats = s.check_lines()
    at, again = s.check_typed(typed)
    check(at == len("".join(s.typed)), f"{at} of {len(''.join(s.typed))} characters arrived")
    report(s, f"{pick.__name__} every {interval} s, {''.join(modes) or '.'}", lines, repeats,
           f"; {at} characters typed, none lost, {again} chunks twice")
    return s.victims.kills


ENDS = {"!": (42, ()), "#": (0, ()), "^": (34, ()), "@": (32, ("--no-reboot",))}


def leave(t, rng, how, number=0):
    """The guest leaves, while whoever has to deliver it is dead, dies over it, or dies again and again."""
    code, options = ENDS[how]
    t.name = f"{t.name.split('-')[0]}-{number}"
    s = Survivor(t, rng, *options)
    s.ready()
    s.pump(0.05 * rng.random())
    if rng.random() < 0.5:
        s.victims.kill(["platformd", "seriald"])
        s.vm.send(how)
    else:
        s.vm.send(how)
        s.pump(0.01 * rng.random())
        s.victims.kill(["platformd", "seriald"])
    kill_until_end(s, 0.05 + 0.2 * rng.random(), singly)
    s.wait(code)
    s.check_lines()
    return s.victims.kills


def leave_all(t, rounds, seed):
    rng, kills = random.Random(seed), 0
    for i in range(rounds):
        for how in ENDS:
            kills += leave(t, rng, how, f"{i}{ord(how)}")
    print(f"  leaving: {rounds * len(ENDS)} machines, {kills} kills, each with the guest's own code", flush=True)
    return kills


def reboots(t, count, interval, pick, seed):
    """Resets through CF9 while devices die: each one happens, once."""
    s = Survivor(t, random.Random(seed))
    for i in range(count):
        boots = i + 1
        end = time.monotonic() + PATIENCE
        while s.talk.text.count("survivor\n") < boots:
            check(time.monotonic() < end and not s.talk.ended, f"boot {boots}: {s.tail()}")
            s.victims.kill(pick(s.rng))
            s.pump(interval * (0.5 + s.rng.random()))
        s.pump(0.3 * s.rng.random())
        s.vm.send("@")
    while s.talk.text.count("survivor\n") < count + 1:
        s.pump(0.1)
    state = json.loads(t.bulkhead("status", "--json", t.name).expect(0).out)
    check(state["reboots"] == count, f"{state['reboots']} reboots, {count} asked for")
    s.vm.send("!")
    s.wait(42)
    lines, _, repeats = s.check_lines(boots=count + 1)
    report(s, f"{count} reboots, {pick.__name__} every {interval} s", lines, repeats)
    return s.victims.kills


@test(limit=120)
def mixed(t):
    """A little of everything."""
    work(t, 60, 0.1, in_pairs, ("+", "=", "~", "."), options=("--device-failure-limit", "0"))


@test(limit=120)
def leaving(t):
    """Exit code 42, power-off, triple fault, reset with --no-reboot: each while platformd and seriald are away."""
    leave_all(t, 2, 1)


@test(limit=120)
def rebooting(t):
    reboots(t, 4, 0.1, in_pairs, 1)


if __name__ == "__main__":
    main()
