# SPDX-License-Identifier: MIT
"""Displays of a PC (--display), on the engine that --engine names."""
import glob
import os
import re
import shutil
import signal
import subprocess
import time

import pictures
from bh import BUILD, check, debian, fetched, main, test, wait_until


def start(t, image, *options):
    vm = t.start(*t.command(*t.guest(image, "--display", "vga", *options)))
    vm.expect("ready")
    return vm


def picture(t):
    """Width, height and rows of a screenshot."""
    path = t.dir + "/picture.png"
    t.bulkhead("screenshot", t.name, path).expect(0)
    return pictures.sized(path)


def ask(vm, letter):
    vm.send(letter)
    vm.expect(f"{letter} is there")


def text(t, *options, code=0):
    return t.bulkhead("screen", t.name, *options).expect(code).out


@test
def console(t):
    """What a small kernel's console writes to b8000h, with the cursor that it asks the CRT controller for."""
    vm = start(t, "vga_text")
    vm.send("l")
    check(text(t, "--expect", "line 00001 of a guest that draws its text itself$") == "line 00001 of a guest that draws its text itself\n",
          "one line, and nothing else")
    vm.send("n")
    vm.expect("line 101\n")
    lines = text(t, "--expect", "line 00101").splitlines()
    check(lines == [f"line {n:05} of a guest that draws its text itself" for n in range(78, 102)], lines)
    t.bulkhead("screen", t.name, "--expect", "never", "--timeout", "300ms").expect(36, out="line 00101", err="does not show")
    width, height, rows = picture(t)
    check((width, height) == (720, 400), (width, height))  # 80 by 25 characters of 9 by 16 dots
    cursor = [pictures.pixel(rows[24 * 16 + y], x) for y in (13, 14) for x in range(9)]
    check(cursor == [0xaaaaaa] * 18, cursor)  # lines 0Dh and 0Eh, grey: the cursor of mode 3
    vm.send("q")
    vm.expect("0 wrong")
    check(vm.wait() == 7, f"exit code {vm.code}")
    t.expect_clean()


@test
def modes(t):
    """Colours of text; mode 13h; planes, which are not shown; Bochs' framebuffer; sizes that there are not; nonsense."""
    vm = start(t, "vga_modes")
    ask(vm, "c")
    _, _, rows = picture(t)
    # The sixteen colours of a CGA, as a VGA's BIOS sets them: 42 and 63 parts of 63, and brown.
    wanted = [0, 0xaa, 0xaa00, 0xaaaa, 0xaa0000, 0xaa00aa, 0xaa5500, 0xaaaaaa]
    wanted += [0x555555, 0x5555ff, 0x55ff55, 0x55ffff, 0xff5555, 0xff55ff, 0xffff55, 0xffffff]
    check([pictures.pixel(rows[8], 9 * i) for i in range(16)] == wanted, "colours of ink")
    check(pictures.pixel(rows[16], 9 * 3) == 0xaa, "blue paper")
    ask(vm, "a")
    width, height, rows = picture(t)
    check((width, height) == (320, 200), (width, height))
    check([pictures.pixel(rows[y], x) for x, y in ((0, 0), (255, 199), (319, 100))] == [0xff, 0xff0000, 0xff], "a row of colours")
    t.bulkhead("screen", t.name).expect(1, err="shows pixels")
    ask(vm, "p")
    check("which this display does not show" in text(t), "planes")
    vm.send("b")
    vm.expect("cleared\n800x600, id b0c5, units of memory 256\nb is there")
    width, height, rows = picture(t)
    check((width, height) == (800, 600), (width, height))
    check([pictures.pixel(rows[y], x) for x, y in ((0, 0), (799, 599), (300, 40))] == [0, 799 << 8 | 599 & 255, 300 << 8 | 40], "a framebuffer")
    vm.send("m")
    vm.expect("301 moved\nffff behind it\nm is there")  # pixel 3 of row 1
    _, _, rows = picture(t)
    check([pictures.pixel(rows[0], x) for x in (0, 1, 2)] == [0xfedcba, 0x770100, 0x556600], "pixels that were drawn elsewhere")
    vm.send("x")
    vm.expect("800x600x32 at 0,0 of 800")
    ask(vm, "z")
    picture(t)
    vm.send("q")
    check(vm.wait() == 7, f"exit code {vm.code}")
    check(t.processes() == {}, "it has ended")


