# SPDX-License-Identifier: MIT
"""
Real programs in the Linux guest: each part of run.sh is run on the host and in a guest under the emulator, from the same
binaries, and must print the same. LONG=N makes the parts longer (`make software`).
"""
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from bh import BUILD, SLOW, SOURCE, Failure, Skip, check, debian, main, test  # noqa: E402

from archive import USR_LINKS, Archive  # noqa: E402

LONG = int(os.environ.get("LONG", "1"))
LIMIT = 280 * LONG * LONG
HERE = SOURCE + "/tests/software"
PROGRAMS = ("x87", "strings", "bignum", "crypto")
COREUTILS = "env sha256sum md5sum sha1sum sha224sum sha384sum sha512sum b2sum cksum sort seq dd cat cmp awk mktemp rm sed grep tail".split()
BEGIN, END = "@@@begin@@@", "@@@end@@@"


INIT = """#!/usr/bin/sh
export PATH=/usr/bin:/usr/sbin
busybox mount -t proc proc /proc
busybox mount -t sysfs sysfs /sys
busybox mount -t devtmpfs dev /dev
busybox mkdir -p /dev/shm /tmp
busybox mount -t tmpfs tmp /tmp
busybox mount -t tmpfs shm /dev/shm
busybox grep ^flags /proc/cpuinfo
echo '%s'
sh /software/run.sh /software %s %d 2>&1
echo '%s'
busybox poweroff -f
"""


def need(*programs):
    for p in programs:
        if not shutil.which(p, path="/usr/bin:/bin:/usr/sbin:/sbin"):
            raise Skip(f"{p} is not installed (.ci/packages-test)")


def native_folder(t):
    """What /software is in the guest."""
    folder = t.dir + "/software"
    os.mkdir(folder)
    for name in ("run.sh", "pynumbers.py"):
        shutil.copy(f"{HERE}/{name}", folder)
    for name in PROGRAMS:
        path = f"{BUILD}/tests/software/software-{name}"
        if not os.path.exists(path):
            raise Skip(f"{path} was not built: its library is missing (.ci/packages-test)")
        shutil.copy(path, f"{folder}/{name}")
    return folder


