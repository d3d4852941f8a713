# SPDX-License-Identifier: MIT
"""Kernels that others built, untouched: 32-bit Linux by each of its ways in, and memtest86+."""
import gzip
import os
import struct

from bh import BUILD, check, debian, debian32, fetched, main, test

LIMIT = 280  # a boot takes seconds; this is for slow and busy machines
BOOT = 240
PROMPT = "bulkhead# "
LINUX = "console=ttyS0 quiet cryptomgr.notests noisapnp"  # self-tests of ciphers are half of the boot
MEMTEST = "console=ttyS0 nosmp nobench nosm nopause"


def run32(t, kernel, command, memory="256M"):
    return t.machine("--kernel", kernel, "--initrd", debian32(t.dir), "--memory", memory, "--cmdline",
                     f'{LINUX} bulkhead.run="{command}"')


@test(limit=LIMIT)
def pae_shell(t):
    """Debian's 686-pae kernel, unpacked by the loader, to a shell."""
    vm = t.start(*t.command(*t.machine("--kernel", fetched("fetch_others.sh")["KERNEL_686_PAE"], "--initrd",
                                       debian32(t.dir), "--memory", "256M", "--cmdline", LINUX)), on_terminal=True)
    vm.expect("userspace is up: Linux .*686-pae", BOOT)
    vm.expect(PROMPT, 60)
    vm.send("echo $(uname -m) with $(grep -c ' nx ' /proc/cpuinfo) NX\n")
    vm.expect(r"\ni686 with 1 NX", 60)  # paging with PAE is in use
    vm.send("guest-exit 3\n")
    check(vm.wait(60) == 3, f"exit code {vm.code}: {vm.talk.text[-1500:]}")
    t.expect_clean()


def without_payload(kernel, copy):
    """The image without its word about what is packed in it: then only its own code can unpack it."""
    with open(kernel, "rb") as f:
        image = bytearray(f.read())
    struct.pack_into("<I", image, 0x248, 0)  # payload_offset
    with open(copy, "wb") as f:
        f.write(image)
    return copy


@test(limit=LIMIT)
def i686_unpacks_itself(t):
    """Debian's 686 kernel (two-level paging) by the 32-bit boot protocol: its own code unpacks and relocates it."""
    kernel = without_payload(fetched("fetch_others.sh")["KERNEL_686"], t.dir + "/vmlinuz")
    r = t.bulkhead(*run32(t, kernel, "uname -rm; exit 5"), seconds=BOOT)
    r.expect(5, out=r"(?m)^\S+-686 i686\r?$")


def memtest(t, image, first, last, memory="8M", seconds=BOOT):
    """A pass of the tests first to last, chosen in memtest86+'s own menus; Esc ends it with a reset."""
    vm = t.start(*t.command(*t.machine("--kernel", image, "--memory", memory, "--no-reboot", "--cmdline", MEMTEST)))
    choose(vm, first, last)
    one_pass(vm, seconds)
    vm.send("\x1b")
    check(vm.wait(60) == 32, f"exit code {vm.code}: {vm.talk.text[-1500:]}")


def choose(vm, first, last):
    vm.expect("Status: Testing", BOOT)
    for menu, key in (("", "1"), ("Exit menu", "1"), ("Clear selection", "1"), ("", "4")):
        vm.expect(menu)
        vm.send(key)
    for question, number in (("Enter first test", first), ("Enter last test", last)):
        vm.expect(question)
        vm.send(f"{number}\r")
    vm.send("00")


def one_pass(vm, seconds):
    vm.expect(r"Pass: +[1-9]\d* +Errors: 0 ", seconds)  # the screen is sent every other second


@test(limit=LIMIT)
def memtest_x64(t):
    """memtest86+ is its own kernel: no payload, not relocatable, a 64-bit entry."""
    memtest(t, fetched("fetch_others.sh")["MEMTEST_X64"], 0, 5)


@test(limit=LIMIT)
def memtest_ia32(t):
    """The same with a 32-bit entry only."""
    memtest(t, fetched("fetch_others.sh")["MEMTEST_IA32"], 0, 3)


