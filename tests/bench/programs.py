# SPDX-License-Identifier: MIT
"""
Real programs, timed: run alike on the host and in the guest (bench.py, `programs`). Prints lines "name value unit".
Usage: programs.py FOLDER, which holds source.i, what the compiler is given.
"""
import os
import re
import subprocess
import sys
import time

FOLDER = sys.argv[1]
ROUNDS = 3


def seconds(call):
    best = None
    for _ in range(ROUNDS):
        start = time.monotonic()
        call()
        took = time.monotonic() - start
        best = took if best is None or took < best else best
    return best


def command(*argv):
    return lambda: subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Vector:
    """For an interpreter's usual work: objects, attributes, calls, lists, dictionaries, floats, text."""

    def __init__(self, x, y):
        self.x, self.y = x, y

    def __add__(self, other):
        return Vector(self.x + other.x, self.y + other.y)


def interpreter():
    total, names = Vector(0.0, 0.0), {}
    for n in range(60000):
        total = total + Vector(n * 0.5, 1.0)
        key = "k%d" % (n % 97)
        names[key] = names.get(key, 0) + n
    sieve = [True] * 50000
    for n in range(2, 224):
        if sieve[n]:
            sieve[n * n::n] = [False] * len(range(n * n, 50000, n))
    return total.x + sum(names.values()) + sum(sieve)


def text_file(path):
    """Words with the repetitions of text, the same everywhere."""
    state, out = 1, []
    for _ in range(100000):
        state = (state * 1103515245 + 12345) % (1 << 31)
        out.append("w%x" % ((state >> 12) % 5000))
    with open(path, "w") as f:
        f.write(" ".join(out))


def openssl_speed(*what):
    """The fields of its line for machines: bytes a second last; signatures a second third."""
    out = subprocess.run(["openssl", "speed", "-elapsed", "-seconds", "1", "-mr", *what], stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, text=True).stdout
    found = re.findall(r"^\+F[0-9]*:(.*)$", out, re.M)
    return found[0].split(":") if found else []


def main():
    path = os.path.join(FOLDER, "text")
    text_file(path)
    print("python %.1f ms" % (1e3 * seconds(interpreter)), flush=True)
    print("gzip %.1f ms" % (1e3 * seconds(command("gzip", "-9", "-k", "-c", path))), flush=True)
    cc1 = os.path.join(FOLDER, "cc1")
    print("cc1 %.1f ms" % (1e3 * seconds(command(cc1, "-quiet", "-O2", "-fpreprocessed", FOLDER + "/source.i", "-o", "/dev/null"))),
          flush=True)
    gcm = openssl_speed("-bytes", "16384", "-evp", "aes-256-gcm")
    print("aes-256-gcm %.1f MB/s" % (float(gcm[-1]) / 1e6), flush=True)
    rsa = openssl_speed("rsa2048")
    print("rsa-2048-sign %.3f ms" % (1e3 / float(rsa[2])), flush=True)


main()
