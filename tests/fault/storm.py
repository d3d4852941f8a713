# SPDX-License-Identifier: MIT
"""
Device processes are killed, singly, in pairs, all at once, while a guest works each of them and checks every answer
(tests/guest/small/survivor.c): nothing may be lost. That is counted: numbered lines with checksums, characters typed and
reported back, interrupts asked for (the guest itself fails when one does not come), values written and read back, and the
code with which the guest leaves, also when the device that has to deliver it is away just then.

A chunk of output or input may come twice (docs/specification.md); none may be missing.
"""
import itertools
import json
import os
import random
import re
import select
import signal
import time

from bh import Failure, check, main, test

DEVICES = ("seriald", "timerd", "irqd", "platformd")
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
PATIENCE = 50  # seconds without a line; the guest itself gives up after about 40, and says for what it waited
LINE = re.compile(rb"L ([0-9a-f]{6}) ([A-Za-z0-9]*) ([0-9a-f]{4})$")


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
        """A signal for each of them: SIGSTOP is found by the watchdog, and ends the same way a little later."""
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


class Report:
    """What a guest prints, as it comes: each number once at least, in order, always with the same contents."""
    KEPT = 20000  # lines, to compare repeated ones with; a chunk that comes twice is shorter

    def __init__(self):
        self.rest, self.lines, self.repeats, self.boots, self.total = b"", {}, 0, 0, 0
        self.next = 0
        self.typed = []

    def feed(self, data):
        self.rest += data
        lines = self.rest.split(b"\n")
        self.rest = lines.pop()
        for line in lines:
            m = LINE.match(line)
            if m and checksum(line[:-4]) == int(m.group(3), 16):
                self.line(int(m.group(1), 16), m.group(2))
            elif line.endswith(b"survivor"):
                self.boots += 1
                self.next, self.lines = 0, {}
            elif b"FAILED" in line or b"bytes skipped" in line:
                raise Failure(line.decode("utf-8", "replace"))

    def line(self, n, text):
        check(n <= self.next, f"lines {self.next} to {n - 1} of boot {self.boots} are lost")
        if n < self.next:
            self.repeats += 1
            check(self.lines.get(n, text) == text, f"line {n} comes in two forms")
            return
        self.lines[n] = text
        self.lines.pop(n - self.KEPT, None)
        self.next += 1
        self.total += 1
        if text:
            self.typed.append(text.decode())


class Survivor:
    """A machine with the survivor in it, what is typed to it, and what it reports."""

    def __init__(self, t, rng, *options):
        self.t, self.rng = t, rng
        self.vm = t.start(*t.command(*t.guest("survivor", *options)))
        self.fd = self.vm.talk.read_fd
        self.ended = False
        self.to_send = b""  # written when there is room: whoever waits for that does not read, and the other end waits for us
        os.set_blocking(self.vm.talk.write_fd, False)
        self.last = b""
        self.report = Report()
        self.victims = Victims(t)
        self.typed = []
        self.heard = time.monotonic()
        self.longest = 0.0

    def send(self, text):
        self.to_send += text.encode()
        self.write()

    def write(self):
        try:
            self.to_send = self.to_send[os.write(self.vm.talk.write_fd, self.to_send):] if self.to_send else b""
        except BlockingIOError:
            pass
        except BrokenPipeError:
            self.to_send = b""

    def read(self, seconds):
        self.write()
        if self.ended or not select.select([self.fd], [], [], max(0, seconds))[0]:
            return
        data = os.read(self.fd, 65536)
        now = time.monotonic()
        self.longest, self.heard = max(self.longest, now - self.heard), now
        self.ended = not data
        self.last = (self.last + data)[-1000:]
        try:
            self.report.feed(data)
        except Failure as e:
            raise Failure(f"{e}: {self.tail()}")

    def pump(self, seconds):
        """Reads for so long; notices when nothing comes for too long."""
        end = time.monotonic() + seconds
        while True:
            self.read(min(0.02, end - time.monotonic()))
            now = time.monotonic()
            check(now - self.heard < PATIENCE, f"silence for {PATIENCE} s: {self.tail()}")
            if now >= end or self.ended:
                return

    def tail(self):
        return f"{self.last.decode('utf-8', 'replace')}\n--- stderr\n{self.vm.stderr()[-1500:]}"

    def type(self, count):
        text = "".join(self.rng.choice(ALPHABET) for _ in range(count))
        self.typed.append(text)
        self.send(text)

    def ready(self, boots=1):
        while self.report.boots < boots:
            check(not self.ended, f"the guest starts: {self.tail()}")
            self.pump(0.02)

    def wait(self, code):
        """Its end, with all that it said before."""
        end = time.monotonic() + PATIENCE
        while not self.ended and time.monotonic() < end:
            self.pump(0.05)
        got = self.vm.wait(PATIENCE)
        check(got == code, f"exit code {got}, not {code}: {self.tail()}")

    def check_typed(self):
        """All that was typed, in order; a chunk may come again. What was typed last may not be reported yet."""
        want, got, at, i, repeats = "".join(self.typed), "".join(self.report.typed), 0, 0, 0
        while i < len(got):
            if at < len(want) and got[i] == want[at]:
                at, i = at + 1, i + 1
                continue
            probe = got[i:i + 12]
            back = want.rfind(probe, max(0, at - 2048), at + len(probe) - 1)
            check(back >= 0, f"typed {want[at - 20:at + 20]!r} at {at}, reported {got[i - 20:i + 20]!r}")
            at, repeats = back, repeats + 1
        return at, len(want), repeats


