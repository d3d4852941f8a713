# SPDX-License-Identifier: MIT
"""The screen for viewers of VNC (bulkhead-vncd): pictures, keys, the mouse, passwords, several viewers, and those that misbehave."""
import os
import re
import shutil
import signal
import socket
import stat
import struct
import subprocess
import time

import pictures
from bh import BUILD, Skip, check, main, test, titles, wait_until
from rfb import Viewer, dial

FIRST = BUILD + "/tests/guest/first"
PROGRAM = BUILD + "/vmm/vnc/bulkhead-vncd"
KEY, REL, ABS = 1, 2, 3
SHIFT_L, CONTROL_L, ESCAPE, BACKSPACE, LEFT_ARROW = 0xffe1, 0xffe3, 0xff1b, 0xff08, 0xff51
PAPER = 0xf8f4e8
COLOURS = [0x202020, 0xc02020, 0xe08000, 0xe0c000, 0x208020, 0x2060c0, 0x602080, 0xe060a0]  # tests/guest/first/paint.c


def need_vncd():
    if not os.path.exists(PROGRAM):
        raise Skip("bulkhead-vncd is not built: libvncserver-dev is not installed")


def boot(t, kernel, *options):
    need_vncd()
    return t.start(*t.command(*t.machine("--platform", "frame", "--kernel", kernel, *options)))


def paint(t, *options):
    vm = boot(t, FIRST + "/paint.elf", *options)
    vm.expect("paint")
    wait_until(lambda: t.bulkhead("screenshot", t.name, t.dir + "/first.png").code == 0, "a first frame")
    return vm


def show(t, *options):
    vm = boot(t, BUILD + "/tests/guest/frame_show.elf", *options)
    vm.expect("ready")
    return vm


def events(vm):
    return [tuple(map(int, e)) for e in re.findall(r"event (\d+) (\d+) (\d+)", vm.talk.text)]


def status(pid, key):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(key + r":\s+(\d+)", f.read())[1])


def is_small(pid):
    return status(pid, "VmRSS") < 64 << 10  # KiB


def servers(t):
    """Processes that serve a viewer each, of this test's machine: other tests have theirs."""
    everything = dict(titles())
    found = []
    for pid in (pid for pid, title in everything.items() if title == "bulkhead-vncd --serve"):
        try:
            if t.dir in everything.get(status(pid, "PPid"), ""):
                found.append(pid)
        except OSError:
            pass  # it is gone meanwhile
    return found


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@test
def picture_key_and_click(t):
    """What a viewer sees is what the screen shows; what it draws is drawn."""
    path = t.dir + "/vnc"
    vm = paint(t, "--vnc", path)
    check(stat.S_IMODE(os.stat(path).st_mode) == 0o600, "the socket is its owner's alone")
    v = Viewer(path)
    check((v.width, v.height) == (640, 480), (v.width, v.height))
    v.update(incremental=False)
    check(v.pixel(0, 0) == PAPER and v.pixel(639, 479) == PAPER, "an empty paper")
    v.key(ord("a"))  # KEY_A is 30
    v.pointer(100, 100)
    v.pointer(200, 150, 1)
    v.pointer(200, 150, 0)
    v.wait_for_pixel(200, 150, COLOURS[30 % 8])
    check(v.pixel(150, 125) == COLOURS[30 % 8] and v.pixel(150, 100) == PAPER, "a stroke")
    t.bulkhead("screenshot", t.name, t.dir + "/now.png").expect(0)
    check(pictures.still(t.dir + "/now.png") == [bytes(r) for r in v.rows], "the same picture")
    v.key(ord(" "))
    v.wait_for_pixel(200, 150, PAPER)
    v.key(ESCAPE)
    check(vm.wait() == 0, vm.code)
    wait_until(lambda: not os.path.exists(path), "the socket is gone with the machine")
    t.expect_clean()


