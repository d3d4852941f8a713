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
import subprocess
import tempfile
import time

from bh import BUILD, Failure, check, debian, main, test, wait_until
from kinds import DEVICES
import recovery
from report import ALPHABET, Report

PATIENCE = 50  # seconds without a line; the guest itself gives up after about 40, and says for what it waited


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


def reboots(t, count, interval, pick, seed, options=()):
    """Resets through CF9 while devices die: each one happens, once."""
    s = Survivor(t, random.Random(seed), *options)
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
def busy(t):
    """Everything but idle ticks, for KVM: a processor that gets no time there for a hundredth of a second takes two ticks for
    one, as the 8259 does."""
    work(t, 60, 0.1, in_pairs, ("+", "=", "."))


@test(limit=120)
def leaving(t):
    """Exit code 42, power-off, triple fault, reset with --no-reboot: each while platformd and seriald are away."""
    leave_all(t, 2, 1)


@test(limit=150)
def several(t):
    """Four processors talk to the devices at once."""
    work(t, 40, 0.1, in_pairs, ("+", "=", "."), options=("--cpus", "4", "--vga", "stub"))
    reboots(t, 3, 0.1, in_pairs, 1, ("--cpus", "4"))


@test(limit=120)
def rebooting(t):
    reboots(t, 4, 0.1, in_pairs, 1)


LINES = 3000


def boot_linux(t, interval, pick, seed, cpus=1):
    """A Debian guest boots and prints, a process on each processor; each line is preceded by a look at the clock, where there are
    several. From its first moment on devices die."""
    kernel, initrd = debian(t.dir)
    clock = "cat /sys/class/rtc/rtc0/time >/dev/null || exit 9; " if cpus > 1 else ""
    command = (f"for p in {' '.join(map(str, range(cpus)))}; do (i=$p; while [ $i -lt {LINES} ]; do {clock}echo N $i; i=$((i+{cpus})); "
               "done) & done; wait; grep -c ^processor /proc/cpuinfo")
    vm = t.start(*t.command(*t.machine("--kernel", kernel, "--initrd", initrd, "--memory", "256M", "--cpus", str(cpus), "--cmdline",
                                       f'console=ttyS0 quiet bulkhead.run="{command}"')))
    rng, victims, code = random.Random(seed), Victims(t), None
    while code is None and not vm.talk.ended:
        victims.kill(pick(rng))
        end = time.monotonic() + interval * (0.5 + rng.random())
        while time.monotonic() < end and not vm.talk.ended:
            vm.talk.pump(end - time.monotonic())
        code = vm.poll()
    code = vm.wait(20)
    got = {int(n) for n in re.findall(r"N (\d+)\r", vm.talk.text)}
    missing = set(range(LINES)) - got
    check(not missing, f"{len(missing)} of {LINES} lines are lost: {sorted(missing)[:10]}; {vm.talk.text[-500:]}")
    check(code == 0, f"exit code {code}: {vm.stderr()[-500:]}")
    check(re.search(rf"^{cpus}\r$", vm.talk.text, re.M), f"{cpus} processors: {vm.talk.text[-500:]}")
    check("soft lockup" not in vm.talk.text and "rcu_sched" not in vm.talk.text, "the guest's watchdogs are quiet")
    print(f"  Debian, {pick.__name__} every {interval} s: {victims.kills} kills, {LINES} lines, none lost", flush=True)
    return victims.kills


@test(limit=150)
def linux(t):
    """All four every half second, from the first process to the last line; nothing but the default limit."""
    boot_linux(t, 0.5, all_four, 1)


@test(limit=240)
def linux_several(t):
    """The same with four processors, which read the clock and print at once, on two of the host's."""
    boot_linux(t, 0.5, all_four, 2, cpus=4)


@test(limit=60)
def stop(t):
    """The button is pressed when platformd is back: it hangs, or its program fails at the first attempts."""
    def press(away):
        vm = t.start(*t.command(*t.guest("board")))
        vm.expect("ready")
        away()
        t.bulkhead("stop", t.name, "--timeout", "30s", seconds=40).expect(0)
        vm.expect("power button")
        check(vm.wait(20) == 0, f"exit code {vm.code}: {vm.stderr()}")

    def starts_badly():
        path = recovery.faulty(t, "platformd", "before-commit segv 1006 1")
        t.bulkhead("device", "replace", t.name, "platformd", "--binary", path).expect(0)

    for away in (lambda: Victims(t).kill(["platformd"], signal.SIGSTOP), lambda: Victims(t).kill(["platformd"]), starts_badly):
        press(away)


