# SPDX-License-Identifier: MIT
"""A machine as a file: `--config`, `check`, `show`."""
import os
import re

from bh import BUILD, SOURCE, check, main, test

USAGE = 2


def write(t, text, name="vm.toml"):
    path = f"{t.dir}/{name}"
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def hello(t, more=""):
    return write(t, f'kernel = "{BUILD}/tests/guest/hello16.bin"\nformat = "flat16"\nmemory = "16M"\n'
                    f'name = "{t.name}"\nbackend = "emulator"\n{more}')


@test
def run(t):
    """What it says is what runs, a kernel beside it is found from anywhere, and flags win."""
    t.bulkhead("run", "--config", hello(t)).expect(7, out="hello")
    os.symlink(f"{BUILD}/tests/guest/hello16.bin", t.dir + "/kernel")
    path = write(t, 'kernel = "kernel"\nformat = "flat64"\nmemory = "16M"\n', "beside.toml")
    t.bulkhead("run", "--config", path, "--format", "flat16", "--name", t.name).expect(7, out="hello")
    t.expect_clean()


@test
def points_at_line_and_key(t):
    """For `check` and `run` alike; all mistakes, and nothing starts."""
    path = write(t, 'memroy = "1G"\nmemory = "12Q"\n\nkernel = "/nonexistent"\n')
    for command in (("check", path), ("run", "--config", path)):
        r = t.bulkhead(*command).expect(USAGE, err=r"vm\.toml:1:1: unknown key memroy; did you mean memory")
        r.expect(USAGE, err=r"vm\.toml:2:1: memory 12Q: not a size")
    path = write(t, 'memory = "16M"\n\n  kernel = "/nonexistent"\n')
    for command in (("check", path), ("run", "--config", path)):
        t.bulkhead(*command).expect(USAGE, err=r"vm\.toml:3:3: kernel /nonexistent: No such file")
    t.bulkhead("run", "--config", path, "--kernel", "/elsewhere").expect(USAGE, err="bulkhead: --kernel /elsewhere: No such file")
    t.bulkhead("check", write(t, "memory = \n")).expect(USAGE, err=r"vm\.toml:1:10: a value is missing")
    t.bulkhead("check", t.dir + "/nothing").expect(USAGE, err="nothing: No such file")
    t.bulkhead("check").expect(USAGE, err="the name of a file is missing")
    t.bulkhead("check", hello(t)).expect(0, out="nothing is wrong")
    t.expect_clean()


@test
def show(t):
    """A running machine as a file, which starts the same one: what that shows is the same again."""
    options = ("--detach", "--on-halt", "wait", "--test-device", "--cpu", "max,-avx", "--device-failure-limit", "3",
               "--stop-timeout", "1s", "--cmdline", 'a "quoted" word')
    t.bulkhead(*t.guest("echo", *options)).expect(0)
    first = t.bulkhead("show", t.name, "--config").expect(0, out=f'(?s)kernel = "{BUILD}/.*name = "{t.name}"').out
    t.bulkhead("show", t.name + "x").expect(30, err=f"did you mean {t.name}")
    t.bulkhead("kill", t.name).expect(0)
    t.bulkhead("show", t.name).expect(30, err=t.name)
    path = write(t, first)
    t.bulkhead("check", path).expect(0)
    t.bulkhead("run", "--config", path).expect(0)
    check(t.bulkhead("show", t.name, "--config").expect(0).out == first, first)
    t.bulkhead("kill", t.name).expect(0)
    t.expect_clean()


@test
def show_demo(t):
    """The demo has no kernel file; what is shown goes with `bulkhead demo`."""
    path = write(t, f'name = "{t.name}"\nmemory = "32M"\n')
    t.bulkhead("demo", "--config", path).expect(0)
    t.bulkhead("demo", "--config", hello(t)).expect(USAGE, err=r"vm\.toml:1:1: kernel: the demo's guest is built in")
    t.expect_clean()


@test
def manual(t):
    """The example of vm.toml(5) and what is said of it, with files that are here."""
    with open(SOURCE + "/docs/man/vm.toml.5", encoding="utf-8") as f:
        blocks = re.findall(r"(?s)\.Bd .*?\n(.*?)\n\.Ed", f.read())
    initrd = write(t, "an archive", "initrd")
    text = blocks[0].replace("/boot/vmlinuz", f"{BUILD}/tests/guest/hello16.bin").replace("/boot/initrd.img", initrd)
    path = write(t, text, "web.toml")
    check(blocks[1].splitlines()[0] == "$ bulkhead check web.toml", blocks[1])
    t.bulkhead("check", path).expect(0, out=re.escape(blocks[1].splitlines()[1]))
    check(blocks[2].splitlines()[0] == "$ bulkhead check web.toml", blocks[2])
    r = t.bulkhead("check", write(t, text.replace("memory", "memroy"), "web.toml"))
    r.expect(USAGE, err=re.escape(blocks[2].splitlines()[1].removeprefix("bulkhead: ")))


if __name__ == "__main__":
    main()
