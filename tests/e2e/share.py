# SPDX-License-Identifier: MIT
"""
Shared folders: a Linux guest mounts a directory of the host's by its tag; what one side writes the other reads, whatever of ours is killed
meanwhile; and what happens when virtiofsd is.
"""
import hashlib
import os
import random
import re
import signal
import time

from bh import Skip, check, debian, main, test, titles, wait_until

LIMIT = 280
BOOT = 240
MIB = 1 << 20
MOUNT = "mkdir -p /m; mount -t virtiofs {0} /m || exit 9; "


def needs_virtiofsd():
    if not os.path.exists("/usr/lib/qemu/virtiofsd"):
        raise Skip("no virtiofsd (package qemu-system-common)")


def machine(t, command, *options):
    kernel, initrd = debian(t.dir)
    return t.command(*t.machine("--kernel", kernel, "--initrd", initrd, "--memory", "256M", "--cmdline",
                                f'console=ttyS0 quiet bulkhead.run="{command}"', *options))


def folder(t, name="folder"):
    path = f"{t.dir}/{name}"
    os.mkdir(path)
    return path


def programs(t):
    """Processes of virtiofsd that serve a folder of this test's: one that waits for another, which is fenced."""
    return [pid for pid, title in titles() if title.startswith("virtiofsd") and t.dir in title]


def md5(path):
    with open(path, "rb") as f:
        return hashlib.md5(f.read()).hexdigest()


@test(limit=LIMIT)
def both_ways(t):
    """Files both ways by their checksums, a directory of many, names, links, permissions; and a folder that cannot be written."""
    needs_virtiofsd()
    path, fixed = folder(t), folder(t, "fix,ed")
    with open(path + "/host", "wb") as f:
        f.write(os.urandom(3 * MIB + 17))
    os.mkdir(path + "/many")
    for i in range(1500):
        with open(f"{path}/many/{i:04}", "w", encoding="ascii"):
            pass
    with open(fixed + "/there", "w", encoding="ascii") as f:
        f.write("as it was")
    vm = t.start(*machine(t, MOUNT.format("one") + "echo got $(md5sum </m/host); echo many $(ls /m/many | wc -l); "
                          "head -c 2500001 /dev/urandom >/m/guest; sync; echo made $(md5sum </m/guest); mkdir /m/d; mv /m/host /m/d/moved; ln -s moved /m/d/link; "
                          "chmod 640 /m/guest; mkdir /f; mount -t virtiofs the-other /f; cat /f/there; touch /f/x 2>&1; echo more >/f/there; umount /m; " + MOUNT.format("one") +
                          "cat /m/d/link | md5sum; echo done",
                          "--share", "one=" + path, "--share", f"the-other={fixed.replace(',', ',,')},ro"))
    was = md5(path + "/host")
    check(vm.expect(r"got (\w{32})", BOOT).group(1) == was, "what the host wrote")
    vm.expect(r"many 1500\r")
    made = vm.expect(r"made (\w{32})", 60).group(1)
    for words in ("as it was", "Read-only file system", "Read-only file system", was, "done"):
        vm.expect(words, 60)
    check(vm.wait(60) == 0, vm.stderr())
    check(md5(path + "/guest") == made and os.stat(path + "/guest").st_mode & 0o777 == 0o640, "what the guest wrote")
    check(md5(path + "/d/moved") == was and os.readlink(path + "/d/link") == "moved", "what it moved")
    check(os.listdir(fixed) == ["there"], "nothing was added")
    wait_until(lambda: not programs(t), "nobody is left")
    t.expect_clean()


# Making a file exclusively, appending, renaming and removing: done twice, each is an error or a wrong content.
ONCE = ("n={rounds}; i=0; while test $i -lt $n; do mkdir /m/$i || exit 3; echo a$i >/m/$i/f; echo b$i >>/m/$i/f; mv /m/$i/f /m/$i/g || exit 4; "
        "test \\\"$(cat /m/$i/g | tr '\\n' ' ')\\\" = \\\"a$i b$i \\\" || exit 5; rm /m/$i/g || exit 6; rmdir /m/$i || exit 7; echo round $i; i=$((i+1)); done")


