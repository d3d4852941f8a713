# SPDX-License-Identifier: MIT
"""A keyboard and a mouse of a PC (--ps2), on the engine that --engine names. The guest is tests/guest/small/ps2.c."""
import os
import re
import shutil
import subprocess

from bh import BUILD, check, debian, fetched, main, test, wait_until

LETTERS = dict(zip("qwertyuiopasdfghjklzxcvbnm", [*range(16, 26), *range(30, 39), *range(44, 51)]))


def start(t, *options):
    vm = t.start(*t.command(*t.guest("ps2", "--ps2", *options)))
    vm.expect("ready")
    return vm


def typed(*words):
    """What the guest prints of these keys: set 1, F0h translated away."""
    return [f"key {LETTERS[c] | up:x}" for word in words for c in word for up in (0, 0x80)]


def lines(vm):
    return re.findall(r"^((?:key|mouse) .*?)\r?$", vm.talk.text, re.M)


@test
def keys_and_ways(t):
    """Each word of `bulkhead input`, as the devices' data sheets have it on the wire."""
    vm = start(t)
    say = lambda *words: t.bulkhead("input", t.name, *words).expect(0)
    say("key", "a")
    say("text", "bC")
    say("key", "ctrl+delete")
    # A mouse reports so many times a second, what comes faster together; and the keyboard does not wait for it.
    reports = 0
    for count, *words in ((2, "move", "300", "-4"), (2, "click"), (2, "click", "extra"), (1, "wheel", "2"), (1, "mouse", "10", "20"),
                          (1, "mouse", "7", "20")):
        say(*words)
        reports += count
        wait_until(lambda: vm.talk.pump(0.01) or vm.talk.text.count("mouse ") >= reports, f"{words} is reported")
    say("press", "up"), say("release", "up")
    say("key", "q")
    check(vm.wait() == 7, vm.code)
    wanted = [*typed("ab"), "key 2a", *typed("c"), "key aa", "key 1d", "key e0", "key 53", "key e0", "key d3", "key 9d",
              "mouse 255 0 0 0", "mouse 45 4 0 0",  # a report has 9 bits; up is positive
              "mouse 0 0 0 1", "mouse 0 0 0 0", "mouse 0 0 0 16", "mouse 0 0 0 0", "mouse 0 0 -2 0",  # towards the user is positive
              "mouse 10 -20 0 0", "mouse -3 0 0 0",  # the way from the last position
              "key e0", "key 48", "key e0", "key c8", *typed("q")]
    check(lines(vm) == wanted, lines(vm))
    t.expect_clean()


@test
def scripts(t):
    """More than all buffers hold, while the guest does something else: all of it arrives, in order. A script that cannot be read is none."""
    vm = start(t)
    text = "thequickbrownfoxjumpsoverthelazydog".replace("q", "").replace("r", "").replace("w", "") * 12
    t.bulkhead("input", t.name, "key", "w").expect(0)
    t.bulkhead("input", t.name, "script", "-", input=f'text "{text}"\nmove 1 1\nwait 10ms\nkey q\n').expect(0)
    check(vm.wait() == 7, vm.code)
    check(lines(vm) == [*typed("w", text), "mouse 1 -1 0 0", *typed("q")] or
          [l for l in lines(vm) if l[0] == "k"] == typed("w", text, "q"), lines(vm))


@test
def refused(t):
    """What cannot be, in words."""
    vm = start(t)
    t.bulkhead("input", t.name, "script", t.dir).expect(2, err="Is a directory")
    t.bulkhead("input", t.name, "script", "-", input="frames 3\n").expect(1, err="no screen")
    t.bulkhead("input", t.name, "move", "1").expect(2, err="takes two numbers")
    t.bulkhead("input", t.name, "key", "q").expect(0)
    check(vm.wait() == 7, vm.code)
    t.bulkhead(*t.machine("--platform", "frame", "--ps2", "--kernel", f"{BUILD}/tests/guest/frame_entry.elf")).expect(2, err="leave out --ps2")
    bare = t.start(*t.command(*t.guest("echo")))
    wait_until(lambda: "seriald" in t.processes() and t.bulkhead("status", t.name).code == 0, "it is there")
    check("inputd" not in t.processes(), "no keyboard asked for, no process")
    t.bulkhead("input", t.name, "key", "a").expect(1, err="--ps2 adds them")
    t.bulkhead("kill", t.name)
    bare.wait()


@test
def reset(t):
    """The controller pulls the reset line: a guest that starts again, or an end with code 32."""
    vm = start(t)
    t.bulkhead("input", t.name, "key", "r").expect(0)
    vm.expect("ready")
    t.bulkhead("input", t.name, "key", "q").expect(0)
    check(vm.wait() == 7, vm.code)
    vm = start(t, "--no-reboot")
    t.bulkhead("input", t.name, "key", "r").expect(0)
    check(vm.wait() == 32, vm.code)


def input_archive(t, paths):
    """A second archive for the guest: the drivers that Debian has as modules, and a program that prints events."""
    root = t.dir + "/input"
    os.mkdir(root)
    found = [f"{d}/{n}" for d, _, names in os.walk(paths["MODULES_GENERIC"]) for n in names if n in ("evdev.ko", "psmouse.ko")]
    for path in [*found, BUILD + "/tests/guest/events"]:
        shutil.copy(path, root)
    names = "input\n" + "".join(f"input/{name}\n" for name in sorted(os.listdir(root)))
    with open(t.dir + "/input.cpio", "wb") as out:
        subprocess.run([fetched("fetch.sh")["BUSYBOX"], "cpio", "-o", "-H", "newc"], input=names.encode(), stdout=out,
                       stderr=subprocess.DEVNULL, check=True, cwd=t.dir)
    return out.name


@test(limit=280)
def linux(t):
    """Debian's generic kernel: atkbd and psmouse find both, and a program reads from /dev/input what was typed and moved."""
    paths = fetched("fetch_generic.sh")
    run = "insmod /input/evdev.ko; insmod /input/psmouse.ko; until grep -q Explorer /proc/bus/input/devices; do sleep 0.1; done; /input/events"
    vm = t.start(*t.command(*t.machine("--kernel", paths["KERNEL_GENERIC"], "--initrd", debian(t.dir)[1], "--initrd", input_archive(t, paths),
                                       "--memory", "256M", "--ps2", "--cmdline", f'console=ttyS0 quiet bulkhead.run="{run}"')))
    vm.expect("listening", 240)
    check(re.search(r"device \d+: AT (Translated|Raw) Set 2 keyboard", vm.talk.text), vm.talk.text[-800:])
    check(re.search(r"device \d+: ImExPS/2 Generic Explorer Mouse", vm.talk.text), vm.talk.text[-800:])
    script = 'key shift+a\nkey delete\nmove 30 -5\nclick right\nclick extra\nwheel -1\nwait 500ms\nkey q\n'
    t.bulkhead("input", t.name, "script", "-", input=script).expect(0)
    check(vm.wait(60) == 0, vm.code)
    seen = re.findall(r"event (\d+ \d+ -?\d+)", vm.talk.text)
    keys = [e for e in seen if e.startswith("1 ") and int(e.split()[1]) < 256]
    moves = [e for e in seen if e not in keys]
    check(keys == ["1 42 1", "1 30 1", "1 30 0", "1 42 0", "1 111 1", "1 111 0", "1 16 1", "1 16 0"], keys)
    check(moves == ["2 0 30", "2 1 -5", "1 273 1", "1 273 0", "1 276 1", "1 276 0", "2 8 -1"], moves)
    t.expect_clean()


if __name__ == "__main__":
    main()