def archive(files):
    """A cpio archive (newc) of {path: bytes}, to be appended to an initial RAM disk."""
    out = b""
    for number, (path, data) in enumerate([*files.items(), ("TRAILER!!!", b"")]):
        name = path.encode() + b"\0"
        fields = [number, 0o100755, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0]
        out += b"070701" + b"".join(b"%08x" % f for f in fields) + name
        out += b"\0" * (-len(out) % 4) + data
        out += b"\0" * (-len(out) % 4)
    return out


def kexec(t, image, initrd, words):
    """Debian's 64-bit kernel, which leaves for `image` at once."""
    kernel, ramdisk = debian(t.dir)
    files = {"bin/kexec32": BUILD + "/tests/guest/kexec32", "image": image, **({"disk": initrd} if initrd else {})}
    with open(ramdisk, "ab") as out:
        out.write(b"\0" * (-os.path.getsize(ramdisk) % 4))
        out.write(archive({name: open(path, "rb").read() for name, path in files.items()}))
    command = f"kexec32 /image {'/disk' if initrd else '-'} {words}"
    return t.start(*t.command(*t.machine("--kernel", kernel, "--initrd", ramdisk, "--memory", "128M", "--no-reboot",
                                         "--cmdline", f'console=ttyS0 quiet bulkhead.run="{command}"')))


@test(limit=LIMIT)
def kexec_to_32_bits(t):
    """From a 64-bit Linux out of long mode into a 32-bit program."""
    vm = kexec(t, fetched("fetch_others.sh")["MEMTEST_IA32"], None, MEMTEST)
    choose(vm, 0, 0)
    one_pass(vm, BOOT)
    vm.send("\x1b")
    check(vm.wait(60) == 32, f"exit code {vm.code}: {vm.talk.text[-1500:]}")


# ---- at length: make soak ----

@test(limit=1200)
def long_kexec_to_linux(t):
    """The same into a 32-bit Linux, which unpacks itself."""
    vm = kexec(t, fetched("fetch_others.sh")["KERNEL_686_PAE"], debian32(t.dir),
               f"{LINUX} bulkhead.run=uname")
    vm.expect("userspace is up: Linux .*686-pae", 900)
    check(vm.wait(60) == 0, f"exit code {vm.code}")


@test(limit=1200)
def long_xen(t):
    """Debian's Xen by Multiboot, with Debian's kernel as its first guest in a module, and that one's RAM disk in the next."""
    kernel, initrd = debian(t.dir)
    with gzip.open(fetched("fetch_others.sh")["XEN"]) as packed, open(t.dir + "/xen", "wb") as image:
        image.write(packed.read())
    # The cloud kernel has no console of Xen's but the early one, which takes what the kernel logs.
    command = "uname -rm >/dev/kmsg; sleep 1; exit 7"
    r = t.bulkhead(*t.machine("--kernel", t.dir + "/xen", "--format", "multiboot", "--memory", "640M", "--no-reboot", "--initrd",
                              f'{kernel}:earlyprintk=xen,keep bulkhead.run="{command}"', "--initrd", initrd, "--cmdline",
                              "console=com1 com1=115200,8n1 dom0_mem=400M"), seconds=1100)
    r.expect(7, out=r"(?s)\(XEN\) .*Hypervisor detected: Xen PV.*-cloud-amd64 x86_64")


@test(limit=600)
def long_installer(t):
    """Debian's installer asks for a language on the serial port, and takes a key."""
    paths = fetched("fetch_installer.sh")
    vm = t.start(*t.command(*t.machine("--kernel", paths["INSTALLER_KERNEL"], "--initrd", paths["INSTALLER_INITRD"], "--memory", "1G",
                                       "--cmdline", "console=ttyS0 quiet TERM=vt102 ---")))
    vm.expect("Select a language", BOOT)
    vm.expect("<Go Back>", 60)
    vm.send("\r")
    vm.expect("Select your location", 60)
    t.bulkhead("kill", t.name).expect(0)
    t.expect_clean()


@test(limit=7200)
def long_memtest_pass(t):
    """All that memtest86+ has, its bit fade with minutes of waiting included, over 32 MiB."""
    memtest(t, fetched("fetch_others.sh")["MEMTEST_X64"], 0, 10, memory="32M", seconds=6000)


if __name__ == "__main__":
    main()
