# SPDX-License-Identifier: MIT
"""
Devices die, hang and are replaced under a Linux guest that counts, prints and reads its clock: nothing is lost.

The guest prints "L number uptime"; the host checks that numbers come without a gap (a repeated chunk is allowed), that the
guest's clock never goes back, and that interrupts go on. Faults come from outside (signals, limits) or from daemons that
were built to fail at a named point (fault_points.c), put in place by `bulkhead device replace`.
"""
import json
import os
import re
import resource
import signal
import time

from bh import BUILD, Failure, Skip, check, debian, main, test, wait_until
from hostile import evil_libexec, faulty
from kinds import DEVICES

LIMIT = 16  # --device-failure-limit, by default
# Ticks from the 8259, which wants every interrupt acknowledged, and time from the PM timer, so that all four devices have work to do.
CMDLINE = "console=ttyS0 quiet nolapic_timer noapic clocksource=acpi_pm"
LOAD = ("i=0; while :; do read u x </proc/uptime; echo L $i $u; i=$((i+1)); "
        "if [ $((i%500)) = 0 ]; then cat /proc/interrupts /sys/class/rtc/rtc0/since_epoch; fi; "
        "done")


class Guest:
    """A Debian guest under load, and what it has said so far."""

    def __init__(self, t, *options, command=LOAD, cmdline=CMDLINE):
        self.t = t
        kernel, initrd = debian(t.dir)
        self.vm = t.start(*t.command(*t.machine("--kernel", kernel, "--initrd", initrd, "--memory", "256M", "--cmdline",
                                                f'{cmdline} bulkhead.run="{command}"', *options)))
        self.vm.expect("userspace is up", 120)
        self.faults = 0

    def status(self):
        return json.loads(self.t.bulkhead("status", "--json", self.t.name).expect(0).out)

    def device(self, name):
        return next(p for p in self.status()["processes"] if p["role"] == name)

    def pid(self, name):
        """Of its process, as soon as there is one."""
        wait_until(lambda: self.device(name)["pid"], f"a process of {name}")
        return self.device(name)["pid"]

    def kill(self, name, number=signal.SIGKILL):
        pid = self.pid(name)
        os.kill(pid, number)
        self.faults += 1
        return pid

    def next_number(self):
        self.vm.talk.pump(0)
        found = re.findall(r"\nL (\d+) ", self.vm.talk.text[-4000:])
        return int(found[-1]) if found else 0

    def expect_progress(self, lines=40, seconds=15):
        """The guest prints on."""
        self.vm.talk.pump(0)
        start, end = self.next_number(), time.monotonic() + seconds
        while self.next_number() < start + lines:
            check(time.monotonic() < end and not self.vm.talk.ended,
                  f"the guest goes on after line {start}: {self.vm.talk.text[-500:]}\n{self.vm.stderr()[-1500:]}")
            self.vm.talk.pump(0.1)

    def wait_for_incarnation(self, name, number, seconds=10):
        """Waits until that one, or a later one, serves."""
        end = time.monotonic() + seconds
        while True:
            d = self.device(name)
            if d["incarnation"] >= number and d["state"] == "running":
                return d
            if time.monotonic() > end:
                raise Failure(f"{name} is not back: {d}\n{self.vm.stderr()[-1500:]}")
            self.vm.talk.pump(0.02)

    def keep(self, text):
        """What the guest said, for whoever looks into a failure."""
        path = f"/tmp/bh-fault-{self.t.test}.txt"
        with open(path, "w", encoding="utf-8") as f:
            f.write(text + "\n--- stderr\n" + self.vm.stderr())
        return path

    def check_lines(self):
        """Every number, in order; a chunk may be repeated. Uptime never goes back. Returns how many lines."""
        text = self.vm.talk.text.replace("\r", "")
        wanted, clock, at, self.repeats = 0, 0.0, 0, 0
        last = max((int(n) for n in re.findall(r"\nL (\d+) \d+\.\d+(?=\n)", text)), default=0)
        plain = re.compile(r"\s*L (\d+) (\d+\.\d+)\n")
        while wanted < last:
            found = plain.match(text, at)
            if not found or int(found.group(1)) != wanted:  # a table, the first line, or a repeated chunk
                found = re.compile(rf"()L? ?{wanted} (\d+\.\d+)\n").search(text, at, at + 65536)
                check(found, f"line {wanted} is missing; all of it: {self.keep(text)}")
                self.repeats += found.group(0)[:1] != "L"
            uptime = float(found.group(2))
            check(uptime >= clock, f"the clock went back from {clock} to {uptime} at line {wanted}")
            wanted, clock, at = wanted + 1, uptime, found.end()
        return wanted

    def check_interrupts(self):
        """From the first table to the last: timer and serial interrupts go on, none are spurious."""
        text = self.vm.talk.text.replace("\r", "")
        timer = [int(n) for n in re.findall(r"\n +0: +(\d+) .*timer", text)]
        serial = [int(n) for n in re.findall(r"\n +4: +(\d+) .*ttyS0", text)]
        check(len(timer) > 1 and timer[-1] > timer[0], f"timer interrupts go on: {timer}")
        check(serial[-1] > serial[0], f"serial interrupts go on: {serial}")
        check("nobody cared" not in text, "no interrupt was turned off by the guest")
        return timer[-1], serial[-1]

    def end(self, report=True):
        self.expect_progress(max(40, 1100 - self.next_number()), 60)  # two tables of interrupts
        lines = self.check_lines()
        ticks, chars = self.check_interrupts()
        deaths = sum(p.get("deaths", 0) for p in self.status()["processes"])
        self.t.bulkhead("kill", self.t.name)
        self.vm.wait(20)
        if report:
            print(f"  {self.faults} faults, {deaths} deaths: {lines} lines without a gap ({self.repeats} repeated), "
                  f"{len(self.vm.talk.text)} bytes, {ticks} timer and {chars} serial interrupts")
        return lines


