# SPDX-License-Identifier: MIT
"""
A whole Debian: the disk that `bulkhead image` makes starts from firmware, is told who it is by a seed, uses the package registry
through --net user, starts again, powers off and leaves a clean file system. Making the disk takes a minute and the registry: the
tests of `make check` use the one in the cache, which tests/guest/debian/disk.sh makes (make soak).
"""
import os
import re
import shutil
import socket
import subprocess

from bh import BUILD, DEBIAN, Failure, Skip, check, main, test

LOGIN = 200
SECTOR = 512


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def disk(t, make=False):
    """A copy of the cached disk of one test's own."""
    p = subprocess.run([DEBIAN + "/disk.sh", BUILD] + ([] if make else ["--cached"]), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       text=True, timeout=900)
    if p.returncode:
        raise Skip((p.stderr.strip().splitlines() or ["no disk"])[-1])
    path = t.dir + "/debian.img"
    subprocess.run(["cp", "--sparse=always", "--reflink=auto", p.stdout.strip(), path], check=True)
    return path


def seed(t, script):
    """A seed with a name, a key and a script."""
    if not shutil.which("mformat"):
        raise Skip("no mformat (package mtools)")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", t.dir + "/key"], check=True)
    with open(t.dir + "/script", "w", encoding="ascii") as f:
        f.write(script)
    t.bulkhead("seed", t.dir + "/seed.img", "--hostname", "seeded", "--key", t.dir + "/key.pub", "--user-data", t.dir + "/script").expect(0)
    return t.dir + "/seed.img,ro"


def login(vm, name="bulkhead", seconds=LOGIN):
    vm.expect(f"{name} login: ", seconds)
    vm.send("root\r")
    vm.expect("root@.*# ", 60)
    vm.send("bind 'set enable-bracketed-paste off'; export SYSTEMD_PAGER= SYSTEMD_COLORS=0\r")
    vm.expect("COLORS=0\r\n(?s:.*)# ", 30)


def shell(vm, command, seconds=60):
    """What a command prints; that it ends well is part of it."""
    vm.send(f"({command}) </dev/null; echo en''ded $?\r")
    text, code = vm.expect(r"(?s)\r\n(.*)ended (\d+)\r\n", seconds).groups()
    if code != "0":
        raise Failure(f"{command}: code {code}: {text}")
    return text


def expect_clean_root(t, path):
    """The file system of the third partition, as e2fsck finds it."""
    out = subprocess.run(["sfdisk", "--dump", path], check=True, capture_output=True, text=True).stdout
    start, size = map(int, re.search(r"3 : start= *(\d+), size= *(\d+)", out).groups())
    part = t.dir + "/root.img"
    subprocess.run(["dd", f"if={path}", f"of={part}", "bs=1M", f"skip={start * SECTOR >> 20}", f"count={size * SECTOR >> 20}",
                    "conv=sparse", "status=none"], check=True)
    state = subprocess.run(["dumpe2fs", "-h", part], check=True, capture_output=True, text=True).stdout
    check(re.search(r"Filesystem state: +clean\n", state) and "needs_recovery" not in state, state)
    t.call(["e2fsck", "-f", "-n", part], seconds=120).expect(0)


def poweroff(t, vm, path):
    vm.send("poweroff\r")
    check(vm.wait(120) == 0, vm.talk.text[-1500:])
    expect_clean_root(t, path)
    t.expect_clean()


@test(limit=280)
def bios(t):
    """SeaBIOS and GRUB: a login on the console, no unit has failed, power off."""
    path = disk(t)
    vm = t.start(*t.command(*t.machine("--memory", "1G", "--disk", path)))
    login(vm)
    check("running" in shell(vm, "systemctl is-system-running --wait || systemctl --failed", 100), vm.talk.text[-3000:])
    poweroff(t, vm, path)