@test
def not_asked_for(t):
    """No display: no process, and neither picture nor text."""
    vm = t.start(*t.command(*t.guest("echo")))
    vm.expect("ready")
    check("vgad" not in t.processes(), t.processes())
    t.bulkhead("screen", t.name).expect(1, err="has no screen; one of --display lfb, --display vga")
    t.bulkhead("screenshot", t.name, t.dir + "/none.png").expect(1, err="has no screen")
    vm.send("q")
    check(vm.wait() == 0, f"exit code {vm.code}")
    for value, why in (("lfb,10x10", "64 to 4096"), ("lfb,4096x4096", "4194304 pixels"), ("lfb,800", "write none"), ("gtk", "write none"),
                       ("lfb,800x600x32", "write none")):
        t.bulkhead(*t.guest("echo", "--display", value)).expect(2, err=why)
    t.bulkhead(*t.guest("echo", "--display", "vga", "--vga", "none")).expect(2, err="leave out one of them")
    t.bulkhead(*t.machine("--platform", "frame", "--kernel", BUILD + "/tests/guest/frame_entry.elf", "--display", "lfb")).expect(
        2, err="a screen of its own")


@test
def typing(t):
    """Keys go elsewhere: that is said, and nobody waits for ever."""
    vm = start(t, "vga_text")
    t.bulkhead("input", t.name, "key", "a").expect(1, err="no keyboard and no mouse; --ps2 adds them")
    vm.send("q")
    check(vm.wait() == 7, f"exit code {vm.code}")


@test(limit=280)
def linux_framebuffer(t):
    """Debian's kernel, with nothing configured: its messages, on the console and on the screen."""
    kernel, initrd = debian(t.dir)
    vm = t.start(*t.command(*t.machine("--kernel", kernel, "--initrd", initrd, "--display", "lfb,800x600")))
    vm.expect("Command line: console=tty0 console=ttyS0 pci=off", 240)
    vm.expect(r"Console: switching to colour frame buffer device 100x37", 240)
    vm.expect("bulkhead# ", 240)
    width, height, rows = picture(t)
    check((width, height) == (800, 600), (width, height))
    lit = sum(pictures.pixel(row, x) == 0xaaaaaa for row in rows for x in range(0, 800, 3))
    check(lit > 2000, f"text: {lit} grey dots of a third")
    vm.send("echo a line on the screen >/dev/tty0; cat /proc/fb\n")
    vm.expect("0 EFI VGA")
    wait_until(lambda: picture(t)[2] != rows, "the screen follows")
    vm.send("poweroff\n")
    check(vm.wait(60) == 0, f"exit code {vm.code}")
    t.expect_clean()


@test(limit=280)
def linux_text(t):
    """The same on a VGA's text screen."""
    kernel, initrd = debian(t.dir)
    vm = t.start(*t.command(*t.machine("--kernel", kernel, "--initrd", initrd, "--display", "vga")))
    vm.expect(r"Console: colour VGA\+ 80x25", 240)
    vm.expect("bulkhead# ", 240)
    text(t, "--expect", "Run /init as init process")
    vm.send("seq 1 300 | sed 's/^/number /' >/dev/tty0; echo done\n")
    vm.expect("done")
    lines = [line for line in text(t, "--expect", "number 300").splitlines() if line.startswith("number")]
    check(lines == [f"number {n}" for n in range(301 - len(lines), 301)] and len(lines) > 20, lines)
    vm.send("poweroff\n")
    check(vm.wait(60) == 0, f"exit code {vm.code}")


DRM = ("drm", "drm_kms_helper", "ttm", "drm_ttm_helper", "drm_vram_helper", "bochs")


def modules(t, folder, names):
    """An archive with modules for an initramfs, and one directory in it."""
    root = t.dir + "/modules"
    os.makedirs(root + "/drm")
    for name in names:
        found = glob.glob(f"{folder}/**/{name}.ko", recursive=True)
        check(len(found) == 1, f"{name}: {found}")
        shutil.copy(found[0], root + "/drm")
    path = t.dir + "/modules.cpio"
    with open(path, "wb") as f:
        subprocess.run([fetched("fetch.sh")["BUSYBOX"], "cpio", "-o", "-H", "newc"], cwd=root, stdout=f, stderr=subprocess.DEVNULL,
                       input="\n".join(["drm"] + [f"drm/{name}.ko" for name in names]).encode(), check=True)
    return path


