# SPDX-License-Identifier: MIT
"""
Debian's kernel on the translator, watched: --tier verify runs what has been translated once more by single steps and compares
the states, --tier check compares each access of translated code with the guest's page tables. Both end the processor on a
difference. The long forms do it for everything (`make soak`).
"""
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "software"))
sys.dont_write_bytecode = True
import archive  # noqa: E402
from bh import BUILD, SOURCE, check, debian, fetched, main, test, wait_until  # noqa: E402

LIMIT, LONG_LIMIT = 280, 3000
PROMPT = "bulkhead# "
# Programs, pipes, signals, page faults, a file system.
WORK = "uname -r; ls -lR /bin /proc/self | wc -l; seq 20000 | sort -r | md5sum; dd if=/dev/zero bs=64k count=99 | sha256sum; echo all done"


def boot(t, tier, seconds):
    kernel, initrd = debian(t.dir)
    r = t.bulkhead(*t.machine("--kernel", kernel, "--initrd", initrd, "--memory", "512M", "--tier", tier, "--cmdline",
                              f'console=ttyS0 quiet bulkhead.run="{WORK}"'), seconds=seconds)
    r.expect(0, out=r"(?m)^all done\r?$")


@test(limit=LIMIT)
def verified(t):
    """What begins at each address the first times, and some of the rest."""
    boot(t, "verify", LIMIT)


def counted(t, name):
    found = re.search(rf'"{name}": *(\d+)', t.bulkhead("stats", "--json", t.name).expect(0).out)
    check(found, f"stats tells nothing of {name}")
    return int(found.group(1))


def code_kib(pid):
    """What the views of generated code take of this host's memory."""
    with open(f"/proc/{pid}/smaps") as f:
        parts = re.findall(r"^(\S+ \S+ .*)\n(?:[A-Z]\w+: .*\n)*?Pss: +(\d+) kB", f.read(), re.M)
    return sum(int(pss) for head, pss in parts if "bulkhead-code" in head)


@test(limit=LIMIT)
def given_back(t):
    """A guest that has booted and waits for input has given back what its code took, and runs on."""
    kernel, initrd = debian(t.dir)
    vm = t.start(*t.command(*t.machine("--kernel", kernel, "--initrd", initrd, "--cmdline", "console=ttyS0 quiet")),
                 on_terminal=True)
    vm.expect(PROMPT, LIMIT)
    check(counted(t, "translations") > 1000 and counted(t, "instructions_translated") > 1e8, "a boot is translated")
    full = code_kib(t.processes()["vcpu"])
    wait_until(lambda: counted(t, "code_given_back"), "the code is given back", 120)
    left = code_kib(t.processes()["vcpu"])
    check(left < full / 2, f"generated code: {full} KiB, and idle {left} KiB")
    vm.send("echo $((6 * 7)) is the answer\n")
    vm.expect(r"\n42 is the answer", 60)
    vm.send("poweroff\n")
    check(vm.wait(60) == 0, f"exit code {vm.code}")


MODULES = ["dummy.ko", "loop.ko", "crc7.ko", "xor.ko"]


def changing_archive(t, kernel):
    """A second archive for the guest: what tests/guest/debian/changing.sh needs."""
    root = t.dir + "/changing"
    os.mkdir(root)
    modules = os.path.dirname(os.path.dirname(kernel)) + "/lib/modules"
    found = [f"{folder}/{name}" for folder, _, names in os.walk(modules) for name in names if name in MODULES]
    for path in [*found, SOURCE + "/tests/guest/debian/changing.sh", BUILD + "/tests/guest/filters"]:
        shutil.copy(path, root)
    names = "changing\n" + "".join(f"changing/{name}\n" for name in sorted(os.listdir(root)))
    with open(t.dir + "/changing.cpio", "wb") as out:
        subprocess.run([fetched("fetch.sh")["BUSYBOX"], "cpio", "-o", "-H", "newc"], input=names.encode(), stdout=out,
                       stderr=subprocess.DEVNULL, check=True, cwd=t.dir)
    return out.name


