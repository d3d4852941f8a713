#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Benchmarks of Bulkhead, side by side with Debian's QEMU (TCG) in one run.

Prints medians and ratios; asserts nothing, because machines are shared and noisy. Usage: bench.py BUILD [NAME...]
"""

import json
import os
import pty
import re
import select
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests/software"))
import archive  # noqa: E402
import display  # noqa: E402
import frames  # noqa: E402

USERSPACE = b"bulkhead: userspace is up"


class Bench:
    def __init__(self, build):
        self.build = os.path.abspath(build)
        self.bulkhead = os.path.join(self.build, "vmm", "bulkhead")
        self.mono = os.path.join(self.build, "tests", "mono", "mono")
        found = subprocess.run([os.path.join(ROOT, "tests/guest/debian/fetch.sh")], check=True, capture_output=True,
                               text=True).stdout
        self.kernel = re.search("KERNEL=(.*)", found)[1]
        self.busybox = busybox = re.search("BUSYBOX=(.*)", found)[1]
        self.tmp = tempfile.mkdtemp(prefix="bulkhead-bench-")
        self.initrd = os.path.join(self.tmp, "initrd.gz")
        subprocess.run([os.path.join(ROOT, "tests/guest/debian/mkinitrd.sh"), busybox,
                        os.path.join(self.build, "tests/guest/guest-exit"), self.initrd], check=True)
        self.guest_bench = os.path.join(self.build, "tests", "bench", "guest-bench")
        self.append_to_initrd(busybox, self.guest_bench)
        self.serial = 0

    def append_to_initrd(self, busybox, program):
        """A second archive behind the first: the kernel unpacks both."""
        with open(self.initrd, "ab") as out:
            archive = subprocess.run([busybox, "cpio", "-o", "-H", "newc", "-R", "0:0"], check=True, capture_output=True,
                                     cwd=os.path.dirname(program), input=os.path.basename(program).encode()).stdout
            out.write(b"\0" * (-out.tell() % 4))
            out.write(archive)

    def close(self):
        shutil.rmtree(self.tmp, ignore_errors=True)

    def name(self):
        self.serial += 1
        return f"bench-{os.getpid()}-{self.serial}"

    def ours(self, command, *more):
        return [self.bulkhead, "run", "--kernel", self.kernel, "--initrd", self.initrd, "--memory", "512M",
                "--cmdline", f'console=ttyS0 quiet bulkhead.run="{command}"', "--engine", "emu", "--name",
                self.name(), *more]

    def inproc(self, command):
        return [self.mono, "--kernel", self.kernel, "--initrd", self.initrd, "--memory", "512", "--cmdline",
                f'console=ttyS0 quiet bulkhead.run="{command}"']

    def qemu(self, command, *more):
        return ["qemu-system-x86_64", *more, "-accel", "tcg,thread=multi", "-cpu", "max", "-m", "512", "-nographic", "-no-reboot",
                "-kernel", self.kernel, "-initrd", self.initrd, "-append",
                f'console=ttyS0 quiet bulkhead.run="{command}"']


def run(argv, marks, timeout=180):
    """Runs argv; returns {mark: seconds until it was printed}, exit code, output. 'end' is the end."""
    start = time.monotonic()
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    watchdog = threading.Timer(timeout, child.kill)
    watchdog.start()
    seen, output = {}, b""
    while True:
        chunk = os.read(child.stdout.fileno(), 65536)
        if not chunk:
            break
        output += chunk
        for mark in marks:
            if mark not in seen and mark in output:
                seen[mark] = time.monotonic() - start
    code = child.wait()
    watchdog.cancel()
    seen["end"] = time.monotonic() - start
    return seen, code, output


def median(values):
    values = [v for v in values if v is not None]
    return statistics.median(values) if values else float("nan")


def row(what, ours, peer, unit, peer_name="QEMU TCG"):
    ratio = f"  {ours / peer:5.2f} x {peer_name}" if peer and peer == peer else ""
    beside = f"{peer:10.3f}" if peer is not None and peer == peer else " " * 10
    print(f"  {what:<58} {ours:10.3f} {beside} {unit:<6}{ratio}", flush=True)


def bench_boot(b):
    """Debian's cloud kernel to the first line of userspace, quiet."""
    ours, qemu, mono, hung = [], [], [], 0
    for _ in range(5):
        seen, _, _ = run(b.qemu("true"), [USERSPACE])
        qemu.append(seen.get(USERSPACE))
        seen, _, _ = run(b.ours("true"), [USERSPACE])
        ours.append(seen.get(USERSPACE))
    row("boot to first userspace line, emulator", median(ours), median(qemu), "s")
    for _ in range(3):
        seen, _, output = run(b.inproc("true"), [USERSPACE])
        mono.append(seen.get(USERSPACE))
    row("the same in one process, no daemons (tests/mono)", median(mono), median(qemu), "s")
    found = re.search(rb"([\d.]+) M instructions, ([\d.]+) MIPS", output)
    if found:
        row("guest instructions of that boot and power-off", float(found[1]), None, "M")
        row("emulated instructions a second, boot and power-off", float(found[2]), None, "MIPS")


