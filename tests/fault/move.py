# SPDX-License-Identifier: MIT
"""
A machine is brought to a standstill at random moments, and goes on in a fresh set of processes (bulkhead run --from): new
supervisor, new keeper, new daemons, guest memory copied. A console client that was attached to the first machine stays
attached all the while and must see every line once: nothing is lost, and nothing comes twice. The guest checks the rest
(tests/guest/small/survivor.c): interrupts, registers, characters that were typed.

And states that somebody has changed on the way: each is refused with a reason, and harms neither machine.
"""
import array
import fcntl
import json
import mmap
import os
import random
import re
import signal
import socket
import struct
import subprocess
import time

from bh import BUILD, SLOW, check, debian, main, test
from kinds import DEVICES
from report import ALPHABET, Report

SEED = int(os.environ.get("SOAK_SEED", "1"))
MOVES = int(os.environ.get("SOAK_MOVES", "300"))
PATIENCE = 50


class Moving:
    """One guest, in one machine after the other; its console client stays."""

    def __init__(self, t, rng, options):
        self.t, self.rng, self.options, self.moves = t, rng, options, 0
        t.bulkhead(*options(self.name()), "--detach").expect(0)
        self.talk = t.console(self.name())

    def name(self):
        return f"{self.t.name}-{self.moves}"

    def move(self):
        before = self.name()
        self.moves += 1
        self.t.bulkhead(*self.options(self.name()), "--detach", "--from", before).expect(0)

    def try_to_move(self):
        """False: it says that a device is being restarted."""
        new = f"{self.t.name}-{self.moves + 1}"
        r = self.t.bulkhead(*self.options(new), "--detach", "--from", self.name())
        if r.code == 0:
            self.moves += 1
            return True
        check("a device is being restarted" in r.err, r)
        return False

    def end(self, words, code):
        """The guest leaves; who wants its exit code has to ask before that."""
        waits = self.t.start(*self.t.command("wait", self.name()))
        time.sleep(0.3 * SLOW)
        self.talk.send(words)
        got = waits.wait(PATIENCE)
        check(got == code, f"the guest's own exit code is {code}, not {got}: {waits.stderr()}")


# ---- the small guest, which works every device ---------------------------------------------------------------------