def change(t, tier, functions, rounds, seconds):
    kernel, initrd = debian(t.dir)
    r = t.bulkhead(*t.machine("--kernel", kernel, "--initrd", initrd, "--initrd", changing_archive(t, kernel), "--tier", tier,
                              "--cmdline", f'console=ttyS0 quiet bulkhead.run="sh /changing/changing.sh {functions} {rounds}"'), seconds=seconds)
    r.expect(0, out=r"(?m)^kernel is well\r?$")
    said = [line.strip() for line in r.out.splitlines()]
    check(f"round {rounds}" in said, f"no round {rounds}: {r.out[-2000:]}")
    wrong = [line for line in said if re.match(r"no tracer|.* traces nothing|a probe|module |filters:|filter |sums", line)]
    check(not wrong, wrong)


@test(limit=LIMIT)
def changing_code(t):
    """ftrace, probes, static keys, modules, socket filters: the kernel's code changes under load."""
    change(t, "auto", "vfs_*", 1, LIMIT)


@test(limit=LONG_LIMIT)
def long_changing_code(t):
    """The same, with each block translated at once, and verified."""
    change(t, "jit", "'*'", 3, LONG_LIMIT)
    os.rename(t.dir + "/changing", t.dir + "/changed")
    change(t, "verify", "vfs_*", 3, LONG_LIMIT)


COMPILE = "./cc1 -quiet -O2 -fpreprocessed source.i -o - | busybox md5sum"
COMPILER_INIT = """#!/usr/bin/busybox sh
busybox mount -t proc proc /proc
cd /compiler
for n in 1 2 3; do {}; done
busybox poweroff -f
"""


def compiler(t):
    """The compiler proper with something to compile: here, and in an archive for the guest."""
    here = t.dir + "/compiler"
    os.mkdir(here)
    cc1 = subprocess.run(["gcc", "-print-prog-name=cc1"], check=True, capture_output=True, text=True).stdout.strip()
    shutil.copy(cc1, here + "/cc1")
    subprocess.run(["gcc", "-E", "-I", SOURCE, SOURCE + "/emu/decode/decode.c", "-o", here + "/source.i"], check=True)
    a = archive.Archive(t.dir + "/compiler.cpio")
    a.parents("proc/x")
    for name in archive.USR_LINKS:
        a.link(name, "usr/" + name)
    a.add(fetched("fetch.sh")["BUSYBOX"], "/usr/bin/busybox")
    a.add("/lib64/ld-linux-x86-64.so.2")
    for name in ("cc1", "source.i"):
        a.add(f"{here}/{name}", "/compiler/" + name)
    a.text("init", COMPILER_INIT.format(COMPILE))
    a.close()
    return here, t.dir + "/compiler.cpio"


def compile(t, here, initrd, *options):
    """Three times in one guest: the third runs what was translated in the first."""
    said = subprocess.run(COMPILE, shell=True, check=True, capture_output=True, text=True, cwd=here).stdout.strip()
    kernel, _ = debian(t.dir)
    r = t.bulkhead(*t.machine("--kernel", kernel, "--initrd", initrd, "--memory", "1G", "--cmdline", "console=ttyS0 quiet", *options),
                   seconds=LONG_LIMIT)
    found = re.findall(r"(?m)^[0-9a-f]{32}  -\r?$", r.expect(0).out)
    check(len(found) == 3 and all(line.strip() == said for line in found), f"{found}, and here: {said}")


@test(limit=LIMIT)
def compiler_turns(t):
    """A compiler's code, whose translations are forgotten by halves all the time, compiles as it does here."""
    compile(t, *compiler(t), "--code-cache", "8M")


@test(limit=LONG_LIMIT)
def long_compiler(t):
    """Each block translated at once: with more memory for it than it takes, and with less."""
    here, initrd = compiler(t)
    for size in ("192M", "60M", "4M"):
        compile(t, here, initrd, "--tier", "jit", "--code-cache", size)


@test(limit=LONG_LIMIT)
def long_verified(t):
    """All of it."""
    boot(t, "verify-all", LONG_LIMIT)


@test(limit=LONG_LIMIT)
def long_checked(t):
    """Each access."""
    boot(t, "check", LONG_LIMIT)


if __name__ == "__main__":
    main()
