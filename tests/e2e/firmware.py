# SPDX-License-Identifier: MIT
"""
A PC's firmware in the machine: SeaBIOS starts boot sectors and GRUB from virtio disks, whatever is killed meanwhile. Debian's
packages seabios and grub-pc-bin.
"""
import os
import shutil
import signal
import struct
import subprocess
import time

import pictures
from bh import BUILD, Skip, check, debian, kvm_missing, main, test, wait_until

SEABIOS = "/usr/share/seabios/bios-256k.bin"
GRUB = "/usr/lib/grub/i386-pc"
VARIABLES = "/usr/share/OVMF/OVMF_VARS_4M.fd"
SECTOR = 512
PARTITION = 2048  # its first sector
TWICE = 3  # the code with which the boot sector ends the machine the second time


def need(path, package):
    if not os.path.exists(path):
        raise Skip(f"{path} is missing: package {package}")


def sectors(t, name, text="sector five says hello\r\n"):
    """A disk whose first sector is a program."""
    path = f"{t.dir}/{name}.img"
    with open(f"{BUILD}/tests/guest/sector.bin", "rb") as f:
        first = bytearray(f.read())
    first[first.index(b"?\r\n")] = ord(name[0])
    with open(path, "wb") as f:
        f.write(first)
        f.seek(5 * SECTOR)
        f.write(text.encode() + b"\0")
        f.truncate(1 << 20)
    return path


def machine(t, *options, memory="64M"):
    need(SEABIOS, "seabios")
    return t.command(*t.machine("--memory", memory, *options))


def boots_twice(vm, name="a"):
    vm.expect(r"SeaBIOS \(version", 60)
    for _ in range(2):
        vm.expect(f"boot sector of disk {name}", 60)
        vm.expect("sector five says hello", 30)
    vm.expect("second time", 30)
    check(vm.wait(60) == TWICE, vm.talk.text[-1500:])


@test
def boot_sector(t):
    """INT 10h comes out of the serial port, INT 13h reads and writes the disk, a reset starts firmware again."""
    path = sectors(t, "a")
    boots_twice(t.start(*machine(t, "--disk", path)))
    with open(path, "rb") as f:
        f.seek(6 * SECTOR - 1)
        check(f.read(1) == b"\1", "what the BIOS wrote is in the image")
    t.expect_clean()


@test
def boot_order(t):
    """Not the first disk, but the one that is named; the others follow in their order."""
    first, second = sectors(t, "a"), sectors(t, "b")
    empty = t.dir + "/empty.img"
    with open(empty, "wb") as f:
        f.truncate(1 << 20)
    boots_twice(t.start(*machine(t, "--disk", empty, "--disk", first, "--disk", second, "--boot-order", "2,0")), "b")
    boots_twice(t.start(*machine(t, "--disk", empty, "--disk", first, "--firmware", SEABIOS, "--boot-order", "1")))


@test
def killed(t):
    """firmwared, the disk's two halves and the clocks die all the time while firmware asks and sets up: it does not notice."""
    vm = t.start(*machine(t, "--disk", sectors(t, "a"), "--device-failure-limit", "0"))
    kills, end = 0, time.monotonic() + 50
    while "second time" not in vm.talk.text and time.monotonic() < end:
        for name in ("firmwared", "virtiod0", "blkd0", "timerd"):
            pid = t.processes().get(name)
            if pid and not vm.talk.ended:
                try:
                    os.kill(pid, signal.SIGKILL)
                    kills += name == "firmwared"
                except ProcessLookupError:
                    pass
            vm.talk.pump(0.01)
    check(vm.wait(60) == TWICE, vm.talk.text[-1500:])
    check(kills > 3 and vm.talk.text.count("sector five says hello") == 2, f"{kills} kills: {vm.talk.text}")
    t.expect_clean()


@test
def kvm(t):
    """The same on KVM: firmware's image is memory there."""
    missing = kvm_missing()
    if missing:
        raise Skip(missing)
    t.engine = "kvm"
    boots_twice(t.start(*machine(t, "--disk", sectors(t, "a"))))