@test
def errors(t):
    """Each names the file or option and what to do; nothing is left of what was not made."""
    there = t.dir + "/there.img"
    with open(there, "w", encoding="ascii"):
        pass
    nobody = os.geteuid() != 0
    for command, options, words in (("image", (there, "--size", "2X"), "--size 2X"), ("image", (), "name of a file"),
                                    ("image", (there, "--size", "100M"), "run it as root" if nobody else "at least 1G"),
                                    ("image", (there,), "run it as root" if nobody else "--force"),
                                    ("seed", (there,), "there already: --force"), ("seed", (t.dir, "--force"), "not a regular file"),
                                    ("seed", (t.dir + "/none/seed",), "none/seed.*cannot be written"),
                                    ("seed", (t.dir + "/s", "--key", t.dir + "/none"), "--key .*none: it cannot be read"),
                                    ("seed", (t.dir + "/s", "--key", "/etc/passwd"), "--key /etc/passwd: no public key.*ssh-keygen"),
                                    ("seed", (t.dir + "/s", "--hostname", "a b"), "--hostname a b: letters"),
                                    ("seed", (t.dir + "/s", "--user-data", t.dir + "/none"), "--user-data .*cannot be read")):
        t.bulkhead(command, *options).expect(2, err=words)
    check(sorted(os.listdir(t.dir)) == ["there.img"], os.listdir(t.dir))


@test(limit=900)
def long_whole(t):
    """The seed's words, packages from the registry, ssh through a forwarded port, a reboot, and a clean file system at the end."""
    path, port = disk(t, make=True), free_port()
    vm = t.start(*t.command(*t.machine("--memory", "1G", "--cpus", "2", "--disk", path, "--disk", seed(t, "#!/bin/sh\necho told >/root/told\n"),
                                       "--net", f"user,forward=tcp:127.0.0.1:{port}:22", "--rng")))
    login(vm, "seeded")
    check("running" in shell(vm, "systemctl is-system-running --wait || systemctl --failed", 100), vm.talk.text[-3000:])
    check("told" in shell(vm, "cat /root/told"), "the script of the seed has run")
    shell(vm, "apt-get -qq update && apt-get -qq -y install hello && hello", 300)
    out = subprocess.run(["ssh", "-i", t.dir + "/key", "-p", str(port), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                          "root@127.0.0.1", "hostname"], capture_output=True, text=True, timeout=100)
    check(out.stdout == "seeded\n", out.stdout + out.stderr)
    vm.send("reboot\r")
    login(vm, "seeded")
    check("running" in shell(vm, "systemctl is-system-running --wait || systemctl --failed", 100), vm.talk.text[-3000:])
    shell(vm, "hello && rm /root/told && ! test -e /var/lib/bulkhead/user-data", 60)
    poweroff(t, vm, path)


@test(limit=600)
def long_uefi(t):
    """OVMF: what efibootmgr sets is there after power-off, and GRUB is started from what it names."""
    if not os.path.exists("/usr/share/OVMF/OVMF_VARS_4M.fd"):
        raise Skip("no ovmf")
    t.env["BULKHEAD_STATE_DIR"] = t.dir + "/state"
    path = disk(t, make=True)
    vm = t.start(*t.command(*t.machine("--memory", "1G", "--firmware", "ovmf", "--disk", path)))
    login(vm)
    check("running" in shell(vm, "systemctl is-system-running --wait || systemctl --failed", 100), vm.talk.text[-3000:])
    shell(vm, "efibootmgr -c -d /dev/vda -p 2 -L Kept -l /EFI/BOOT/BOOTX64.EFI")
    poweroff(t, vm, path)
    vm = t.start(*t.command(*t.machine("--memory", "1G", "--firmware", "ovmf", "--disk", path)))
    vm.expect('BdsDxe: starting Boot0003 "Kept"', 100)
    login(vm)
    out = shell(vm, "efibootmgr")
    check("BootCurrent: 0003" in out and "BootOrder: 0003," in out, out)
    poweroff(t, vm, path)


if __name__ == "__main__":
    main()
