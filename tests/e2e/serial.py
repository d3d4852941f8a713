# SPDX-License-Identifier: MIT
"""--serial: what is behind COM1 to COM4. The guest (ports.c) sends back what each of them gets, in upper case."""
import json
import os
import re
import signal
import socket
import time

from bh import Talk, check, main, test, wait_until

LINES = 20000  # of ports.c


def start(t, *serial):
    options = [word for spec in serial for word in ("--serial", spec)]
    t.bulkhead(*t.guest("ports", "--detach", *options)).expect(0)


def unix(path):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.connect(path)
    return s


def talk_to(s):
    talk = Talk(s.fileno())
    talk.socket = s
    return talk


def tcp(port):
    return talk_to(socket.create_connection(("127.0.0.1", port)))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def open_pty(t, number):
    return Talk(os.open(f"{t.runtime}/{t.name}/com{number}", os.O_RDWR | os.O_NOCTTY))


def kill_seriald(t, times=1):
    for _ in range(times):
        processes = json.loads(t.bulkhead("status", "--json", t.name).expect(0).out)["processes"]
        p = next(p for p in processes if p["role"] == "seriald")
        os.kill(p["pid"], signal.SIGKILL)
        wait_until(lambda: any(q["role"] == "seriald" and q["incarnation"] > p["incarnation"] and q["state"] == "running" for q in
                               json.loads(t.bulkhead("status", "--json", t.name).out)["processes"]), "another seriald")


def end(t, code=6):
    console = t.console()
    console.send("@")
    t.bulkhead("wait", t.name).expect(code)
    t.expect_clean()


@test
def all_kinds(t):
    """Each kind of connector, each port; what was printed before anybody came is there; status names them."""
    port = free_port()
    start(t, f"1:file={t.dir}/com1", "2:pty", f"3:socket={t.dir}/com3,server", f"4:tcp=127.0.0.1:{port},server")
    for number, talk in ((2, open_pty(t, 2)), (3, talk_to(unix(t.dir + "/com3"))), (4, tcp(port))):
        talk.expect(f"port {number} ready\n")
        talk.send(f"words for {number}")
        talk.expect(f"WORDS FOR {number}")
    serial = json.loads(t.bulkhead("status", "--json", t.name).expect(0).out)["serial"]
    check(serial == [f"1:file={t.dir}/com1", f"2:pty {t.runtime}/{t.name}/com2", f"3:socket={t.dir}/com3,server",
                     f"4:tcp=127.0.0.1:{port},server"], serial)
    t.bulkhead("console", t.name, "--port", "3", "--send", "more", "--expect", "MORE").expect(0)
    t.bulkhead("console", t.name, "--expect", "port 1 ready").expect(0)
    end(t)
    with open(t.dir + "/com1", encoding="ascii") as f:
        check(f.read() == "port 1 ready\n", "the file has the console's output")


@test
def file_key(t):
    """As a key of a file, with paths from there; show prints it."""
    with open(t.dir + "/vm.toml", "w", encoding="utf-8") as f:
        f.write('serial = ["2:file=com2", "3:pty"]\n')
    t.bulkhead(*t.guest("ports", "--detach", "--config", t.dir + "/vm.toml")).expect(0)
    wait_until(lambda: os.path.exists(t.dir + "/com2") and os.path.getsize(t.dir + "/com2"), "its output")
    t.bulkhead("show", t.name, "--config").expect(0, out=re.escape(f'serial = ["2:file={t.dir}/com2", "3:pty"]'))
    end(t)


@test
def file_is_appended_to(t):
    """What was there stays; more than any limit of a daemon's fits; no line is lost or comes out of order."""
    with open(t.dir + "/com2", "w", encoding="ascii") as f:
        f.write("before\n" * 200000)
    start(t, f"2:file={t.dir}/com2", f"3:socket={t.dir}/com3,server", "4:none")
    # What comes before the guest has set up its port is thrown away by that.
    wait_until(lambda: os.path.getsize(t.dir + "/com2") >= 7 * 200000 + len("port 2 ready\n"), "the port is set up")
    t.bulkhead("console", t.name, "--port", "2", "--send", "%", "--expect", "flooded").expect(0)
    end(t)
    with open(t.dir + "/com2", encoding="ascii") as f:
        lines = f.read().split("\n")
    check(lines[:200000] == ["before"] * 200000 and lines[200001:200001 + LINES] == [f"a line with the number {i}" for i in range(LINES)],
          f"{len(lines)} lines: {lines[200000:200003]}")


