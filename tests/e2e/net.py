# SPDX-License-Identifier: MIT
"""
Network cards and random bytes: a Linux guest gets an address, fetches from the host and is fetched from, by user-mode networking, by a TAP
interface, and from another machine; whatever is killed meanwhile, what arrives is what was sent, and nothing stands still.
"""
import hashlib
import http.server
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

from bh import BUILD, Skip, check, debian, kill_until, main, test, wait_until

LIMIT = 280
BOOT = 240
MIB = 1 << 20
UP = "ip link set eth0 up; ip addr add {0} dev eth0; "
USER = UP.format("10.0.2.15/24") + "ip route add default via 10.0.2.2; "


def machine(t, command, *options, name=None):
    kernel, initrd = debian(t.dir)
    return t.command(*t.machine("--kernel", kernel, "--initrd", initrd, "--memory", "256M", "--cmdline",
                                f'console=ttyS0 quiet bulkhead.run="{command}"', *options, name=name))


class Served:
    """A file of random bytes at a port of this host's loopback interface."""

    def __init__(self, t, mib):
        self.data = os.urandom(mib * MIB)
        self.md5 = hashlib.md5(self.data).hexdigest()
        data = self.data

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def need_uplink():
    if not os.path.exists(BUILD + "/vmm/uplink/bulkhead-uplinkd"):
        raise Skip("built without libslirp")


@test(limit=LIMIT)
def user(t):
    """DHCP, a file from the host, a forward to the guest; random bytes. Its address is the same for the same name."""
    need_uplink()
    served, port = Served(t, 8), free_port()
    vm = t.start(*machine(t, "head -c 8 /dev/hwrng | hexdump | head -n 1; ip link set eth0 up; cat /sys/class/net/eth0/address; udhcpc -i eth0 -n -q -s /bin/true; " + USER +
                          "traceroute -n -q 2 -m 3 -w 1 10.0.2.2; nslookup nobody.listens 10.0.2.2; "
                          f"wget -q -O /tmp/x http://10.0.2.2:{served.port}/; md5sum /tmp/x; echo listening; nc -l -p 7 -e cat; echo over",
                          "--net", f"user,forward=tcp:127.0.0.1:{port}:7", "--rng"))
    mac = vm.expect(r"\b02(:\w\w){5}\b", BOOT).group(0)
    vm.expect("lease of 10.0.2.15 obtained from 10.0.2.2")
    vm.expect(served.md5, 60)
    vm.expect("listening")
    time.sleep(0.5)
    with socket.create_connection(("127.0.0.1", port), 20) as s:
        s.settimeout(30)
        s.sendall(b"hello, guest\n")
        check(s.recv(100) == b"hello, guest\n", "it came back")
    vm.expect("over", 30)
    check(vm.wait(60) == 0, vm.talk.text[-1500:] + vm.stderr())
    check(mac != "02:00:00:00:00:00", mac)
    check("sandbox" not in vm.stderr(), vm.stderr())  # the host's ICMP about a datagram that nobody wanted comes by a call of its own
    t.expect_clean()


@test(limit=LIMIT)
def killed(t):
    """Front-end and back-end are killed under a transfer in both directions: TCP repeats what was lost, the data are right."""
    need_uplink()
    served, sink = Served(t, 24), socket.create_server(("127.0.0.1", 0))
    got = hashlib.md5()

    def drain():
        with sink.accept()[0] as s:
            while chunk := s.recv(65536):
                got.update(chunk)

    drainer = threading.Thread(target=drain, daemon=True)
    drainer.start()
    vm = t.start(*machine(t, USER + f"wget -q -O /tmp/x http://10.0.2.2:{served.port}/; md5sum /tmp/x; "
                          f"nc 10.0.2.2 {sink.getsockname()[1]} </tmp/x; echo all sent; sleep 1", "--net", "user", "--device-failure-limit", "0"))
    vm.expect("userspace is up", BOOT)

    def over():
        vm.talk.pump(0)
        return "all sent" in vm.talk.text

    kills = kill_until(t, ("virtiod0", "netd0"), over, 150, lambda: 0.15)
    vm.expect(served.md5)
    drainer.join(20)
    check(got.hexdigest() == served.md5, "what the guest sent has arrived")
    check(vm.wait(60) == 0 and kills > 4, f"{kills} kills")
    t.expect_clean()