@test(limit=LIMIT)
def killed(t):
    """fsd and virtiod are killed all the time under requests that cannot be made twice: each is made once, and nothing is lost."""
    needs_virtiofsd()
    path, rounds = folder(t), 60
    script = path + "/rounds"
    with open(script, "w", encoding="ascii") as f:
        f.write(ONCE.format(rounds=rounds).replace('\\"', '"').replace("\\\\n", "\\n"))
    vm = t.start(*machine(t, MOUNT.format("one") + "cp /m/rounds /tmp/r; sh /tmp/r", "--share", "one=" + path, "--device-failure-limit", "0"))
    vm.expect("round 0", BOOT)
    kills, end = 0, time.monotonic() + 150
    while f"round {rounds - 1}\r" not in vm.talk.text:
        check(time.monotonic() < end and vm.poll() is None, f"the guest goes on after {kills} kills" + vm.talk.text[-500:] + vm.stderr())
        victim = t.processes().get("virtiod0" if kills % 4 == 3 else "fsd0")
        try:
            if victim:
                os.kill(victim, signal.SIGKILL)
                kills += 1
        except ProcessLookupError:
            pass
        time.sleep(0.05 + random.random() * 0.15)
        vm.talk.pump(0)
    check(vm.wait(60) == 0 and kills > 4, f"{kills} kills" + vm.talk.text[-1500:] + vm.stderr())
    check(os.listdir(path) == ["rounds"], "nothing is left over")


@test(limit=LIMIT)
def program_killed(t):
    """virtiofsd is killed: the guest gets errors and does not wait; mounted again, another serves it. Reboots do no harm."""
    needs_virtiofsd()
    path = folder(t)
    vm = t.start(*machine(t, MOUNT.format("one") + "exec 7</m; echo first; while ls /m >/dev/null 2>&1; do sleep 0.1; done; ls /m 2>&1; echo gone; umount -l /m; exec 7<&-; sleep 1; " +
                          MOUNT.format("one") + "echo again >/m/again; sync; echo done", "--share", "one=" + path))
    vm.expect("first", BOOT)
    for pid in programs(t):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    for words in ("Input/output error", "gone", "done"):
        vm.expect(words, 60)
    check(vm.wait(60) == 0, vm.stderr())
    check(re.search("virtiofsd is gone.*mounting it again", vm.stderr()), vm.stderr())
    with open(path + "/again", encoding="ascii") as f:
        check(f.read() == "again\n", "written after all")


@test
def errors(t):
    """What cannot be shared is an error of the command line that says what to do."""
    demo, path = ("demo", "--engine", "emu"), folder(t)
    file = path + "/file"
    with open(file, "w", encoding="ascii"):
        pass
    for value, words in ((path, "it is TAG=DIR"), ("=" + path, "1 to 36 characters"), ("a" * 37 + "=" + path, "1 to 36 characters"),
                         ("a b=" + path, "without blanks"), ("a=", "directory is missing"), (f"a={path},rw", "comes ro, and nothing else"),
                         (f"a={path}/none", f"--share {path}/none: No such file or directory; mkdir -p"),
                         ("a=" + file, f"--share {file}: Not a directory")):
        t.bulkhead(*demo, "--share", value).expect(2, err=words)
    t.bulkhead(*demo, "--share", "a=" + path, "--share", "a=" + path).expect(2, err="another folder has the tag a")
    t.bulkhead(*demo, "--share", "a=" + path, env=dict(t.env, BULKHEAD_VIRTIOFSD="/nowhere")).expect(2, err="--share .*apt-get install qemu-system-common")
    t.bulkhead(*demo, "--share", "a=" + path, env=dict(t.env, BULKHEAD_VIRTIOFSD="/bin/false")).expect(2, err="--share .*virtiofsd has ended at once")
    t.expect_clean()


if __name__ == "__main__":
    main()