def grub_disk(t, config, modules, files=()):
    """A partition with GRUB, its configuration and files; nothing is mounted for it."""
    need(GRUB + "/boot.img", "grub-pc-bin")
    root, path, core = t.dir + "/root", t.dir + "/grub.img", t.dir + "/core.img"
    os.makedirs(root + "/boot/grub")
    for name, file in files:
        shutil.copy(file, f"{root}/boot/{name}")
    with open(root + "/boot/grub/grub.cfg", "w", encoding="ascii") as f:
        f.write(config)
    subprocess.run(["grub-mkimage", "-O", "i386-pc", "-o", core, "-p", "(hd0,msdos1)/boot/grub", "biosdisk", "part_msdos", "ext2",
                    "normal", "serial", "echo", "terminal", *modules], check=True)
    blocks = 40 << 10 if files else 2 << 10
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext2", "-d", root, "-E", f"offset={PARTITION * SECTOR}", path, f"{blocks}k"],
                   check=True, stderr=subprocess.DEVNULL)
    with open(GRUB + "/boot.img", "rb") as f, open(core, "rb") as g, open(path, "r+b") as disk:
        table = struct.pack("<B3sB3sII", 0x80, b"\xfe\xff\xff", 0x83, b"\xfe\xff\xff", PARTITION, blocks * 2)
        disk.write(f.read()[:440] + bytes(6) + table + bytes(48) + b"\x55\xaa" + g.read())
        disk.truncate(PARTITION * SECTOR + (blocks << 10))
    return path


@test(limit=280)
def grub(t):
    """SeaBIOS, GRUB, Debian's kernel: what it finds of ACPI and PCI is what the firmware has placed; then it powers off."""
    kernel, initrd = debian(t.dir)
    path = grub_disk(t, "serial --unit=0 --speed=115200\nterminal_output serial\necho GRUB says hello\n"
                        "linux /boot/vmlinuz console=ttyS0\ninitrd /boot/initrd\nboot\n", ("linux",),
                     (("vmlinuz", kernel), ("initrd", initrd)))
    vm = t.start(*machine(t, "--disk", path, "--cpus", "2", "--test-device", memory="3G"))
    vm.expect("GRUB says hello", 120)
    vm.expect("userspace is up", 240)
    vm.send("nproc; dmesg | grep -e PCI -e pci -e ACPI; ls /sys/block; guest-exit 5\r")
    text = vm.expect(r"(?s)\r\n2\r*\n.*\nvda", 60).group(0)
    check("MMCONFIG at [mem 0xe0000000" in text and "8086:29c0" in text, text)
    check("1af4:1042" in text and "ACPI Error" not in text and "BIOS Error" not in text, text)
    check(vm.wait(60) == 5, vm.talk.text[-1500:])


def shell_of(t, *options):
    """UEFI's shell in a machine of that name: with nothing to start it comes to it."""
    need("/usr/share/OVMF/OVMF_CODE_4M.fd", "ovmf")
    vm = t.start(*t.command(*t.machine("--memory", "128M", "--firmware", "ovmf", "--no-reboot", *options)))
    vm.expect("UEFI Interactive Shell", 150)
    vm.expect("startup.nsh", 30)
    vm.send("\x1b")
    vm.expect("Shell> ", 60)
    return vm


def reset(vm):
    vm.send("reset\r")
    check(vm.wait(60) == 32, vm.talk.text[-1500:])


GUID = "5f1c9a40-2c0a-4b56-9a3e-6d1f0c7b8e21"  # nobody's