@test(limit=60)
def exit_lost(t):
    """An exit write that kills platformd is tried twice, then skipped; one to a platformd that was given up is dropped. The
    guest does not go on behind it, and the machine does not wait for ever: it ends, and says that the code is lost."""
    def leave_in_vain(break_it, *options):
        vm = t.start(*t.command(*t.guest("echo", *options)))
        vm.expect("ready")
        break_it()
        vm.send("q")
        check(vm.wait(30) == 37, f"exit code {vm.code}: {vm.stderr()}")
        check("left through an exit port" in vm.stderr() and "its code is lost" in vm.stderr(), vm.stderr())

    def deadly():
        path = recovery.faulty(t, "platformd", "exit-port segv 1003 1")
        t.bulkhead("device", "replace", t.name, "platformd", "--binary", path).expect(0)

    def give_up():
        Victims(t).kill(["platformd"])
        wait_until(lambda: '"given up"' in t.bulkhead("status", "--json", t.name).out, "it is given up")

    leave_in_vain(deadly, "--device-failure-limit", "0")
    leave_in_vain(give_up, "--on-device-failure", "degrade")
    t.expect_clean()


@test(limit=90)
def output(t):
    """What cannot be delivered is said, and the machine does not end with success."""
    def run(stdout, guest="timer_pic"):
        errors = tempfile.TemporaryFile()
        return subprocess.Popen(t.command(*t.guest(guest)), env=t.env, stdin=subprocess.PIPE, stdout=stdout, stderr=errors), errors

    def expect(p, errors, code, words):
        got = p.wait(60)
        errors.seek(0)
        said = errors.read().decode()
        check(got == code and re.search(words, said), f"{got}: {said}")

    with open("/dev/full", "wb") as full:
        expect(*run(full), 40, "standard output: No space left on device")
        expect(*run(full, "last_words"), 6, "standard output")
    p, errors = run(subprocess.PIPE)
    p.stdout.close()
    expect(p, errors, 40, "standard output: Broken pipe")
    # Nobody reads until it is all over; what did not fit into sockets and pipes is lost then.
    p, errors = run(subprocess.PIPE, "survivor")
    p.stdout.read(1)
    p.stdin.write(b"+")
    p.stdin.flush()
    backlog = lambda: t.bulkhead("status", "--json", t.name).out
    wait_until(lambda: max(map(int, re.findall(r'"console_bytes_out": (\d+)', backlog())), default=0) > 1 << 20, "it prints", 40)
    t.bulkhead("stop", t.name, "--timeout", "100ms", seconds=30).expect(0)
    p.stdout.read()
    expect(p, errors, 40, "bytes of console output were not delivered")
    t.expect_clean()


# Who dies, how often, and what the guest does meanwhile.
INTERVALS = (0.2, 0.5, 2)
PICKS = (singly, in_pairs, all_four)
WORKS = (("~",), ("+",), ("=",), ("+", "=", "~", "."))


def soak_turns(seed):
    """Endlessly: machines of every kind, short intervals more often than long ones, as they bring more deaths."""
    for turn in itertools.count(seed):
        rng = random.Random(turn)
        for pick in PICKS:
            for interval in (0.2, 0.2, 0.2, 0.5, 0.5, 2):
                seconds = rng.choice((10, 20)) if interval < 2 else 20
                kills = max(4, int(seconds / interval * {singly: 1, in_pairs: 2, all_four: 4}[pick]))
                yield lambda t, r=rng, p=pick, i=interval, k=kills: work(t, k, i, p, r.choice(WORKS), seed=r.random())
            yield lambda t, r=rng, p=pick: reboots(t, 12, 0.2, p, r.random())
            yield lambda t, r=rng, p=pick: boot_linux(t, r.choice(INTERVALS[:2]), p, r.random(), r.choice((1, 4)))
        yield lambda t, r=rng: leave_all(t, 6, r.random())


@test(limit=100000)
def soak(t):
    """STORM_KILLS deaths, from STORM_SEED; the first loss ends it."""
    wanted, kills, started = int(os.environ.get("STORM_KILLS", "10000")), 0, time.monotonic()
    each = named(t)
    for turn in soak_turns(int(os.environ.get("STORM_SEED", "1"))):
        kills += turn(next(each))
        print(f"  {kills} kills in {time.monotonic() - started:.0f} s", flush=True)
        if kills >= wanted:
            break
    print(f"  soak: {kills} kills; 0 characters, ticks, interrupts, writes lost, each machine with its guest's own code")


if __name__ == "__main__":
    main()