def bench_boots(b):
    """20 boots in a row: how many reach userspace and power off."""
    good = 0
    for _ in range(20):
        seen, code, _ = run(b.ours("true"), [USERSPACE], timeout=120)
        good += USERSPACE in seen and code == 0
    row("boots out of 20 that came up and powered off", good, None, "")


def bench_start(b):
    """From `bulkhead run` to the first guest instruction, all processes sandboxed; and the whole demo."""
    first, whole = [], []
    environment = dict(os.environ, BULKHEAD_TRACE="1")
    for _ in range(15):
        start = time.monotonic()
        done = subprocess.run([b.bulkhead, "demo", "--verbose"], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, env=environment)
        whole.append((time.monotonic() - start) * 1e3)
        found = re.search(r"([\d.]+) ms +first guest instruction", done.stderr + done.stdout)
        first.append(float(found[1]) if found else None)
    if median(first) == median(first):
        row("bulkhead run to first guest instruction", median(first), None, "ms")
    row("bulkhead demo, from start to exit", median(whole), None, "ms")


def pss_kib(pid):
    """Proportional set size without guest RAM (the mapping of the memfd called ram)."""
    total, skip = 0, False
    with open(f"/proc/{pid}/smaps", encoding="ascii", errors="replace") as smaps:
        for line in smaps:
            if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                skip = "memfd:" in line and "ram" in line.split("memfd:")[1]
            elif line.startswith("Pss:") and not skip:
                total += int(line.split()[1])
    return total


def measure_memory(b, what, seconds, argv):
    """Starts a machine, waits, adds up what its processes hold."""
    name = b.name()
    subprocess.run([b.bulkhead, "run", *argv, "--name", name, "--detach"], check=True, capture_output=True)
    time.sleep(seconds)
    total = 0
    for pid in (int(p) for p in os.listdir("/proc") if p.isdigit()):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                title = f.read().replace(b"\0", b" ").decode(errors="replace").strip()
            if f"bulkhead: {name}/" in title:
                kib = pss_kib(pid)
                row(f"PSS of {title.split()[-1].split('/')[-1]}, {what}", kib / 1024, None, "MiB")
                total += kib
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    row(f"PSS of all processes without guest RAM, {what}", total / 1024, None, "MiB")
    subprocess.run([b.bulkhead, "kill", name], capture_output=True)


def bench_memory(b):
    """Memory of all processes of a machine without guest RAM: after a Debian boot, and with a small guest on each engine."""
    measure_memory(b, "Debian", 15, ["--kernel", b.kernel, "--initrd", b.initrd, "--memory", "512M", "--cmdline",
                                     "console=ttyS0 quiet", "--engine", "emu"])
    small = ["--kernel", os.path.join(b.build, "tests/guest/echo.bin"), "--format", "flat64", "--memory", "16M"]
    measure_memory(b, "small guest", 1, [*small, "--engine", "emu"])
    if os.access("/dev/kvm", os.R_OK | os.W_OK):
        measure_memory(b, "small guest, KVM", 1, [*small, "--engine", "kvm"])


