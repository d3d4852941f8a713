# SPDX-License-Identifier: MIT
"""Bad input: a clear error that says what to do, the right exit code, nothing left behind."""
import os
import shutil
import socket
import struct
import time

from bh import BUILD, check, main, test, wait_until
from kinds import DEVICES

USAGE = 2


def refused(t, r, words, code=USAGE):
    """One short message on stderr with these words, nothing on stdout, nothing left behind."""
    r.expect(code, err=words)
    check(r.err.startswith("bulkhead: ") and r.err.count("\n") <= 3, f"one short message: {r}")
    check(not r.out, f"nothing on stdout: {r}")
    t.expect_clean()


def hello(t, *options):
    return t.bulkhead(*t.guest("hello16", *options), seconds=20)


@test
def unknown_words(t):
    refused(t, t.bulkhead("launch"), "unknown command launch")
    refused(t, t.bulkhead("ls"), "did you mean bulkhead list")
    refused(t, t.bulkhead("--kernel", "x"), "stands before the command; write bulkhead run --kernel")
    refused(t, t.bulkhead("demo", "--kernel", "x"), "the demo's guest is built in")
    refused(t, t.bulkhead("run", "-m", "1G"), "unknown option -m; did you mean --memory")
    refused(t, t.bulkhead("run", "--kernal", "x"), r"--kernal.*did you mean --kernel")
    refused(t, t.bulkhead("run", "-z"), "unknown option -z")
    refused(t, t.bulkhead("run", "vmlinuz"), r"unexpected argument vmlinuz.*--kernel")
    refused(t, t.bulkhead("run"), r"--kernel FILE")
    refused(t, t.bulkhead("run", "--kernel"), "--kernel needs a value")
    refused(t, t.bulkhead("run", "--name", "--detach"), "--name needs a value, and --detach is an option")
    refused(t, hello(t, "--detach=yes"), "takes no value")
    refused(t, hello(t, "--engine", "tcg"), r"auto\|emu\|kvm")
    refused(t, hello(t, "--name", "../up"), "a name has")
    check(t.bulkhead().code == USAGE, "no command: usage")


@test
def small_commands(t):
    refused(t, t.bulkhead("stop"), "name of a machine")
    refused(t, t.bulkhead("status", "nobody"), "nobody", 30)
    refused(t, t.bulkhead("console", "nobody"), "nobody", 30)
    refused(t, t.bulkhead("stop", "nobody"), "nobody", 30)
    refused(t, t.bulkhead("kill", "nobody"), "nobody", 30)
    refused(t, t.bulkhead("wait", "nobody"), "nobody", 30)
    refused(t, t.bulkhead("stop", "a", "b"), "unexpected argument b")
    refused(t, t.bulkhead("stop", "a", "--timeout", "soon"), "--timeout")
    refused(t, t.bulkhead("status", "--yaml", "a"), "--yaml")
    refused(t, t.bulkhead("stop", "a", "--timeout"), "--timeout needs a value: --timeout TIME")
    refused(t, t.bulkhead("stop", "a", "--force=1"), "--force takes no value, and --force=1 gives it one")
    refused(t, t.bulkhead("device", "restart", "a", "serail"), "no device is called serail; did you mean serial")
    refused(t, t.bulkhead("device", "lst", "a"), "device lst.*did you mean list")
    refused(t, t.bulkhead("device", "restart", "a"), "the device is missing")


@test
def files(t):
    kernel = t.dir + "/kernel"
    refused(t, t.bulkhead("run", "--kernel", t.dir + "/nothing"), r"--kernel .*nothing: No such file")
    refused(t, t.bulkhead("run", "--kernel", t.dir), r"--kernel .*: not a regular file")
    open(kernel, "w").close()
    refused(t, t.bulkhead("run", "--kernel", kernel), "empty")
    refused(t, hello(t, "--initrd", t.dir + "/nothing"), r"--initrd .*nothing: No such file")
    refused(t, hello(t, "--initrd", "/dev/zero"), r"--initrd .*not a regular file")


@test
def unreadable(t):
    """An ordinary user and a file that is not theirs."""
    kernel = t.dir + "/kernel"
    with open(kernel, "w") as f:
        f.write("secret")
    os.chmod(kernel, 0)
    args = t.command("run", "--kernel", kernel)
    if os.geteuid() == 0:
        os.chmod(t.dir, 0o755)
        args = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *args]
    r = t.call(args)
    refused(t, r, r"--kernel .*Permission denied")


