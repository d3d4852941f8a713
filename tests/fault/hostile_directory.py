# SPDX-License-Identifier: MIT
"""
A directory of another user that pretends to be a machine's, and root who is led there: what is written in it, linked
from it or answered in it brings no harm to anybody but its owner.
"""
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time

from bh import Skip, check, main, test, wait_until
from hostile import frame

ATTACKER = 65534
OK = 1  # MSG_OK


def need_root():
    if os.geteuid() != 0:
        raise Skip("needs root, to be the one who is lied to")


def attacker(action):
    """A process of the attacker's that runs action() and then sleeps; its pid."""
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setgroups([])
        os.setresgid(ATTACKER, ATTACKER, ATTACKER)
        os.setresuid(ATTACKER, ATTACKER, ATTACKER)
        try:
            action(lambda: os.write(tell, b"x"))
        finally:
            os._exit(99)
    os.close(tell)
    os.read(ready, 1)
    os.close(ready)
    return pid


def named(name, action):
    """action(), in a process that calls itself so and has a child that does."""
    def act(ready):
        ctypes.CDLL(None).prctl(15, name, 0, 0, 0)  # PR_SET_NAME
        if os.fork() == 0:
            ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
            signal.pause()
        action(ready)
    return act


def is_alive(pid):
    return os.waitpid(pid, os.WNOHANG) == (0, 0)


def trap(t, name="trap"):
    """A machine's directory as the attacker would make one, and what root has in its environment to be led there."""
    need_root()
    os.chmod(t.dir, 0o755)
    base = t.dir + "/theirs"
    for path in base, f"{base}/{name}":
        os.mkdir(path)
        os.chown(path, ATTACKER, ATTACKER)
    return f"{base}/{name}", dict(t.env, BULKHEAD_RUNTIME_DIR=base)


def listen(directory, answer=None):
    """action() of an attacker: a control and a console socket; each control client gets `answer`, or nothing at all."""
    def action(ready):
        control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        control.bind(directory + "/control.sock")
        control.listen()
        console = socket.socket(socket.AF_UNIX)
        console.bind(directory + "/console.sock")
        console.listen()
        ready()
        held = []
        while True:
            peer = control.accept()[0]
            held.append(peer)
            if answer and peer.recv(65536):  # some only want to know who listens
                peer.send(answer)
    return action


def bystander():
    """A process of root's that has nothing to do with it."""
    return subprocess.Popen(["sleep", "1000"])


@test
def written_pid(t):
    """The lock file names a process of root's. Who is killed is who listens."""
    directory, env = trap(t)
    pid, innocent = attacker(listen(directory)), bystander()
    with open(directory + "/lock", "w") as f:
        f.write(f"{innocent.pid}\n")
    t.bulkhead("kill", "trap", env=env)
    check(innocent.poll() is None, "a process was killed because its number was written in somebody's file")
    check(not is_alive(pid), "the process that listens is ended")
    innocent.kill()
    innocent.wait()


@test
def recycled_pid(t):
    """The process that listened is gone, another one holds the socket, and a process of root's has got its number. In a
    pid namespace of its own: numbers that come back at once are nothing to do to others."""
    need_root()
    p = subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", sys.executable, __file__, "recycled_pid_inside"],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=50)
    if p.returncode == 77:
        raise Skip(p.stdout)
    check(p.returncode == 0, p.stdout)


@test
def recycled_pid_inside(t):
    directory, env = trap(t)
    if not os.access("/proc/sys/kernel/ns_last_pid", os.W_OK):
        raise Skip("process ids cannot be chosen here")

    def listen_and_leave(ready):
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(directory + "/control.sock")
        listener.listen()
        if os.fork() == 0:
            ready()
            time.sleep(5)  # the command waits for its answer as long
        os._exit(0)

    pid = attacker(listen_and_leave)
    os.waitpid(pid, 0)
    with open("/proc/sys/kernel/ns_last_pid", "w") as f:
        f.write(str(pid - 1))
    innocent = bystander()
    check(innocent.pid == pid, f"the number has come back: {innocent.pid} is not {pid}")
    r = t.bulkhead("kill", "trap", env=env)
    check(innocent.poll() is None, f"whoever has the number now was killed: {r}")
    check(r.code == 31, f"the command says that it could do nothing: {r}")
    innocent.kill()
    innocent.wait()


