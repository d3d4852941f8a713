# SPDX-License-Identifier: MIT
"""
Virtio disks: a Linux guest finds them, and what it writes is what lies in the image, whatever is killed meanwhile. The
guest compares checksums, and so does the host when it is over.
"""
import hashlib
import json
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

from bh import BUILD, Skip, check, debian, kill_until, main, test, titles, wait_until

LIMIT = 280
BOOT = 240
MIB = 1 << 20
# Each round: random bytes into a place of its own, flushed, dropped from the cache, read back and compared.
ROUNDS = ("test -b /dev/vda || exit 5; n={rounds}; i=0; while test $i -lt $n; do dd if=/dev/urandom of=/tmp/x bs=1M count=2 2>/dev/null; "
          "a=$(md5sum </tmp/x | cut -c1-32); dd if=/tmp/x of=/dev/vda bs=64k seek=$((i*32)) conv=fsync 2>/dev/null || exit 3; "
          "echo 3 >/proc/sys/vm/drop_caches; b=$(dd if=/dev/vda bs=64k skip=$((i*32)) count=32 2>/dev/null | md5sum | cut -c1-32); "
          "test $a = $b || exit 4; echo round $i $a; i=$((i+1)); done")


def image(t, name="disk.img", mib=64):
    path = f"{t.dir}/{name}"
    with open(path, "wb") as f:
        f.truncate(mib * MIB)
    return path


CLUSTER = 64 << 10


def qcow2(t, name="disk.qcow2", mib=64):
    """An empty image (QEMU, docs/interop/qcow2.txt): header, refcount table, refcount block, L1 table, a cluster each."""
    header = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 2, 0, 0, 16, mib * MIB, 0, 1, 3 * CLUSTER, CLUSTER, 1, 0, 0)
    path = f"{t.dir}/{name}"
    with open(path, "wb") as f:
        for at, data in ((0, header), (CLUSTER, struct.pack(">Q", 2 * CLUSTER)), (2 * CLUSTER, struct.pack(">4H", 1, 1, 1, 1))):
            f.seek(at)
            f.write(data)
        f.truncate(4 * CLUSTER)
    return path