def make_keys(folder):
    def openssl(*args):
        subprocess.run(["/usr/bin/openssl", *args], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", folder + "/rsa.pem")
    openssl("genpkey", "-algorithm", "ed25519", "-out", folder + "/ed25519.pem")
    for name, kind in (("p256", ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
                       ("p384", ["EC", "-pkeyopt", "ec_paramgen_curve:P-384"]), ("x25519", ["x25519"])):
        for suffix in ("", "-other"):
            openssl("genpkey", "-algorithm", *kind, "-out", f"{folder}/{name}{suffix}.pem")
        openssl("pkey", "-in", f"{folder}/{name}-other.pem", "-pubout", "-out", f"{folder}/{name}-peer.pem")


def make_initrd(t, base, folder, part, programs, trees):
    """busybox as the shell of init; everything that run.sh calls is Debian's own, under its own name."""
    path = t.dir + "/software.cpio"
    a = Archive(path)
    for name in ("dev", "proc", "sys", "tmp"):
        a.parents(name + "/x")
    for name in USR_LINKS:
        a.link(name, "usr/" + name)
    a.add(base["BUSYBOX"], "/usr/bin/busybox")
    for program in ["sh", "bash", *COREUTILS, *programs]:
        found = shutil.which(program, path="/usr/bin:/bin:/usr/sbin:/sbin")
        if found:
            a.add(found)
    a.add("/lib64/ld-linux-x86-64.so.2")
    for tree, skip in trees:
        if os.path.isdir(tree):
            a.tree(tree, skip)
    for name in os.listdir(folder):
        a.add(f"{folder}/{name}", "/software/" + name)
    a.text("init", INIT % (BEGIN, part, LONG, END))
    a.close()
    return path


def lines_between(text):
    found = re.search(re.escape(BEGIN) + r"\r?\n(.*?)" + re.escape(END), text, re.S)
    check(found, f"the guest did not come to the end:\n{text[-3000:]}")
    return [line.rstrip("\r") for line in found.group(1).splitlines() if not re.match(r"\[ *\d+\.\d+\]", line)]


def compare(native, guest):
    if native == guest:
        return
    # Line by line while the lines go together; difflib takes lines that come often for noise.
    where = [n for n, (a, b) in enumerate(zip(native, guest)) if a != b] or [min(len(native), len(guest))]
    title = [n for n in range(where[0] + 1) if n < len(native) and native[n].startswith("#")]
    text = [f"  under: {native[title[-1]]}"] if title else []
    for n in where[:12]:
        text += [f"  host  {''.join(native[n:n + 1])}", f"  guest {''.join(guest[n:n + 1])}"]
    raise Failure(f"{len(where)} lines differ of {len(native)} on the host, {len(guest)} in the guest:\n" + "\n".join(text))


# What a part is there to run. A guest without it would run the plain code and print the same.
FLAGS = {"openssl": "ssse3 aes pclmulqdq avx avx2 sha_ni bmi1 bmi2 adx vaes vpclmulqdq avx512f avx512vl avx512ifma", "python": "fma avx2",
         "strings": "avx512vl avx512bw avx2 erms fsrm bmi2 movbe", "x87": "fpu adx bmi2", "stress": "avx2 fma", "compression": "bmi2 pclmulqdq sha_ni"}


def check_flags(part, out):
    found = re.search(r"^flags\s*: (.*?)\r?$", out, re.M)
    check(found, f"no flags of the guest's processor:\n{out[-2000:]}")
    missing = set(FLAGS[part].split()) - set(found.group(1).split())
    check(not missing, f"the guest's processor lacks {sorted(missing)}")


def fetched_base():
    from_debian = subprocess.run([SOURCE + "/tests/guest/debian/fetch.sh"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if from_debian.returncode:
        raise Skip("Debian's kernel could not be fetched: " + from_debian.stderr.strip().splitlines()[-1])
    return dict(line.split("=", 1) for line in from_debian.stdout.splitlines())


def run_guest(t, base, initrd, *options):
    return t.bulkhead(*t.machine("--kernel", base["KERNEL"], "--initrd", initrd, "--memory", "1G", "--tier",
                                 os.environ.get("TIER", "auto"), *options, "--cmdline", "console=ttyS0 quiet"), seconds=LIMIT).out


def run_part(t, part, programs=(), trees=(), cpu="max"):
    base = fetched_base()
    need("sh", *programs)
    folder = native_folder(t)
    if part == "openssl":
        make_keys(folder)
    p = subprocess.run(["/bin/sh", folder + "/run.sh", folder, part, str(LONG)], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL, timeout=LIMIT * SLOW)
    native = [line.replace(folder, "/software") for line in p.stdout.splitlines()]
    check(p.returncode == 0 and len(native) >= 10, f"on the host: status {p.returncode}\n{p.stdout[-2000:]}")
    bad = [line for line in native if re.search("FAILED|WRONG", line)]
    check(not bad, "on the host:\n" + "\n".join(bad))
    initrd = make_initrd(t, base, folder, part, programs, trees)
    out = run_guest(t, base, initrd, "--cpu", cpu)
    guest = lines_between(out)
    check_flags(part, out)
    compare(native, guest)
    print(f"{part}: {len(native)} lines, the same on the host and in the guest")


PYTHON = os.path.basename(os.path.realpath("/usr/bin/python3"))  # python3.11
PYTHON_LIBRARY = ("/usr/lib/" + PYTHON, ("test", "config-", "dist-packages", "idlelib", "lib2to3", "tkinter", "ensurepip",
                                      "distutils", "pydoc_data", "turtledemo"))


@test(limit=LIMIT)
def x87(t):
    """x87 instructions, transcendental ones too, bit for bit; libgmp."""
    run_part(t, "x87")


@test(limit=LIMIT)
def strings(t):
    """Memory and string functions of the C library, with its implementations chosen in turn."""
    run_part(t, "strings")


@test(limit=LIMIT)
def openssl(t):
    """Digests, ciphers and keys through each accelerated path."""
    run_part(t, "openssl", ["openssl"], [("/usr/lib/x86_64-linux-gnu/ossl-modules", ()), ("/usr/lib/ssl", ())])


@test(limit=LIMIT)
def compression(t):
    """gzip, xz, zstd: packed files are the same to the bit, and unpack to what they were; checksums, sort, awk."""
    run_part(t, "compression", ["openssl", "gzip", "xz", "zstd"])


@test(limit=LIMIT)
def python(t):
    """Python's floats through libm, long integers, text and numbers, hashes."""
    library = PYTHON_LIBRARY if LONG == 1 else (PYTHON_LIBRARY[0], PYTHON_LIBRARY[1][1:])
    run_part(t, "python", ["python3"], [library])


@test(limit=LIMIT)
def stress(t):
    """stress-ng with --verify: each method of its CPU stressor, and those of vectors, memory and strings."""
    run_part(t, "stress", ["stress-ng"])


@test(limit=LIMIT)
def several(t):
    """Four processors on two of the host's: stress-ng --verify, of what they do to each other."""
    base = fetched_base()
    need("stress-ng")
    initrd = make_initrd(t, base, native_folder(t), "several", ["stress-ng", "nproc", "cut"], ())
    out = run_guest(t, base, initrd, "--cpus", "4")
    lines = [line for line in lines_between(out) if line]
    check(lines[0] == "# 4 processors" and len(lines) > 10, lines)
    bad = [line for line in lines[1:] if "status 0, 0 failures" not in line]
    check(not bad, f"{bad}\n{out[-2000:]}")
    print(f"{len(lines) - 1} stressors: {lines}")


if __name__ == "__main__":
    main()