class Survivor(Moving):
    def __init__(self, t, rng, more=()):
        super().__init__(t, rng, lambda name: t.guest("survivor", *more, name=name))
        self.report = Report()
        self.typed = ""
        self.fed = 0
        self.may_repeat = False
        self.listen_until(lambda: self.report.boots, "the guest starts")

    def listen(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.talk.pump(min(0.05, end - time.monotonic()))
            self.report.feed(self.talk.text[self.fed:].encode())
            self.fed = len(self.talk.text)
        check(not self.talk.ended, "the connection to the console outlives the machine")
        check(self.may_repeat or not self.report.repeats, f"{self.report.repeats} lines came twice")

    def listen_until(self, done, what):
        end = time.monotonic() + PATIENCE
        while not done():
            check(time.monotonic() < end, f"not within {PATIENCE} s: {what}; {self.talk.text[-500:]}")
            self.listen(0.05)

    def type(self, count):
        text = "".join(self.rng.choice(ALPHABET) for _ in range(count))
        self.typed += text
        self.talk.send(text)

    def goes_on(self):
        before = self.report.total
        self.listen_until(lambda: self.report.total > before + 3, "lines go on")

    def finish(self):
        self.talk.send(".")
        self.listen_until(lambda: len("".join(self.report.typed)) >= len(self.typed), "what was typed is reported")
        check("".join(self.report.typed) == self.typed, "what was typed arrived, each character once")
        self.end("!", 42)


def move_survivor(t, moves, seed, modes, more=()):
    rng = random.Random(seed)
    s = Survivor(t, rng, more)
    for _ in range(moves):
        s.talk.send(rng.choice(modes))
        s.type(rng.randrange(8))
        s.listen(0.25 * rng.random())
        s.move()
        check(json.loads(t.bulkhead("status", "--json", s.name()).expect(0).out)["state"] == "running", "it runs")
    s.goes_on()
    s.finish()
    print(f"  {s.moves} moves with seed {seed}, {s.report.total} lines and {len(s.typed)} characters, none lost, none twice",
          flush=True)


@test(limit=120)
def small(t):
    """The guest that works every device and checks each answer."""
    move_survivor(t, 12, SEED, ".+=")


@test(limit=120)
def several(t):
    """Three processors, one of which is in HLT most of the time, another in the middle of something."""
    move_survivor(t, 8, SEED, ".+=", ("--cpus", "3"))


@test(limit=120)
def few(t):
    """The same, where an exit costs more."""
    move_survivor(t, 3, SEED, ".+=")


@test(limit=120)
def back_and_on(t):
    """Whoever took the machine hangs up: it goes on where it was, as often as that happens. And it can still be moved."""
    s = Survivor(t, random.Random(SEED))
    for _ in range(3):
        taken = Taken(t, s.name())
        state = json.loads(t.bulkhead("status", "--json", s.name()).expect(0).out)
        check(state["state"] == "paused", state["state"])
        s.listen(0.2)
        before = s.report.total
        s.listen(0.5)
        check(s.report.total == before, "nothing is printed while the machine stands still")
        s.type(5)
        taken.close()
        s.goes_on()
    s.move()
    s.goes_on()
    s.finish()


@test(limit=120)
def dying(t):
    """Devices are killed just before: a machine that is mending one is not taken, and can be a moment later."""
    rng = random.Random(SEED)
    s = Survivor(t, rng)
    s.may_repeat = True  # a chunk that was shown when seriald died (docs/specification.md)
    refused = 0
    for _ in range(6):
        pids = t.processes(s.name())
        for role in rng.sample(DEVICES, rng.randrange(1, 3)):
            try:
                os.kill(pids.get(role, 0) or 1 << 22, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.01 * rng.random())
        while not s.try_to_move():
            refused += 1
            check(refused < 500, "it can be taken when its devices serve again")
        s.goes_on()
    s.finish()
    print(f"  {s.moves} moves of machines whose devices were killed, {refused} times not yet", flush=True)


@test(limit=120)
def ended(t):
    """A machine that stands still is ended, by a command or with its keeper: nothing is left, and the client hears of it."""
    for end in (lambda name: t.bulkhead("stop", "--force", name).expect(0), lambda name: t.bulkhead("kill", name).expect(0),
                lambda name: os.kill(t.processes(name)["keeper"], signal.SIGKILL)):
        s = Survivor(t, random.Random(SEED))
        taken = Taken(t, s.name())
        end(s.name())
        check(taken.sock.recv(1000) == b"", "the connection ends with the machine")
        taken.close()
        t.bulkhead("list")
        check(not t.processes(s.name()), f"nothing is left: {t.processes(s.name())}")


@test(limit=120)
def other_options(t):
    """The new machine is asked to be another one: refused with the reason, and the old one goes on."""
    s = Survivor(t, random.Random(SEED))
    new = t.name + "-new"
    options = ["--kernel", f"{BUILD}/tests/guest/survivor.bin", "--format", "flat64", "--detach", "--from", s.name()]
    for more, why in ((("--memory", "17M"), "memory is of another size"), (("--memory", "16M", "--cpu", "x86-64-v2"), "another model"),
                      (("--memory", "16M", "--test-device"), "other devices")):
        r = t.bulkhead(*t.machine(*options, *more, name=new))
        check(r.code not in (0, None) and r.code > 0 and why in r.err, r)
        s.goes_on()
    r = t.bulkhead(*t.machine(*options[:-2], "--memory", "16M", "--from", "nobody", name=new)).expect(30, err="no machine named nobody")
    r = t.bulkhead(*t.machine(*options[:4], "--from", s.name(), name=new)).expect(2, err="--from needs --detach")
    s.finish()


# ---- states that were changed on the way ---------------------------------------------------------------------------

TAKE, OK = 31, 1
HEADER = struct.Struct("<IIQQII")


class Taken:
    """What TAKE brings, by the control protocol itself; the machine stands still until close()."""

    def __init__(self, t, name):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.connect(f"{t.runtime}/{name}/control.sock")
        self.sock.settimeout(30)
        self.sock.send(struct.pack("<HHIIHH", 0x4842, TAKE, 0, 1, 0, 0))
        packet, ancillary, _, _ = self.sock.recvmsg(65536 + 16, socket.CMSG_SPACE(4 * 8))
        check(struct.unpack_from("<HH", packet)[1] == OK, f"TAKE is refused: {packet!r}")
        self.fds = array.array("i")
        for _, _, data in ancillary:
            self.fds.frombytes(data)
        check(len(self.fds) == 4, "state, memory and both ends of the stash")

    def state(self):
        size = os.fstat(self.fds[0]).st_size
        with mmap.mmap(self.fds[0], size, prot=mmap.PROT_READ) as m:
            length = HEADER.unpack_from(m)[3]
            return bytearray(m[:length]), size

    def close(self):
        self.sock.close()
        for fd in self.fds:
            os.close(fd)


def sign(state):
    """The checksum is no secret, so whoever changes a state gives it that again."""
    p = subprocess.run([f"{BUILD}/tests/fault/sign-state"], input=bytes(state), stdout=subprocess.PIPE, check=True)
    state[:] = p.stdout


def sealed(state, size):
    fd = os.memfd_create("state", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    os.pwrite(fd, state, 0)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    return fd


def start_from(t, taken, state_fd, name):
    """A keeper that is given these; (exit code, messages), or None: its machine runs, and has been ended."""
    fds = [500, 501, 502, 503]
    stash = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # the real one leads to who listens to the old machine
    for to, fd in zip(fds, [state_fd, taken.fds[1], stash[0].fileno(), stash[1].fileno()]):
        os.dup2(fd, to, inheritable=True)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # what it tells its command line
    os.dup2(theirs.fileno(), 504, inheritable=True)
    p = subprocess.Popen([f"{BUILD}/vmm/bulkhead-supervisor", *t.guest("survivor", "--detach", "--from", "x", name=name)[1:],
                          "--keep", "--taken-fd=500", "--ready-fd=504"], env=t.env, pass_fds=[*fds, 504], stderr=subprocess.DEVNULL)
    theirs.close()
    for fd in (*fds, 504):
        os.close(fd)
    end = time.monotonic() + 20
    while p.poll() is None:
        check(time.monotonic() < end, "a machine with a changed state neither runs nor ends")
        r = t.bulkhead("status", "--json", name)
        if r.code == 0 and json.loads(r.out)["state"] == "running":
            t.bulkhead("kill", name)
            p.wait(20)
            return None
        time.sleep(0.01)
    text = ""
    while packet := ours.recv(1000):
        if packet[:1] in b"EX":
            text += packet.decode()
    return p.returncode, text


def parts(state):
    """(kind, role, offset of its data, length) of each part."""
    at = HEADER.size
    while at < len(state):
        kind, _, role, _, length = struct.unpack_from("<HHIII", state, at)
        yield kind, role, at + 16, length
        at += 16 + (length + 7) // 8 * 8


def changes(state, rng, count):
    """Named changes of a good state."""
    yield "the magic", [(0, b"X")], False
    yield "a byte without its checksum", [(len(state) // 2, bytes([state[len(state) // 2] ^ 1]))], False
    yield "another version", [(4, b"\x09")], True
    yield "an endless part", [(HEADER.size + 12, b"\xff\xff\xff\x7f")], True
    for kind, role, at, length in parts(state):
        for _ in range(count if length >= 8 else 0):
            where = at + rng.randrange(min(length, 1024) - 7)
            yield f"part {kind} of {role} at {where - at}", [(where, rng.randbytes(rng.randrange(1, 8)))], True


def hostile_states(t, count, seed):
    """Any outcome but a crash, a hang, or harm to the old machine."""
    rng = random.Random(seed)
    s = Survivor(t, rng)
    refused, ran, unsaid = 0, 0, 0
    taken = Taken(t, s.name())
    good, size = taken.state()
    check(start_from(t, taken, sealed(good, size), t.name + "-good") is None, "the state as it was given is taken")
    for what, pokes, signed in list(changes(good, rng, count)):
        state = bytearray(good)
        for at, data in pokes:
            state[at:at + len(data)] = data
        if signed:
            sign(state)
        outcome = start_from(t, taken, sealed(state, size), t.name + "-bad")
        if outcome is None:
            ran += 1
            continue
        refused += 1
        check(outcome[0] in (2, 33) or outcome[0] in (34, 0), f"{what}: {outcome}")
        check("signal" not in outcome[1], f"{what}: nothing died of it: {outcome}")
        unsaid += len(outcome[1]) < 20
    for fd in (os.open("/dev/null", os.O_RDONLY), os.memfd_create("small")):
        code, text = start_from(t, taken, fd, t.name + "-bad")
        check(code in (2, 33) and ("no memory object" in text or len(text) < 20), f"{code} {text}")
    taken.close()
    s.goes_on()
    s.move()
    s.goes_on()
    s.finish()
    print(f"  {refused} states refused, {unsaid} of them without a reason that arrived; {ran} harmless, with seed {seed}", flush=True)


@test(limit=120)
def hostile(t):
    hostile_states(t, 1, SEED)


# ---- Linux ---------------------------------------------------------------------------------------------------------

LINE = re.compile(r"line (\d+) end\r?\n")


def count_lines(text):
    """How many lines the counter has printed: each once, in order."""
    got = [int(n) for n in LINE.findall(text)]
    for i, n in enumerate(got):
        check(n == i, f"line {i} is expected, {n} came: {got[max(0, i - 5):i + 5]}")
    return len(got)


def move_linux(t, while_booting, while_counting, seed):
    rng = random.Random(seed)
    kernel, initrd = debian(t.dir)
    m = Moving(t, rng, lambda name: t.machine("--kernel", kernel, "--initrd", initrd, "--memory", "512M", "--cmdline",
                                              "console=ttyS0", name=name))
    for _ in range(while_booting):
        m.talk.pump(0)
        time.sleep(0.8 * rng.random())
        m.move()
    m.talk.expect("userspace is up", 240)
    m.talk.expect("bulkhead# ", 60)
    m.talk.send("i=0; while [ $i -lt 200000 ]; do echo line $i end; i=$((i+1)); done\n")
    m.talk.expect(r"line 0 end", 60)
    start = m.talk.text.rindex("line 0 end")
    for _ in range(while_counting):
        end = time.monotonic() + 0.1 + 0.4 * rng.random()
        while time.monotonic() < end:
            m.talk.pump(0.02)
        m.move()
    before = count_lines(m.talk.text[start:])
    end = time.monotonic() + PATIENCE
    while count_lines(m.talk.text[start:]) < before + 20:
        check(time.monotonic() < end, f"the counter goes on: {m.talk.text[-300:]}")
        m.talk.pump(0.1)
    m.talk.send("\x03")
    m.talk.expect(r"\^C", 60)
    check("bytes skipped" not in m.talk.text, "the console has read along")
    lines = count_lines(m.talk.text[start:m.talk.text.rindex("^C")])
    m.talk.send("dmesg | grep -E 'unstable|lockup|stall|BUG:|WARNING:'; echo loo''ked\n")
    found = m.talk.expect(r"(?s)ked\r?\n(.*?)looked", 60)
    check(not found.group(1).strip(), f"the kernel complains: {found.group(1)}")
    m.end("guest-exit 7\n", 7)
    print(f"  {m.moves} moves with seed {seed}, {while_booting} of them while booting; {lines} lines, none lost, none twice", flush=True)


@test(limit=280)
def linux(t):
    """Debian's kernel, while it boots and while a loop in its shell prints numbered lines."""
    move_linux(t, 3, 5, SEED)


# ---- long forms ----------------------------------------------------------------------------------------------------

@test(limit=7200)
def soak(t):
    """Hundreds of moves, another seed each time (make soak). The guest counts ticks, too: a processor that the host starves
    loses some, so this wants a host that has time for it."""
    move_survivor(t, MOVES, SEED, ".+=~")
    t.name += "-linux"
    move_linux(t, 8, MOVES // 5, SEED)
    t.name += "-bad"
    hostile_states(t, 6, SEED)


if __name__ == "__main__":
    main()
