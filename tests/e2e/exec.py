# SPDX-License-Identifier: MIT
"""bulkhead run --exec: a command in a Linux guest's initramfs."""
import hashlib

from bh import check, debian, main, test

LIMIT = 280
BOOT = 240


def options(t, command, *more):
    kernel, initrd = debian(t.dir)
    return t.machine("--kernel", kernel, "--initrd", initrd, "--memory", "512M", "--exec", command, *more)


@test(limit=LIMIT)
def clean_output(t):
    """Standard output is the command's alone, byte by byte, and so is the exit code; what is ours is told as that."""
    r = t.bulkhead(*options(t, "printf 'one\\ntwo'; echo x >/dev/kmsg; printf '\\003\\377' | od -An -tx1; exit 7"), seconds=BOOT)
    check(r.out == "one\ntwo 03 ff\n" and r.code == 7, r)
    r = t.bulkhead(*options(t, "true"), seconds=BOOT).expect(0)
    check(r.out == "", r)
    t.bulkhead(*options(t, "exit 35"), seconds=BOOT).expect(39, err="guest's code 35")
    t.bulkhead(*options(t, "kill -9 $$"), seconds=BOOT).expect(137)
    t.expect_clean()


@test(limit=LIMIT)
def input(t):
    """Lines of standard input arrive all, however slow the command is, and so does their end."""
    lines = "".join(f"line {i}\n" for i in range(5000)) + "no line feed"
    r = t.bulkhead(*options(t, "sleep 1; md5sum; cat; echo done"), input=lines, seconds=BOOT).expect(0)
    check(r.out == hashlib.md5(lines.encode()).hexdigest() + "  -\ndone\n", r)


@test(limit=LIMIT)
def terminal(t):
    """On a terminal the guest has its size and kind, job control, and the keys."""
    env = dict(t.env, TERM="xterm-256color")
    vm = t.start("/bin/sh", "-c", 'stty rows 33 cols 99; exec "$@"', "sh", *t.command(*options(t, "stty size; echo $TERM; tty; sh -i")),
                 on_terminal=True, env=env)
    vm.expect(r"33 99\r", BOOT)
    vm.expect("xterm-256color\r+\n/dev/ttyS0")
    vm.expect("# ")
    vm.send("echo $((6 * 7)); sleep 1000\n")
    vm.expect("\n42\r")
    vm.send("\x03")
    vm.expect("# ")
    vm.send("exit 5\n")
    check(vm.wait(60) == 5, f"{vm.code}: {vm.talk.text[-1000:]}")


@test(limit=LIMIT)
def without_initrd(t):
    """There is no shell, and the words are the command's. Without a program of that name it is 127, as in a shell."""
    kernel, _ = debian(t.dir)
    r = t.bulkhead(*t.machine("--kernel", kernel, "--memory", "512M", "--exec", "no-such-program here"), seconds=BOOT)
    r.expect(127, out="no /bin/sh, and no-such-program: No such file")


@test(limit=LIMIT)
def file_and_detached(t):
    """As a key of a file, and in the background: the code is what wait returns."""
    kernel, initrd = debian(t.dir)
    path = t.dir + "/vm.toml"
    with open(path, "w") as f:
        f.write(f'kernel = "{kernel}"\ninitrd = "{initrd}"\nexec = """test -d /proc/1 && exit 9"""\nname = "{t.name}"\n')
    t.bulkhead("run", "--config", path, seconds=BOOT).expect(9)
    t.bulkhead("run", "--config", path, "--detach").expect(0)
    t.bulkhead("wait", t.name, seconds=BOOT).expect(9)
    t.bulkhead(*options(t, "sleep 1000", "--timeout", "3s"), seconds=BOOT).expect(36)


@test(limit=LIMIT)
def errors(t):
    """Another kernel, another first process; a kernel that never gets that far says its last words on standard error."""
    r = t.bulkhead(*t.guest("hello64", "--exec", "true")).expect(2, err="not a Linux kernel: --exec")
    t.bulkhead(*options(t, "true", "--cmdline", "rdinit=/init")).expect(2, err="--exec: .*rdinit=")
    r = t.bulkhead(*options(t, "echo never", "--cmdline", "initcall_blacklist=populate_rootfs panic=-1", "--no-reboot"), seconds=BOOT)
    check(r.code == 32 and r.out == "", r)
    check("the command has not begun" in r.err and "Kernel panic - not syncing: VFS" in r.err, r)
    t.expect_clean()


if __name__ == "__main__":
    main()
