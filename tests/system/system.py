# SPDX-License-Identifier: MIT
"""
The system guests (tests/guest/system) under Bulkhead's emulator and under QEMU's: the transcripts are equal, but for the
lines that the file NAME.qemu beside the guest lists, each with the section of the SDM that decides against QEMU. And each tier
of the emulator alone writes the same.

Such a file holds, under a comment that gives the reason, pairs of lines: "- " what QEMU prints, "+ " what is right and
Bulkhead prints. All pairs have to occur, exactly as often as listed, and no others.

Called with --update NAME..., it writes the file anew, keeping the reasons of pairs that were there; new pairs stand under
"REASON?", which the test refuses.
"""
import collections
import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
sys.dont_write_bytecode = True
import bh  # noqa: E402
from bh import Failure, Skip, check  # noqa: E402

GUESTS = ["debug", "event", "fpu", "longmode", "paging32", "paging64", "real", "segment", "sixteen", "task", "v86"]
TIERS = ["step", "block", "jit", "verify-all"]  # alone, with the same answers
QEMU = "qemu-system-x86_64"
UNEXPLAINED = "REASON?"
ENDED = 1  # of isa-debug-exit: (0 << 1) | 1, in both


def data_file(name):
    return f"{bh.SOURCE}/tests/guest/system/{name}.qemu"


def image(name):
    return f"{bh.BUILD}/tests/guest/{name}.elf"


def transcript(text, who):
    lines = [line.rstrip("\r") for line in text.split("\n")]
    check("end" in lines, f"{who} did not come to the end; its last lines:\n" + "\n".join(lines[-5:]))
    return lines[:lines.index("end")]


def under_bulkhead(t, name, tier):
    result = t.bulkhead(*t.machine("--kernel", image(name), "--memory", "64M", "--tier", tier))
    check(result.code == ENDED, f"exit code of the guest: {result}")
    return transcript(result.out, "Bulkhead")


def under_qemu(t, name):
    if not shutil.which(QEMU):
        raise Skip(f"{QEMU} is not installed")
    # The vendor decides about SYSENTER in long mode and the like; everything else is whatever TCG can do.
    result = t.call([QEMU, "-machine", "pc", "-accel", "tcg", "-cpu", "max,vendor=GenuineIntel", "-m", "64M", "-display", "none",
                     "-nodefaults", "-no-reboot", "-debugcon", "stdio", "-device", "isa-debug-exit", "-kernel", image(name)])
    check(result.code == ENDED, f"exit code of QEMU: {result}")
    return transcript(result.out, "QEMU")


def read_differences(path):
    """[(reason, what QEMU prints, what is right)]"""
    found, reason, left = [], [], None
    pairs_seen = False
    with open(path) as f:
        for line in f.read().split("\n"):
            if line.startswith("# "):
                if pairs_seen:
                    reason, pairs_seen = [], False
                reason.append(line[2:])
            elif line.startswith("- "):
                left = line[2:]
            elif line.startswith("+ "):
                found.append(("\n# ".join(reason), left, line[2:]))
                pairs_seen = True
            elif line.strip():
                raise Failure(f"{path}: unknown line: {line}")
    return found


def differences(ours, theirs):
    for n, (a, b) in enumerate(zip(ours, theirs)):
        # The name of a case stands in front of the colon; if it differs, the two are not talking about the same.
        check(a.split(":")[0] == b.split(":")[0], f"line {n + 1} of the transcripts:\n- {b}\n+ {a}")
    check(len(ours) == len(theirs), f"{len(ours)} lines against {len(theirs)} of QEMU")
    return [(b, a) for a, b in zip(ours, theirs) if a != b]


def compare(t, name):
    ours = under_bulkhead(t, name, "auto")
    for tier in TIERS:
        other = under_bulkhead(t, name, tier)
        wrong = [f"- {a}\n+ {b}" for a, b in zip(ours, other) if a != b]
        check(len(ours) == len(other) and not wrong, f"--tier {tier}:\n" + "\n".join(wrong[:20]))
    expected = read_differences(data_file(name))
    unexplained = [pair for pair in expected if UNEXPLAINED in pair[0]]
    check(not unexplained, f"no reason is given for {unexplained[:3]}")
    theirs = under_qemu(t, name)
    seen = collections.Counter(differences(ours, theirs))
    listed = collections.Counter((left, right) for _, left, right in expected)
    text = ""
    for what, pairs in (("not listed", seen - listed), ("listed, but not seen", listed - seen)):
        for (left, right), times in pairs.items():
            text += f"\n{what}, {times} times:\n- {left}\n+ {right}"
    check(not text, text)
    print(f"{name}: {len(ours)} lines, {sum(seen.values())} differ as listed")


def update(name):
    t = bh.Context(name)
    try:
        pairs = differences(under_bulkhead(t, name, "auto"), under_qemu(t, name))
    finally:
        t.close()
    known = {}
    if os.path.exists(data_file(name)):
        known = {(left, right): reason for reason, left, right in read_differences(data_file(name))}
    groups = collections.OrderedDict()
    for pair in pairs:
        groups.setdefault(known.get(pair, UNEXPLAINED), []).append(pair)
    with open(data_file(name), "w") as f:
        for reason, members in groups.items():
            f.write(f"# {reason}\n")
            for left, right in members:
                f.write(f"- {left}\n+ {right}\n")
            f.write("\n")


def make(name):
    def function(t):
        compare(t, name)
    function.__name__ = name
    function.__doc__ = f"The transcripts of {name}."
    return bh.test(function)


for guest in GUESTS:
    make(guest)

if __name__ == "__main__":
    if sys.argv[1:2] == ["--update"]:
        for guest in sys.argv[2:] or GUESTS:
            update(guest)
    else:
        bh.main()