def bench_console(b):
    """5 MB of text through ttyS0, as the host sees it arrive."""
    command = "echo BEGIN-TEXT; head -c 5000000 /dev/zero | tr '\\\\000' x; echo; echo END-OF-TEXT"

    def measure(argv):
        seen, _, _ = run(argv, [b"BEGIN-TEXT", b"END-OF-TEXT\r"], timeout=600)
        if b"END-OF-TEXT\r" not in seen or b"BEGIN-TEXT" not in seen:
            return None
        return seen[b"END-OF-TEXT\r"] - seen[b"BEGIN-TEXT"]

    qemu = [measure(b.qemu(command)) for _ in range(2)]
    ours = [measure(b.ours(command)) for _ in range(2)]
    row("5 MB of text through ttyS0", median(ours), median(qemu), "s")
    row("the same in one process (tests/mono)", median([measure(b.inproc(command))]), median(qemu), "s")


DISK = ("disk-write-1m", "disk-read-1m", "disk-write-4k", "disk-read-4k", "disk-read-4k-32")


def bench_system(b):
    """A whole Debian (bulkhead image) from SeaBIOS to the login on the console: the same disk, a fresh copy each time."""
    disk = subprocess.run([os.path.join(ROOT, "tests/guest/debian/disk.sh"), b.build], check=True, capture_output=True, text=True).stdout.strip()
    copy, login, times = os.path.join(b.tmp, "system.img"), b"bulkhead login:", {"ours": [], "qemu": []}
    for side in ("qemu", "ours") * 2:
        subprocess.run(["cp", "--sparse=always", disk, copy], check=True)
        name = b.name()
        argv = [b.bulkhead, "run", "--disk", copy, "--memory", "1G", "--net", "user", "--engine", "emu", "--name", name] if side == "ours" else [
            "qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", "1024", "-nographic", "-drive",
            f"file={copy},format=raw,if=virtio", "-nic", "user,model=virtio"]
        times[side].append(until(argv, login))
        subprocess.run([b.bulkhead, "kill", name], capture_output=True, check=False)
    row("Debian with systemd, SeaBIOS to login, 1 processor", median(times["ours"]), median(times["qemu"]), "s")


def until(argv, mark, timeout=300):
    """Seconds until it has printed that, and is ended then."""
    start, output = time.monotonic(), b""
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    while mark not in output and time.monotonic() < start + timeout:
        chunk = os.read(child.stdout.fileno(), 65536) if select.select([child.stdout], [], [], 1)[0] else None
        output += chunk or b""
        if chunk == b"":
            break
    took = time.monotonic() - start if mark in output else None
    child.terminate()
    child.wait()
    return took


def bench_disk(b):
    """A raw image of 64 MiB, in the host's cache, past the guest's: the best of two runs of each side."""
    image, plain = os.path.join(b.tmp, "disk.img"), b.initrd
    b.initrd = os.path.join(b.tmp, "initrd-with-modules.gz")
    subprocess.run([os.path.join(ROOT, "tests/guest/debian/mkinitrd.sh"), b.busybox, os.path.join(b.build, "tests/guest/guest-exit"),
                    b.initrd, os.path.dirname(os.path.dirname(b.kernel))], check=True)
    b.append_to_initrd(b.busybox, b.guest_bench)
    with open(image, "wb") as f:
        f.write(b"\1" * (64 << 20))
    command = "ln -s /dev/vda /bench-disk; /guest-bench " + " ".join(DISK)
    sides = {"ours": b.ours(command, "--disk", image),
             "qemu": b.qemu(command, "-drive", f"file={image},format=raw,if=virtio,cache=writeback")}
    best = {side: {} for side in sides}
    for _ in range(2):
        for side, argv in sides.items():
            argv = b.ours(command, "--disk", image) if side == "ours" else argv
            for name, (value, unit) in workload_values(run(argv, [], timeout=300)[2]).items():
                if value is not None:
                    value = 1e9 / value if unit == "ns" else value
                    best[side][name] = max(value, best[side].get(name, 0))
    for name in DISK:
        row(name + (", 32 at once" if name.endswith("32") else ""), best["ours"].get(name, float("nan")), best["qemu"].get(name),
            "MB/s" if name.endswith("1m") else "/s")
    measure_memory(b, "Debian with a disk", 15, ["--kernel", b.kernel, "--initrd", b.initrd, "--memory", "512M", "--cmdline",
                                                 "console=ttyS0 quiet", "--engine", "emu", "--disk", image])
    b.initrd = plain