@test
def keys(t):
    """Codes of linux/input-event-codes.h for keysyms; shift comes and goes as the character needs it on a US keyboard."""
    vm = show(t, "--vnc", t.dir + "/vnc")
    v = Viewer(t.dir + "/vnc")
    tap = lambda c: [(KEY, c, 1), (KEY, c, 0)]
    shifted = lambda c: [(KEY, 42, 1), (KEY, c, 1), (KEY, 42, 0), (KEY, c, 0)]
    wanted = []
    for keysym, expected in ((ord("a"), tap(30)), (0xffbe, tap(59)), (0xffc9, tap(88)), (LEFT_ARROW, tap(105)), (BACKSPACE, tap(14)),
                             (0xffb5, tap(76)), (ord("A"), shifted(30)), (ord("?"), shifted(53)), (0x20ac, [])):
        v.key(keysym)
        wanted += expected
    # Another layout's: shift and 7 make a slash, which on this one is without.
    v.key(SHIFT_L, True)
    v.key(ord("/"))
    v.key(SHIFT_L, False)
    wanted += [(KEY, 42, 1), (KEY, 42, 0), (KEY, 53, 1), (KEY, 42, 1), (KEY, 53, 0), (KEY, 42, 0)]
    v.pointer(10, 20)
    v.pointer(10, 20, 1 << 3)
    v.pointer(10, 20, 1 << 4)
    v.pointer(10, 20, 1 << 2)
    v.pointer(9999, 9999, 0)
    wanted += [(ABS, 0, 10), (ABS, 1, 20), (REL, 8, 1), (REL, 8, 2 ** 32 - 1), (KEY, 0x111, 1), (ABS, 0, 639), (ABS, 1, 479), (KEY, 0x111, 0)]
    v.cut("Hi\r\n")
    wanted += [(KEY, 42, 1), (KEY, 35, 1), (KEY, 35, 0), (KEY, 42, 0), *tap(23), *tap(28)]
    # What is down when a viewer goes, comes up.
    v.key(CONTROL_L, True)
    wanted += [(KEY, 29, 1)]
    wait_until(lambda: vm.talk.pump(0.05) or events(vm)[-1:] == [(KEY, 29, 1)], "all keys")
    v.close()
    wait_until(lambda: vm.talk.pump(0.05) or events(vm)[-1:] == [(KEY, 29, 0)], "control comes up")
    wanted += [(KEY, 29, 0)]
    t.bulkhead("input", t.name, "key", "q").expect(0)
    check(vm.wait() == 7, vm.code)
    found = events(vm)[:-2]
    check(found == wanted, [(i, f, w) for i, (f, w) in enumerate(zip(found, wanted)) if f != w][:3] or (len(found), len(wanted)))


@test
def pc(t):
    """A PC's screen, and its keyboard and mouse, which are another process's and die meanwhile; without these nothing is typed."""
    need_vncd()
    vm = t.start(*t.command(*t.guest("ps2", "--display", "vga", "--ps2", "--vnc", t.dir + "/vnc", "--device-failure-limit", "0")))
    vm.expect("ready")
    v = Viewer(t.dir + "/vnc")
    v.update(incremental=False)
    v.key(ord("a"))
    v.pointer(10, 20)
    v.pointer(13, 18)
    wait_until(lambda: vm.talk.pump(0.05) or "mouse 3 2 0 0" in vm.talk.text, "a way up")
    os.kill(t.processes()["inputd"], signal.SIGKILL)
    v.key(ord("b"))
    wait_until(lambda: vm.talk.pump(0.05) or "key b0" in vm.talk.text, "typed when it was away")
    v.key(ord("q"))
    check(vm.wait() == 7, vm.code)
    keys = re.findall(r"key (\w+)", vm.talk.text)
    check(keys == ["1e", "9e", "30", "b0", "10", "90"][:len(keys)] and len(keys) >= 5, keys)
    t.expect_clean()
    vm = t.start(*t.command(*t.guest("vga_text", "--display", "vga", "--vnc", t.dir + "/vnc")))
    vm.expect("ready")
    v = Viewer(t.dir + "/vnc")
    v.key(ord("q"))
    v.update(incremental=False)
    vm.send("q")
    check(vm.wait() == 7, vm.code)


@test
def password(t):
    secret = t.dir + "/secret"
    with open(secret, "w") as f:
        f.write("sesame12\n")
    os.chmod(secret, 0o644)
    port = free_port()
    kernel = BUILD + "/tests/guest/frame_show.elf"
    need_vncd()
    machine = t.machine("--platform", "frame", "--kernel", kernel, "--vnc", f"{t.dir}/vnc,password-file={secret}")
    t.bulkhead(*machine).expect(2, err="others may read it: chmod 600")
    os.chmod(secret, 0o600)
    vm = show(t, "--vnc", f"{t.dir}/vnc,password-file={secret}")
    check(not Viewer(t.dir + "/vnc", "wrong").accepted, "a wrong password")
    v = Viewer(t.dir + "/vnc", "sesame12")
    check(v.accepted, "the right one")
    v.update()
    # One more by hand, over TCP.
    by_hand = t.start(PROGRAM, t.name, f"127.0.0.1:{port},password-file={secret}")
    by_hand.expect(f"VNC at port {port}")
    other = Viewer(("127.0.0.1", port), "sesame12")
    check(other.accepted, port)
    other.update()
    v.key(ord("q"))
    check(vm.wait() == 7 and by_hand.wait() == 0, (vm.code, by_hand.code))


