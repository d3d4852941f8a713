# SPDX-License-Identifier: MIT
"""Are the tests that emulator-tests.md names there? Usage: check_tests.py SOURCE"""
import glob
import re
import sys

source = sys.argv[1]
tests = set()
for path in glob.glob(source + "/tests/unit/*_test.c"):
    with open(path) as f:
        tests |= {f"{suite}.{name}" for suite, name in re.findall(r"^Test\((\w+), (\w+)", f.read(), re.M)}
guests = {path.rsplit("/", 1)[1][:-5] for path in glob.glob(source + "/tests/guest/system/*.qemu")}

with open(source + "/docs/emulator-tests.md") as f:
    rows = [line for line in f if re.match(r"\| \d+ \|", line)]
missing, suite, checked = [], "", 0
for row in rows:
    for word in re.findall(r"`([\w.*]+)`", row):
        if word.startswith("system_"):
            known = word[len("system_"):] in guests
        elif "." in word:
            suite = word.split(".")[0] or suite  # ".name": of the suite named last
            pattern = re.escape(suite + "." + word.split(".")[1]).replace(r"\*", ".*")
            known = any(re.fullmatch(pattern, test) for test in tests)
        else:
            continue
        checked += 1
        if not known:
            missing.append(f"{word} in: {row[:60]}")
print(f"{checked} names in {len(rows)} rows")
sys.exit("no such test:\n" + "\n".join(missing) if missing or not checked else 0)