@test(limit=280)
def ovmf(t):
    """UEFI comes to its shell on the serial port, and is asked what it found; a variable is there when the machine is started again,
    and was not lost though firmwared was killed all the time."""
    t.env["BULKHEAD_STATE_DIR"] = t.dir + "/state"
    vm = shell_of(t, "--cpus", "2", "--device-failure-limit", "0")
    vm.send("pci\r")
    vm.expect("(?s)8086.*29C0.*8086.*2918", 60)
    vm.expect("Shell> ", 30)
    kills = 0
    for n in range(6):
        vm.send(f'setvar Kept{n} -guid {GUID} -nv -bs =0xb0a7100{n}\r')
        for _ in range(4):
            pid = t.processes().get("firmwared")
            if pid:
                os.kill(pid, signal.SIGKILL)
                kills += 1
            vm.talk.pump(0.02)
        vm.expect("Shell> ", 60)
    reset(vm)
    t.expect_clean()
    check(kills > 5 and os.path.getsize(t.dir + "/state/" + t.name + ".fd") == os.path.getsize(VARIABLES), f"{kills} kills")
    vm = shell_of(t)
    for n in range(6):
        vm.send(f"setvar Kept{n} -guid {GUID}\r")
        vm.expect(f"0{n} 10 A7 B0", 30)
        vm.expect("Shell> ", 30)
    reset(vm)


@test
def variables(t):
    """Whose file of variables it is, and what is wrong with one; without a name they end with the machine."""
    need("/usr/share/OVMF/OVMF_CODE_4M.fd", "ovmf")
    t.env["BULKHEAD_STATE_DIR"] = state = t.dir + "/state"
    run = ("--memory", "64M", "--firmware", "ovmf")
    own = f"{state}/{t.name}.fd"
    t.bulkhead(*t.machine(*run, "--detach")).expect(0)
    check(oct(os.stat(own).st_mode)[-3:] == "600", own)
    t.bulkhead(*t.machine(*run, "--firmware-vars", own, name=t.name + "b")).expect(2, err=f"--firmware-vars {own}: another machine uses it")
    t.bulkhead("kill", t.name).expect(0)
    os.mkdir(t.dir + "/folder")
    with open(VARIABLES, "rb") as f:
        good = f.read()
    for name, content in (("short", good[:8192]), ("damaged", good[:40] + b"?" + good[41:]), ("sum", good[:50] + b"?" + good[51:]), ("odd", good + b"x")):
        with open(f"{t.dir}/{name}", "wb") as f:
            f.write(content)
    for file, words in (("short", "another size"), ("odd", "another size"), ("damaged", "does not hold.*remove it"), ("sum", "damaged"),
                        ("folder", "[Ii]s a directory|not a regular"), ("none/x", "No such file.*or none")):
        t.bulkhead(*t.machine(*run, "--firmware-vars", f"{t.dir}/{file}")).expect(2, err=f"--firmware-vars {t.dir}/{file}: .*{words}")
    t.bulkhead("run", "--memory", "64M", "--firmware", "seabios", "--firmware-vars", t.dir + "/none").expect(2, err="--firmware-vars .*none: No such file")
    t.bulkhead("run", "--kernel", own, "--firmware-vars", own).expect(2, err="--firmware-vars: it is for --firmware")
    before = sorted(os.listdir(state))
    r = t.bulkhead("run", "--engine", "emu", *run, "--detach").expect(0)
    t.bulkhead("kill", r.out.split()[0]).expect(0)
    t.bulkhead(*t.machine(*run, "--firmware-vars", "none", "--detach", name=t.name + "c")).expect(0)
    t.bulkhead("kill", t.name + "c").expect(0)
    check(sorted(os.listdir(state)) == before, "nameless, or without variables: no file")


def partitioned(t, name, *types, code=b""):
    """A disk with partitions of these types, and something in its first sector."""
    path = f"{t.dir}/{name}.img"
    with open(path, "wb") as f:
        f.truncate(8 << 20)
    words = "label: gpt\n" + "".join(f"size=1MiB, type={kind}\n" for kind in types)
    if not shutil.which("sfdisk"):
        raise Skip("no sfdisk (package fdisk)")
    subprocess.run(["sfdisk", "--quiet", path], input=words, text=True, check=True)
    with open(path, "r+b") as f:
        f.write(code)
    return path


