# SPDX-License-Identifier: MIT
"""The frame machine (--platform frame), on the engine that --engine names."""
import os

from bh import BUILD, SOURCE, check, main, test


def kernel(name):
    return f"{BUILD}/tests/guest/{name}.elf"


def frame(t, image, *options):
    return t.machine("--platform", "frame", "--kernel", kernel(image), *options)


def checksum(data):
    value = 0
    for byte in data:
        value = (value * 31 + byte) & 0xffffffff
    return value


@test
def entry(t):
    """What the guest is entered with, and 42 as the exit code itself."""
    t.bulkhead(*frame(t, "frame_entry")).expect(42, out=r"rsp 1efff8\n(?s:.*)program bytes 0\n")
    t.expect_clean()


@test
def program(t):
    """--program: its length at 32 MiB, its bytes 16 further on."""
    path = t.dir + "/program"
    data = os.urandom(70001)
    with open(path, "wb") as f:
        f.write(data)
    t.bulkhead(*frame(t, "frame_entry", "--program", path)).expect(
        42, out=rf"program bytes {len(data):x}\nprogram sum {checksum(data):x}\n")


@test
def refused(t):
    """What such a machine has not, and what cannot be its kernel or program."""
    t.bulkhead(*t.machine("--kernel", kernel("frame_entry"), "--program", "/bin/true")).expect(2, err="--program goes with")
    for options in (["--initrd", "/bin/true"], ["--cmdline", "x"], ["--exec", "true"]):
        t.bulkhead(*frame(t, "frame_entry", *options)).expect(2, err="takes a --program")
    t.bulkhead(*frame(t, "frame_entry", "--memory", "32M")).expect(2, err="has 64M")
    t.bulkhead(*frame(t, "frame_entry", "--cpus", "2")).expect(2, err="has one processor")
    t.bulkhead(*frame(t, "frame_entry", "--format", "flat64")).expect(2, err="leave out --format")
    t.bulkhead(*frame(t, "frame_entry", "--program", "/nowhere")).expect(2, err="--program /nowhere: No such file")
    t.bulkhead(*t.machine("--platform", "frame", "--kernel", SOURCE + "/README.md")).expect(2, err="not an ELF file")
    t.bulkhead(*t.machine("--platform", "frame", "--kernel", "/bin/true")).expect(2)
    big = t.dir + "/big"
    with open(big, "wb") as f:
        f.truncate(33 << 20)
    t.bulkhead(*frame(t, "frame_entry", "--program", big)).expect(2, err="do not fit")
    t.expect_clean()


if __name__ == "__main__":
    main()
