# SPDX-License-Identifier: MIT
"""What the guest that works every device prints (tests/guest/small/survivor.c): numbered lines with checksums."""
import re

from bh import Failure, check

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
LINE = re.compile(rb"L ([0-9a-f]{6}) ([A-Za-z0-9]*) ([0-9a-f]{4})$")


def checksum(text):
    s = 0
    for c in text:
        s = (s * 31 + c) & 0xffff
    return s


def read_line(line):
    """Number and text of a whole line, or None."""
    m = LINE.match(line)
    return (int(m.group(1), 16), m.group(2)) if m and checksum(line[:-4]) == int(m.group(3), 16) else None


def mend(line):
    """The same of a line in which a piece comes twice, one after the other: a chunk may, and need not be a line."""
    for at in range(len(line)):
        for n in range(1, (len(line) - at) // 2 + 1):
            found = line[at:at + n] == line[at + n:at + 2 * n] and read_line(line[:at] + line[at + n:])
            if found:
                return found
    return None


class Report:
    """What a guest prints, as it comes: each number once at least, in order, always with the same contents."""
    KEPT = 20000  # lines, to compare repeated ones with; a chunk that comes twice is shorter

    def __init__(self):
        self.rest, self.lines, self.repeats, self.boots, self.total = b"", {}, 0, 0, 0
        self.next = 0
        self.typed = []

    def feed(self, data):
        self.rest += data
        lines = self.rest.split(b"\n")
        self.rest = lines.pop()
        for line in lines:
            found = read_line(line)
            if found:
                self.line(*found)
            elif line.endswith(b"survivor"):
                self.boots += 1
                self.next, self.lines = 0, {}
            elif b"FAILED" in line or b"bytes skipped" in line:
                raise Failure(line.decode("utf-8", "replace"))
            elif mend(line):
                self.line(*mend(line))
                self.repeats += 1

    def line(self, n, text):
        check(n <= self.next, f"lines {self.next} to {n - 1} of boot {self.boots} are lost")
        if n < self.next:
            self.repeats += 1
            check(self.lines.get(n, text) == text, f"line {n} comes in two forms")
            return
        self.lines[n] = text
        self.lines.pop(n - self.KEPT, None)
        self.next += 1
        self.total += 1
        if text:
            self.typed.append(text.decode())
