# SPDX-License-Identifier: MIT
"""What a machine does, seen from outside: status, stats, top, events, metrics, logs (docs/observing.md)."""
import json
import os
import re
import signal
import socket
import time

from bh import BULKHEAD, check, main, need_sandbox, test, wait_until

AROUND = {"keeper", "logger", "supervisor", "spawner"}


def start(t, *options, image="board", name=None):
    t.bulkhead(*t.guest(image, "--detach", *options, name=name)).expect(0)


def stats(t):
    return json.loads(t.bulkhead("stats", "--json", t.name).expect(0).out)


def device(s, name):
    return next(d for d in s["devices"] if d["device"] == name)


@test
def status(t):
    """Processor time, memory, uptime; of the processes around it, too."""
    start(t)
    s = json.loads(t.bulkhead("status", "--json", t.name).expect(0).out)
    rows = {p["role"]: p for p in s["processes"]}
    check(AROUND | {"vcpu", "seriald"} <= set(rows), sorted(rows))
    for role, p in rows.items():
        check(p["rss_bytes"] > 0 and p["cpu_ns"] >= 0, p)
        check(os.geteuid() or p["pss_bytes"] > 0, p)
    check(rows["keeper"]["pid"] == s["keeper_pid"] and s["uptime_ns"] > 0, s)
    t.bulkhead("status", t.name).expect(0, out=r"(?s)uptime +0:00:\d\d.*CPU s +RSS MiB.*keeper +\d+ .*supervisor +\d+ .*vcpu +\d+ ")
    t.bulkhead("kill", t.name).expect(0)


@test
def red(t):
    """Only on a terminal, only if it is not on, and not if NO_COLOR says so (no-color.org)."""
    need_sandbox()
    start(t)
    start(t, "--sandbox", "off", name=t.name + "off")
    def on_terminal(*args, **env):
        t.env.update({"TERM": "xterm", "NO_COLOR": "", **env})
        vm = t.start(BULKHEAD, "status", *args, on_terminal=True)
        vm.wait()
        return vm.talk.text
    off = on_terminal(t.name + "off")
    check("\033[31moff\033[0m" in off and "\033[31msandbox without: everything" in off, repr(off))
    check("\033[" not in on_terminal(t.name), "nothing is red where it is on")
    check("\033[" not in on_terminal(t.name + "off", NO_COLOR="1"), "NO_COLOR")
    check("\033[" not in on_terminal(t.name + "off", TERM="dumb"), "a dumb terminal")
    check("\033[" not in t.bulkhead("status", t.name + "off").expect(0).out, "no terminal")
    s = json.loads(t.bulkhead("status", "--json", t.name + "off").out)
    check(s["sandbox"] == "off" and s["sandbox_missing"], s)
    for name in (t.name, t.name + "off"):
        t.bulkhead("kill", name).expect(0)


@test
def counts(t):
    """A byte on the console is a posted write; a loop-back of the UART is waited for."""
    start(t, image="echo")
    console = t.console()
    console.expect("ready")
    before = stats(t)
    console.send("x" * 50)
    console.expect("X{50}")
    wait_until(lambda: device(stats(t), "seriald")["posted"] >= device(before, "seriald")["posted"] + 50, "posted writes of THR")
    after = stats(t)
    check(after["counters"]["exit_port_write"] >= before["counters"]["exit_port_write"] + 50, after)
    check(after["interrupts"].get(str(0x24), 0) > 0, after)  # COM1, through the 8259 as the guest has programmed it
    for d in after["devices"]:
        check(sum(d["round_trips_below_power_of_two_ns"]) == d["synchronous"], d)
        check(not d["synchronous"] or d["round_trip_p50_ns"] <= d["round_trip_p99_ns"] <= d["round_trip_max_ns"], d)
    if t.engine == "emu":
        check(after["counters"]["instructions"] > before["counters"]["instructions"] > 0, after)
        check(after["vcpu_instructions"] == [after["counters"]["instructions"]], after)
    t.bulkhead("stats", t.name).expect(0, out=r"(?s)EXITS.*port_write +\d+.*DEVICE.*seriald +running.*PROCESS.*keeper")
    t.bulkhead("kill", t.name).expect(0)