def workload_values(output):
    """{name: (value, unit)} from what guest-bench printed; a skipped workload has value None."""
    found = re.findall(r"^([a-z][a-z0-9-]+) (SKIP|[\d.e+]+) ([\w/ ]+?)\s*$", output.decode(errors="replace"), re.M)
    return {name: (None if value == "SKIP" else float(value), unit) for name, value, unit in found}


def slowness(value, native, unit):
    """How many times slower than native, whichever way the unit counts."""
    return native / value if unit == "MB/s" else value / native


def workload_row(name, unit, native, ours, qemu):
    def cell(v):
        return f"{v:11.4g}" if v is not None else f"{'SKIP':>11}"

    def ratio(v, base):
        return f"{slowness(v, base, unit):8.1f}" if v is not None and base is not None else f"{'':>8}"

    vs = f"{slowness(ours, qemu, unit):.2f}" if ours is not None and qemu is not None else ""
    print(f"  {name:<18}{unit:>5} {cell(native)} {cell(ours)} {cell(qemu)} {ratio(ours, native)} {ratio(qemu, native)}"
          f" {vs:>8}", flush=True)


def bench_workloads(b):
    """The same static binary natively, in our guest and in QEMU's: medians of 3 runs of the best slices of each."""
    command = "/guest-bench"
    sides = {"native": [b.guest_bench], "ours": b.ours(command), "qemu": b.qemu(command)}
    seen = {side: {} for side in sides}
    units = {}
    for _ in range(3):
        for side, argv in sides.items():
            if side == "ours":
                argv = b.ours(command)
            for name, (value, unit) in workload_values(run(argv, [], timeout=300)[2]).items():
                seen[side].setdefault(name, []).append(value)
                units[name] = unit if value is not None or name not in units else units[name]
    print(f"  {'':<18}{'unit':>5} {'native':>11} {'Bulkhead':>11} {'QEMU TCG':>11}   {'times slower than native':>14}"
          "; the last: ours to QEMU's, below 1 is ahead")
    for name, unit in units.items():
        value = {side: median_or_none(seen[side].get(name, [])) for side in sides}
        workload_row(name, unit, value["native"], value["ours"], value["qemu"])


NARROW = [("matmul-avx512", "matmul-avx2-fma"), ("bytes-avx512", "bytes-avx2")]


def bench_narrow(b):
    """A guest's AVX-512 as on a host without it, against this host's AVX2 doing the same: medians of 3 runs of the best slices."""
    ours, native = ({name: [] for pair in NARROW for name in pair} for _ in range(2))
    for _ in range(3):
        for into, argv in ((ours, b.ours("/guest-bench " + " ".join(wide for wide, _ in NARROW), "--tier", "narrow")),
                           (native, [b.guest_bench, *(half for _, half in NARROW)])):
            for name, (value, _) in workload_values(run(argv, [], timeout=300)[2]).items():
                into[name].append(value)
    for wide, half in NARROW:
        workload_row(wide, "ns", median_or_none(native[half]), median_or_none(ours[wide]), None)


PROGRAMS_INIT = """#!/usr/bin/sh
export PATH=/usr/bin:/usr/sbin PYTHONDONTWRITEBYTECODE=1 PYTHONHASHSEED=0
busybox mount -t proc proc /proc
busybox mount -t devtmpfs dev /dev
busybox mount -t tmpfs tmp /tmp
busybox cp /programs/* /tmp
python3 /tmp/programs.py /tmp 2>&1
busybox poweroff -f
"""


