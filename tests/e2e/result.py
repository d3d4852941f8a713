# SPDX-License-Identifier: MIT
"""What is left of a machine: its record, whoever asks for it and when, and exit codes that say who chose them."""
import json
import os
import re
import signal
import stat

from bh import SOURCE, check, main, test, wait_until
from kinds import DEVICES

NOT_FOUND, NO_ANSWER, KILLED, TRIPLE, PANIC, TIMEOUT, GIVEN_UP, GUEST, OUTPUT = 30, 31, 33, 34, 35, 36, 37, 39, 40


def record(t, name=None):
    with open(f"{t.runtime}/ended/{name or t.name}.json") as f:
        return json.load(f)


def exits_with(t, code):
    """A kernel of a few bytes that writes this code to port 01h."""
    path = f"{t.dir}/exit{code}"
    with open(path, "wb") as f:
        f.write(bytes((0xb0, code, 0xe6, 0x01, 0xfa, 0xf4)))  # mov $code, %al; out %al, $1; cli; hlt
    return t.machine("--kernel", path, "--format", "flat16", "--memory", "1M")


@test
def record_of_an_end(t):
    """Everything that the page promises is there, as JSON, and once more where --result says."""
    t.bulkhead(*t.guest("hello16", "--result", t.dir + "/result")).expect(7)
    r = record(t)
    check(r["state"] == "ended" and r["reason"] == "exit" and r["exit_code"] == 7 and r["guest_code"] == 7, r)
    check(r["name"] == t.name and r["engine"] == t.engine and r["ram_bytes"] == 16 << 20, r)
    check(r["started_ns"] < r["ended_ns"] and r["uptime_ns"] > 0 and r["reboots"] == 0, r)
    check([d["name"] for d in r["devices"]] == [d for d in DEVICES] and not any(d["deaths"] for d in r["devices"]), r)
    check(len(r["console"]) == r["console_bytes"] > 10 and r["registers"] is None, r)
    with open(t.dir + "/result") as f:
        check(json.load(f) == r, "--result holds the same")
    with open(SOURCE + "/docs/records.md") as f:
        page = f.read()
    check(not [key for key in r if f"`{key}`" not in page], f"not in records.md: {list(r)}")
    mode = os.stat(f"{t.runtime}/ended/{t.name}.json").st_mode
    check(stat.S_IMODE(mode) == 0o600, oct(mode))


@test
def detached_and_waited_for(t):
    """`wait` gives the guest's code, whether the machine lives, ends just then, or has ended."""
    for i in range(20):
        t.bulkhead(*t.guest("hello16", "--detach")).expect(0)
        t.bulkhead("wait", t.name).expect(7, err="exit: the guest exited with code 7")
    t.bulkhead("wait", t.name).expect(7)
    t.expect_clean()


@test
def asked_for_later(t):
    """status, list --all and log know of it; the others say that it has ended."""
    t.bulkhead(*t.guest("echo", "--detach", "--verbose")).expect(0)
    t.bulkhead("log", t.name).expect(0, out="first guest instruction")
    t.console().expect("ready")
    t.bulkhead("stop", "--force", t.name).expect(0)
    t.bulkhead("status", t.name).expect(0, out=rf"(?s){t.name}: ended.*stopped.*exit code 0")
    s = json.loads(t.bulkhead("status", "--json", t.name).expect(0).out)
    check(s == record(t) and s["reason"] == "stopped" and s["guest_code"] is None, s)
    t.bulkhead("log", t.name).expect(0, out="first guest instruction")
    check(t.name not in t.bulkhead("list").expect(0).out, "list shows what runs")
    t.bulkhead("list", "--all").expect(0, out=rf"(?m)^{t.name} +ended: stopped, code 0$")
    s = json.loads(t.bulkhead("list", "--all", "--json").expect(0).out)
    check([m["name"] for m in s] == [t.name] and s[0]["exit_code"] == 0, s)
    for command in "console", "stop", "kill":
        t.bulkhead(command, t.name).expect(NOT_FOUND, err="has ended")
    for command in "console", "stop", "kill", "status", "wait", "log":
        t.bulkhead(command, "nobody").expect(NOT_FOUND, err="no machine named nobody")


