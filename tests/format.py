# SPDX-License-Identifier: MIT
"""
The bodies of functions look as .clang-format says (clang-format 14; a newer one has opinions of its own). Tables, enumerations and
macros are set by hand, several items a line where that reads better.
Usage: format.py SOURCE [--fix]. Prints how many lines of which files would change, most first; --fix changes them.
"""
import difflib
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

VERSION = "14"
FOLDERS = ["boot", "devices", "docs", "emu", "proto", "tests", "vmm"]


def program():
    """clang-format of the version that .clang-format is written for; None: there is none."""
    for name in ("clang-format-" + VERSION, "clang-format"):
        path = shutil.which(name)
        if path and f"version {VERSION}." in subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout:
            return path
    return None


def c_files(source):
    for folder in FOLDERS:
        for path, _, names in os.walk(os.path.join(source, folder)):
            yield from (os.path.join(path, n) for n in names if n.endswith((".c", ".h")))


def command(tool, path, lines):
    """What formats the bodies of a file's functions: from a brace at the start of a line to the next one. None: it has none."""
    bodies, start = [], None
    for n, line in enumerate(lines, 1):
        if line == "{":
            start = n
        elif line == "}" and start:
            bodies.append(f"--lines={start}:{n}")
            start = None
    return [tool, *bodies, path] if bodies else None


def changed_lines(tool, path):
    with open(path, encoding="utf-8") as f:
        before = f.read().splitlines()
    argv = command(tool, path, before)
    if not argv:
        return 0
    after = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
    steps = difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    return sum(max(i2 - i1, j2 - j1) for what, i1, i2, j1, j2 in steps if what != "equal")


def fix(tool, path):
    with open(path, encoding="utf-8") as f:
        argv = command(tool, path, f.read().splitlines())
    return subprocess.run([*argv, "-i"], check=True).returncode if argv else 0


def count(tool, files, pool):
    lines = sorted(zip(pool.map(lambda f: changed_lines(tool, f), files), files), reverse=True)
    for n, path in lines:
        if n:
            print(f"{n:6} {path}")
    total = sum(n for n, _ in lines)
    print(f"{total} lines in {sum(n > 0 for n, _ in lines)} of {len(files)} files are not as .clang-format says" +
          ("; format.py SOURCE --fix" if total else ""))
    return total > 0


def main():
    source, *flags = sys.argv[1:]
    tool, files = program(), sorted(c_files(source))
    if not tool:
        print(f"SKIP: no clang-format {VERSION} (package clang-format-{VERSION})")
        return 77
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        if "--fix" in flags:
            return max(pool.map(lambda f: fix(tool, f), files))
        return count(tool, files, pool)


sys.exit(main())
