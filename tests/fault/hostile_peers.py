# SPDX-License-Identifier: MIT
"""Peers on this host that misbehave, at the control socket and at the console: others are served, the guest runs."""
import array
import os
import socket
import struct
import time

from bh import Failure, Skip, check, main, test, wait_until
from hostile import Watch, expect_bounded, frame, memory

STATUS, WAIT = 20, 23


def control(t, name=None):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(5)
    for _ in range(500):
        try:
            s.connect(f"{t.runtime}/{name or t.name}/control.sock")
            return s
        except BlockingIOError:  # the queue of those who wait to be let in is full
            time.sleep(0.01)
    raise Failure("the keeper lets nobody in")


def start(t):
    t.bulkhead(*t.guest("echo", "--detach")).expect(0)
    console = t.console()
    console.expect("ready")
    return console


def expect_alive(t, console, before, watch, what):
    console.send("alive")
    console.expect("ALIVE")
    watch.ask()
    expect_bounded(before, memory(t), what)
    print(f"   {what}: {watch}")


def send(s, data, fds=()):
    try:
        s.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])
        return True
    except OSError:
        return False


def open_fds(t, role="supervisor"):
    return len(os.listdir(f"/proc/{t.processes()[role]}/fd"))


@test
def control_flood(t):
    """Requests without end whose answers nobody reads, from as many clients as there may be."""
    console, watch = start(t), Watch(t)
    watch.ask()
    before = memory(t)
    for _ in range(20):
        peers = [control(t) for _ in range(8)]
        for s in peers:
            s.setblocking(False)
            for i in range(200):
                if not send(s, frame(STATUS, i)):
                    break
        watch.ask()
        for s in peers:
            s.close()
    expect_alive(t, console, before, watch, "flood of requests")
    t.bulkhead("kill", t.name).expect(0)


@test
def control_idle(t):
    """Sixty clients that connect and say nothing: they give way to one that has something to say."""
    console, watch = start(t), Watch(t)
    watch.ask()
    before, peers = memory(t), []
    for _ in range(60):
        peers.append(control(t))
        time.sleep(0.005)
    watch.ask()
    expect_alive(t, console, before, watch, "idle clients")
    del peers
    t.bulkhead("kill", t.name).expect(0)


@test
def control_waiters(t):
    """Forty clients that wait for the end leave room for one that ends it, and are answered then or were refused."""
    console, watch = start(t), Watch(t)
    peers = []
    for i in range(40):
        s = control(t)
        send(s, frame(WAIT, i + 1))
        peers.append(s)
        time.sleep(0.005)
    watch.ask()
    t.bulkhead("kill", t.name).expect(0)
    answers = []
    for s in peers:
        try:
            answers.append(s.recv(65536)[2:4])
        except OSError:
            answers.append(b"")
    check(answers.count(struct.pack("<H", 1)) >= 8, f"those who waited were told: {answers}")
    del console


@test
def control_frames(t):
    """Frames of every wrong kind, cut, too long, of other roles; half-open connections; descriptors nobody asked for."""
    console, watch = start(t), Watch(t)
    watch.ask()
    before, fds = memory(t), open_fds(t)
    null = os.open("/dev/null", os.O_RDONLY)
    for type in list(range(0, 40)) + [0xffff]:
        for data in (frame(type), frame(type, 0, b"\xff" * 50), frame(type, 7, b"\x0a\xff\xff\xff\xff\x0f" + b"a" * 100),
                     frame(type, length=0xffffffff), frame(type)[:9], frame(type, nfds=5), frame(type) + b"\0" * 65000):
            if type in (21, 22):  # STOP and KILL would do what they say
                continue
            s = control(t)
            send(s, data)
            s.close()
    for n in (1, 16, 32, 200):
        s = control(t)
        send(s, frame(STATUS, nfds=min(n, 32)), [null] * n)
        s.shutdown(socket.SHUT_WR)
        s.close()
    os.close(null)
    wait_until(lambda: open_fds(t) <= fds, "the supervisor closed what it was sent")
    expect_alive(t, console, before, watch, "broken frames")
    t.bulkhead("kill", t.name).expect(0)