@test
def counts_go_on(t):
    """Over a reset, which makes a new vcpu process."""
    start(t)
    console = t.console()
    console.expect("board ready")
    before = stats(t)
    console.send("r")
    console.expect("board ready")
    after = stats(t)
    check(after["reboots"] == 1, after)
    for key, value in before["counters"].items():
        check(after["counters"][key] >= value, f"{key}: {value}, then {after['counters'][key]}")
    check(device(after, "seriald")["posted"] > device(before, "seriald")["posted"], after)
    t.bulkhead("kill", t.name).expect(0)


@test
def top(t):
    """One picture, a stream of lines, all machines, one that is not there, and on a terminal until q."""
    start(t)
    start(t, name=t.name + "b")
    one = json.loads(t.bulkhead("top", "--once", "--json", t.name).expect(0).out)
    check(one["name"] == t.name and one["per_second"] and one["interval_ns"] > 0, one)
    check({p["process"] for p in one["processes"]} >= AROUND | {"vcpu"}, one)
    every = json.loads(t.bulkhead("top", "--once", "--json").expect(0).out)
    check({m["name"] for m in every} == {t.name, t.name + "b"}, every)
    t.bulkhead("top", "--once", t.name).expect(0, out=r"(?s)EXITS a second.*DEVICE.*P99.*CPU %")
    t.bulkhead("top", "--once").expect(0, out=rf"(?s)NAME.*MIPS.*{t.name} +running +on")
    stream = t.start(BULKHEAD, "top", "--json", "--interval", "50ms", t.name)
    for _ in range(3):
        stream.expect(r'"interval_ns":\d+.*\n')
    screen = t.start(BULKHEAD, "top", "--interval", "100ms", t.name, on_terminal=True)
    screen.expect(r"\033\[\?1049h")
    screen.expect("leave.*\033\\[H")  # a second picture in the place of the first
    screen.send("q")
    check(screen.wait() == 0 and screen.talk.text.endswith("\033[?25h\033[?1049l"), "the terminal is as it was")
    t.bulkhead("kill", t.name).expect(0)
    check(stream.wait() == 0, "a stream ends with its machine")
    t.bulkhead("top", t.name).expect(30)
    t.bulkhead("top", "--interval", "soon").expect(2)
    t.bulkhead("kill", t.name + "b").expect(0)


@test
def events_of_one(t):
    """From the start on, in order, numbered, up to the end; and for people."""
    start(t)
    console = t.console()
    console.expect("board ready")
    listener = t.start(BULKHEAD, "events", "--json", t.name)
    listener.expect('"event":"ready"')
    os.kill(t.processes()["seriald"], signal.SIGKILL)
    listener.expect('"event":"device-died","device":"seriald","incarnation":1,')
    listener.expect('"event":"device-back","device":"seriald","incarnation":2,')
    console = t.console()
    console.send("r")
    listener.expect('"event":"reset"')
    listener.expect('"event":"ready"')
    late = t.start(BULKHEAD, "events", t.name)
    late.expect(r"(?s)started.*device-died seriald: .*reset")
    t.bulkhead("kill", t.name).expect(0)
    listener.expect(r'"event":"ended".*"code":33.*killed')
    check(listener.wait() == 0 and late.wait() == 0, "they end with the machine")
    rows = [json.loads(line) for line in listener.talk.text.splitlines()]
    check([r["number"] for r in rows] == list(range(1, len(rows) + 1)), rows)
    check(all(a["monotonic_ns"] <= b["monotonic_ns"] for a, b in zip(rows, rows[1:])), rows)
    t.bulkhead("events", t.name).expect(30)