def wait_for_death(g, name, before, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        d = g.device(name)
        if d["deaths"] > before:
            return d
        g.vm.talk.pump(0.05)
    return None


def cell(g, name, where, how):
    """One cell of the matrix: "died", or "not reached"."""
    t = g.t
    now = g.device(name)
    plan_how = "stop" if how in ("kill", "sigstop") else how
    restart = where == "restart"
    turn = now["incarnation"] + (2 if restart else 1)
    path = faulty(t, name, f"{'load' if restart else where} {plan_how} {turn} {1 if restart else 5}")
    t.bulkhead("device", "replace", t.name, name, "--binary", path).expect(0)
    if restart:
        g.kill(name)
    if how in ("kill", "sigstop"):
        if restart:
            wait_until(lambda: g.device(name)["incarnation"] == turn, "it restarts", 5)
        time.sleep(0.12)
        try:
            os.kill(g.pid(name), signal.SIGKILL if how == "kill" else signal.SIGSTOP)
        except ProcessLookupError:
            pass
    died = wait_for_death(g, name, now["deaths"] + restart, 3)
    g.faults += 1
    if not died:
        return "not reached"
    g.wait_for_incarnation(name, turn + 1)
    served = time.monotonic()
    g.expect_progress()
    while time.monotonic() < served + 1.1:  # else the next death is an early one, and waits for its back-off
        g.vm.talk.pump(0.1)
    return "survived"


WHERES = ("taken", "before-commit", "after-commit", "line-high", "restart")
HOWS = ("kill", "sigstop", "segv", "sys", "loop", "stop", "exit", "memory")


def matrix(t, devices, wheres, hows):
    g = Guest(t, "--device-failure-limit", "0")
    rows = []
    for name in devices:
        for where in wheres:
            results = {how: cell(g, name, where, how) for how in hows}
            rows.append(f"  {name:<10} {where:<14} " + "  ".join(f"{h}: {r}" for h, r in results.items()))
            print(rows[-1], flush=True)
    g.end()


def deaths(g, kind, times):
    """kill -9 at moments of no choice."""
    for _ in range(times):
        before = g.device(kind)
        g.kill(kind)
        g.wait_for_incarnation(kind, before["incarnation"] + 1)
        g.expect_progress()
    g.end()


def one_way_each(g, kind, ways):
    """At each point where it can die, one way: (where, how)."""
    for where, how in ways:
        print(f"  {kind} {where:<14} {how:<8} {cell(g, kind, where, how)}", flush=True)
    g.end()


def every_way(g, kind, wheres):
    for where in wheres:
        print(f"  {kind} {where:<14} " + "  ".join(f"{how}: {cell(g, kind, where, how)}" for how in HOWS), flush=True)
    g.end()


@test(limit=200)
def death(t):
    """kill -9 of each device, again and again, at moments of no choice."""
    g = Guest(t, "--device-failure-limit", "0")
    for round_number in range(4):
        for name in DEVICES:
            before = g.device(name)
            g.kill(name)
            d = g.wait_for_incarnation(name, before["incarnation"] + 1)
            check(d["deaths"] == before["deaths"] + 1 and "signal 9" in d["last_reason"], d)
            check(d["died_monotonic_ns"] and d["died_realtime_ns"] and d["recovery_ns"], d)
            g.expect_progress(20)
    g.end()


@test(limit=200)
def hang(t):
    """SIGSTOP, an endless loop, a daemon that sleeps for ever: found, killed, replaced."""
    g = Guest(t, "--device-failure-limit", "0")
    for name in DEVICES:
        before = g.device(name)
        g.kill(name, signal.SIGSTOP)
        d = g.wait_for_incarnation(name, before["incarnation"] + 1)
        check("hang" in d["last_reason"], d)
        g.expect_progress(20)
    for how in ("loop", "stop"):
        check(cell(g, "seriald", "taken", how) == "survived", how)
        check("hang" in g.device("seriald")["last_reason"], g.device("seriald"))
    g.end()


def threads(pid):
    return [int(tid) for tid in os.listdir(f"/proc/{pid}/task")]


class Starved:
    """While this lasts, a process hardly gets a processor, and the others of its machine have one of their own."""

    def __init__(self, victim, others):
        here, there = sorted(os.sched_getaffinity(0))[:2]
        for pid in others:
            for tid in threads(pid):
                os.sched_setaffinity(tid, {there})
        os.sched_setaffinity(victim, {here})
        os.sched_setscheduler(victim, os.SCHED_IDLE, os.sched_param(0))
        self.victim, self.hog = victim, os.fork()
        if self.hog == 0:
            os.sched_setaffinity(0, {here})
            os.setpriority(os.PRIO_PROCESS, 0, -20)
            while True:
                pass
        self.before = self.waited()

    def waited(self):
        """Seconds that it was ready to run, and did not."""
        with open(f"/proc/{self.victim}/schedstat") as f:
            return int(f.read().split()[1]) / 1e9

    def end(self):
        os.kill(self.hog, signal.SIGKILL)
        os.waitpid(self.hog, 0)
        return self.waited() - self.before


@test(limit=200)
def starved(t):
    """A device that waits for a processor is not taken for one that hangs."""
    if os.geteuid() or len(os.sched_getaffinity(0)) < 2:
        raise Skip("needs root and two processors to starve a process")
    g = Guest(t, "--device-failure-limit", "0")
    longest = 0
    for name in DEVICES:
        pids = t.processes()
        s = Starved(pids[name], [pid for role, pid in pids.items() if role != name])
        end = time.monotonic() + 2
        while time.monotonic() < end:
            g.vm.talk.pump(0.1)
        try:
            waited = s.end()
        except OSError:
            raise Failure(f"{name} was starved, and ended: {g.device(name)['last_reason']}")
        print(f"  {name}: waited for {waited:.1f} of 2 s")
        longest = max(longest, waited)
        os.sched_setscheduler(pids[name], os.SCHED_OTHER, os.sched_param(0))
        check(g.device(name)["deaths"] == 0, g.device(name))
        g.expect_progress(20)
    check(longest > 1, "one of them was starved")
    t.bulkhead("kill", t.name)
    g.vm.wait(20)


@test(limit=200)
def matrix_short(t):
    """A diagonal of the fault matrix for each device; the whole of it is for `make soak`."""
    g = Guest(t, "--device-failure-limit", "0")
    for i, name in enumerate(DEVICES):
        for k in (0, 2) if i % 2 else (1, 4):
            where, how = WHERES[k], HOWS[(2 * i + k) % len(HOWS)]
            print(f"  {name:<10} {where:<14} {how:<8} {cell(g, name, where, how)}", flush=True)
    g.end()


# Three look at the clock and print nothing, the fourth prints: all devices are in use by several at any time.
LOAD_OF_FOUR = ("for p in 1 2 3; do (while :; do cat /sys/class/rtc/rtc0/time /proc/interrupts >/dev/null; done) & done; "
                "i=0; while :; do read u x </proc/uptime; echo L $i $u; i=$((i+1)); done")


def guest_of_four(t):
    return Guest(t, "--device-failure-limit", "0", "--cpus", "4", command=LOAD_OF_FOUR, cmdline="console=ttyS0 quiet clocksource=acpi_pm")


def end_of_four(g):
    g.expect_progress(40, 60)
    lines = g.check_lines()
    check("soft lockup" not in g.vm.talk.text and "rcu_sched" not in g.vm.talk.text, g.vm.talk.text[-2000:])
    g.t.bulkhead("kill", g.t.name)
    g.vm.wait(20)
    print(f"  four processors, {g.faults} faults: {lines} lines without a gap")


@test(limit=200)
def matrix_several(t):
    """The other diagonal, while four processors talk to the devices."""
    g = guest_of_four(t)
    for i, name in enumerate(DEVICES):
        where, how = WHERES[(i + 1) % len(WHERES)], HOWS[(3 * i + 1) % len(HOWS)]
        print(f"  {name:<10} {where:<14} {how:<8} {cell(g, name, where, how)}", flush=True)
    end_of_four(g)


@test(limit=3600)
def matrix_full_several(t):
    """The whole matrix with four processors."""
    g = guest_of_four(t)
    for name in DEVICES:
        for where in WHERES:
            print(f"  {name:<10} {where:<14} " + "  ".join(f"{how}: {cell(g, name, where, how)}" for how in HOWS), flush=True)
    end_of_four(g)


@test(limit=3600)
def matrix_full(t):
    """Every point, every way to fail, every device."""
    matrix(t, DEVICES, WHERES, HOWS)


@test(limit=200)
def poison(t):
    """A request that kills two incarnations is skipped and named."""
    g = Guest(t, "--device-failure-limit", "0", command="sleep 3; printf 'before\\001after\\n'; sleep 1000")
    path = faulty(t, "seriald", "poison segv 1003 1")
    t.bulkhead("device", "replace", t.name, "seriald", "--binary", path).expect(0)
    g.vm.expect("beforeafter", 30)
    d = g.device("seriald")
    check(d["deaths"] == 2 and len(d["skipped_requests"]) == 1, d)
    check(re.search(r"write of 1 x 1 bytes at port 0x3f8, data 0x1,", d["skipped_requests"][0]), d)
    t.bulkhead("kill", t.name)


@test(limit=200)
def given_up(t):
    """
    A device that dies again and again without having applied a request is given up, by the default limit: all-ones at once, no
    waiting, and everybody says so. A restart takes it back, but the machine does not end with success.
    """
    g = Guest(t)
    replace_by_hopeless(g, "platformd", LIMIT)
    wait_until(lambda: g.device("platformd")["state"] == "given up", "it is given up", 60)
    check(g.device("platformd")["pid"] is None, "it has no process, and so no number of one")
    d = g.device("platformd")
    check(d["deaths"] == LIMIT and d["deaths_without_progress"] == LIMIT, d)
    check(g.status()["given_up"] == ["platformd"] and g.status()["was_given_up"], g.status())
    t.bulkhead("status", t.name).expect(0, out=r"^.*: running without platformd \(given up\)\n")
    t.bulkhead("list").expect(0, out=rf"{t.name} +running without platformd \(given up\) ")
    said = g.vm.stderr()
    check(said.count("is given up after") == 1 and "lost from now on" in said, said)
    g.expect_progress()
    t.bulkhead("device", "restart", t.name, "platform").expect(0)
    check(g.device("platformd")["state"] == "running", g.device("platformd"))
    check(g.status()["given_up"] == [] and g.status()["was_given_up"], g.status())
    g.expect_progress()
    t.bulkhead("stop", t.name, "--timeout", "0s").expect(0)
    check(g.vm.wait(20) == 37, f"exit code {g.vm.code}")
    check("platformd was given up" in g.vm.stderr(), g.vm.stderr())


@test
def given_up_reset(t):
    """A device that was given up when the guest reset the machine, and is taken back by hand: it is reset like the others."""
    vm = t.start(*t.command(*t.guest("reborn", "--on-device-failure", "degrade")))
    vm.expect("ready\n")
    vm.send("sg")
    vm.expect("it is 0*2\n")
    os.kill(t.processes()["timerd"], signal.SIGKILL)
    wait_until(lambda: '"given up"' in t.bulkhead("status", "--json", t.name).out, "it is given up")
    vm.send("g@")
    vm.expect("it is 0*3\n(.|\n)*ready\n")
    t.bulkhead("device", "restart", t.name, "timer").expect(0)
    at = len(vm.talk.text)  # what is asked before the vcpu process has been told is answered as before

    def is_reset():
        vm.send("g")
        vm.talk.pump(0.2)
        return re.search("it is 0+\n", vm.talk.text[at:])

    wait_until(is_reset, "it is reset")
    vm.send("q")
    check(vm.wait(20) == 37, f"exit code {vm.code}: {vm.stderr()}")


def replace_by_hopeless(g, name, deaths):
    """A program that dies so many times before it has applied a request; then it is well."""
    turn = g.device(name)["incarnation"] + deaths
    path = faulty(g.t, name, f"before-commit segv {1000 + turn} 1")
    g.t.bulkhead("device", "replace", g.t.name, name, "--binary", path).expect(0)


@test(limit=200)
def policies(t):
    """--on-device-failure degrade, pause, stop."""
    g = Guest(t, "--on-device-failure", "degrade")
    g.kill("timerd")
    wait_until(lambda: g.device("timerd")["state"] == "given up", "degrade gives up at once")
    t.bulkhead("kill", t.name)
    g.vm.wait(20)
    g = Guest(t, "--on-device-failure", "pause", "--device-failure-limit", "2")
    replace_by_hopeless(g, "platformd", 2)
    wait_until(lambda: g.status()["state"] == "paused", "it is paused")
    line = g.next_number()
    g.vm.talk.pump(0.5)
    line = g.next_number()
    g.vm.talk.pump(0.5)
    check(g.next_number() == line, "a paused guest prints nothing")
    t.bulkhead("device", "restart", t.name, "platform").expect(0)
    g.expect_progress()
    t.bulkhead("kill", t.name)
    g.vm.wait(20)
    g = Guest(t, "--on-device-failure", "stop", "--device-failure-limit", "2")
    replace_by_hopeless(g, "platformd", 2)
    check(g.vm.wait(20) == 37, f"exit code {g.vm.code}")


@test(limit=200)
def replacement(t):
    """device replace: a new program takes over from the journal; one that cannot is refused, and the old one goes on."""
    g = Guest(t)
    console = t.console()
    for name in DEVICES:
        before = g.device(name)
        t.bulkhead("device", "replace", t.name, name).expect(0)
        d = g.device(name)
        check(d["incarnation"] == before["incarnation"] + 1 and d["deaths"] == 0 and d["pid"] != before["pid"], d)
        g.expect_progress(20)
        newer = faulty(t, name, "newer none 0 1")
        t.bulkhead("device", "replace", t.name, name, "--binary", newer).expect(1, err="another version")
        g.wait_for_incarnation(name, d["incarnation"] + 2)
        g.expect_progress(20)
    t.bulkhead("device", "replace", t.name, "seriald", "--binary", "/bin/true").expect(1)
    g.wait_for_incarnation("seriald", 1)
    at = len(console.text)
    console.expect(r"L \d+ ")
    check(len(console.text) > at, "a console client of before is still served")
    g.end()


@test(limit=200)
def by_hand(t):
    """All devices in processes that were started by hand: each is killed, away for a while, and started again; then all at once."""
    daemons = {}

    def begin(name):
        daemons[name] = t.start(f"{BUILD}/devices/bulkhead-{name}", "--socket", f"{t.dir}/{name}.sock")

    for name in DEVICES:
        begin(name)
    guest = Guest(t, *[word for name in DEVICES for word in ("--device", f"{name}=unix:{t.dir}/{name}.sock")])
    for name in DEVICES * 2:
        before = guest.device(name)["incarnation"]
        daemons[name].kill()
        guest.faults += 1
        wait_until(lambda: guest.device(name)["state"] == "waiting for it", f"{name} is missed")
        begin(name)
        guest.wait_for_incarnation(name, before + 1)
        guest.expect_progress(20)
    for name in DEVICES:
        daemons[name].kill()
        guest.faults += 1
    for name in DEVICES:
        begin(name)
    guest.expect_progress()
    check(not [p["skipped_requests"] for p in guest.status()["processes"] if p.get("skipped_requests")], "nothing was skipped")
    guest.end()


@test(limit=100)
def idle(t):
    """All of them die while nothing happens; then someone types."""
    g = Guest(t, command="echo ready; read x; echo you said $x; read x; echo then $x")
    g.vm.expect("ready", 60)
    for name in DEVICES:
        n = g.device(name)["incarnation"]
        g.kill(name)
        g.wait_for_incarnation(name, n + 1)
    g.vm.send("hello\n")
    g.vm.expect("you said hello", 20)
    g.kill("seriald", signal.SIGSTOP)
    g.vm.send("again\n")
    g.vm.expect("then again", 20)
    check(g.vm.wait(30) == 0, f"exit code {g.vm.code}")


@test
def accepted(t):
    """seriald dies with a console client that it has just taken off the listener. `run` notices that nothing came
    and connects again; what was typed meanwhile arrives, once. `console` asks the supervisor, which knows that it died."""
    env = evil_libexec(t, "seriald", faulty(t, "seriald", "accepted segv 1002 1"))
    vm = t.start(*t.command(*t.guest("echo", "--device-failure-limit", "0")), env=env)
    vm.expect("ready\n")
    incarnation = lambda: next(p["incarnation"] for p in json.loads(t.bulkhead("status", "--json", t.name).out)["processes"]
                               if p["role"] == "seriald")
    check(incarnation() == 3, f"it died twice over its first client: {incarnation()}")
    pid = t.processes()["seriald"]
    os.kill(pid, signal.SIGSTOP)
    console = t.start(*t.command("console", t.name))
    console.send("typed")
    time.sleep(0.3)
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it has been replaced for not doing anything
    console.expect("ready\n[a-z]*TYPED")
    vm.expect("TYPED")
    check(incarnation() == 4 and vm.talk.text.count("TYPED") == 1, f"{incarnation()}: {vm.talk.text}")
    console.send("q")
    check(vm.wait(20) == 0 and console.wait(20) == 0, f"exit codes {vm.code}, {console.code}: {vm.stderr()}")


@test(limit=100)
def limits(t):
    """Memory and descriptors of a serving daemon are taken away: it lives on what it has."""
    g = Guest(t)
    for name in DEVICES:
        pid = g.pid(name)
        resource.prlimit(pid, resource.RLIMIT_AS, (1, 1))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (0, 0))
        g.faults += 1
    try:
        t.console().pump(0.2)
    except OSError:
        pass
    g.expect_progress(100)
    check(sum(p.get("deaths", 0) for p in g.status()["processes"]) == 0, g.status())
    for name in DEVICES:
        g.kill(name)
        g.expect_progress(20)
    g.end()


