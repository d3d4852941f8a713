# SPDX-License-Identifier: MIT
"""Device daemons that somebody starts by hand, or systemd, and machines that use them."""
import json
import os
import signal
import socket
import struct
import threading

from bh import BUILD, Skip, check, main, test, wait_until

OK, ERROR, HELLO = 1, 2, 3
DEVICES = ("irqd", "timerd", "seriald", "platformd")
STRANGER = 54321  # a user id that is nobody's here


def program(name):
    return f"{BUILD}/devices/bulkhead-{name}"


def by_hand(t, name, *options, wrapper=(), wanted=False):
    """That daemon, which listens; `wanted`: a machine waits for it, so that its socket's name is gone again at once."""
    path = f"{t.dir}/{name}.sock"
    daemon = t.start(*wrapper, program(name), "--socket", path, *options)
    if not wanted:
        wait_until(lambda: os.path.exists(path) or daemon.poll() is not None, f"{name} listens")
    return daemon


def device(t, name):
    return f"{name}=unix:{t.dir}/{name}.sock"


def status(t):
    return json.loads(t.bulkhead("status", "--json", t.name).expect(0).out)


def row(t, name):
    return next(p for p in status(t)["processes"] if p["role"] == name)


def say(vm, text):
    """To the echo guest, which says it in capitals."""
    if "ready" not in vm.talk.text:
        vm.expect("ready")
    vm.send(text + "\n")


def need_root():
    if os.geteuid() != 0:
        raise Skip("needs root, to be two users")


def listening(path):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.bind(path)
    s.listen(1)
    return s


def connected(path):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(20)
    s.connect(path)
    return s


def hello(role, major=1):
    """HELLO to a device of that role (proto/control.proto)."""
    body = struct.pack("<BBBB", 8, major, 24, role) + b"\x22\x02vm"
    return struct.pack("<HHIIHH", 0x4842, HELLO, len(body), 7, 0, 0) + body


def answer(s):
    data = s.recv(65536)
    return struct.unpack_from("<H", data, 2)[0], data[16:]


