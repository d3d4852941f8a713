# SPDX-License-Identifier: MIT
"""What the tests of hostile daemons, guests and peers share: evil daemons in place of real ones, and measuring."""
import json
import os
import struct
import time

from bh import BUILD, BULKHEAD, Failure, check, wait_until
from kinds import KINDS

DAEMONS = KINDS
PROGRAMS = {"supervisor": "vmm/bulkhead-supervisor", "uplinkd": "vmm/uplink/bulkhead-uplinkd", "boot": "boot/bulkhead-boot", "vcpu": "vmm/vcpu/bulkhead-vcpu",
            "gdbd": "vmm/gdb/bulkhead-gdbd",
            **{name: f"devices/bulkhead-{name}" for name in DAEMONS}}
MAGIC = 0x4842
PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024


def frame(type, id=1, body=b"", nfds=0, length=None):
    """A message of the control protocol (proto/frame.h)."""
    return struct.pack("<HHIIHH", MAGIC, type, len(body) if length is None else length, id, 0, nfds) + body


def find(path):
    """A program of the build tree; vmm/meson.build may put some of them elsewhere."""
    name = os.path.basename(path)
    for folder in (os.path.dirname(path), "vmm", "vmm/vcpu", "vmm/gdb", "devices", "boot"):
        if os.path.exists(f"{BUILD}/{folder}/{name}"):
            return f"{BUILD}/{folder}/{name}"
    raise Failure(f"{name} is not in {BUILD}")


def evil_libexec(t, evil, program="bulkhead-evild"):
    """A directory of programs in which that of the process `evil` is another one, of this folder, or of any if it is a path."""
    d = f"{t.dir}/libexec-{evil}-{os.path.basename(program)}"
    if not os.path.isdir(d):
        os.mkdir(d)
        for name, path in PROGRAMS.items():
            os.symlink(os.path.join(BUILD, "tests/fault", program) if name == evil else find(path), f"{d}/bulkhead-{name}")
    return {**t.env, "BULKHEAD_LIBEXEC": d}


MARK = b"BULKHEAD-FAULT-PLAN:"


def faulty(t, device, plan):
    """A copy of the faulty daemon with that plan."""
    with open(BUILD + "/tests/fault/faulty-device", "rb") as f:
        program = f.read()
    at = program.index(MARK)
    text = plan.encode()
    program = program[:at + len(MARK)] + text + b" " * (72 - len(text)) + program[at + len(MARK) + 72:]
    path = f"{t.dir}/faulty-{device}"
    if os.path.exists(path):
        os.unlink(path)
    with open(path, "wb") as f:
        f.write(program)
    os.chmod(path, 0o755)
    return path


def expect_decent(data, what):
    """Bytes for a terminal or a log: UTF-8, of control characters only line feeds, and nothing of rude.h on a line of its own,
    nor what turns it around."""
    text = data.decode() if isinstance(data, bytes) else data
    bad = sorted({c for c in text if c != "\n" and (ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u200e\u200f\u2028\u2029\u202e")})
    forged = [line for line in text.split("\n") if line.startswith(("bulkhead: forged", "<0>"))]
    check(not bad and not forged, f"{what}: {bad}, {forged}: {text[-600:]!r}")


def rss_kb(pid):
    """Memory of its own that a process holds; its share of guest memory, which is shared, is not counted."""
    with open(f"/proc/{pid}/statm") as f:
        fields = f.read().split()
    return (int(fields[1]) - int(fields[2])) * PAGE_KB


def memory(t, name=None):
    """{role: kB} of a machine's processes."""
    out = {}
    for role, pid in t.processes(name).items():
        try:
            out[role] = rss_kb(pid)
        except OSError:
            pass
    return out


EMULATOR_KB = 16 * 1024  # its vcpu process has a TLB and decoded code when it has run, which it may not have been asked before


def expect_bounded(before, after, what, slack_kb=2048):
    for role, kb in after.items():
        grown = kb - before.get(role, kb)
        check(grown <= max(slack_kb, EMULATOR_KB if role == "vcpu" else 0), f"{what}: {role} grew by {grown} kB ({before} -> {after})")


def status(t, name=None):
    """Asks a supervisor; (answer, milliseconds that the command took)."""
    start = time.monotonic()
    r = t.bulkhead("status", "--json", name or t.name, seconds=10)
    ms = (time.monotonic() - start) * 1000
    r.expect(0)
    return json.loads(r.out), ms


class Watch:
    """Status answers over time: how long they took."""

    def __init__(self, t):
        self.t, self.ms = t, []

    def ask(self, name=None):
        answer, ms = status(self.t, name)
        self.ms.append(ms)
        return answer

    def __str__(self):
        ms = sorted(self.ms) or [0]
        return f"status answered {len(self.ms)} times, median {ms[len(ms) // 2]:.0f} ms, longest {ms[-1]:.0f} ms"


class Neighbour:
    """Another machine, which must not notice anything."""

    def __init__(self, t, env=None):
        self.t, self.name, self.count = t, t.name + "n", 0
        t.bulkhead(*t.guest("echo", "--detach", name=self.name), env=env).expect(0)
        self.console = t.console(self.name)
        self.console.expect("ready")
        # A process has its parent's title until it has given itself its own.
        wait_until(lambda: {"keeper", "logger", "supervisor", "spawner", "vcpu"} <= t.residents(self.name).keys(), "all have titles")
        self.pids = t.residents(self.name)
        self.before = memory(t, self.name)

    def check(self):
        self.count += 1
        word = f"still{self.count}x"
        self.console.send(word)
        self.console.expect(word.upper(), seconds=20)

    def changes(self):
        """What is not as it was, and why; "" if nothing."""
        now, before = self.t.residents(self.name), self.pids
        if now == before:
            return ""
        now, before = set(now.items()), set(before.items())
        reasons = {p["role"]: (p["deaths"], p["last_reason"]) for p in status(self.t, self.name)[0]["processes"]
                   if p.get("deaths")}
        with open(f"{self.t.runtime}/{self.name}/log", errors="replace") as f:
            return f"gone {before - now}, new {now - before}, deaths {reasons}, log: {f.read()[-1500:]}"

    def end(self):
        self.check()
        check(not self.changes(), f"the neighbour's processes are the same: {self.changes()}")
        expect_bounded(self.before, memory(self.t, self.name), "neighbour")
        self.t.bulkhead("kill", self.name).expect(0)