@test
def errors(t):
    need_vncd()
    frame = ("--platform", "frame", "--kernel", BUILD + "/tests/guest/frame_show.elf")
    for place, why in (("0.0.0.0:1", "others than this host's own reach it"), ("127.0.0.1:x", "neither a display"), ("localhost:1", "no IPv4 address"),
                       ("127.0.0.1:1,colour=red", "neither password-file"), ("127.0.0.1:70000", "neither a display"), ("", "no name"),
                       (t.dir + "/no/such/vnc", "No such file"), (t.dir + "/x" * 100, "no name"),
                       (t.dir + "/vnc,password-file=/nowhere", "/nowhere: No such file")):
        t.bulkhead(*t.machine(*frame, "--vnc", place)).expect(2, err=r"--vnc.*" + re.escape(why))
    t.bulkhead(*t.guest("board", "--vnc", t.dir + "/vnc")).expect(2, err="--vnc: this machine has no screen")
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen(1)
    t.bulkhead(*t.machine(*frame, "--vnc", f"127.0.0.1:{taken.getsockname()[1]}")).expect(2, err="--vnc: .*Address already in use")
    t.expect_clean()


@test
def several_and_killed(t):
    """Viewers do not notice each other, nor when the screen's daemon or another one's server is killed."""
    vm = show(t, "--vnc", t.dir + "/vnc", "--device-failure-limit", "0")
    viewers = [Viewer(t.dir + "/vnc") for _ in range(4)]
    for v in viewers:
        v.update()
    before = servers(t)
    viewers[0].s.sendall(struct.pack(">BBHHHH", 3, 0, 0, 0, 640, 480))
    for _ in range(3):
        wait_until(lambda: "displayd" in t.processes(), "it is there")
        os.kill(t.processes()["displayd"], signal.SIGKILL)
        for v in viewers[1:]:
            number = v.pixel(0, 0)
            for _ in range(200):
                v.update()
                if v.pixel(0, 0) > number + 5:
                    break
            check(v.pixel(0, 0) > number + 5, "frames go on")
        viewers[1].key(ord("a"))
    for pid in before[:1]:
        os.kill(pid, signal.SIGKILL)
    alive = 0
    for v in viewers:
        try:
            v.update()
            alive += 1
        except (ConnectionError, TimeoutError):
            pass
    check(alive == 3, f"{alive} viewers of four are left")
    Viewer(t.dir + "/vnc").update()
    t.bulkhead("input", t.name, "key", "q").expect(0)
    check(vm.wait() == 7, vm.code)
    check([e for e in events(vm) if e[1] == 30] == [(KEY, 30, 1), (KEY, 30, 0)] * 3, events(vm))