def flat(t, path, mib=64):
    """What a guest sees of such an image, as a raw one."""
    with open(path, "rb") as f:
        data = f.read()
    out = image(t, "flat.img", mib)
    table = struct.unpack_from(">Q", data, struct.unpack_from(">Q", data, 40)[0])[0] & 0x00fffffffffffe00
    with open(out, "r+b") as f:
        for n in range(mib * MIB // CLUSTER if table else 0):
            entry = struct.unpack_from(">Q", data, table + 8 * n)[0]
            if entry & 0x00fffffffffffe00 and not entry & 1:
                f.seek(n * CLUSTER)
                f.write(data[entry & 0x00fffffffffffe00:][:CLUSTER])
    return out


def needs_storage_daemon():
    if not shutil.which("qemu-storage-daemon"):
        raise Skip("no qemu-storage-daemon (package qemu-system-common)")


def machine(t, command, *options, cmdline=""):
    kernel, initrd = debian(t.dir)
    return t.command(*t.machine("--kernel", kernel, "--initrd", initrd, "--memory", "256M", "--cmdline",
                                f'console=ttyS0 quiet {cmdline} bulkhead.run="{command}"', *options))


def expect_rounds(vm, path, rounds):
    """What the guest says that it has written, the image holds."""
    with open(path, "rb") as f:
        for i in range(rounds):
            told = vm.expect(rf"round {i} (\w{{32}})", 120).group(1)
            f.seek(i * 2 * MIB)
            check(hashlib.md5(f.read(2 * MIB)).hexdigest() == told, f"round {i} is in the image")


@test(limit=LIMIT)
def found_and_written(t):
    """PCI in ECAM, BARs as firmware assigned them, an interrupt for each queue; a second disk that is read-only."""
    with open(image(t, "other.img", 1), "r+b") as f:
        f.write(b"hello, guest")
    vm = t.start(*machine(t, "head -c 12 /dev/vdb; echo; dd if=/tmp/none of=/dev/vdb bs=512 count=1; dd if=/etc/rc of=/dev/vdb; "
                          "blkdiscard -o 4194304 -l 1048576 /dev/vda && echo discarded; cat /sys/block/vda/serial; echo; cat /proc/interrupts; dmesg | grep pci; " + ROUNDS.format(rounds=3),
                          "--cpus", "2", "--disk", image(t) + ",serial=S-1", "--disk", t.dir + "/other.img,ro"))
    vm.expect("hello, guest", BOOT)
    with open(f"/proc/{t.processes()['blkd0']}/limits") as f:
        check(re.search(rf"Max file size +{64 * MIB} +{64 * MIB} ", f.read()), "blkd cannot make its image longer")
    vm.expect("ermitted")
    vm.expect("discarded")
    vm.expect("S-1\r*\n")
    vm.expect("PCI-MSI.*virtio0-req.1", 30)
    text = vm.expect(r"(?s)00:01\.0: BAR 0 \[mem 0xc0000000-0xc0007fff\].*?round 0", 60).group(0)
    check("can't claim" not in text and "failed to assign" not in text, text)
    vm.expect("round 2", 60)
    check(vm.wait(60) == 0, vm.talk.text[-1500:] + vm.stderr())
    t.expect_clean()


@test(limit=LIMIT)
def wires(t):
    """Without MSI: INTx through the IOAPIC and the 8259s, as _PRT says, and as the interrupt line register does without ACPI."""
    path = image(t)
    for cmdline, source in (("pci=nomsi", r"IO-APIC +11-fasteoi +virtio0"), ("acpi=off", r"11: .*XT-PIC +virtio0"),
                            ("noapic pci=nomsi", r"11: .*XT-PIC +virtio0"), ("pci=conf1", "PCI-MSI.*virtio0-req.0")):
        vm = t.start(*machine(t, ROUNDS.format(rounds=1) + "; grep virtio /proc/interrupts; guest-exit 7", "--disk", path,
                              cmdline=cmdline))
        expect_rounds(vm, path, 1)
        vm.expect(source)
        check(vm.wait(60) == 7, vm.talk.text[-1500:])


@test(limit=LIMIT)
def killed(t):
    """Front-end and back-end are killed all the time: the guest sees no error, and no byte is lost."""
    path, rounds = image(t), 12
    vm = t.start(*machine(t, ROUNDS.format(rounds=rounds), "--cpus", "2", "--disk", path, "--device-failure-limit", "0"))
    vm.expect("round 0", BOOT)
    at = vm.talk.at - len("round 0")

    def over():
        vm.talk.pump(0)
        return f"round {rounds - 1}" in vm.talk.text

    kills = kill_until(t, ("virtiod0", "blkd0"), over, 120, lambda: random.random() * 0.08)
    vm.talk.at = at
    expect_rounds(vm, path, rounds)
    check(vm.wait(60) == 0 and "I/O error" not in vm.talk.text, vm.talk.text[-1500:])
    check(kills > 10, f"{kills} kills")
    t.expect_clean()


@test(limit=LIMIT)
def reboot(t):
    """The memory of the guest before is not written any more; the next one finds the disk again."""
    path = image(t)
    vm = t.start(*machine(t, "if grep -q seen /dev/vda; then " + ROUNDS.format(rounds=1) + "; else echo seen >/dev/vda; sync; "
                          "while :; do dd if=/dev/vda of=/dev/null bs=1M; echo 3 >/proc/sys/vm/drop_caches; done & sleep 1; "
                          "reboot -f; fi", "--disk", path))
    vm.expect("userspace is up", BOOT)
    vm.expect("userspace is up", 120)
    expect_rounds(vm, path, 1)
    check(vm.wait(60) == 0, vm.talk.text[-1500:])


def beside_small(t, words):
    """The same command, where small/full.img lies on a file system that has room for 1 MiB; None: it cannot be made."""
    os.mkdir(t.dir + "/small")
    script = f'mount -t tmpfs -o size=1m tmpfs {t.dir}/small && truncate -s 64M {t.dir}/small/full.img && exec "$@"; exit 99'
    prefix = ["unshare", "--mount", "sh", "-c", script, "sh"]
    return prefix + list(words) if subprocess.run(prefix + ["true"], capture_output=True).returncode == 0 else None


def errors_of(t, name):
    status = json.loads(t.bulkhead("status", t.name, "--json").expect(0).out)
    return next(p["stats"]["disk_errors"] for p in status["processes"] if p["role"] == name)


@test(limit=LIMIT)
def host_errors(t):
    """An image that is cut off, and one whose file system is full: I/O errors to the guest, which goes on; counted, and told."""
    path, far = image(t), "dd if=/dev/vda of=/dev/null bs=512 skip=100000 count=1 2>/dev/null"
    words = machine(t, f"{far} && echo before; while {far}; do echo 3 >/proc/sys/vm/drop_caches; sleep 0.1; done; echo cut off; "
                       "test -b /dev/vdb && dd if=/dev/zero of=/dev/vdb bs=64k count=64 conv=fsync 2>&1; "
                       "dd if=/dev/vda of=/dev/null bs=512 count=1 2>/dev/null && echo goes on; sleep 1000", "--disk", path)
    small = beside_small(t, list(words) + ["--disk", t.dir + "/small/full.img"])
    vm = t.start(*(small or words))
    vm.expect("before", BOOT)
    check(errors_of(t, "blkd0") == 0, "no error so far")
    os.truncate(path, MIB)
    vm.expect("cut off", 60)
    if small:
        vm.expect("(Input/output|I/O) error", 60)
    vm.expect("goes on", 60)
    check(errors_of(t, "blkd0") > 0, "counted")
    t.bulkhead("status", t.name).expect(0, out="blkd0: [0-9]+ requests of the guest's failed")
    wait_until(lambda: "shorter than it was" in vm.stderr(), "and said in the log")
    if small:
        check(errors_of(t, "blkd1") > 0, "counted")
        wait_until(lambda: "No space left" in vm.stderr(), "and said in the log")
    t.bulkhead("kill", t.name).expect(0)
    vm.wait(20)


@test(limit=LIMIT)
def stalled(t):
    """A file system that gives no answer: the guest sees time and no error, `status` says why, and other disks go on."""
    needs_storage_daemon()
    path, rounds = t.dir + "/slow.img", 8
    open(path, "w").close()
    server = t.start("qemu-storage-daemon", "--blockdev", f"driver=file,node-name=f,filename={image(t)}", "--export",
                     f"type=fuse,id=e,node-name=f,mountpoint={path},writable=on")
    try:
        wait_until(lambda: os.path.getsize(path) or server.poll() is not None, "it serves the image")
        if server.poll() is not None:
            raise Skip("qemu-storage-daemon makes no file here: " + server.stderr()[-200:])
        beside = "while dd if=/dev/vdb of=/dev/null bs=4k count=1 iflag=direct 2>/dev/null; do sleep 0.3; echo other disk; done & "
        vm = t.start(*machine(t, beside + ROUNDS.format(rounds=rounds), "--disk", path, "--disk", image(t, "other.img", 1)))
        vm.expect("round 0", BOOT)
        at = vm.talk.at - len("round 0")
        os.kill(server.pid, signal.SIGSTOP)
        wait_until(lambda: re.search("blkd0: the host's disk has not answered for [0-9]+ s", t.bulkhead("status", t.name).out),
                   "status says that it waits", 20)
        vm.talk.pump(0)
        vm.talk.at = len(vm.talk.text)
        vm.expect("other disk", 10)
        os.kill(server.pid, signal.SIGCONT)
        vm.expect(f"round {rounds - 1}", 60)
        vm.talk.at = at
        check(vm.wait(60) == 0 and "I/O error" not in vm.talk.text, vm.talk.text[-1500:])
        check("died" not in vm.stderr() and "hang" not in vm.stderr(), vm.stderr())
    finally:
        os.kill(server.pid, signal.SIGCONT)
        os.kill(server.pid, signal.SIGTERM)
        server.wait()


@test
def errors(t):
    """Each names the option, the file and what to do."""
    path, demo = image(t), ("demo", "--engine", "emu")
    odd = image(t, "odd.img")
    os.truncate(odd, 1000)
    os.truncate(image(t, "empty.img"), 0)
    for value, words in ((t.dir + "/none", "none: No such file.*truncate"), (odd, "1000 bytes.*multiple of 512"),
                         (t.dir + "/empty.img", "0 bytes"), (t.dir, "[Ii]s a directory|neither a file"), ("", "name of the file"),
                         (path + ",rw", "ro, serial=TEXT and format="), (path + ",serial=123456789012345678901", "1 to 20 characters")):
        t.bulkhead(*demo, "--disk", value).expect(2, err=f"--disk.*{words}|{words}")
    t.bulkhead(*demo, *["--disk", path] * 5).expect(2, err="at most 4")
    with open(qcow2(t, "guessed"), "rb"):
        t.bulkhead(*demo, "--disk", t.dir + "/guessed").expect(2, err="format qcow2.*format=raw")
    for value, words in ((path + ",format=vmdk", "formats are raw and qcow2"), ("unix:", "name of a socket"), ("unix:/s,format=raw", "knows the format"),
                         ("unix:/" + 107 * "s", "at most 107 bytes")):
        t.bulkhead(*demo, "--disk", value).expect(2, err=words)
    with open(path, "rb") as f:
        import fcntl
        fcntl.fcntl(f, 37, struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, 0, 0, 0))  # F_OFD_SETLK
        t.bulkhead(*demo, "--disk", path).expect(2, err="in use.*copy")
    with open(t.dir + "/notes", "w") as f:
        f.write("dear to somebody")
    alone = subprocess.run([BUILD + "/devices/bulkhead-blkd", "--vhost-user", t.dir + "/notes", "--disk", path],
                           capture_output=True, text=True, timeout=10)
    check(alone.returncode == 2 and "--vhost-user" in alone.stderr and "another path" in alone.stderr, alone.stderr)
    with open(t.dir + "/notes") as f:
        check(f.read() == "dear to somebody", "a file that is no socket stays where it is")


