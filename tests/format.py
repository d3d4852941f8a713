# SPDX-License-Identifier: MIT
"""
C files look as .clang-format says (clang-format 14; a newer one has opinions of its own). Tables (*.def) are not touched.
Usage: format.py SOURCE [--fix | --count]
  --fix    rewrites files
  --count  prints how many lines of which files would change, most first
"""
import difflib
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

VERSION = "14"
AT_ONCE = 16  # files that one clang-format looks at
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


def complaints(tool, files):
    """What it would change in these files, as it says it itself."""
    return subprocess.run([tool, "--dry-run", "--ferror-limit=1", *files], capture_output=True, text=True, check=True).stderr


def changed_lines(tool, path):
    with open(path, encoding="utf-8") as f:
        before = f.read().splitlines()
    after = subprocess.run([tool, path], capture_output=True, text=True, check=True).stdout.splitlines()
    steps = difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    return sum(max(i2 - i1, j2 - j1) for what, i1, i2, j1, j2 in steps if what != "equal")


def count(tool, files, pool):
    lines = sorted(zip(pool.map(lambda f: changed_lines(tool, f), files), files), reverse=True)
    for n, path in lines:
        if n:
            print(f"{n:6} {path}")
    print(f"{sum(n for n, _ in lines)} lines in {sum(n > 0 for n, _ in lines)} of {len(files)} files")


def check(tool, files, pool):
    batches = [files[n:n + AT_ONCE] for n in range(0, len(files), AT_ONCE)]
    bad = [line for text in pool.map(lambda b: complaints(tool, b), batches) for line in text.splitlines() if "warning:" in line]
    print("\n".join(bad))
    print(f"{len(files)} files, {len(bad)} look otherwise than .clang-format says" + ("; format.py SOURCE --fix" if bad else ""))
    return bool(bad)


def main():
    source, *flags = sys.argv[1:]
    tool, files = program(), sorted(c_files(source))
    if not tool:
        print(f"SKIP: no clang-format {VERSION} (package clang-format-{VERSION})")
        return 77
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        if "--fix" in flags:
            return max(pool.map(lambda f: subprocess.run([tool, "-i", f], check=True).returncode, files))
        if "--count" in flags:
            return count(tool, files, pool) or 0
        return check(tool, files, pool)


sys.exit(main())
