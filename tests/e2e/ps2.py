# SPDX-License-Identifier: MIT
"""A keyboard and a mouse of a PC (--ps2), on the engine that --engine names. The guest is tests/guest/small/ps2.c."""
import os
import re

from bh import BUILD, check, main, test, wait_until

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
    say("move", "300", "-4")
    say("click")
    say("click", "extra")
    say("wheel", "2")
    say("mouse", "10", "20")
    say("mouse", "7", "20")
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


if __name__ == "__main__":
    main()