@test
def memory(t):
    refused(t, hello(t, "--memory", "0"), "needs memory")
    refused(t, hello(t, "--memory", "lots"), "not a size")
    refused(t, hello(t, "--memory", "512"), r"page size.*512M")
    refused(t, hello(t, "--memory", "10000001"), "page size")
    refused(t, hello(t, "--memory", "4K"), "at least")
    refused(t, hello(t, "--memory", "1K"), "at least 1M")
    refused(t, hello(t, "--memory", "900G"), "at most")
    if os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") < 32 << 30:
        refused(t, hello(t, "--memory", "64G"), "--memory 64G: this host has only [0-9.]+[MG]")  # as it was written
    refused(t, hello(t, "--memory", "99999999999999999999G"), "--memory")
    refused(t, hello(t, "--memory", "-1M"), "--memory")


@test
def images(t):
    """What the loader refuses: named by file and field, and never more than its own end."""
    bad = t.dir + "/bad"
    with open(bad, "wb") as f:
        f.write(b"This is not a kernel.\n" * 500)
    refused(t, t.bulkhead("run", "--kernel", bad, "--name", t.name), "bad")
    with open(bad, "wb") as f:  # an ELF header and nothing behind it
        f.write(b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0x1000000, 64, 0, 0, 64,
                                                                56, 3, 0, 0, 0))
    refused(t, t.bulkhead("run", "--kernel", bad, "--name", t.name), "bad")
    header = bytearray(4096)  # a bzImage header that promises a lot
    header[0x1fe:0x200] = b"\x55\xaa"
    header[0x202:0x206] = b"HdrS"
    header[0x206:0x208] = struct.pack("<H", 0x20f)
    header[0x1f1] = 200
    with open(bad, "wb") as f:
        f.write(header)
    refused(t, t.bulkhead("run", "--kernel", bad, "--name", t.name), "bad")
    with open(bad, "wb") as f:
        f.write(bytes(64 << 20))
    refused(t, t.bulkhead("run", "--kernel", bad, "--format", "flat64", "--memory", "16M", "--name", t.name), "takes at most")


@test
def initrd_does_not_fit(t):
    initrd = t.dir + "/initrd"
    with open(initrd, "wb") as f:
        f.truncate(64 << 20)
    kernel = sorted(os.listdir("/var/cache/bulkhead/kernel/boot")) if os.path.isdir("/var/cache/bulkhead/kernel/boot") else []
    kernel = [k for k in kernel if k.startswith("vmlinuz")]
    if kernel:
        refused(t, t.bulkhead("run", "--kernel", "/var/cache/bulkhead/kernel/boot/" + kernel[0], "--initrd", initrd,
                              "--memory", "64M", "--name", t.name), "initrd|memory")
    refused(t, hello(t, "--initrd", initrd), "initrd")


@test
def command_line_too_long(t):
    refused(t, hello(t, "--cmdline", "x" * 5000), r"--cmdline has 5000 characters")


@test
def name_in_use(t):
    t.bulkhead(*t.guest("echo", "--detach")).expect(0)
    r = hello(t).expect(USAGE, err=rf"{t.name} is in use.*--name")
    check(not r.out, r)
    check("vcpu" in t.processes(), "the first machine goes on")
    t.bulkhead("kill", t.name).expect(0)
    t.expect_clean()


@test
def runtime_directory(t):
    """A directory that others may write to, or that cannot be made, is refused."""
    os.mkdir(t.runtime)
    os.chmod(t.runtime, 0o777)
    r = hello(t).expect(USAGE, err="--runtime-dir|others may write")
    check(not os.listdir(t.runtime), r)
    env = dict(t.env, BULKHEAD_RUNTIME_DIR="/proc/nowhere")
    t.bulkhead(*t.guest("hello16"), env=env).expect(USAGE, err="/proc/nowhere")
    env = dict(t.env, BULKHEAD_RUNTIME_DIR="/tmp/" + "x" * 150)
    why = r"the runtime directory /tmp/x{75}\.\.\. is too long: 95 characters fit, .*choose another with --runtime-dir"
    t.bulkhead(*t.guest("hello16"), env=env).expect(USAGE, err=why)
    t.bulkhead(*t.guest("hello16"), "--runtime-dir", "/tmp/" + "x" * 150).expect(USAGE, err=why)