@test
def events_given_up(t):
    start(t, "--on-device-failure", "degrade")
    os.kill(t.processes()["timerd"], signal.SIGKILL)
    listener = t.start(BULKHEAD, "events", "--json", t.name)
    listener.expect('"event":"device-given-up","device":"timerd"')
    t.bulkhead("kill", t.name).expect(0)
    check(listener.wait() == 0, "it ends with the machine")


@test
def events_of_all(t):
    """Of machines that are there, and that come."""
    start(t)
    listener = t.start(BULKHEAD, "events", "--json")
    listener.expect(f'"machine":"{t.name}","number":1,')
    start(t, name=t.name + "b")
    listener.expect(f'"machine":"{t.name}b".*"event":"ready"')
    for name in (t.name, t.name + "b"):
        t.bulkhead("kill", name).expect(0)
        listener.expect(f'"machine":"{name}".*"event":"ended"')
    listener.kill()


def connect(path):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.connect(path)
    s.settimeout(10)
    return s


def scrape(path, request=b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"):
    s, text = connect(path), b""
    s.sendall(request)
    while piece := s.recv(65536):
        text += piece
    head, _, body = text.partition(b"\r\n\r\n")
    return head.decode(), body.decode()


@test
def metrics(t):
    """The text format: a type before each name's samples, a histogram that grows up to its count; HTTP around it."""
    path = t.dir + "/metrics"
    start(t, "--metrics", path)
    t.console().expect("board ready")
    head, body = scrape(path)
    check(head.startswith("HTTP/1.0 200 OK\r\n") and "version=0.0.4" in head, head)
    check(int(re.search(r"Content-Length: (\d+)", head)[1]) == len(body), head)
    types, seen = {}, {}
    for line in body.splitlines():
        if line.startswith("# TYPE"):
            types[line.split()[2]] = line.split()[3]
        elif not line.startswith("#"):
            row = re.fullmatch(r'([a-z_]+)(\{[a-z_]+="[^"\\]*"(?:,[a-z_]+="[^"\\]*")*\})? ([-+.\de]+)', line)
            check(row, f"not a sample: {line!r}")
            name = row[1] if row[1] in types else re.sub("_(bucket|sum|count)$", "", row[1])
            check(name in types, f"no type before {line!r}")
            check((row[1], row[2]) not in seen, f"twice: {line!r}")
            seen[row[1], row[2]] = float(row[3])
    buckets = [v for (name, labels), v in seen.items() if name == "bulkhead_device_round_trip_seconds_bucket" and '"seriald"' in labels]
    check(buckets and buckets == sorted(buckets), buckets)
    check(buckets[-1] == seen["bulkhead_device_round_trip_seconds_count", '{device="seriald"}'], buckets)
    check(seen['bulkhead_device_up', '{device="seriald"}'] == 1 and seen["bulkhead_running", None] == 1, body)
    check(seen["bulkhead_device_requests_total", '{device="seriald",way="posted"}'] > 0, body)
    os.kill(t.processes()["seriald"], signal.SIGKILL)
    wait_until(lambda: 'bulkhead_device_deaths_total{device="seriald"} 1\n' in scrape(path)[1], "a death is counted")
    check(os.stat(path).st_mode & 0o777 == 0o600, "the owner's alone")
    t.bulkhead("kill", t.name).expect(0)
    t.expect_clean()


@test
def odd_scrapers(t):
    """One that hangs up, that says nothing, that does not end, that does not read: others are answered, and the machine goes on."""
    path = t.dir + "/metrics"
    start(t, "--metrics", path)
    held = [connect(path) for _ in range(30)]
    connect(path).close()
    endless = connect(path)
    try:
        for _ in range(64):
            endless.sendall(b"x" * 1024)
    except OSError:
        pass  # it was told to go
    deaf = connect(path)
    deaf.sendall(b"GET / HTTP/1.0\r\n\r\n")
    check("200 OK" in scrape(path)[0], "others are answered")
    half = connect(path)
    half.shutdown(socket.SHUT_WR)
    check(half.recv(15) == b"HTTP/1.0 200 OK", "the end of the request is the end of what is sent")
    t.bulkhead("status", t.name).expect(0, out="running")
    check(len(held) == 30, held)
    t.bulkhead("kill", t.name).expect(0)


@test
def reader_that_does_not_read(t):
    """It is told later what is still there; nobody waits for it."""
    start(t)
    sleeper = t.start(BULKHEAD, "events", "--json", t.name)
    sleeper.expect('"event":"ready"')
    sleeper.signal(signal.SIGSTOP)
    for n in range(12):
        os.kill(t.processes()["timerd"], signal.SIGKILL)
        wait_until(lambda: len(events_now(t, "device-back")) > n, "it is back")
    t.bulkhead("status", t.name).expect(0, out="running")
    sleeper.signal(signal.SIGCONT)
    for _ in range(12):
        sleeper.expect('"event":"device-back"')
    t.bulkhead("kill", t.name).expect(0)
    check(sleeper.wait() == 0, "it ends with the machine")


def events_now(t, event):
    listener = t.start(BULKHEAD, "events", "--json", t.name)
    listener.expect('"event":"ready"')
    time.sleep(0.1)
    listener.talk.pump(0.1)
    listener.kill()
    return re.findall(f'"event":"{event}"', listener.talk.text)


STAMP = r"(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warning|info|debug) bulkhead: "


@test
def log_is_rotated(t):
    """Time and level before each message; after the file was moved away, a new one."""
    log, old = t.dir + "/log", t.dir + "/log.1"
    start(t, "--log", log)
    os.kill(t.processes()["timerd"], signal.SIGKILL)
    wait_until(lambda: re.search(STAMP + f"{t.name}: timerd was killed", open(log).read()), "a line with its time")
    os.rename(log, old)
    t.bulkhead("log", t.name, "--reopen", log).expect(0)
    size = os.stat(old).st_size
    os.kill(t.processes()["irqd"], signal.SIGKILL)
    wait_until(lambda: re.search(STAMP + f"{t.name}: irqd was killed", open(log).read()), "a line in the new file")
    check(os.stat(old).st_size == size, "nothing is written to the old one")
    t.bulkhead("kill", t.name).expect(0)
    check(re.search(STAMP + f"{t.name}: irqd was killed", t.bulkhead("log", t.name).expect(0).out), "the record has them, too")
    t.expect_clean()


@test
def what_cannot_be_opened(t):
    """A path that cannot be used is named, and the machine goes on, or does not begin."""
    t.bulkhead(*t.guest("board", "--detach", "--metrics", t.dir + "/no/such/place")).expect(2, err="--metrics .*no/such/place")
    t.bulkhead(*t.guest("board", "--detach", "--metrics", t.dir + "/" + "x" * 200)).expect(2, err="--metrics .*too long")
    start(t, "--log", t.dir + "/log")
    t.bulkhead("log", t.name, "--reopen", t.dir + "/no/such/place").expect(2, err="--reopen .*no/such/place")
    t.bulkhead("log", t.name, "--reopen", "/dev/full").expect(0)
    before = t.processes()["timerd"]
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: t.processes().get("timerd", before) != before, "it has been started again, and that been told")
    time.sleep(0.3)  # the logger reads what it is told after the others have gone on
    t.bulkhead("log", t.name, "--reopen", t.dir + "/log").expect(0)
    os.kill(t.processes()["irqd"], signal.SIGKILL)
    wait_until(lambda: re.search("messages are missing here.*\n.*irqd was killed", open(t.dir + "/log").read()), "what is missing is told")
    t.bulkhead("status", t.name).expect(0, out="running")
    t.bulkhead("kill", t.name).expect(0)


if __name__ == "__main__":
    main()