def programs(t):
    """Processes of qemu-storage-daemon that serve an image of this test's."""
    return [pid for pid, title in titles() if title.startswith("qemu-storage-daemon") and t.dir in title]


@test(limit=LIMIT)
def image_format(t):
    """A qcow2 image, which another program serves: what the guest writes, discards and zeroes is in there."""
    needs_storage_daemon()
    path = qcow2(t)
    vm = t.start(*machine(t, "cat /sys/block/vda/serial; echo; sleep 2; dd if=/dev/zero of=/dev/vdb bs=512 count=1; " + ROUNDS.format(rounds=3) +
                          "; blkdiscard -o 4194304 -l 1048576 /dev/vda && echo discarded", "--disk", path + ",serial=Q-1",
                          "--disk", qcow2(t, "other") + ",ro,format=qcow2"))
    vm.expect("Q-1\r*\n", BOOT)
    serving = programs(t)
    vm.expect("ermitted")
    at = vm.talk.at
    vm.expect("discarded", 120)
    check(len(serving) == 2, f"{serving} serve")
    vm.talk.at = at
    check(vm.wait(60) == 0 and "I/O error" not in vm.talk.text, vm.talk.text[-1500:] + vm.stderr())
    vm.talk.at = at
    with open(flat(t, path), "rb") as f:
        for i in range(2):
            told = vm.expect(rf"round {i} (\w{{32}})", 1).group(1)
            f.seek(i * 2 * MIB)
            check(hashlib.md5(f.read(2 * MIB)).hexdigest() == told, f"round {i} is in the image")
        f.seek(4 * MIB)
        check(not any(f.read(MIB)), "discarded")
    wait_until(lambda: not programs(t), "nobody is left")
    t.expect_clean()