@test
def chosen(t):
    """The first disk says which firmware it is, and status says why."""
    need("/usr/share/OVMF/OVMF_CODE_4M.fd", "ovmf")
    t.env["BULKHEAD_STATE_DIR"] = t.dir
    esp, bios, linux = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "21686148-6449-6E6F-744E-656564454649", "L"
    for n, (path, firmware, why) in enumerate(((partitioned(t, "esp", esp, linux), "ovmf", "has an EFI system partition, and nothing for a BIOS"),
                                               (partitioned(t, "both", bios, esp), "seabios", "from BIOS and UEFI"),
                                               (partitioned(t, "none", linux), "seabios", "no EFI system partition"),
                                               (sectors(t, "a"), "seabios", "no EFI"))):
        t.bulkhead(*machine(t, "--disk", path, "--detach")[1:]).expect(0)
        t.bulkhead("status", t.name).expect(0, rf"kernel +{firmware} \(its first disk .*{why}")
        t.bulkhead("kill", t.name).expect(0)


MENU = """
serial --unit=0 --speed=115200
terminal_output console
terminal_input console
set timeout=-1
menuentry "a first entry" { terminal_output serial; echo wrong; reboot; }
menuentry "a second entry" { terminal_output serial; echo the second was chosen; reboot; }
"""


def menu(t, *options):
    vm = t.start(*machine(t, "--disk", grub_disk(t, MENU, ("reboot",)), "--display", "vga", "--ps2", "--no-reboot", *options))
    vm.expect(r"SeaBIOS \(version", 60)  # on the serial port as well
    return vm


def choose_second(t, vm):
    """It is the one that is chosen."""
    t.bulkhead("input", t.name, "key", "enter").expect(0)
    vm.expect("the second was chosen", 60)
    check(vm.wait(60) == 32 and "wrong" not in vm.talk.text, vm.talk.text[-1500:])


@test
def screen_menu(t):
    """SeaBIOS' screen and GRUB's on a VGA, by the VGA BIOS that is the function's expansion ROM; the keyboard chooses from the menu."""
    vm = menu(t)
    t.bulkhead("screen", t.name, "--expect", r"SeaBIOS \(version", "--timeout", "60s").expect(0)
    t.bulkhead("screen", t.name, "--expect", "a second entry", "--timeout", "60s").expect(0)
    t.bulkhead("screen", t.name).expect(0, r"(?s)GNU GRUB.*\*a first entry.* a second entry")
    t.bulkhead("input", t.name, "key", "down").expect(0)
    t.bulkhead("screen", t.name, "--expect", r"\*a second entry", "--timeout", "60s").expect(0)
    choose_second(t, vm)
    t.expect_clean()


@test
def screen_kvm(t):
    """The same on KVM, where real mode may be slow: what SeaBIOS and a boot sector print."""
    missing = kvm_missing()
    if missing:
        raise Skip(missing)
    t.engine = "kvm"
    vm = t.start(*machine(t, "--disk", sectors(t, "a"), "--display", "vga", "--no-reboot"))
    vm.expect(r"SeaBIOS \(version", 60)
    t.bulkhead("screen", t.name, "--expect", "SeaBIOS", "--timeout", "30s").expect(0, r"SeaBIOS \(version")
    check(vm.wait(60) == 32, vm.talk.text[-1500:])


@test
def screen_killed(t):
    """vgad and inputd die all the time meanwhile."""
    vm = menu(t, "--device-failure-limit", "0")
    end = time.monotonic() + 60
    while time.monotonic() < end and t.bulkhead("screen", t.name, "--expect", "a second entry", "--timeout", "300ms").code:
        kill_once(t, "vgad", "inputd")
    t.bulkhead("input", t.name, "key", "down").expect(0)
    kill_once(t, "vgad", "inputd")
    choose_second(t, vm)


def kill_once(t, *names):
    for name in names:
        pid = t.processes().get(name)
        if pid:
            os.kill(pid, signal.SIGKILL)