def programs_folder(b):
    """What is run natively, and lies at /programs in the guest: the script, the compiler proper and what it compiles."""
    folder = os.path.join(b.tmp, "programs")
    os.mkdir(folder)
    shutil.copy(os.path.join(HERE, "programs.py"), folder)
    cc1 = subprocess.run(["gcc", "-print-prog-name=cc1"], check=True, capture_output=True, text=True).stdout.strip()
    shutil.copy(cc1, folder + "/cc1")
    subprocess.run(["gcc", "-E", "-I", ROOT, os.path.join(ROOT, "emu/decode/decode.c"), "-o", folder + "/source.i"], check=True)
    return folder


def programs_initrd(b, folder):
    a = archive.Archive(b.tmp + "/programs.cpio")
    for name in ("dev", "proc", "tmp"):
        a.parents(name + "/x")
    for name in archive.USR_LINKS:
        a.link(name, "usr/" + name)
    a.add(b.busybox, "/usr/bin/busybox")
    for program in ("sh", "python3", "gzip", "openssl"):
        a.add(shutil.which(program, path="/usr/bin:/bin"))
    a.add("/lib64/ld-linux-x86-64.so.2")
    python = os.path.basename(os.path.realpath("/usr/bin/python3"))
    a.tree("/usr/lib/" + python, ("test", "config-", "dist-packages", "idlelib", "lib2to3", "tkinter", "ensurepip", "distutils",
                                  "pydoc_data", "turtledemo"))
    a.tree("/usr/lib/ssl", ())
    for name in os.listdir(folder):
        a.add(f"{folder}/{name}", "/programs/" + name)
    a.text("init", PROGRAMS_INIT)
    a.close()
    return b.tmp + "/programs.cpio"


def bench_programs(b):
    """Debian's Python, gzip, compiler and OpenSSL, the same files natively, in our guest and in QEMU's: the best of three runs."""
    folder = programs_folder(b)
    initrd = programs_initrd(b, folder)
    guest = ["--kernel", b.kernel, "--initrd", initrd, "--memory", "1G", "--cmdline", "console=ttyS0 quiet"]
    sides = {
        "native": ["env", "PATH=/usr/bin:/bin", "/usr/bin/python3", folder + "/programs.py", folder],
        "ours": [b.bulkhead, "run", *guest, "--engine", "emu", "--name", b.name()],
        "qemu": ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "1024", "-nographic", "-no-reboot", "-kernel", b.kernel,
                 "-initrd", initrd, "-append", "console=ttyS0 quiet"],
    }
    seen = {side: workload_values(run(argv, [], timeout=600)[2]) for side, argv in sides.items()}
    for name, (native, unit) in seen["native"].items():
        workload_row(name, unit, native, *(seen[side].get(name, (None, unit))[0] for side in ("ours", "qemu")))


PARALLEL = "mix-of-one mix-of-two contended-xadd flag-ping-pong membarrier-ipi"