@test(limit=LIMIT)
def uplink_killed(t):
    """libslirp's process dies: connections are lost, new ones possible, and nothing else is noticed."""
    need_uplink()
    served = Served(t, 1)
    vm = t.start(*machine(t, USER + f"n=0; while test $n -lt 40; do timeout 5 wget -q -O /tmp/x http://10.0.2.2:{served.port}/ && echo round $n $(md5sum </tmp/x); n=$((n+1)); sleep 0.3; done",
                          "--net", "user"))
    vm.expect(r"round \d+ " + served.md5, BOOT)
    children = subprocess.run(["pgrep", "-f", f"^bulkhead: {t.name}/uplinkd"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    check(len(children) == 2, children)
    os.kill(int(children[-1]), signal.SIGSEGV)
    vm.expect(r"round \d+ " + served.md5, 60)
    t.bulkhead("kill", t.name)
    vm.wait(30)
    wait_until(lambda: subprocess.run(["pgrep", "-f", f"^bulkhead: {t.name}/uplinkd"], stdout=subprocess.DEVNULL).returncode == 1, "it ends with its machine")


@test(limit=LIMIT)
def pair(t):
    """Two machines, one wire; the first one that comes makes it."""
    need_uplink()
    path = t.dir + "/wire"
    one = t.start(*machine(t, UP.format("10.9.0.1/24") + "dd if=/dev/urandom of=/tmp/x bs=1M count=8 2>/dev/null; md5sum /tmp/x; nc -l -p 9 </tmp/x; echo given",
                           "--net", f"pair={path}"))
    one.expect(r"(\w{32})  /tmp/x", BOOT)
    md5 = re.search(r"(\w{32})  /tmp/x", one.talk.text).group(1)
    two = t.start(*machine(t, UP.format("10.9.0.2/24") + "ping -c 1 -w 10 10.9.0.1; nc 10.9.0.1 9 >/tmp/y; md5sum /tmp/y", "--net", f"pair={path}", name=t.name + "b"))
    two.expect("1 packets received", BOOT)
    two.expect(md5, 60)
    one.expect("given", 30)
    check(one.wait(60) == 0 and two.wait(60) == 0, one.talk.text[-800:] + two.talk.text[-800:])


def in_namespace():
    """A command's beginning: a network namespace of its own in which TAP interfaces can be made."""
    if not os.path.exists("/dev/net/tun") or not shutil.which("ip") or not shutil.which("unshare"):
        raise Skip("no /dev/net/tun, ip or unshare here")
    words = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    made = subprocess.run([*words, "ip", "tuntap", "add", "bh0", "mode", "tap"], capture_output=True, text=True, check=False)
    if made.returncode:
        raise Skip("no TAP interface can be made: " + made.stderr.strip())
    return words


@test(limit=LIMIT)
def tap(t):
    """An interface of this host's: ping, and a file each way, with segments that the kernel cuts."""
    words = in_namespace()
    with open(t.dir + "/x", "wb") as f:
        f.write(os.urandom(8 * MIB))
    with open(t.dir + "/x", "rb") as f:
        md5 = hashlib.md5(f.read()).hexdigest()
    command = machine(t, UP.format("10.8.0.2/24") + "ping -c 2 10.8.0.1; until nc 10.8.0.1 9 >/tmp/y && test -s /tmp/y; do sleep 0.2; done; md5sum /tmp/y; ethtool -k eth0 2>/dev/null; "
                      "nc 10.8.0.1 10 </tmp/y; echo given", "--net", "tap=bh0")
    host = (f"ip tuntap add bh0 mode tap; ip addr add 10.8.0.1/24 dev bh0; ip link set bh0 up; cd {t.dir}; "
            "python3 -c 'import socket,shutil,hashlib\n"
            "s=socket.create_server((\"10.8.0.1\",9)); r=socket.create_server((\"10.8.0.1\",10))\n"
            "import os\n"
            "if os.fork(): os.execvp(\"true\", [\"true\"])\n"
            "c=s.accept()[0]; c.sendall(open(\"x\",\"rb\").read()); c.close()\n"
            "c=r.accept()[0]; h=hashlib.md5()\n"
            "while 1:\n d=c.recv(65536)\n if not d: break\n h.update(d)\n"
            "open(\"got\",\"w\").write(h.hexdigest())'; exec \"$@\"")
    vm = t.start(*words, "sh", "-c", host, "sh", *command)
    vm.expect("2 packets received", BOOT)
    vm.expect(md5, 60)
    vm.expect("given", 60)
    check(vm.wait(60) == 0, vm.talk.text[-1500:] + vm.stderr())
    wait_until(lambda: os.path.exists(t.dir + "/got") and os.path.getsize(t.dir + "/got") == 32, "the host has got it", 10)
    with open(t.dir + "/got") as f:
        check(f.read() == md5, "what the host got is what it gave")


@test(limit=LIMIT)
def tap_fd(t):
    """An interface that the caller has open: the card gets it, and of what else the caller has open, nobody gets anything."""
    words = in_namespace()
    opener = ("import fcntl,os,struct,subprocess,sys\n"
              "fd=os.open('/dev/net/tun', os.O_RDWR)\n"
              "fcntl.ioctl(fd, 0x400454ca, struct.pack('16sH22x', b'bh0', 0x5002))\n"  # TUNSETIFF: TAP, NO_PI, VNET_HDR
              "subprocess.run('ip addr add 10.8.0.1/24 dev bh0; ip link set bh0 up', shell=True, check=True)\n"
              "os.dup2(fd, 99)\nos.close(fd)\nos.execvp(sys.argv[1], sys.argv[1:])")
    vm = t.start(*words, "python3", "-c", opener, *machine(t, UP.format("10.8.0.2/24") + "ping -c 2 -w 20 10.8.0.1; cat", "--net", "tap-fd=99"))
    vm.expect(r"[12] packets received", BOOT)
    holders = [pid for pid in os.listdir("/proc") if pid.isdigit() and holds_tap(pid)]
    kinds = sorted({open(f"/proc/{pid}/cmdline", encoding="utf-8").read().split("\0")[0] for pid in holders})
    check(not any("virtiod" in k or "vcpu" in k or "seriald" in k for k in kinds) and any("netd" in k for k in kinds), kinds)
    t.bulkhead("kill", t.name)
    vm.wait(60)


def holds_tap(pid):
    try:
        return any(os.readlink(f"/proc/{pid}/fd/{fd}") == "/dev/net/tun" for fd in os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return False


@test
def errors(t):
    """Each names the option, the value and what to do."""
    demo, busy = ("demo", "--engine", "emu"), socket.create_server(("127.0.0.1", 0))
    for value, words in (("", "begins with user, tap"), ("usr", "begins with user, tap"), ("user,mac=1", "52:54:00"), ("user,mac=01:00:00:00:00:01", "group's"),
                         ("user,cidr=10.0.2.0", "10.0.2.0/24"), ("user,cidr=10.0.2.1/24", "ends with its network"), ("user,cidr=10.0.0.0/31", "8 to 29"),
                         ("user,forward=22", "tcp:127.0.0.1:2222:22"), ("user,forward=tcp:0:22", "1 to 65535"), ("user,", "last comma"),
                         ("tap=averylonginterfacename", "15 characters"), ("tap=x,cidr=10.0.2.0/24", "mac=MAC, and nothing else"), ("pair=", "path of a socket"),
                         ("tap-fd=1", "above 2"), ("tap-fd=77", "no open TAP")):
        t.bulkhead(*demo, "--net", value).expect(2, err=f"--net.*{words}")
    with open("/dev/null", "rb") as null:  # open, but no interface; then, two cards' at once
        given = ["--net", f"tap-fd={null.fileno()}"]
        for words, reason in ((given, "no open TAP"), (given * 2, "in use already")):
            refused = subprocess.run(t.command(*demo, *words), pass_fds=[null.fileno()], capture_output=True, text=True, timeout=20)
            check(refused.returncode == 2 and reason in refused.stderr, refused.stderr)
    t.bulkhead(*demo, *["--net", "tap=x"] * 5).expect(2, err="at most 4")
    t.bulkhead(*demo, *["--rng"] * 2).expect(2, err="at most 1")
    if os.path.exists(BUILD + "/vmm/uplink/bulkhead-uplinkd"):
        port = busy.getsockname()[1]
        t.bulkhead(*demo, "--net", f"user,forward=tcp:127.0.0.1:{port}:22").expect(2, err=f"--net.*{port}.*in use.*choose another")
        t.bulkhead(*demo, "--net", f"pair={t.dir}/none/wire").expect(2, err="--net.*No such file.*path")
    for program, option in (("netd", ("--net", "usr")), ("rngd", ("--disk", "x"))):
        alone = subprocess.run([f"{BUILD}/devices/bulkhead-{program}", "--vhost-user", t.dir + "/s", *option], capture_output=True, text=True, timeout=10)
        check(alone.returncode == 2 and "Usage" in alone.stderr, alone.stderr)


def behind_qemu(t, program, words, devices, command):
    """Starts a back-end by itself, and QEMU with its front-end; what the guest says."""
    qemu = "/usr/bin/qemu-system-x86_64"
    if not os.path.exists(qemu):
        raise Skip("no QEMU")
    kernel, initrd = debian(t.dir)
    sock = f"{t.dir}/{program}.sock"
    alone = t.start(f"{BUILD}/devices/bulkhead-{program}", "--vhost-user", sock, *words)
    wait_until(lambda: os.path.exists(sock) and alone.poll() is None, "it listens")
    return t.start(qemu, "-accel", "tcg", "-m", "256M", "-object", "memory-backend-memfd,id=m,size=256M,share=on", "-machine", "q35,memory-backend=m",
                   "-nic", "none", "-chardev", f"socket,id=c,path={sock}", *devices, "-kernel", kernel, "-initrd", initrd,
                   "-append", f'console=ttyS0 quiet bulkhead.run="{command}"', "-nographic", "-no-reboot")


@test(limit=LIMIT)
def for_qemu(t):
    """rngd by itself, behind QEMU's front-end."""
    vm = behind_qemu(t, "rngd", ("--rng",), ("-device", "vhost-user-rng-pci,chardev=c"), "echo bytes $(head -c 8 /dev/hwrng | wc -c)")
    vm.expect("bytes 8", BOOT)


@test(limit=LIMIT)
def card_for_qemu(t):
    """netd by itself, behind QEMU's front-end: a file from this host. Without KVM, QEMU 7.2 needs vectors=0: see bulkhead-netd(8)."""
    need_uplink()
    served = Served(t, 2)
    vm = behind_qemu(t, "netd", ("--net", "user"), ("-netdev", "vhost-user,id=n,chardev=c", "-device", "virtio-net-pci,netdev=n,vectors=0"),
                     USER + f"wget -q -O /tmp/x http://10.0.2.2:{served.port}/; md5sum /tmp/x")
    vm.expect(served.md5, BOOT)


if __name__ == "__main__":
    main()
