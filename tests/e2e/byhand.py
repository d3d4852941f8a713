# SPDX-License-Identifier: MIT
"""Device daemons that somebody starts by hand, or systemd, and machines that use them."""
import os
import socket
import struct

from bh import BUILD, check, main, test, wait_until

OK, ERROR, HELLO = 1, 2, 3


def program(name):
    return f"{BUILD}/devices/bulkhead-{name}"


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


if __name__ == "__main__":
    main()