def bench_processors(b):
    """Several processors: boots with 1, 2 and 4 of them, what two do at once in both guests, and what one more costs in memory."""
    of_two = None
    for cpus in "1", "2", "4":
        ours, qemu = [], []
        for _ in range(3):
            seen, _, _ = run(b.qemu("true", "-smp", cpus), [USERSPACE])
            qemu.append(seen.get(USERSPACE))
            seen, _, _ = run(b.ours("true", "--cpus", cpus), [USERSPACE])
            ours.append(seen.get(USERSPACE))
        row(f"boot to first userspace line, {cpus} processors", median(ours), median(qemu), "s")
        of_two = median(ours) if cpus == "2" else of_two
    seen, _, _ = run(b.ours("true", "--cpus", "8"), [USERSPACE])
    row("the same with 8 on this host's, beside 2 of ours", seen.get(USERSPACE), of_two, "s", "2 of ours")
    command = f"/guest-bench {PARALLEL}"
    values = {side: {} for side in ("native", "ours", "qemu")}
    for _ in range(3):
        for side, argv in (("native", [b.guest_bench, *PARALLEL.split()]), ("ours", b.ours(command, "--cpus", "2")),
                           ("qemu", b.qemu(command, "-smp", "2"))):
            for name, (value, _) in workload_values(run(argv, [], timeout=300)[2]).items():
                values[side].setdefault(name, []).append(value)
    best = {side: {name: min(v) for name, v in found.items()} for side, found in values.items()}
    for name in PARALLEL.split():
        row(f"{name} (native {best['native'].get(name, float('nan')):.4g})", best["ours"].get(name), best["qemu"].get(name), "ns")
    for side, found in best.items():
        row(f"scaling of the integer mix to two processors, {side}", 2 * found["mix-of-one"] / found["mix-of-two"], None, "")
    for cpus in "1", "2", "4":
        measure_memory(b, f"Debian, {cpus} processors", 15,
                       ["--kernel", b.kernel, "--initrd", b.initrd, "--memory", "512M", "--cmdline", "console=ttyS0 quiet",
                        "--engine", "emu", "--cpus", cpus])
    if os.access("/dev/kvm", os.R_OK | os.W_OK):
        small = ["--kernel", os.path.join(b.build, "tests/guest/survivor.bin"), "--format", "flat64", "--memory", "16M", "--engine", "kvm"]
        for cpus in "1", "4":
            measure_memory(b, f"small guest, KVM, {cpus} processors", 3, [*small, "--cpus", cpus])


EXIT_LINE = re.compile(rb"(write nobody|read in place|read by device) ([0-9a-f]+) exits, ticks ([0-9a-f]+)")


def exit_costs(argv, ghz):
    """What each kind of exit costs, in microseconds: the best of two runs."""
    best = {}
    for _ in range(2):
        for name, count, ticks in EXIT_LINE.findall(run(argv, [], timeout=120)[2]):
            us = int(ticks, 16) / int(count, 16) / ghz / 1000
            best[name.decode()] = min(us, best.get(name.decode(), us))
    return best


def bench_exits(b):
    """An exit on KVM: a minimal loop in one process, ours, QEMU's, of the same guest; and the same accesses under the emulators."""
    image = os.path.join(b.build, "tests/guest/exits.elf")
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        ghz = float(re.search(r"cpu MHz\s*: ([0-9.]+)", f.read())[1]) / 1000
    qemu = ["qemu-system-x86_64", "-machine", "pc", "-m", "64M", "-display", "none", "-nodefaults", "-no-reboot", "-debugcon", "stdio",
            "-serial", "null", "-device", "isa-debug-exit", "-kernel", image]
    ours = [b.bulkhead, "run", "--kernel", image, "--memory", "64M", "--name", b.name(), "--engine"]
    sides = [("KVM", [*ours, "kvm"], [*qemu, "-accel", "kvm", "-cpu", "host"])] if os.access("/dev/kvm", os.R_OK | os.W_OK) else []
    if sides:
        floor = subprocess.run([os.path.join(b.build, "tests/bench/exit_bench")], capture_output=True, text=True).stdout.split()
        if floor:
            row("an exit on KVM, minimal loop in one process", int(floor[1]) / 1000, None, "us")
            row("the same, exits per second", 1e9 / int(floor[1]), None, "/s")
    for engine, our_argv, their_argv in (*sides, ("emulator", [*ours, "emu"], [*qemu, "-accel", "tcg", "-cpu", "max"])):
        mine, theirs = exit_costs(our_argv, ghz), exit_costs(their_argv, ghz)
        for name in mine:
            row(f"port access on {engine}: {name}", mine[name], theirs.get(name), "us", f"QEMU {engine}")
            row("the same, a second", 1e6 / mine[name], 1e6 / theirs[name] if name in theirs else None, "/s", f"QEMU {engine}")


def median_or_none(values):
    values = [v for v in values if v is not None]
    return statistics.median(values) if values else None


def host_instructions(program, name, rounds):
    done = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, name, str(rounds)],
                          capture_output=True, text=True)
    found = re.search(r"Collected : (\d+)", done.stderr)
    return int(found[1]) if found else float("nan")