@test
def console_flood(t):
    """A megabyte of input at once, clients that do not read, too many of them, connections that come and go."""
    t.bulkhead(*t.guest("echo", "--detach")).expect(0)
    watch = Watch(t)
    watch.ask()
    before = memory(t)
    deaf = [t.console() for _ in range(3)]
    for d in deaf:
        d.socket.setblocking(False)
        try:
            d.socket.send(b"a" * 1000000)
        except BlockingIOError:
            pass
    watch.ask()
    for _ in range(200):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.connect(f"{t.runtime}/{t.name}/console.sock")
        s.close()
    crowd = []
    for _ in range(12):
        try:
            crowd.append(t.console())
        except OSError:
            break
    watch.ask()
    for d in deaf + crowd:
        d.socket.close()

    def served():
        reader = t.console()
        try:
            reader.send("hello")
            reader.expect("HELLO", seconds=5)
            return True
        except (Failure, OSError):
            return False
    wait_until(served, "a console client is served again", 30)
    watch.ask()
    expect_bounded(before, memory(t), "console flood")
    print(f"   console flood: {watch}")
    t.bulkhead("kill", t.name).expect(0)


def consoles(t, n):
    """Clients that have seen the history, and say nothing."""
    held = []
    for _ in range(n):
        held.append(t.console())
        held[-1].expect("ready")
    return held


def works(talk, word):
    talk.send(word)
    talk.expect(word.upper(), seconds=10)


@test
def console_idle(t):
    """Eight clients that only hold a place: the idlest gives way, and is told. Who types keeps the place, also across a
    restart of the daemon."""
    t.bulkhead(*t.guest("echo", "--detach")).expect(0)
    typist, *idle = consoles(t, 8)
    works(typist, "one")
    late = consoles(t, 1)[0]
    works(late, "two")
    idle[0].expect("this place goes to a client that came after you")
    idle[0].read_to_end()
    check(not any(i.ended for i in idle[1:]), "one gives way, not more")
    t.bulkhead("device", "restart", t.name, "serial").expect(0)
    crowd = consoles(t, 20)
    works(crowd[-1], "three")
    works(typist, "four")
    works(late, "five")
    del crowd
    t.bulkhead("kill", t.name).expect(0)


@test
def console_typists(t):
    """When all of them type, a ninth is refused, and told."""
    t.bulkhead(*t.guest("echo", "--detach")).expect(0)
    held = consoles(t, 8)
    for i, talk in enumerate(held):
        works(talk, f"word{i}")
    t.console().expect("too many console clients")
    works(held[0], "last")
    t.bulkhead("kill", t.name).expect(0)


def as_user(uid, action):
    """Runs action() in a child process as another user; its result must be a small number."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            code = action()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@test
def wrong_user(t):
    """Another user reaches no socket; not even when somebody has opened up the directories and the sockets."""
    if os.geteuid() != 0:
        raise Skip("needs root to become another user")
    console = start(t)
    directory = f"{t.runtime}/{t.name}"

    def connect():
        for name, kind in (("control.sock", socket.SOCK_SEQPACKET), ("console.sock", socket.SOCK_STREAM),
                           ("gdb.sock", socket.SOCK_STREAM)):
            try:
                socket.socket(socket.AF_UNIX, kind).connect(f"{directory}/{name}")
                return 1
            except PermissionError:
                pass
        return 0

    def ask():
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.settimeout(5)
        try:
            s.connect(f"{directory}/control.sock")
            s.send(frame(STATUS))
            return 1 if s.recv(65536) else 0
        except OSError:
            return 0

    def debug():
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.settimeout(5)
        try:
            s.connect(f"{directory}/gdb.sock")
            s.send(b"$?#3f")
            return 1 if s.recv(100) else 0
        except OSError:
            return 0
    check(as_user(65534, connect) == 0, "permissions keep another user out")
    for path in (t.dir, t.runtime, directory):
        os.chmod(path, 0o755)
    os.chmod(f"{directory}/control.sock", 0o666)
    os.chmod(f"{directory}/gdb.sock", 0o666)
    check(as_user(65534, ask) == 0 and as_user(65534, debug) == 0, "the keeper turns another user away")
    check("gdbd" not in t.processes(), "and starts nothing for one")
    t.bulkhead("status", t.name).expect(0)
    console.send("x")
    console.expect("X")
    t.bulkhead("kill", t.name).expect(0)


if __name__ == "__main__":
    main()