@test
def missing_program(t):
    """Each program of the machine in turn."""
    programs = t.dir + "/programs"
    os.mkdir(programs)
    names = {"bulkhead-supervisor": "vmm", "bulkhead-vcpu": "vmm/vcpu", "bulkhead-boot": "boot", "bulkhead-gdbd": "vmm/gdb",
             **{f"bulkhead-{name}": "devices" for name in DEVICES}}
    for name, place in names.items():
        os.symlink(f"{BUILD}/{place}/{name}", f"{programs}/{name}")
    env = dict(t.env, BULKHEAD_LIBEXEC=programs)
    t.bulkhead(*t.guest("hello16"), env=env).expect(7)
    for name, place in names.items():
        os.unlink(f"{programs}/{name}")
        refused(t, t.bulkhead(*t.guest("hello16"), env=env), rf"program .*{name}: No such file.*reinstall")
        os.symlink(f"{BUILD}/{place}/{name}", f"{programs}/{name}")


@test
def program_that_fails(t):
    """A daemon that is not what it should be: it ends at once, and so does the machine."""
    programs = t.dir + "/programs"
    os.mkdir(programs)
    for name, place in (("supervisor", "vmm"), ("vcpu", "vmm/vcpu"), ("boot", "boot"), ("gdbd", "vmm/gdb"),
                        *((name, "devices") for name in DEVICES if name != "seriald")):
        os.symlink(f"{BUILD}/{place}/bulkhead-{name}", f"{programs}/bulkhead-{name}")
    shutil.copy("/bin/true", programs + "/bulkhead-seriald")
    env = dict(t.env, BULKHEAD_LIBEXEC=programs)
    t.bulkhead(*t.guest("hello16"), env=env).expect(33, err=r"seriald .*could not be executed: .*\(is it a static program\?\)")
    t.expect_clean()


@test
def control_peer_vanishes(t):
    """Clients of the control socket that leave in the middle, send rubbish, or too much."""
    t.bulkhead(*t.guest("echo", "--detach")).expect(0)
    path = f"{t.runtime}/{t.name}/control.sock"
    header = struct.pack("<HHIIHH", 0x4842, 21, 4, 1, 0, 0)  # STOP with a body of 4 bytes
    for packet in (b"", header, header[:7], header + b"\xff" * 4, b"\0" * 4096, os.urandom(60000),
                   struct.pack("<HHIIHH", 0x4842, 20, 0xffffffff, 1, 0, 0),
                   struct.pack("<HHIIHH", 0x4842, 999, 0, 1, 0, 0),
                   struct.pack("<HHIIHH", 0x4842, 20, 0, 1, 0, 3)):
        for _ in range(3):
            s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            s.connect(path)
            try:
                if packet:
                    s.send(packet)
            except OSError:
                pass
            s.close()
    t.bulkhead("status", t.name).expect(0, out="running")
    check(t.bulkhead("kill", t.name).code == 0, "kill")
    t.expect_clean()


@test
def control_clients_bounded(t):
    """A hundred clients that say nothing do not shut out the next for ever."""
    t.bulkhead(*t.guest("echo", "--detach")).expect(0)
    idle = []
    for _ in range(100):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.setblocking(False)
        try:
            s.connect(f"{t.runtime}/{t.name}/control.sock")
        except BlockingIOError:
            time.sleep(0.05)
        idle.append(s)
    for s in idle:
        s.close()
    wait_until(lambda: t.bulkhead("status", t.name).code == 0, "it answers again")
    t.bulkhead("kill", t.name).expect(0)


@test
def console_that_never_reads(t):
    """The guest is not held up, others see everything, and the backlog stays bounded."""
    t.bulkhead(*t.guest("chatter", "--detach")).expect(0)
    deaf = t.console()  # connected, never read
    reader = t.console()
    reader.expect(r"1048576 bytes\n", seconds=30)
    check(not deaf.text, "the deaf client has read nothing")
    t.bulkhead("wait", t.name).expect(5)
    t.expect_clean()


if __name__ == "__main__":
    main()