def bench_classes(b):
    """What a guest instruction costs in the block tier: host instructions (callgrind) and the best time, by class."""
    program = os.path.join(b.build, "tests", "bench", "interp_bench")
    has_valgrind = shutil.which("valgrind")
    print(f"  {'':<24}{'host insns':>11} {'ns':>8}" + ("" if has_valgrind else "   (valgrind is not installed)"))
    for line in subprocess.run([program], capture_output=True, text=True).stdout.splitlines():
        name, insns, ns = line.split()
        cost = float("nan")
        if has_valgrind:
            more = host_instructions(program, name, 2500) - host_instructions(program, name, 500)
            cost = more / 2000 / 64 / int(insns)
        print(f"  {name:<24}{cost:11.1f} {float(ns):8.2f}", flush=True)


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def bochs_mix(b):
    """Processor seconds of Bochs between the two marks of tests/bench/bochs/mix.c; None if they do not come."""
    image, log, config = (os.path.join(b.tmp, f"bochs.{n}") for n in ("img", "log", "rc"))
    subprocess.run([os.path.join(HERE, "bochs", "build.sh"), image], check=True)
    with open(os.path.join(HERE, "bochs", "bochsrc.in"), encoding="ascii") as template:
        text = template.read().replace("@IMAGE@", image).replace("@LOG@", log)
    with open(config, "w", encoding="ascii") as f:
        f.write(text)
    master, slave = pty.openpty()
    child = subprocess.Popen(["bochs", "-q", "-f", config], stdin=slave, stdout=slave, stderr=slave,
                             env=dict(os.environ, TERM="xterm"))
    os.close(slave)
    os.write(master, b"c\n")  # Debian's Bochs stops in its debugger
    output, begin, end, deadline = b"", None, None, time.monotonic() + 120
    while end is None and time.monotonic() < deadline and child.poll() is None:
        if not select.select([master], [], [], 0.5)[0]:
            continue
        output += os.read(master, 65536)
        if begin is None and b"mix begins" in output:
            begin = cpu_seconds(child.pid)
        if b"mix ends" in output:
            end = cpu_seconds(child.pid)
    child.kill()
    child.wait()
    os.close(master)
    return end - begin if begin is not None and end is not None else None


def bench_bochs(b):
    """The integer mix on bare metal in Debian's Bochs (processor time), beside ours in the guest and native."""
    if not shutil.which("bochs") or not os.path.exists("/usr/share/vgabios/vgabios.bin"):
        print("  SKIP: packages bochs, bochsbios, bochs-term and vgabios are not installed")
        return
    rounds = 2000

    def mix(argv):
        return workload_values(run(argv, [], timeout=300)[2]).get("integer-mix", (None, ""))[0]

    native = median([mix([b.guest_bench, "integer-mix"]) for _ in range(3)])
    ours = median([mix(b.ours("/guest-bench integer-mix")) for _ in range(3)])
    bochs = median([bochs_mix(b) for _ in range(3)]) / rounds * 1e9
    row("1000 steps of the integer mix; beside: Bochs", ours / 1e3, bochs / 1e3, "us", "Bochs")
    row("times slower than native; beside: Bochs", ours / native, bochs / native, "", "Bochs")


def bench_ring(b):
    """Request round trips and posted writes between two processes, spinning and sleeping."""
    programs = [os.path.join(b.build, p) for p in
                ("tests/bench/ring_bench", "devices/bulkhead-device", "tests/bench/unjournalled-device")]
    print(subprocess.run(programs, check=True, capture_output=True, text=True).stdout, end="")