@test
def activated(t):
    """A socket of systemd's, listening or connected: descriptor 3, LISTEN_PID and LISTEN_FDS (sd_listen_fds(3))."""
    path = t.dir + "/s"
    for accepts in True, False:
        listener = listening(path)
        client = connected(path)
        given = listener if accepts else listener.accept()[0]
        pid = os.fork()
        if pid == 0:
            os.dup2(given.fileno(), 3)
            os.set_inheritable(3, True)  # it may be that already
            os.execve(program("timerd"), ["bulkhead-timerd"], {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"})
        given.close()
        client.send(hello(5))
        kind, body = answer(client)
        check(kind == OK, f"it answers HELLO: {kind} {body}")
        client.close()
        check(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1, "who is left before SETUP has failed")
        listener.close()
        os.unlink(path)


@test
def not_for_us(t):
    """LISTEN_FDS of another process, or of a socket of another kind, is none."""
    r = t.call([program("timerd")], env={"LISTEN_PID": "1", "LISTEN_FDS": "1"})
    r.expect(2, err="give --socket or --control-fd, or start it by systemd")
    r = t.call(["sh", "-c", f"LISTEN_PID=$$ LISTEN_FDS=1 exec {program('timerd')} 3</dev/null"])
    r.expect(2, err="ListenSequentialPacket=")


@test
def all_of_them(t):
    """Every device in a process that was started by hand, behind its own fence; status and security tell of it, and at the
    machine's end they end, too."""
    daemons = {name: by_hand(t, name) for name in DEVICES}
    options = [word for name in DEVICES for word in ("--device", device(t, name))]
    vm = t.start(*t.command(*t.guest("echo", *options)))
    say(vm, "abc")
    vm.expect("ABC")
    t.bulkhead("status", t.name).expect(0, out=f"seriald is somebody else's process, version .*{t.dir}/seriald.sock")
    check("sandbox_missing" not in t.bulkhead("status", t.name).out, "their fences are whole")
    check(not status(t)["sandbox_missing"], "their fences are whole")
    for name, daemon in daemons.items():
        p = row(t, name)
        check(p["external"] == f"{t.dir}/{name}.sock" and p["pid"] == daemon.pid and p["version"], f"{name}: {p}")
    known = json.loads(t.bulkhead("security", "--json", t.name).expect(0).out)["processes"]
    for name in DEVICES:
        p = next(p for p in known if p["process"] == name)
        check(p["external"] and p["seccomp_mode"] == 2 and p["capabilities"].strip("0") == "", f"{name}: {p}")
    t.bulkhead("device", "replace", t.name, "serial").expect(1, err="somebody else serves this device")
    t.bulkhead("kill", t.name).expect(0)
    vm.wait()
    for name, daemon in daemons.items():
        check(daemon.wait() == 0, f"{name} ends with its machine: {daemon.stderr()}")
    t.expect_clean()


@test
def started_again(t):
    """While there is no daemon the guest waits; the next one goes on where the last one was, and is told from a death of ours."""
    first = by_hand(t, "seriald")
    vm = t.start(*t.command(*t.guest("echo", "--device", device(t, "seriald"))))
    say(vm, "one")
    vm.expect("ONE")
    first.kill()
    wait_until(lambda: row(t, "seriald")["state"] == "waiting for it", "it is missed")
    check("cannot connect" in row(t, "seriald")["last_reason"], row(t, "seriald"))
    say(vm, "two")
    second = by_hand(t, "seriald", wanted=True)
    vm.expect("TWO")
    check(row(t, "seriald")["pid"] == second.pid and row(t, "seriald")["deaths"] == 1, row(t, "seriald"))
    # The socket's name is free as soon as somebody has connected: the next one may wait there.
    third = by_hand(t, "seriald")
    t.bulkhead("device", "restart", t.name, "serial").expect(0)
    check(second.wait() == 0, "it was asked to leave")
    check(row(t, "seriald")["pid"] == third.pid and row(t, "seriald")["deaths"] == 1, row(t, "seriald"))
    say(vm, "three")
    vm.expect("THREE")
    # What one that is killed had just sent may come once more; what one that is asked to leave has sent, not.
    check(vm.talk.text.count("TWO") == 1, f"nothing is repeated: {vm.talk.text!r}")


@test
def nobody_there(t):
    r = t.bulkhead(*t.guest("echo", "--device", device(t, "seriald")))
    r.expect(2, err="cannot connect to .*/seriald.sock: No such file or directory")
    t.expect_clean()


@test
def wrong_role(t):
    daemon = by_hand(t, "timerd")
    os.rename(t.dir + "/timerd.sock", t.dir + "/seriald.sock")
    r = t.bulkhead(*t.guest("echo", "--device", device(t, "seriald")))
    r.expect(2, err="seriald, whose process listens at .* was disconnected: HELLO: role is not the role of this program")
    check(daemon.wait() == 1, daemon.stderr())


def pretend(t, name, behave):
    """Somebody who listens where a daemon should, and does that with each connection."""
    listener = listening(f"{t.dir}/{name}.sock")

    def serve():
        while True:
            try:
                connection = listener.accept()[0]
            except OSError:
                return
            behave(connection)

    threading.Thread(target=serve, daemon=True).start()
    return listener


def ok_hello(major, role):
    hello_part = struct.pack("<BBBB", 8, major, 24, role) + b"\x3a\x059.9.9"
    body = struct.pack("<BB", 10, len(hello_part)) + hello_part
    return struct.pack("<HHIIHH", 0x4842, OK, len(body), 1, 0, 0) + body


@test
def wrong_version(t):
    kept = []

    def behave(connection):
        connection.recv(65536)
        connection.send(ok_hello(2, 6))
        kept.append(connection)

    pretend(t, "seriald", behave)
    r = t.bulkhead(*t.guest("echo", "--device", device(t, "seriald")))
    r.expect(2, err=r"was disconnected: it speaks another protocol, .* \(its version: 9\.9\.9, ours: ")


@test
def nonsense(t):
    """Bytes that are no frames; a stream socket; nobody's file; one that says nothing."""
    pretend(t, "seriald", lambda c: c.send(os.urandom(200)))
    t.bulkhead(*t.guest("echo", "--device", device(t, "seriald"))).expect(2, err="seriald.* was disconnected: broken message")
    other = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    other.bind(t.dir + "/irqd.sock")
    other.listen(1)
    t.bulkhead(*t.guest("echo", "--device", device(t, "irqd"))).expect(2, err="irqd: no device daemon listens at")
    open(t.dir + "/platformd.sock", "w").close()
    t.bulkhead(*t.guest("echo", "--device", device(t, "platformd"))).expect(2, err="cannot connect to .*Connection refused")
    kept = []
    pretend(t, "timerd", kept.append)
    t.bulkhead(*t.guest("echo", "--device", device(t, "timerd"))).expect(2, err="timerd.* was disconnected: it does not answer")
    t.expect_clean()


@test
def nonsense_later(t):
    """Whatever takes a daemon's place while the guest runs, the guest waits for one that can go on."""
    first = by_hand(t, "seriald")
    vm = t.start(*t.command(*t.guest("echo", "--device", device(t, "seriald"))))
    say(vm, "one")
    vm.expect("ONE")
    first.kill()
    wrong = pretend(t, "seriald", lambda c: c.send(os.urandom(200)))
    wait_until(lambda: "broken message" in (row(t, "seriald")["last_reason"] or ""), "it was tried")
    wrong.close()
    os.unlink(t.dir + "/seriald.sock")
    say(vm, "two")
    by_hand(t, "seriald", wanted=True)
    vm.expect("TWO", 30)


@test
def foreign_user(t):
    """The kernel tells both sides who the other is: SO_PEERCRED, unix(7)."""
    need_root()
    os.chmod(t.dir, 0o777)
    wrapper = ("setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups", "env", "PATH=/usr/bin:/bin")
    theirs = by_hand(t, "seriald", wrapper=wrapper)
    os.chmod(t.dir + "/seriald.sock", 0o666)
    t.bulkhead(*t.guest("echo", "--device", device(t, "seriald"))).expect(
        2, err=f"user {STRANGER} listens at .*; --device seriald=unix:.*,user={STRANGER} lets them")
    check(theirs.wait() == 1, "who is connected to and left before HELLO has nothing to do")
    theirs = by_hand(t, "seriald", wrapper=wrapper)
    os.chmod(t.dir + "/seriald.sock", 0o666)
    vm = t.start(*t.command(*t.guest("echo", "--device", device(t, "seriald") + f",user={STRANGER}")))
    say(vm, "one")
    vm.expect("ONE")
    t.bulkhead("kill", t.name).expect(0)
    check(theirs.wait() == 0, theirs.stderr())
    turned_away(t, wrapper)


def turned_away(t, wrapper):
    """The other way round: a machine of another user's."""
    ours = by_hand(t, "timerd")
    os.chmod(t.dir + "/timerd.sock", 0o666)
    run = t.command(*t.guest("echo", "--runtime-dir", t.dir + "/theirs", "--stop-timeout", "500ms", "--device", device(t, "timerd") + ",user=0"))
    r = t.call([*wrapper, *run])
    r.expect(2, err=f"was disconnected: it serves user 0 and root, not user {STRANGER}; start it with --peer {STRANGER}")
    check(ours.poll() is None and "was turned away" in ours.stderr(), "it goes on waiting")
    ours.kill()
    os.unlink(t.dir + "/timerd.sock")
    ours = by_hand(t, "timerd", "--peer", str(STRANGER))
    vm = t.start(*wrapper, *run)
    say(vm, "one")
    vm.expect("ONE")
    vm.signal(signal.SIGTERM)
    vm.wait()
    check(ours.wait() == 0, ours.stderr())


@test
def words(t):
    """--device and its key: what is wrong is named, the file's socket is meant from where the file is, and show tells it."""
    for value, why in (("serial", "that is no device and socket"), ("tape=unix:/x", "no device is called that"),
                       ("serial=unix:", "a socket's path has 1 to 107 characters"), ("serial=tcp:1", "no device and socket"),
                       ("serial=unix:/x,user=no-such-user", "no such user"), ("test1=unix:/x", "this machine has no testd1")):
        t.bulkhead(*t.guest("echo", "--device", value)).expect(2, err=why)
    t.bulkhead(*t.guest("echo", "--device", "serial=unix:/x", "--device", "seriald=unix:/y")).expect(2, err="given twice")
    with open(t.dir + "/vm.toml", "w") as f:
        f.write(f'kernel = "{BUILD}/tests/guest/echo.bin"\nformat = "flat64"\nmemory = "16M"\nname = "{t.name}"\n'
                'device = ["timer=unix:timerd.sock"]\n')
    daemon = by_hand(t, "timerd")
    t.bulkhead("check", t.dir + "/vm.toml").expect(0)
    t.bulkhead("run", "--detach", "--config", t.dir + "/vm.toml").expect(0)
    t.bulkhead("show", t.name, "--config").expect(0, out=rf'device = \["timerd=unix:{t.dir}/timerd.sock"\]')
    t.bulkhead("kill", t.name).expect(0)
    check(daemon.wait() == 0, daemon.stderr())


if __name__ == "__main__":
    main()
