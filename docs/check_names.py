# SPDX-License-Identifier: MIT
"""
Does what the pages name exist? In specification.md and threat-model.md: the tests, suites and benchmarks of each table's
last column. On all pages: targets of make, and paths of the tree. In comments of the product: files. Usage:
check_names.py SOURCE BUILD

Tests that are left out of a build for want of a package (.ci/packages-test) count as missing.
"""
import fnmatch
import glob
import json
import os
import re
import sys

source, build = sys.argv[1:3]
with open(build + "/meson-info/intro-tests.json") as f:
    tests = {t["name"]: {s.split(":")[-1] for s in t["suite"]} for t in json.load(f)}
with open(source + "/Makefile") as f:
    targets = re.findall(r"^([a-z-]+):", f.read(), re.M)
with open(source + "/tests/bench/bench.py") as f:
    benches = re.findall(r'"(\w+)": bench_', f.read())
folders = [name for name in os.listdir(source) if os.path.isdir(f"{source}/{name}") and not name.startswith(("build", ".git"))]
problems, checked = [], 0


def want(page, what, exists):
    global checked
    checked += 1
    if not exists:
        problems.append(f"{page}: {what}")


def is_test(pattern, suite=None):
    return any(fnmatch.fnmatch(name, pattern) and (not suite or suite in suites) for name, suites in tests.items())


def check_words(page, code):
    """The content of one pair of backticks in a last column."""
    words = code.split()
    if words[:2] == ["meson", "test"]:
        suite = words[words.index("--suite") + 1] if "--suite" in words else None
        names = [w for w in words[4:] if w not in ("--suite", suite)] or ["*"]
        for name in names:  # with a suite, meson runs only those of the names that belong to it
            want(page, code, is_test(name, suite))
    elif words[0].endswith("bench.sh"):
        want(page, code, set(words[2:]) <= set(benches))
    elif len(words) == 1 and "/" not in code:
        want(page, code, is_test(code) or any(code in suites for suites in tests.values()))


for path in [source + "/README.md"] + sorted(glob.glob(source + "/docs/*.md")):
    page = os.path.basename(path)
    with open(path) as f:
        text = f.read()
    codes = re.findall(r"`([^`\n]+)`", text) + re.findall(r"^    (make .*?)(?: {2}|$)", text, re.M)
    for code in codes + re.findall(r"\]\(([^):#]+)\)", text):
        if code.startswith("make "):
            want(page, code, code.split()[1] in targets)
        name = code.split()[0]
        if name.split("/")[0] in folders and "/" in name and not re.search("[A-Z]{4}", name):
            want(page, name, glob.glob(f"{source}/{name}") or os.path.exists(f"{source}/{name}.c"))  # a program by its source
    if page in ("specification.md", "threat-model.md"):
        for row in re.findall(r"^\|.*\|([^|\n]+)\|$", text, re.M):
            for code in re.findall(r"`([^`]+)`", row):
                check_words(page, code)

# Comments name files by as much of their path as they like; what has NAME in it stands for many, and these are others'.
foreign = {"start_info.h", "protobuf-c.h", "sandbox_filters.c"}
paths = ["/" + os.path.relpath(os.path.join(folder, name), source)
         for top in folders for folder, _, names in os.walk(f"{source}/{top}") for name in names]
for path in paths:
    if path.split("/")[1] in ("boot", "devices", "emu", "proto", "vmm") and path.endswith((".c", ".h", ".def")):
        with open(source + path, encoding="utf-8") as f:
            comments = re.findall(r"/\*.*?\*/", f.read(), re.S)
        for name in re.findall(r"(?<![\w/.<-])([\w/]+\.(?:c|h|def))\b", "\n".join(comments)):
            if not re.search("[A-Z]{4}", name) and name not in foreign:
                want(path[1:], name, any(other.endswith("/" + name) for other in paths))
print(f"{checked} names")
sys.exit("there is no\n" + "\n".join(sorted(set(problems))) if problems or not checked else 0)