@test
def name_used_again(t):
    """A record is its name's: the next machine of that name takes it away, and a running one has not ended."""
    t.bulkhead(*t.guest("hello16")).expect(7)
    t.bulkhead(*t.guest("echo", "--detach")).expect(0)
    check(record(t)["state"] == "running", record(t))
    check(json.loads(t.bulkhead("status", "--json", t.name).expect(0).out)["state"] == "running", "it runs")
    check("ended" not in t.bulkhead("list", "--all").expect(0).out, "it runs")
    t.bulkhead("kill", t.name).expect(0)
    t.bulkhead("wait", t.name).expect(KILLED, err="killed")
    r = t.bulkhead(*t.guest("hello16", name="ended"))
    r.expect(2, err="--name")


@test
def bounded(t):
    """Of 64 records the oldest goes; that of a machine that lives stays."""
    t.bulkhead(*t.guest("echo", "--detach")).expect(0)
    for i in range(70):
        with open(f"{t.runtime}/ended/old{i}.json", "w") as f:
            f.write("{}")
        os.utime(f"{t.runtime}/ended/old{i}.json", (1000 + i, 1000 + i))
    os.utime(f"{t.runtime}/ended/{t.name}.json", (1, 1))
    t.bulkhead(*t.guest("hello16", name="new")).expect(7)
    left = {name for name in os.listdir(t.runtime + "/ended") if not name.endswith(".bhd")}
    check(len(left) == 64 and {t.name + ".json", "new.json", "old69.json"} <= left and "old7.json" not in left, sorted(left))
    t.bulkhead("kill", t.name).expect(0)


@test
def supervisor_and_keeper_killed(t):
    """Also then `wait` knows, and says, that nobody could say more."""
    for role, reason in ("supervisor", "failure"), ("keeper", "lost"):
        t.bulkhead(*t.guest("echo", "--detach")).expect(0)
        waiter = t.start(*t.command("wait", t.name))
        t.console().expect("ready")
        os.kill(t.processes()[role], signal.SIGKILL)
        check(waiter.wait() == KILLED, f"{role}: {waiter.code} {waiter.stderr()}")
        t.bulkhead("wait", t.name).expect(KILLED, err=reason)
        s = json.loads(t.bulkhead("status", "--json", t.name).expect(0).out)
        check(s["reason"] == reason and s["exit_code"] == KILLED, s)
        check(role == "keeper" or "ready" in s["console"], f"what the guest has printed: {s}")
        t.expect_clean(sweep=True)


@test
def registers_and_deaths(t):
    """A triple fault leaves its registers, a device how often it died; one that was given up spoils a good end."""
    t.bulkhead(*t.guest("triple")).expect(TRIPLE, err="ended: triple-fault, after")
    r = record(t)
    check(r["reason"] == "triple-fault" and re.search("(?i)rax[= ]+0*600dcafe", r["registers"]), r)
    t.bulkhead(*t.guest("echo", "--detach", "--on-device-failure", "degrade")).expect(0)
    console = t.console()
    console.expect("ready")
    os.kill(t.processes()["timerd"], signal.SIGKILL)
    wait_until(lambda: "given up" in t.bulkhead("status", t.name).out, "timerd is given up")
    console.send("q")
    t.bulkhead("wait", t.name).expect(GIVEN_UP, err="timerd was given up")
    r = record(t)
    timerd = next(d for d in r["devices"] if d["name"] == "timerd")
    check(timerd["deaths"] == 1 and timerd["given_up"] and "signal 9" in timerd["last_reason"], r)
    check(r["reason"] == "device-lost" and r["exit_code"] == GIVEN_UP and r["guest_code"] == 0, r)
    t.bulkhead("status", t.name).expect(0, out="timerd died 1 times and was given up")


@test
def codes_do_not_collide(t):
    """Whatever a guest chooses, it is told apart from what we say; the record has its code in any case."""
    with open(SOURCE + "/vmm/common/exit_codes.h") as f:
        codes = {int(n) for n in re.findall(r"EXIT_\w+ = (\d+)", f.read())}
    for code in (0, 1, 2, 3, 29, 30, 33, 35, 39, 41, 42, 255):
        r = t.bulkhead(*exits_with(t, code))
        ours = code > 1 and (code in codes)
        r.expect(GUEST if ours else code, err=f"ended: exit, the guest's code {code}, after")
        check(record(t)["guest_code"] == code and record(t)["exit_code"] == r.code, record(t))
        t.bulkhead("wait", t.name).expect(r.code, err=f"code {code}")


