# SPDX-License-Identifier: MIT
"""Guests that people build first (tests/guest/first), on the frame-port machine: what they print and show is what the same C does in a process
of the host."""
import os
import subprocess

import pictures
from bh import BUILD, SOURCE, Skip, check, fetched, main, test, wait_until

FIRST = BUILD + "/tests/guest/first"
SOURCES = SOURCE + "/tests/guest/first"

# FIPS 180-4's example: SHA-256 of "abc".
ABC = "ba7816bf 8f01cfea 414140de 5dae2223 b00361a3 96177a9c b410ff61 f20015ad".replace(" ", "")
SQUARES = "".join(f"{i} squared is {i * i}\n" for i in range(1, 11))


def boot(t, image, *options, input=""):
    """Runs a guest to its end."""
    if t.engine == "kvm":  # what it does is tested here, not what stands in for it
        options += ("--no-fallback",)
    return t.bulkhead(*t.machine("--platform", "frame", "--kernel", f"{FIRST}/{image}.elf", *options), input=input)


def is_interpreted(t, result):
    """Some hosts' KVM (one machine below another) interprets ring 0, knows few vector instructions there, and raises #UD for others."""
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


# linux/input-event-codes.h
CODES = {**{str(n): n + 1 for n in range(1, 10)}, "a": 30, "esc": 1, "space": 57, "home": 102, "left": 0x110}
KEY, RELATIVE, ABSOLUTE, WHEEL = 1, 2, 3, 8


def events_of(script):
    """(type, code, value) of what `bulkhead input script` types and moves."""
    for line in script.splitlines():
        verb, *words = line.split("#")[0].split() or [""]
        if verb in ("key", "press"):
            yield KEY, CODES[words[0]], 1
        if verb in ("key", "release"):
            yield KEY, CODES[words[0]], 0
        if verb == "mouse":
            yield ABSOLUTE, 0, int(words[0])
            yield ABSOLUTE, 1, int(words[1])
        if verb == "wheel":
            yield RELATIVE, WHEEL, int(words[0])


def native_picture(t, name, script, each_frame):
    """Rows of what the program of the host has drawn when it has had these events, so many to a frame."""
    events = [*events_of(script), *events_of("key esc")]
    with open(t.dir + "/events", "w", encoding="ascii") as f:
        f.writelines(f"{1 + i // each_frame} {kind} {code} {value}\n" for i, (kind, code, value) in enumerate(events))
    native(name, "--events", t.dir + "/events", "--picture", t.dir + "/picture.ppm")
    with open(t.dir + "/picture.ppm", "rb") as f:
        head, pixels = f.read(15), f.read()
    check(head == b"P6\n640 480\n255\n", head)
    return [pixels[i:i + 3 * pictures.WIDTH] for i in range(0, len(pixels), 3 * pictures.WIDTH)]


def script_of(name):
    with open(f"{SOURCES}/{name}.input", encoding="utf-8") as f:
        return f.read()


def shown_after(t, script, name):
    """Rows of the screenshot, when the guest has had a script and drawn what it made of it."""
    t.bulkhead("input", t.name, "script", "-", input=script + "\nframes 3\n").expect(0)
    t.bulkhead("screenshot", t.name, f"{t.dir}/{name}.png").expect(0)
    return pictures.still(f"{t.dir}/{name}.png")


def same_picture(found, wanted, what):
    wrong = [y for y in range(pictures.HEIGHT) if found[y] != wanted[y]]
    check(not wrong, f"{what}: {len(wrong)} rows differ, the first is {wrong[:1]}")


def has_shown(t):
    return t.bulkhead("screenshot", t.name, t.dir + "/first.png").code == 0


def start_drawing(t, image):
    """A guest that draws until Escape. Under KVM in ring 3: there are hosts that interpret ring 0, which is slow."""
    end = "-ring3" if t.engine == "kvm" else ""
    guest = t.start(*t.command(*t.machine("--platform", "frame", "--kernel", f"{FIRST}/{image}{end}.elf")))
    wait_until(lambda: has_shown(t) or guest.poll() is not None, "a first frame")
    check(guest.poll() is None, f"{image} has ended: {guest.code}")
    return guest


def leave(t, guest):
    t.bulkhead("input", t.name, "key", "esc").expect(0)
    check(guest.wait() == 0, f"exit code {guest.code}")
    t.expect_clean()


@test
def torus_picture(t):
    """The fixed view is the picture in the tree, and what a drag and the wheel make of it is the host's, to the bit."""
    guest = start_drawing(t, "torus")
    reference = pictures.still(SOURCES + "/torus.png")
    same_picture(native_picture(t, "torus", "key home", 1), reference, "the host's torus")
    same_picture(shown_after(t, "key home", "home"), reference, "the guest's torus")
    script = script_of("torus")
    same_picture(shown_after(t, script, "turned"), native_picture(t, "torus", script, 1), "the torus after a drag")
    leave(t, guest)


@test
def paint(t):
    """A picture painted by a script: the guest's is the host's, however many events come with a frame."""
    guest = start_drawing(t, "paint")
    script = script_of("paint")
    wanted = native_picture(t, "paint", script, 1)
    for each_frame in (2, 3, 200):
        same_picture(native_picture(t, "paint", script, each_frame), wanted, f"{each_frame} events to a frame")
    same_picture(shown_after(t, script, "house"), wanted, "the house")
    leave(t, guest)


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