@test
def links(t):
    """The sockets, or the whole directory, are links to another machine: it is not spoken to."""
    directory, env = trap(t)
    t.bulkhead(*t.guest("echo", "--detach")).expect(0)
    before = t.residents()
    real = f"{t.runtime}/{t.name}"

    def refused(what):
        for words in ("kill",), ("stop", "--force"), ("stop",), ("status",), ("wait",), ("console",), ("device", "list"):
            r = t.bulkhead(*words, "trap", env=env, seconds=20)
            check(r.code in (1, 2, 30, 31, 41) and "engine" not in r.out and "DEVICE" not in r.out, f"{what}: {r}")
        r = t.bulkhead("security", "trap", env=env)
        check(r.code in (1, 2, 30, 31) and str(before["supervisor"]) not in r.out, f"{what}: {r}")
        r = t.bulkhead("status", "--json", "trap", env=env)
        check(str(before["keeper"]) not in r.out and '"running"' not in r.out, f"{what}: {r}")

    for kind in "control.sock", "console.sock":
        os.symlink(f"{real}/{kind}", f"{directory}/{kind}")
    refused("linked sockets")
    for kind in "control.sock", "console.sock":
        os.unlink(f"{directory}/{kind}")
        os.link(f"{real}/{kind}", f"{directory}/{kind}")
    refused("sockets under a second name")
    os.rename(directory, directory + ".old")
    os.symlink(real, directory)
    refused("a linked directory")
    check(t.residents() == before, "the machine was touched")
    t.bulkhead("kill", t.name).expect(0)


def field(number, data):
    """A length-delimited field of a protobuf message."""
    assert len(data) < 128
    return bytes([number << 3 | 2, len(data)]) + data


@test
def words(t):
    """What a machine of somebody else's says reaches root's terminal as characters, and stays on its line."""
    bad = b"x\x1b]0;owned\x07\x1b[2J\nvm9 running\r\xc2\x9b31m"
    process = field(4, bad) + field(6, bad)
    status = b"".join(field(n, bad) for n in (1, 2, 3, 6, 9, 10, 11)) + field(8, process)
    directory, env = trap(t)
    body = field(4, status) if len(status) < 128 else bytes([4 << 3 | 2, len(status) & 0x7f | 0x80, len(status) >> 7]) + status
    pid = attacker(named(bad, listen(directory, frame(OK, 1, body))))
    for command in ("status",), ("device", "list"), ("status", "--json"), ("security",), ("security", "--json"):
        r = t.bulkhead(*command, "trap", env=env)
        r.expect(0, out=r"x\?\]0;owne|DEVICE")
        harmful = [c for c in r.out + r.err if c != "\n" and (ord(c) < 32 or 127 <= ord(c) < 160)]
        check(not harmful and "\nvm9" not in r.out and "\\n" not in r.out, f"{harmful}: {r}")
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


@test
def sweeper(t):
    """Only what is a dead machine's, and ours, is tidied up."""
    need_root()
    os.mkdir(t.runtime, 0o700)
    foreign, package, linked, dead = (f"{t.runtime}/{name}" for name in ("foreign", "package", "linked", "dead"))
    for path in foreign, package, dead, t.dir + "/elsewhere":
        os.mkdir(path, 0o700)
        for name in "lock", "log":
            open(f"{path}/{name}", "w").close()
    open(package + "/database", "w").close()
    os.chown(foreign, ATTACKER, ATTACKER)
    os.symlink(t.dir + "/elsewhere", linked)
    t.bulkhead("list").expect(0)
    for path in foreign, package, t.dir + "/elsewhere":
        check(set(os.listdir(path)) >= {"lock", "log"}, f"{path} was swept: {os.listdir(path)}")
    check(os.path.islink(linked), "a link was removed")
    check(not os.path.exists(dead), "a dead machine was not swept")


@test
def stale_socket(t):
    """A daemon that is to listen at a path removes what its predecessor has left there, and nothing else."""
    path = t.dir + "/seriald"
    with open(path, "w") as f:
        f.write("precious")
    r = t.call([os.environ["BUILD"] + "/devices/bulkhead-seriald", "--socket", path])
    r.expect(2, err="in use")
    with open(path) as f:
        check(f.read() == "precious", "a file was removed because nobody listens at it")
    os.unlink(path)
    left = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    left.bind(path)
    left.close()
    daemon = t.start(os.environ["BUILD"] + "/devices/bulkhead-seriald", "--socket", path)

    def listens():
        try:
            socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect(path)
            return True
        except OSError:
            return False

    wait_until(listens, "it listens where its predecessor did")
    daemon.kill()


if __name__ == "__main__":
    main()