@test
def panics(t):
    """QEMU's pvpanic device: port 505h answers 1, and bit 0 ends the machine, whatever the guest does next."""
    path = t.dir + "/panics"
    with open(path, "wb") as f:  # mov $0x505, %dx; in (%dx), %al; dec %al; jnz to the exit; inc; out; 1: jmp 1b; 2: out %al, $1; hlt
        f.write(bytes((0xba, 0x05, 0x05, 0xec, 0xfe, 0xc8, 0x75, 0x05, 0xfe, 0xc0, 0xee, 0xeb, 0xfe, 0xe6, 0x01, 0xfa, 0xf4)))
    t.bulkhead(*t.machine("--kernel", path, "--format", "flat16", "--memory", "1M")).expect(PANIC, err="ended: panic, after")
    check(record(t)["reason"] == "panic" and record(t)["guest_code"] is None, record(t))


@test
def takes_too_long(t):
    """--timeout: an end of its own, with what was printed."""
    t.bulkhead(*t.guest("echo", "--timeout", "1s")).expect(TIMEOUT, out="ready", err=r"(?s)--timeout.*ended: timeout")
    check(record(t)["reason"] == "timeout" and "ready" in record(t)["console"], record(t))
    t.bulkhead(*t.guest("hello16", "--timeout", "1h")).expect(7)
    t.bulkhead(*t.guest("hello16", "--timeout", "soon")).expect(2, err="--timeout soon")


@test
def last_line(t):
    t.bulkhead(*t.guest("hello16")).expect(7, err=rf"bulkhead: {t.name}: ended: exit, the guest's code 7, after \d")
    r = t.bulkhead(*t.guest("hello16", "--quiet")).expect(7)
    check("ended" not in r.err, r)
    t.bulkhead(*t.guest("hello16", "--no-console")).expect(7, err="ended: exit, the guest's code 7")


@test
def result_that_cannot_be_written(t):
    t.bulkhead(*t.guest("hello16", "--result", t.dir + "/none/x")).expect(2, err="--result .*No such file")
    t.expect_clean()
    t.bulkhead("demo", "--name", t.name, "--result", "/dev/full").expect(OUTPUT, err="--result: No space left")
    check(record(t)["exit_code"] == OUTPUT and record(t)["guest_code"] == 0, record(t))


@test
def what_the_guest_prints(t):
    """Escapes and bytes that are no UTF-8: JSON all the same, and nothing that a terminal obeys."""
    t.bulkhead(*t.guest("echo", "--detach")).expect(0)
    console = t.console()
    console.expect("ready")
    console.send(b"\x1b]0;x\x07\xff\xc3\xa9\xe2\x80\xae")
    console.expect("\u202e")
    console.send("q")
    t.bulkhead("wait", t.name).expect(0)
    text = record(t)["console"]
    check("\x1b]0;" in text and "\ufffd\u00e9\u202e" in text, repr(text))
    for words in ("status", "--json"), ("status",), ("log",):
        out = t.bulkhead(*words, t.name).expect(0).out
        check(not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", out), repr(out))


@test
def full_output(t):
    """Whatever a command prints has arrived, or its code says that it has not."""
    t.bulkhead(*t.guest("echo", "--detach")).expect(0)
    for words in ("help",), ("--help",), ("version",), ("list",), ("list", "--json"), ("status", t.name), ("run", "--help"), \
            ("stop", "--help"), ("status", "--json", t.name), ("device", "list", t.name), ("security", t.name), \
            ("run", "--cpu", "help"), ("show", t.name):
        r = t.call(["sh", "-c", '"$@" >/dev/full', "sh", *t.command(*words)])
        r.expect(OUTPUT, err="standard output: ")
    t.bulkhead("kill", t.name).expect(0)
    r = t.call(["sh", "-c", '"$@" >/dev/full', "sh", *t.command("demo", "--name", t.name)])
    r.expect(OUTPUT, err="No space left")
    r = t.call(["sh", "-c", '"$@" >/dev/full', "sh", *t.command(*t.guest("hello16", "--detach"))])
    r.expect(OUTPUT, err="No space left")


@test
def no_answer(t):
    """A machine whose supervisor is stopped: a code of its own, with JSON and without."""
    t.bulkhead(*t.guest("echo", "--detach")).expect(0)
    os.kill(t.processes()["supervisor"], signal.SIGSTOP)
    r = t.bulkhead("status", "--json", t.name).expect(NO_ANSWER, err="does not answer")
    check(json.loads(r.out)["state"] == "not answering", r)
    t.bulkhead("status", t.name).expect(NO_ANSWER, err="does not answer")
    t.bulkhead("kill", t.name, seconds=20).expect(0)


if __name__ == "__main__":
    main()