@test
def errors(t):
    for spec, why in (("2:pipe", "must be one of none, pty"), ("5:pty", "with N from 1 to 4"), ("2:socket=/a", "write ,server"),
                      ("2:tcp=0.0.0.0:1,server", "only on this host"), ("2:file=/nowhere/x", "--serial 2:file=/nowhere/x: No such file"),
                      (f"2:socket=/{'x' * 200},server", "too long"), (f"2:file={t.dir}", "Is a directory")):
        r = t.bulkhead(*t.guest("ports", "--serial", spec)).expect(2)
        check(why in r.err, f"{spec}: {r}")
    os.mkfifo(t.dir + "/fifo")
    t.bulkhead(*t.guest("ports", "--serial", f"2:file={t.dir}/fifo")).expect(2, err="not a file")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        t.bulkhead(*t.guest("ports", "--serial", f"2:tcp=127.0.0.1:{s.getsockname()[1]},server")).expect(2, err="in use")
    start(t)
    t.bulkhead("console", t.name, "--port", "2").expect(1, err="COM2 has nobody to print to; give it a connector with --serial")
    end(t)


@test
def kills(t):
    """seriald is killed again and again while somebody types at a terminal and at a socket and a file is written: what is typed
    and printed arrives, each once or, of the output, a piece twice."""
    start(t, "2:pty", f"3:socket={t.dir}/com3,server", f"4:file={t.dir}/com4")
    pty, unix_talk = open_pty(t, 2), talk_to(unix(t.dir + "/com3"))
    pty.expect("ready\n")
    unix_talk.expect("ready\n")
    for i in range(12):
        pty.send(f"pty{i};")
        unix_talk.send(f"unix{i};")
        kill_seriald(t)
        pty.expect(f"PTY{i};")
        unix_talk.expect(f"UNIX{i};")
    expected = "".join(f"PTY{i};" for i in range(12))
    check(pty.text.endswith(expected), f"what was typed at the terminal arrived once, in order: {pty.text}")
    t.bulkhead("console", t.name, "--port", "4", "--send", "%").expect(0)
    kill_seriald(t, 5)
    t.bulkhead("console", t.name, "--port", "4", "--expect", "flooded").expect(0)
    end(t)
    with open(t.dir + "/com4", encoding="ascii") as f:
        numbers = [int(n) for n in re.findall(r"number (\d+)\n", f.read())]
    check(set(numbers) == set(range(LINES)), f"{LINES - len(set(numbers))} lines are missing")


@test
def hostile(t):
    """Peers that never read, send rubbish without end, connect and leave: the guest goes on, and so do the other ports."""
    port = free_port()
    start(t, "2:pty", f"3:socket={t.dir}/com3,server", f"4:tcp=127.0.0.1:{port},server")
    deaf = talk_to(unix(t.dir + "/com3"))
    deaf.send("%")
    loud = tcp(port)
    loud.socket.setblocking(False)
    for _ in range(200):
        try:
            loud.socket.send(os.urandom(4096).replace(b"%", b"x"))
        except BlockingIOError:
            break
    for _ in range(50):
        unix(t.dir + "/com3").close()
        socket.create_connection(("127.0.0.1", port)).close()
    console = t.console()
    console.expect("port 1 ready\n")
    console.send("still there")
    console.expect("STILL THERE", 30)
    nobody = [tcp(port) for _ in range(20)]
    console.send("and now")
    console.expect("AND NOW", 30)
    del nobody, loud
    # Nobody has opened the terminal, and the deaf one leaves: neither is a loss at the end.
    deaf.socket.close()
    time.sleep(0.1)
    end(t)


if __name__ == "__main__":
    main()
