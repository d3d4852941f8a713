# SPDX-License-Identifier: MIT
"""Guests that draw: frames a second of the torus, and what a frame port costs. bench.py has the names."""
import os
import re
import statistics
import subprocess
import time

TIERS = (("emulator", 512, []), ("emulator, --tier block", 512, ["--tier", "block"]), ("emulator, --tier step", 16, ["--tier", "step"]))
PORTS = 20000


def seconds(argv):
    """From the start of a guest to its end."""
    start = time.monotonic()
    subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=300, check=False)
    return time.monotonic() - start


def image(b, name):
    return os.path.join(b.build, "tests/guest/first", name)


def ours(b, name, *options):
    return [b.bulkhead, "run", "--platform", "frame", "--kernel", image(b, name + ".elf"), "--name", b.name(), *options]


def qemu(b, name):
    """The same guest behind Multiboot; nobody answers at the frame port, and the exit port ends it."""
    return ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "64", "-display", "none", "-serial", "null", "-monitor", "none",
            "-no-reboot", "-kernel", image(b, name + "-multiboot.elf"), "-device", "isa-debug-exit,iobase=0xf4,iosize=1"]


def frames_a_second(command, guest, frames, runs=3):
    """Of a guest that shows so many and one that shows one, the median of the differences: what starting costs is in both."""
    spent = [seconds(command(f"{guest}-{frames}")) - seconds(command(f"{guest}-1")) for _ in range(runs)]
    return (frames - 1) / statistics.median(spent)


def native_frames_a_second(b):
    def once():
        done = subprocess.run([image(b, "torus-native"), "--frames", "512"], capture_output=True, text=True, check=True)
        return float(re.search(r"([\d.]+) frames a second", done.stderr)[1])

    return statistics.median(once() for _ in range(3))


def works(argv):
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False).returncode == 0


def kvm(b, guest, frames):
    """(what ran, frames a second), or None. A KVM that interprets ring 0 knows too few instructions there; ring 3 it leaves to the
    processor."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return None
    for what, end in (("KVM", ""), ("KVM, the guest in ring 3", "-ring3")):
        if works(ours(b, f"{guest}-1{end}", "--engine", "kvm")):
            return what, frames_a_second(lambda name, e=end: ours(b, name + e, "--engine", "kvm"), guest, frames)
    return None


def torus(b, row):
    row("native, without a window", native_frames_a_second(b), None, "/s")
    peer = frames_a_second(lambda name: qemu(b, name), "torus", 512, 1)
    for what, frames, options in TIERS:
        row(what, frames_a_second(lambda name, o=options: ours(b, name, "--engine", "emu", *o), "torus", frames, 1 if options else 3),
            peer, "/s")
    found = kvm(b, "torus", 512)
    if found:
        row(*found, peer, "/s")


def port(b, row):
    row("emulator", 1e6 / frames_a_second(lambda name: ours(b, name, "--engine", "emu"), "frames", PORTS), None, "us")
    found = kvm(b, "frames", PORTS)
    if found:
        row(found[0], 1e6 / found[1], None, "us")