def kill_storm(s, kills, interval, pick, modes=(), typing=0):
    """So many kills, at those intervals more or less; the guest changes its mode every second or so."""
    rng = s.rng
    next_kill = next_mode = time.monotonic()
    while s.victims.kills < kills:
        check(not s.ended, f"the machine ended: {s.tail()}")
        now = time.monotonic()
        if now >= next_kill:
            s.victims.kill(pick(rng), signal.SIGSTOP if rng.random() < 0.1 else signal.SIGKILL)
            next_kill = now + interval * (0.5 + rng.random())
        if modes and now >= next_mode:
            s.send(rng.choice(modes))
            next_mode = now + 0.5 + rng.random()
        if typing and len(s.to_send) < 4096:
            s.type(typing)
        s.pump(0.02)


def kill_until_end(s, interval, pick):
    """The killing goes on while the guest leaves."""
    while s.vm.poll() is None and not s.ended:
        s.victims.kill(pick(s.rng))
        s.pump(interval)


def summary(s, what, extra=""):
    r = s.report
    print(f"  {what}: {s.victims.kills} kills, {r.total} lines, none lost, {r.repeats} repeated; longest silence "
          f"{s.longest:.1f} s{extra}", flush=True)


def work(t, kills, interval, pick, modes, typing=8, seed=1, options=()):
    """The whole of it: from the first process on until after the guest has left."""
    s = Survivor(t, random.Random(seed), *options)
    while not s.report.boots:
        s.victims.kill(pick(s.rng))
        s.pump(interval)
    kill_storm(s, kills, interval, pick, modes, typing)
    s.send(".")
    end, before = time.monotonic() + PATIENCE, 0
    while True:
        at, typed, again = s.check_typed()
        if at == typed:
            break
        if at > before:
            end, before = time.monotonic() + PATIENCE, at
        check(time.monotonic() < end, f"{at} of {typed} characters are reported, and no more come: {s.tail()}")
        s.pump(0.3)
    s.send("!")
    kill_until_end(s, interval, pick)
    s.wait(42)
    summary(s, f"{pick.__name__} every {interval} s, {''.join(modes) or '.'}",
            f"; {typed} characters typed, none lost, {again} chunks twice")
    return s.victims.kills


ENDS = {"!": (42, ()), "#": (0, ()), "^": (34, ()), "@": (32, ("--no-reboot",))}


def leave(t, rng, how):
    """The guest leaves, while whoever has to deliver it is dead, dies over it, or dies again and again."""
    code, options = ENDS[how]
    s = Survivor(t, rng, *options)
    s.ready()
    s.pump(0.05 * rng.random())
    last = ["platformd", "seriald"]
    if rng.random() < 0.5:
        s.victims.kill(last)
        s.send(how)
    else:
        s.send(how)
        time.sleep(0.01 * rng.random())
        s.victims.kill(last, rng.choice((signal.SIGKILL, signal.SIGSTOP)))
    kill_until_end(s, 0.05 + 0.2 * rng.random(), singly)
    s.wait(code)
    return s.victims.kills


def named(t):
    """Each machine its own name: the one before may still be going."""
    base = t.name
    for i in itertools.count():
        t.name = f"{base}-{i}"
        yield t


def leave_all(t, rounds, seed):
    rng, kills = random.Random(seed), 0
    each = named(t)
    for _ in range(rounds):
        for how in ENDS:
            kills += leave(next(each), rng, how)
    print(f"  leaving: {rounds * len(ENDS)} machines, {kills} kills, each with the guest's own code", flush=True)
    return kills


def reboots(t, count, interval, pick, seed):
    """Resets through CF9 while devices die: each one happens, once."""
    s = Survivor(t, random.Random(seed))
    for i in range(count + 1):
        while s.report.boots <= i:
            s.victims.kill(pick(s.rng))
            s.pump(interval * (0.5 + s.rng.random()))
        s.pump(0.3 * s.rng.random())
        if i < count:
            s.send("@")
    state = json.loads(t.bulkhead("status", "--json", t.name).expect(0).out)
    check(state["reboots"] == count, f"{state['reboots']} reboots, {count} asked for")
    s.send("!")
    s.wait(42)
    summary(s, f"{count} reboots, {pick.__name__} every {interval} s")
    return s.victims.kills


@test(limit=120)
def mixed(t):
    """A little of everything."""
    work(t, 60, 0.1, in_pairs, ("+", "=", "~", "."))


@test(limit=120)
def leaving(t):
    """Exit code 42, power-off, triple fault, reset with --no-reboot: each while platformd and seriald are away."""
    leave_all(t, 2, 1)


@test(limit=120)
def rebooting(t):
    reboots(t, 4, 0.1, in_pairs, 1)


if __name__ == "__main__":
    main()
