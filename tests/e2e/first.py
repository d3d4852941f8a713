# SPDX-License-Identifier: MIT
"""Guests that people build first (tests/guest/first), on the frame-port machine: what they print and show is what the same C does in a process
of the host."""
import os
import subprocess

from bh import BUILD, Skip, check, fetched, main, test

FIRST = BUILD + "/tests/guest/first"

# FIPS 180-4's example: SHA-256 of "abc".
ABC = "ba7816bf 8f01cfea 414140de 5dae2223 b00361a3 96177a9c b410ff61 f20015ad".replace(" ", "")
SQUARES = "".join(f"{i} squared is {i * i}\n" for i in range(1, 11))


def boot(t, image, *options, input=""):
    """Runs a guest to its end."""
    return t.bulkhead(*t.machine("--platform", "frame", "--kernel", f"{FIRST}/{image}.elf", *options), input=input)


def is_interpreted(t, result):
    """Some hosts' KVM (one machine below another) interprets ring 0, and knows few vector instructions there."""
    return t.engine == "kvm" and result.code == 33 and "emulation of an instruction failed" in result.err


def compute(t, image):
    """Runs a guest that calculates; in ring 3 where KVM has no more than that of the processor."""
    result = boot(t, image)
    return boot(t, image + "-ring3") if is_interpreted(t, result) else result


def native(name, *options):
    return subprocess.run([f"{FIRST}/{name}-native", *options], check=True, capture_output=True, text=True, timeout=60).stdout


def same_lines(guest, host):
    """A guest whose processor has more than the host's prints more lines; those of both are the same."""
    lines = {line.split()[0]: line for line in guest.splitlines()}
    for line in host.splitlines():
        name = line.split()[0]
        check(name not in lines or lines[name] == line, f"the guest: {lines.get(name)}; the host: {line}")
    return {line.split()[0] for line in host.splitlines()} & lines.keys()


@test
def torus(t):
    """The first frames of the spin: pictures equal to the host's, by their sums."""
    result = compute(t, "torus-16").expect(0)
    host = native("torus", "--frames", "16")
    check(result.out == host and "picture 16 " in host, f"guest:\n{result.out}\nhost:\n{host}")
    t.expect_clean()


@test
def nbody(t):
    """Energies to the last bit; all kinds of arithmetic that round to 53 bits agree, and gravity keeps the energy it began with."""
    result = compute(t, "nbody").expect(0)
    check({"start", "x87", "sse2"} <= same_lines(result.out, native("nbody")), result)
    lines = {name: (value, bits) for name, value, bits in (line.split() for line in result.out.splitlines())}
    check(len({bits for name, (_, bits) in lines.items() if name not in ("start", "x87")}) == 1, lines)
    start, end = float(lines["start"][0]), float(lines["sse2"][0])
    check(abs(end / start - 1) < 0.01, f"energy {start} at the start, {end} at the end")


@test
def insns(t):
    """Checksums of each class of instructions, against the host's processor."""
    result = compute(t, "insns").expect(0)
    same = same_lines(result.out, native("insns"))
    check({"arithmetic", "shifts", "products", "bits", "strings", "conditions", "x87", "sse2-integer", "sse2-float"} <= same, same)


def linux(t, program, *options, input=""):
    result = boot(t, "linux-ring0", "--program", program, *options, input=input)
    if is_interpreted(t, result):
        raise Skip("this KVM interprets ring 0 and does not know an instruction that the program runs there")
    return result


def squares(t, name):
    path = f"{FIRST}/squares-{name}"
    if not os.path.exists(path):
        raise Skip("there was no musl-gcc (package musl-tools) when this was built")
    linux(t, path).expect(42, out="^" + SQUARES + "$")
    check(subprocess.run([path], capture_output=True, text=True, check=False).stdout == SQUARES, "and it is a program of Linux's")


@test
def linux_musl(t):
    squares(t, "musl")


@test
def linux_glibc(t):
    squares(t, "glibc")


@test
def linux_static_pie(t):
    squares(t, "pie")


def busybox(t, words):
    """Debian's busybox with a command line behind it."""
    path = t.dir + "/busybox"
    with open(fetched("fetch.sh")["BUSYBOX"], "rb") as f, open(path, "wb") as out:
        out.write(f.read() + b"#!" + words.encode())
    return path


@test
def linux_busybox(t):
    """sha256sum of its input, which ends with Ctrl-D, and of its own file as it was without the command line."""
    linux(t, busybox(t, "sha256sum"), input="abc\4").expect(0, out=rf"^{ABC}  -\n$")
    own = subprocess.run(["sha256sum", fetched("fetch.sh")["BUSYBOX"]], check=True, capture_output=True, text=True).stdout.split()[0]
    linux(t, busybox(t, "sha256sum /proc/self/exe")).expect(0, out=rf"^{own}  /proc/self/exe\n$")
    linux(t, busybox(t, "expr 6 * 7")).expect(0, out=r"^42\n$")
    linux(t, busybox(t, "false")).expect(1, out="^$")


@test
def linux_refused(t):
    """What it cannot run, in words, with the shells' code for that; and a program that faults ends as by SIGSEGV."""
    boot(t, "linux-ring0").expect(127, out="linux-ring0: no program")
    linux(t, "/bin/true").expect(127, out="not static: it asks for a dynamic linker")
    linux(t, "/etc/passwd").expect(127, out="not an ELF file of 64 bits")
    with open(f"{FIRST}/squares-glibc", "rb") as f:
        image = bytearray(f.read())
    entry = int.from_bytes(image[24:32], "little")
    segments = [image[64 + 56 * i:64 + 56 * (i + 1)] for i in range(int.from_bytes(image[56:58], "little"))]

    def word(segment, at):
        return int.from_bytes(segment[at:at + 8], "little")

    holder = next(s for s in segments if word(s, 0) & 0xffffffff == 1 and word(s, 16) <= entry < word(s, 16) + word(s, 32))
    at = entry - word(holder, 16) + word(holder, 8)
    image[at:at + 6] = bytes.fromhex("31c0488b0090")  # xor %eax, %eax; mov (%rax), %rax
    with open(t.dir + "/null", "wb") as f:
        f.write(image)
    linux(t, t.dir + "/null").expect(128 + 11, out=rf"vector 14, error 0+, rip 0*{entry + 2:x}, cr2 0+\n")


if __name__ == "__main__":
    main()