@test(limit=200)
def screen_ovmf(t):
    """UEFI's driver of Bochs' display finds the function and its framebuffer: what the shell writes is seen, and what is typed."""
    need("/usr/share/OVMF/OVMF_CODE_4M.fd", "ovmf")
    vm = t.start(*t.command(*t.machine("--memory", "128M", "--firmware", "ovmf", "--display", "vga", "--no-reboot")))
    vm.expect("UEFI Interactive Shell", 150)
    vm.expect("startup.nsh", 30)
    vm.send("\x1b")
    vm.expect("Shell> ", 60)
    wait_until(lambda: yellow(t) > 300, "its prompt and the name of a file, in yellow")
    before = yellow(t)
    vm.send("cls\r")
    wait_until(lambda: 0 < yellow(t) < before, "one prompt, and no startup.nsh any more")
    vm.send("pci 00 1e 00\r")
    vm.expect("34 12 11 11 07", 60)
    vm.expect("08 00 00 C0", 60)  # where processors see it as memory, too: firmware_screen_base()
    vm.send("reset\r")
    check(vm.wait(60) == 32, vm.talk.text[-1500:])
    t.expect_clean()


def yellow(t):
    """Dots of EFI_YELLOW (UEFI 2.10, 12.4.3: SetAttribute) in a picture of the size that OVMF chooses."""
    path = t.dir + "/ovmf.png"
    t.bulkhead("screenshot", t.name, path).expect(0)
    width, height, rows = pictures.sized(path)
    check((width, height) == (1280, 800), (width, height))
    return sum(pictures.pixel(row, x) == 0xffff00 for row in rows for x in range(width))


@test
def shown(t):
    """What shows options and machines knows of it; its answers can be looked at when it has died."""
    need(SEABIOS, "seabios")
    t.bulkhead(*t.machine("--memory", "64M", "--firmware", "seabios", "--detach")).expect(0)
    t.bulkhead("status", t.name).expect(0, "kernel +seabios")
    t.bulkhead("show", t.name, "--config").expect(0, 'firmware = "seabios"')
    t.bulkhead("security", t.name).expect(0, "firmwared")
    file = t.dir + "/firmwared.bhd"
    with open(file, "wb") as out:
        subprocess.run(t.command("device", "capture", t.name, "firmwared"), env=t.env, stdout=out, check=True, timeout=40)
    t.call([BUILD + "/devices/bulkhead-firmwared", "--replay", file]).expect(0)
    t.bulkhead("device", "replace", t.name, "firmwared").expect(0)
    t.bulkhead("kill", t.name).expect(0)


@test
def errors(t):
    """Each names the option, the file and what to do."""
    disk = sectors(t, "a")
    for size, name in ((0, "empty"), (4096, "short"), (300001, "odd"), (32 << 20, "long")):
        with open(f"{t.dir}/{name}", "wb") as f:
            f.truncate(size)
    for options, words in ((("--firmware", t.dir + "/none"), "--firmware .*none: No such file.*seabios"),
                           (("--firmware", t.dir + "/empty"), "too short.*64K"), (("--firmware", t.dir + "/short"), "too short"),
                           (("--firmware", t.dir + "/odd"), "odd: .*multiple of 4096"), (("--firmware", t.dir + "/long"), "at most 16M"),
                           (("--firmware", t.dir), "not a regular file"),
                           (("--firmware", disk, "--kernel", disk), "--firmware: .*leave out --kernel"),
                           (("--firmware", disk, "--cmdline", "x"), "--firmware: .*--cmdline"),
                           (("--firmware", disk, "--platform", "frame"), "(firmware|platform)"),
                           (("--firmware", disk, "--memory", "16M"), "--memory 32M"),
                           (("--firmware", disk, "--display", "lfb"), "--firmware: .*--display vga"),
                           (("--disk", disk, "--boot-order", "1"), "--boot-order 1: .*first --disk is 0"),
                           (("--disk", disk, "--boot-order", "0,0"), "--boot-order 0,0"),
                           (("--disk", disk, "--boot-order", "x"), "--boot-order x"),
                           (("--kernel", disk, "--boot-order", "0"), "--boot-order: it is for --firmware")):
        t.bulkhead("run", "--engine", "emu", *options).expect(2, err=words)


if __name__ == "__main__":
    main()