@test(limit=280)
def linux_bochs(t):
    """Debian's generic kernel finds the display on the PCI bus, and its driver sets a mode; pictures follow."""
    paths = fetched("fetch_generic.sh")
    vm = t.start(*t.command(*t.machine("--kernel", paths["KERNEL_GENERIC"], "--initrd", debian(t.dir)[1], "--initrd",
                                       modules(t, paths["MODULES_GENERIC"], DRM), "--display", "vga")))
    vm.expect("bulkhead# ", 240)
    check(picture(t)[:2] == (720, 400), "text before")
    vm.send("for m in " + " ".join(DRM) + "; do insmod /drm/$m.ko; done; cat /proc/fb; seq 1 99 >/dev/tty0; echo drawn\n")
    vm.expect("bochs-drm 0000:00:1e.0: vgaarb: deactivate vga console", 60)
    vm.expect("0 bochs-drm", 60)
    vm.expect("\ndrawn", 60)
    width, height, rows = picture(t)
    check((width, height) == (1024, 768), (width, height))
    lit = sum(pictures.pixel(row, x) == 0xaaaaaa for row in rows for x in range(0, 64, 3))
    check(lit > 500, f"digits: {lit} grey dots of a third of the left edge")
    t.bulkhead("screen", t.name).expect(1, err="shows pixels")
    vm.send("poweroff\n")
    check(vm.wait(60) == 0, f"exit code {vm.code}")


GPU = ("virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "drm", "drm_kms_helper", "drm_shmem_helper",
       "virtio_dma_buf", "virtio-gpu")


def kill_halves(t):
    """The GPU's daemon and its front-end are killed, and both are back."""
    for name in ("gpud", "virtiod0"):
        pid = t.processes()[name]
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: t.processes().get(name, pid) != pid, f"another {name}")


@test(limit=280)
def linux_gpu(t):
    """Debian's generic kernel has its console on the virtio GPU; both halves die while it draws, and the picture is the same."""
    paths = fetched("fetch_generic.sh")
    vm = t.start(*t.command(*t.machine("--kernel", paths["KERNEL_GENERIC"], "--initrd", debian(t.dir)[1], "--initrd",
                                       modules(t, paths["MODULES_GENERIC"], GPU), "--gpu", "800x600", "--device-failure-limit", "0")))
    vm.expect("bulkhead# ", 240)
    check(picture(t)[:2] == (800, 600), "black before")
    vm.send("for m in " + " ".join(GPU) + "; do insmod /drm/$m.ko; done; cat /proc/fb; seq 1 99 >/dev/tty0; echo drawn\n")
    vm.expect("0 virtio_gpudrmfb", 60)
    vm.expect("\ndrawn", 60)

    def lit():
        width, height, rows = picture(t)
        check((width, height) == (800, 600), (width, height))
        return rows, sum(pictures.pixel(row, x) == 0xaaaaaa for row in rows for x in range(0, 64, 3))

    wait_until(lambda: lit()[1] > 500, "digits are grey dots at the left edge")
    vm.send("echo -e '\\033[?25l' >/dev/tty0; echo still\n")
    vm.expect("\nstill")
    time.sleep(0.5)  # the console flushes what it has drawn a moment later
    before = lit()[0]
    kill_halves(t)
    check(lit()[0] == before, "the picture outlives those who serve it")
    vm.send("(seq 1 4000; echo -e '\\033[2J\\033[H'; seq 1 20) >/dev/tty0; echo over\n")
    for _ in range(3):
        kill_halves(t)
    vm.expect("\nover", 60)
    wait_until(lambda: not any(pictures.pixel(row, x) for row in lit()[0][400:] for x in range(64)), "what was drawn meanwhile is shown")
    vm.send("poweroff\n")
    check(vm.wait(60) == 0, f"exit code {vm.code}")


@test
def gpu_refused(t):
    """What --gpu does not take."""
    for text, why in (("big", "such as 1024x768"), ("800", "such as"), ("800x600x2", "such as"), ("63x600", "64 to 4096"), ("4096x4096", "4194304 pixels")):
        t.bulkhead(*t.guest("echo", "--gpu", text)).expect(2, err=f"--gpu.*{why}")
    t.bulkhead(*t.guest("echo", "--gpu", "800x600", "--gpu", "800x600")).expect(2, err="at most 1")
    t.bulkhead(*t.guest("echo", "--gpu", "800x600", "--display", "lfb")).expect(2, err="one screen")
    t.expect_clean()


@test(limit=120)
def memtest(t):
    """memtest86+ of Debian draws its screen."""
    t.bulkhead(*t.machine("--kernel", fetched("fetch_others.sh")["MEMTEST_X64"], "--memory", "64M", "--display", "vga"), "--detach").expect(0)
    shown = text(t, "--expect", "Press <F1> to configure|Errors:", "--timeout", "60s")
    check(re.search(r"Memtest86\+ v\d", shown) and "│" in shown and "Memory  :" in shown, shown)
    t.bulkhead("kill", t.name).expect(0)


main()