@test
def image_format_errors(t):
    """What the program that serves images says of one is an error of the command line; without it, what to install."""
    demo, raw, good = ("demo", "--engine", "emu"), image(t, "raw.qcow2"), qcow2(t)
    t.bulkhead(*demo, "--disk", good, env=dict(t.env, PATH="/nowhere")).expect(2, err="--disk .*apt-get install qemu-system-common")
    needs_storage_daemon()
    t.bulkhead(*demo, "--disk", raw).expect(2, err="--disk .*raw.qcow2: .*not in qcow2 format")
    t.bulkhead(*demo, "--disk", t.dir + "/none.qcow2").expect(2, err="--disk .*none.qcow2: .*No such file")
    t.bulkhead(*demo, "--disk", good, "--disk", good).expect(2, err="--disk .*disk.qcow2: .*(lock|in use)")
    t.expect_clean()


@test(limit=LIMIT)
def image_format_killed(t):
    """The program that serves the image, and ours before it, are killed all the time: no error, no byte is lost."""
    needs_storage_daemon()
    path, rounds = qcow2(t), 24
    vm = t.start(*machine(t, ROUNDS.format(rounds=rounds), "--cpus", "2", "--disk", path, "--device-failure-limit", "0"))
    vm.expect("round 0", BOOT)
    at, kills, end = vm.talk.at - len("round 0"), 0, time.monotonic() + 150
    while f"round {rounds - 1}" not in vm.talk.text:
        check(time.monotonic() < end, f"the guest goes on after {kills} kills")
        for pid in programs(t) + ([t.processes()["blkd0"]] if kills % 4 == 0 and "blkd0" in t.processes() else []):
            try:
                os.kill(pid, signal.SIGKILL)
                kills += 1
            except ProcessLookupError:
                pass
        time.sleep(0.1 + random.random() * 0.3)
        vm.talk.pump(0)
    vm.talk.at = at
    check(vm.wait(60) == 0 and "I/O error" not in vm.talk.text and kills > 4, f"{kills} kills" + vm.talk.text[-1500:])
    vm.talk.at = at
    expect_rounds(vm, flat(t, path), rounds)