def bench_storm(b):
    """A guest that does nothing but device accesses of every kind: how long `bulkhead status` takes meanwhile."""
    name = b.name()
    image = os.path.join(b.build, "tests", "guest", "hostile_storm.bin")
    child = subprocess.Popen([b.bulkhead, "run", "--kernel", image, "--format", "flat64", "--memory", "16M", "--engine", "emu",
                              "--name", name], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
    times = []
    time.sleep(1)
    for _ in range(40):
        start = time.monotonic()
        if subprocess.run([b.bulkhead, "status", "--json", name], capture_output=True).returncode == 0:
            times.append((time.monotonic() - start) * 1e3)
        time.sleep(0.05)
    subprocess.run([b.bulkhead, "kill", name], capture_output=True)
    child.wait()
    row(f"bulkhead status, {len(times)} times, median", median(times), None, "ms")
    row("the slowest of them", max(times, default=float("nan")), None, "ms")


def bench_recovery(b):
    """kill -9 of a device under a guest that prints: from the kill to the first answered request; the guest's longest gap."""
    name = b.name()
    load = "while :; do read u x </proc/uptime; echo L $u; done"
    argv = b.ours(load)
    argv[argv.index("--name") + 1] = name
    child = subprocess.Popen(argv + ["--device-failure-limit", "0"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL)
    arrivals = []

    def listen():
        while os.read(child.stdout.fileno(), 65536):
            arrivals.append(time.monotonic())

    threading.Thread(target=listen, daemon=True).start()
    time.sleep(20)

    def devices():
        status = json.loads(subprocess.run([b.bulkhead, "status", "--json", name], capture_output=True, text=True).stdout)
        return {p["role"]: p for p in status["processes"] if "deaths" in p}

    for role in devices():
        times, gaps = [], []
        for _ in range(15):
            time.sleep(1.1)
            before = devices()[role]
            killed = time.monotonic()
            os.kill(before["pid"], 9)
            time.sleep(0.3)
            after = devices()[role]
            if after["recovery_ns"] and after["deaths"] == before["deaths"] + 1:
                times.append((after["died_monotonic_ns"] + after["recovery_ns"] - killed * 1e9) / 1e6)
            near = [t for t in arrivals if killed - 0.2 < t < killed + 0.3]
            gaps.append(max((b - a for a, b in zip(near, near[1:])), default=float("nan")) * 1e3)
        times.sort()
        row(f"{role}: kill to first answer, median", median(times), None, "ms")
        row(f"{role}: 90th percentile, worst of {len(times)}: {times[-1] if times else 0:.1f}",
            times[len(times) * 9 // 10] if times else float("nan"), None, "ms")
        row(f"{role}: longest silence of the console around it, median", median(gaps), None, "ms")
    subprocess.run([b.bulkhead, "kill", name], capture_output=True)
    child.wait()


def bench_torus(b):
    """The torus of tests/guest/first: frames a second (2048 triangles, 640 x 480), natively and as a guest."""
    frames.torus(b, row)


def bench_frame_port(b):
    """A guest that shows frames and does nothing else: how long one takes; from a key to its print; memory of the display."""
    frames.port(b, row)
    measure_memory(b, "frame machine", 1, ["--platform", "frame", "--kernel", frames.image(b, "frames.elf"), "--engine", "emu"])


def bench_display(b):
    """A megabyte of text on Linux's console on a display, and the memory of the display's process."""
    display.text(b, run, row)
    display.memory(b, row)


BENCHES = {"boot": bench_boot, "exits": bench_exits,
           "boots": bench_boots, "workloads": bench_workloads, "programs": bench_programs, "bochs": bench_bochs,
           "classes": bench_classes, "start": bench_start,
           "memory": bench_memory, "console": bench_console, "disk": bench_disk, "system": bench_system, "recovery": bench_recovery, "storm": bench_storm,
           "narrow": bench_narrow,
           "ring": bench_ring, "torus": bench_torus, "frame-port": bench_frame_port, "display": bench_display, "processors": bench_processors}


def main():
    if len(sys.argv) < 2 or any(n not in BENCHES for n in sys.argv[2:]):
        print(f"usage: bench.py BUILD [{'|'.join(BENCHES)}...]", file=sys.stderr)
        return 2
    b = Bench(sys.argv[1])
    print(f"{'':60} {'Bulkhead':>10} {'QEMU TCG':>10}   medians; load average {os.getloadavg()[0]:.1f}")
    try:
        for name in sys.argv[2:] or BENCHES:
            print(f"{name}: {BENCHES[name].__doc__.strip()}")
            BENCHES[name](b)
    finally:
        b.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