@test
def odd_viewers(t):
    """Never read, garbage, huge rectangles, huge texts, thousands of connections: the guest and a good viewer go on; memory is bounded."""
    vm = show(t, "--vnc", t.dir + "/vnc")
    good = Viewer(t.dir + "/vnc")
    good.update()
    for data in (os.urandom(4096), b"RFB 003.008\n" + b"\xff" * 100, b"GET / HTTP/1.1\r\n\r\n", b"GET " + b"x" * 9000):
        s = dial(t.dir + "/vnc")
        s.sendall(data)
        s.close()
    odd = [struct.pack(">BBHHHH", 3, 0, 0xffff, 0xffff, 0xffff, 0xffff), struct.pack(">BBHHHH", 3, 0, 639, 479, 0xffff, 0xffff),
           struct.pack(">BxxxI", 6, 0xffffffff), struct.pack(">BxxxI", 6, 0x7fffffff), struct.pack(">BxxxI", 6, 0x80000001),
           struct.pack(">BxH", 2, 0xffff), struct.pack(">B3xBBBBHHHBBB3x", 0, 32, 24, 0, 1, 0, 0, 0, 77, 99, 200), b"\xfb" + bytes(40),
           struct.pack(">BBHHBx", 251, 0, 0xffff, 0xffff, 255), bytes([150]) + bytes(50), os.urandom(2000)]
    for data in odd:
        v = Viewer(t.dir + "/vnc")
        v.s.sendall(data)
        time.sleep(0.05)
        check(all(is_small(p) for p in servers(t)), f"memory after {data[:8]!r}")
        v.close()
        good.update()
    still = Viewer(t.dir + "/vnc")
    request = struct.pack(">BBHHHH", 3, 0, 0, 0, 640, 480)
    still.s.settimeout(0.5)
    try:
        while True:
            still.s.send(request)
    except TimeoutError:
        pass  # it is not read, as it does not read
    crowd = []
    for _ in range(1000):
        try:
            crowd.append(dial(t.dir + "/vnc", 0.05))
        except OSError:
            pass
        if len(crowd) > 50:
            crowd.pop(0).close()
    good.update()
    check(len(servers(t)) <= 6, servers(t))
    check(all(is_small(p) for p in servers(t)), "memory")
    for s in crowd:
        s.close()
    still.close()
    wait_until(lambda: t.bulkhead("input", t.name, "script", "-", input="frames 20\n").code == 0, "the guest goes on")
    good.key(ord("q"))
    check(vm.wait() == 7 and "displayd" not in vm.stderr(), vm.stderr())


@test
def fence(t):
    """A server has its viewer, the door, displayd and nothing else; bulkhead security names it."""
    vm = show(t, "--vnc", t.dir + "/vnc")
    v = Viewer(t.dir + "/vnc")
    v.update()
    mine = servers(t)
    check(mine, "there is one")
    for pid in mine:
        with open(f"/proc/{pid}/status") as f:
            text = f.read()
        check(re.search(r"Seccomp:\s+2", text) and re.search(r"NoNewPrivs:\s+1", text) and re.search(r"CapEff:\s+0+\n", text), text)
        for space in ("user", "mnt", "net", "ipc", "uts"):
            check(os.readlink(f"/proc/{pid}/ns/{space}") != os.readlink(f"/proc/self/ns/{space}"), space)
        held = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd") if int(fd) > 2]
        check(len(held) == 3 and all(h.startswith("socket:") for h in held), held)
    v.key(ord("q"))
    check(vm.wait() == 7, vm.code)


@test
def sizes(t):
    """A PC's display changes the size of its picture; viewers are told, and see what a screenshot shows. What they type has nowhere to go."""
    need_vncd()
    vm = t.start(*t.command(*t.guest("vga_modes", "--display", "vga", "--vnc", t.dir + "/vnc")))
    vm.expect("ready")
    wait_until(lambda: t.bulkhead("screenshot", t.name, t.dir + "/first.png").code == 0, "a first picture")
    v = Viewer(t.dir + "/vnc")
    for letter, size in (("c", (720, 400)), ("a", (320, 200)), ("b", (800, 600))):
        vm.send(letter)
        vm.expect(f"{letter} is there")
        t.bulkhead("screenshot", t.name, t.dir + "/now.png").expect(0)
        width, height, rows = pictures.sized(t.dir + "/now.png")
        check((width, height) == size, (width, height))
        v.key(ord("x"))
        for _ in range(100):
            v.update(incremental=False)
            if (v.width, v.height) == size and [bytes(r) for r in v.rows] == rows:
                break
        check((v.width, v.height) == size and [bytes(r) for r in v.rows] == rows, f"{v.width} {v.height}")


@test
def another_program(t):
    """Debian's vncsnapshot takes the same picture."""
    if not shutil.which("vncsnapshot"):
        raise Skip("vncsnapshot is not installed")
    port = free_port()
    vm = paint(t, "--vnc", f"127.0.0.1:{port}")
    out = t.dir + "/picture.jpg"
    subprocess.run(["vncsnapshot", "-quiet", "-quality", "100", f"127.0.0.1::{port}", out], check=True, timeout=30, stdin=subprocess.DEVNULL)
    with open(out, "rb") as f:
        data = f.read()
    check(data[:2] == b"\xff\xd8" and struct.pack(">HH", 480, 640) in data[:1000], "a JPEG of 640 by 480")
    t.bulkhead("input", t.name, "key", "esc").expect(0)
    check(vm.wait() == 0, vm.code)


if __name__ == "__main__":
    main()
