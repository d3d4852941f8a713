# SPDX-License-Identifier: MIT
"""Displays of a PC: a megabyte of text on Linux's console, and the memory of vgad. bench.py has the names."""
import os
import statistics
import subprocess
import time

TEXT = "echo BEGIN-TEXT; yes 'a line of text that is as long as many lines of text are' | head -c 1000000 >/dev/tty0; echo END-OF-TEXT"
MARKS = (b"BEGIN-TEXT", b"END-OF-TEXT\r")


def seconds(run, argv):
    seen, _, _ = run(argv, MARKS, timeout=600)
    return seen[MARKS[1]] - seen[MARKS[0]] if all(m in seen for m in MARKS) else float("nan")


def text(b, run, row):
    qemu = statistics.median(seconds(run, b.qemu(TEXT, "-vga", "std")) for _ in range(2))
    for what, options in (("a VGA's text screen", ["--display", "vga"]), ("a framebuffer of 1024x768", ["--display", "lfb"])):
        ours = statistics.median(seconds(run, b.ours(TEXT, *options)) for _ in range(2))
        row(f"1 MB of text on tty0, {what}", ours, qemu if "vga" in options else None, "s")


def pss_mib(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return int(next(line for line in f if line.startswith("Pss:")).split()[1]) / 1024


def pid_of(name, role):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                if f.read().replace(b"\0", b" ").strip().endswith(f"{name}/{role}".encode()):
                    return pid
        except OSError:
            continue
    raise RuntimeError(f"there is no {role}")


def memory(b, row):
    guest = ["--kernel", os.path.join(b.build, "tests/guest/vga_text.bin"), "--format", "flat64", "--memory", "16M", "--engine", "emu"]
    for display in ("vga", "lfb"):
        name = b.name()
        subprocess.run([b.bulkhead, "run", *guest, "--display", display, "--name", name, "--detach"], check=True, capture_output=True)
        time.sleep(1)
        pid = pid_of(name, "vgad")
        row(f"PSS of vgad, --display {display}, nobody has looked", pss_mib(pid), None, "MiB")
        subprocess.run([b.bulkhead, "screenshot", name, os.path.join(b.tmp, "shot.png")], check=True, capture_output=True)
        row("the same behind a screenshot: a picture, or two", pss_mib(pid), None, "MiB")
        subprocess.run([b.bulkhead, "kill", name], capture_output=True, check=False)