@test(limit=LIMIT)
def back_end_at_a_socket(t):
    """--disk unix:SOCKET: a back-end that somebody else has started, ended and started again; and ones that are none."""
    path, rounds, sock = image(t), 4, t.dir + "/blk.sock"
    demo = ("demo", "--engine", "emu")
    t.bulkhead(*demo, "--disk", "unix:" + sock).expect(2, err=f"--disk .*{sock}: No such file.*vhost-user back-end")
    for said, words in ((b"HTTP/1.1 400 Bad Request\r\n\r\n", "speaks no vhost-user"), (b"", "hung up"),
                        (struct.pack("<IIIQ", 1, 5, 8, 1 << 32), "before protocol features")):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(sock)
            listener.listen(1)

            def answer():
                peer = listener.accept()[0]
                peer.recv(12)
                peer.sendall(said)
                peer.close()

            threading.Thread(target=answer).start()
            t.bulkhead(*demo, "--disk", "unix:" + sock).expect(2, err=f"--disk .*{sock}: .*{words}")
        os.unlink(sock)

    def serve():
        daemon = t.start(BUILD + "/devices/bulkhead-blkd", "--vhost-user", sock, "--disk", path)
        wait_until(lambda: os.path.exists(sock) and daemon.poll() is None, "it listens")
        return daemon

    daemon = serve()
    vm = t.start(*machine(t, ROUNDS.format(rounds=rounds), "--disk", "unix:" + sock))
    vm.expect("round 0", BOOT)
    at = vm.talk.at - len("round 0")
    daemon.kill()
    time.sleep(0.5)
    serve()
    vm.expect(f"round {rounds - 1}", 120)
    vm.talk.at = at
    expect_rounds(vm, path, rounds)
    check(vm.wait(60) == 0 and "I/O error" not in vm.talk.text, vm.talk.text[-1500:])


@test(limit=LIMIT)
def for_qemu(t):
    """
    blkd by itself, behind QEMU's front-end, which keeps the record of what is under way: killed and started again in the middle of
    writes of several of the guest's processes, it goes on, and no byte is lost.
    """
    qemu = "/usr/bin/qemu-system-x86_64"
    if not os.path.exists(qemu):
        raise Skip("no QEMU")
    path, rounds, kills, sock = image(t), 8, 2, t.dir + "/blk.sock"
    kernel, initrd = debian(t.dir)
    others = ("for k in 1 2 3; do while :; do dd if=/dev/vda of=/dev/null bs=4k skip=$((12288+k*1024)) count=1024 iflag=direct; "
              "dd if=/tmp/y of=/dev/vda bs=4k seek=$((12288+k*1024)) count=256 oflag=direct conv=notrunc; done 2>/dev/null & done; ")

    def serve():
        daemon = t.start(BUILD + "/devices/bulkhead-blkd", "--vhost-user", sock, "--disk", path)
        wait_until(lambda: os.path.exists(sock) and daemon.poll() is None, "it listens")
        return daemon

    daemon = serve()
    vm = t.start(qemu, "-accel", "tcg", "-m", "256M", "-object", "memory-backend-memfd,id=m,size=256M,share=on", "-machine",
                 "q35,memory-backend=m", "-chardev", f"socket,id=d,path={sock},reconnect=1", "-device",
                 "vhost-user-blk-pci,chardev=d,num-queues=2", "-kernel", kernel, "-initrd", initrd, "-append",
                 f'console=ttyS0 quiet bulkhead.run="head -c 1048576 /dev/urandom >/tmp/y; {others}{ROUNDS.format(rounds=rounds)}"',
                 "-nographic", "-no-reboot")
    vm.expect("round 0", BOOT)
    at = vm.talk.at - len("round 0")
    for n in range(kills):
        vm.expect(f"round {3 * n + 1}", 60)
        daemon.kill()
        daemon = serve()
    vm.expect(f"round {rounds - 1}", 120)
    vm.talk.at = at
    expect_rounds(vm, path, rounds)


if __name__ == "__main__":
    main()