@test(limit=100)
def full_disk(t):
    """The log and the runtime directory are on a file system without room: nobody cares."""
    if os.geteuid():
        from bh import Skip
        raise Skip("mounting needs root")
    os.mkdir(t.dir + "/full")
    t.call(["mount", "-t", "tmpfs", "-o", "size=64k", "none", t.dir + "/full"]).expect(0)
    try:
        g = Guest(t, "--log", t.dir + "/full/log", "--verbose")
        try:
            with open(t.dir + "/full/ballast", "wb", buffering=0) as f:
                while f.write(b"x" * 1024):
                    pass
        except OSError:
            pass
        for name in DEVICES:
            g.kill(name)
            g.expect_progress(20)
        g.end()
    finally:
        t.bulkhead("kill", t.name)
        t.call(["umount", "-l", t.dir + "/full"])


def soak(t, kills, seed):
    import random
    rng = random.Random(seed)
    g = Guest(t, "--device-failure-limit", "0")
    started = time.monotonic()
    for i in range(kills):
        name = DEVICES[i % 4]
        pid = t.processes().get(name)
        if pid:
            try:
                os.kill(pid, signal.SIGSTOP if rng.random() < 0.02 else signal.SIGKILL)
                g.faults += 1
            except ProcessLookupError:
                pass
        g.vm.talk.pump(0)
        end = time.monotonic() + 0.26 + rng.random() * 0.05
        while time.monotonic() < end:
            g.vm.talk.pump(0.02)
        if i % 100 == 99:
            g.expect_progress()
            print(f"  {i + 1} faults in {time.monotonic() - started:.0f} s: {g.check_lines()} lines, none lost", flush=True)
    g.end()


@test(limit=100000)
def soak_kills(t):
    """SOAK_KILLS deaths under load, from SOAK_SEED."""
    soak(t, int(os.environ.get("SOAK_KILLS", "1000")), int(os.environ.get("SOAK_SEED", "1")))


if __name__ == "__main__":
    main()
