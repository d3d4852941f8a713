# SPDX-License-Identifier: MIT
"""bulkhead@.service under a real systemd (systemd_host.py)."""
import contextlib
import glob
import json
import os
import re
import shutil
import time

from bh import BUILD, BULKHEAD, SOURCE, Skip, check, main, test, wait_until
from systemd_host import INSIDE, PROGRAM, SYSTEMD, UNITS, Host, installed

# What the score of systemd-analyze security may be, by the beginning of a unit's name.
SCORES = {"bulkhead@": 2.0, "bulkhead-": 1.5}


def needs_systemd():
    if not os.path.exists(SYSTEMD) or not shutil.which("systemd-analyze"):
        raise Skip("systemd is not installed")


@contextlib.contextmanager
def booted(t):
    needs_systemd()
    if os.geteuid() != 0:
        raise Skip("needs root, to boot a systemd")
    host = Host(t)
    try:
        yield host
    finally:
        host.close()


def services():
    return [p for p in glob.glob(UNITS + "*.service") if "@" in p]


@test
def verify(t):
    """systemd-analyze has nothing to say about the units."""
    needs_systemd()
    paths = []
    for path in services() + glob.glob(UNITS + "*.socket") + glob.glob(SOURCE + "/systemd/*.s[lo]*[et]"):
        with open(path) as f:
            text = f.read()
        paths.append(f"{t.dir}/{os.path.basename(path).replace('@', '@vm1')}")
        with open(paths[-1], "w") as f:
            f.write(re.sub(r"[^\s=(]*/libexec/bulkhead/", BUILD + "/devices/", re.sub(r"[^\s=(]*/bin/bulkhead\b", BULKHEAD, text)))
    r = t.call(["systemd-analyze", "verify", "--man=no", *paths])
    ours = [line for line in r.err.splitlines() if "bulkhead" in line]
    check(r.code == 0 and not ours, r)


@test
def score(t):
    """How exposed the units are, by systemd-analyze security."""
    needs_systemd()
    for path in services():
        name = os.path.basename(path)
        limit = next(s for beginning, s in SCORES.items() if name.startswith(beginning))
        r = t.call(["systemd-analyze", "security", "--offline=true", "--no-pager", path]).expect(0)
        found = re.search(r"Overall exposure level for .*: ([\d.]+)", r.out)
        print(name, found[1])
        check(float(found[1]) <= limit, f"{name}: {found[1]}, at most {limit}\n" +
              "\n".join(line for line in r.out.splitlines() if "✗" in line))


def configure(host, name, image, **more):
    keys = {"kernel": f"{INSIDE}/tests/guest/{image}.bin", "format": "flat64", "memory": "16M", "cmdline": "two words", **more}
    host.write(f"bulkhead/{name}.toml", "".join(f"{k} = {json.dumps(v)}\n" for k, v in keys.items()))
    # the unit's fences keep LeakSanitizer from tracing; builds without sanitizers do not look at it
    host.write(f"systemd/system/bulkhead@{name}.service.d/asan.conf", "[Service]\nEnvironment=ASAN_OPTIONS=detect_leaks=0\n")
    host.ctl("daemon-reload").expect(0)


def start(host, name):
    r = host.ctl("start", f"bulkhead@{name}", seconds=100)
    check(r.code == 0, f"{r}\n{host.ctl('status', '--no-pager', f'bulkhead@{name}')}\n{journal(host, '-n30')}")


def show(host, name, what):
    return host.ctl("show", "-P", what, f"bulkhead@{name}").expect(0).out.strip()


def journal(host, *words):
    return host.inside("journalctl", "--no-pager", "-o", "json", *words).out


def status(host, name):
    return json.loads(host.inside(PROGRAM, "status", "--json", name).out or "{}")


def expect_gone(host, name):
    wait_until(lambda: show(host, name, "ActiveState") in ("inactive", "failed"), "it has ended", 30)
    check(not host.processes(name + "/"), f"processes: {host.processes(name)}")
    left = host.shell(f"find /run/bulkhead/{name} 2>/dev/null || :").out
    check(not left, f"left behind: {left}")


@test(limit=170)
def life(t):
    """start, status, console, limits, messages, stop."""
    with booted(t) as host:
        configure(host, "board", "board", **{"stop-timeout": "20s"})
        start(host, "board")
        host.ctl("is-active", "bulkhead@board").expect(0, out="^active")
        host.ctl("status", "--no-pager", "bulkhead@board").expect(0, out=r"(?s)Active: active \(running\).*Status: \"running")
        check(show(host, "board", "Slice") == "bulkhead.slice", "its slice")
        # what the file implies: docs/man/bulkhead.service.8
        check(int(show(host, "board", "MemoryMax")) == (16 + 256) << 20, show(host, "board", "MemoryMax"))
        check(show(host, "board", "TimeoutStopUSec") == "35s", show(host, "board", "TimeoutStopUSec"))
        check(len(host.processes()) >= 7, host.processes())
        r = host.inside(PROGRAM, "status", "board").expect(0, out="running")
        check("sandbox without" not in r.out, r)
        r = host.inside("timeout", "2", "socat", "-u", "UNIX-CONNECT:/run/bulkhead/board/console.sock", "-")
        check("board ready" in r.out, r)
        began = time.monotonic()
        host.ctl("stop", "bulkhead@board").expect(0)
        check(time.monotonic() - began < 20, "the guest heard the power button, nobody waited for the time-out")
        check(show(host, "board", "Result") == "success", show(host, "board", "Result"))
        expect_gone(host, "board")
        known = status(host, "board")
        check(known["state"] == "ended" and known["reason"] == "poweroff", f"how it ended: {known}")


@test(limit=170)
def device(t):
    """A device that is killed is back, and the journal knows of which machine and device; one that is replaced is; all
    are upgraded."""
    with booted(t) as host:
        configure(host, "board", "board")
        start(host, "board")
        host.shell(f"kill -9 {host.pid_of('board/seriald')}").expect(0)
        wait_until(lambda: any(p["role"] == "seriald" and p["incarnation"] == 2 and p["state"] == "running"
                               for p in status(host, "board").get("processes", [])), "seriald is back", 20)
        wait_until(lambda: "seriald" in journal(host, "VM=board", "DEVICE=seriald"), "the journal's fields")
        entry = json.loads(journal(host, "VM=board", "DEVICE=seriald").splitlines()[0])
        check(entry["_SYSTEMD_UNIT"] == "bulkhead@board.service" and int(entry["PRIORITY"]) < 7, entry)
        host.inside(PROGRAM, "device", "restart", "board", "timerd").expect(0)
        host.inside(PROGRAM, "device", "upgrade", "board").expect(0, out=r"board irqd: \S+, was \S+")
        check(status(host, "board")["state"] == "running", "it goes on with the installed programs")
        check(show(host, "board", "ActiveState") == "active", "the unit did not notice")


@test(limit=170)
def failures(t):
    """Those that are tried again, and those that are not; a machine that is stopped or killed leaves nothing."""
    with booted(t) as host:
        configure(host, "bad", "no-such-image")
        check(host.ctl("start", "bulkhead@bad").code != 0, "no image")
        check(show(host, "bad", "ExecMainStatus") == "2" and show(host, "bad", "NRestarts") == "0", "a mistake in the file")
        check(host.ctl("start", "bulkhead@unconfigured").code != 0, "no file, no machine")
        expect_gone(host, "bad")
        # a guest without ACPI is ended after the stated time
        configure(host, "deaf", "echo", **{"stop-timeout": "500ms"})
        start(host, "deaf")
        host.ctl("stop", "bulkhead@deaf", seconds=20).expect(0)
        expect_gone(host, "deaf")
        # SIGKILL of everything: started again
        start(host, "deaf")
        host.ctl("kill", "--signal=SIGKILL", "bulkhead@deaf").expect(0)
        wait_until(lambda: show(host, "deaf", "NRestarts") == "1" and show(host, "deaf", "ActiveState") == "active",
                   "it was started again", 30)
        # a supervisor that does not answer: its watchdog
        host.write("systemd/system/bulkhead@deaf.service.d/watch.conf", "[Service]\nWatchdogSec=2s\n")
        host.ctl("daemon-reload").expect(0)
        host.ctl("restart", "bulkhead@deaf").expect(0)
        time.sleep(3)
        check(show(host, "deaf", "Result") == "success", "it lives, and systemd hears of it")
        host.shell(f"kill -STOP {host.pid_of('deaf/supervisor')}").expect(0)
        wait_until(lambda: show(host, "deaf", "NRestarts") == "1" and show(host, "deaf", "ActiveState") == "active",
                   "the watchdog ended it, and it was started again", 30)
        host.ctl("stop", "bulkhead@deaf").expect(0)
        expect_gone(host, "deaf")


@test(limit=170)
def ready(t):
    """`ready = "guest"`: the unit counts as started when the guest says so; a reboot of the guest changes nothing."""
    with booted(t) as host:
        # mov $0x506, %dx; out %al, %dx; then wait for ever
        with open(t.dir + "/etc/says.bin", "wb") as f:
            f.write(bytes.fromhex("66ba0605" "ee" "ebfe"))
        configure(host, "says", "echo", kernel="/etc/says.bin", ready="guest", **{"stop-timeout": "100ms"})
        start(host, "says")
        host.ctl("stop", "bulkhead@says").expect(0)
        configure(host, "mute", "echo", ready="guest", **{"stop-timeout": "100ms"})
        host.write("systemd/system/bulkhead@mute.service.d/start.conf", "[Service]\nTimeoutStartSec=3s\nRestart=no\n")
        host.ctl("daemon-reload").expect(0)
        check(host.ctl("start", "bulkhead@mute").code != 0, "it never said so")
        check(show(host, "mute", "Result") == "timeout", show(host, "mute", "Result"))
        expect_gone(host, "mute")
        configure(host, "again", "reborn")
        start(host, "again")
        host.inside(PROGRAM, "console", "again", "--send", "@", "--timeout", "20s", "--expect", "ready").expect(0)
        wait_until(lambda: status(host, "again").get("reboots") == 1, "the guest has reset its machine", 20)
        check(show(host, "again", "ActiveState") == "active" and show(host, "again", "NRestarts") == "0", "the unit is as it was")
        check(status(host, "again")["state"] == "running", status(host, "again"))


@test(limit=170)
def twenty(t):
    """Twenty machines at once."""
    with booted(t) as host:
        names = [f"m{i}" for i in range(20)]
        for name in names:
            host.write(f"bulkhead/{name}.toml", f'kernel = "{INSIDE}/tests/guest/board.bin"\nformat = "flat64"\nmemory = "16M"\n')
        host.ctl("daemon-reload").expect(0)
        r = host.ctl("start", *[f"bulkhead@{name}" for name in names], seconds=150)
        check(r.code == 0, f"{r}\n{journal(host, '-n30')}")
        listed = json.loads(host.inside(PROGRAM, "list", "--json").expect(0).out)
        check(sorted(m["name"] for m in listed if m["state"] == "running") == sorted(names), listed)
        host.ctl("stop", "bulkhead@*", seconds=150).expect(0)
        for name in names:
            expect_gone(host, name)


@test(limit=170)
def users(t):
    """`User=` in a drop-in, and a user's own systemd."""
    with booted(t) as host:
        configure(host, "theirs", "board")
        host.write("systemd/system/bulkhead@theirs.service.d/user.conf", "[Service]\nUser=daemon\n")
        host.ctl("daemon-reload").expect(0)
        start(host, "theirs")
        host.shell("stat -c %U /run/bulkhead/theirs/console.sock").expect(0, out="^daemon$")
        host.inside(PROGRAM, "status", "theirs").expect(0, out="running")  # root's
        host.ctl("stop", "bulkhead@theirs").expect(0)
        check(show(host, "theirs", "Result") == "success", "it heard the power button")
        expect_gone(host, "theirs")
        own_systemd(host)


def own_systemd(host):
    """daemon's: --user, with the unit for users."""
    with open(UNITS + "user/bulkhead@.service") as f:
        unit = installed(f.read())
    home = "/run/home"
    host.write("user.service", "[Service]\nUser=daemon\nDelegate=yes\nType=notify\nRuntimeDirectory=user-of-daemon\n"
               f"Environment=HOME={home} XDG_RUNTIME_DIR=/run/user-of-daemon SYSTEMD_UNIT_PATH={home}/units\n"
               "ExecStart=/lib/systemd/systemd --user --unit=test.target\n")
    host.write("user-bulkhead@.service", unit)
    host.shell(f"mkdir -p {home}/units {home}/.config/bulkhead && cp /etc/user-bulkhead@.service {home}/units/bulkhead@.service && "
               f"cp /etc/systemd/system/*.target {home}/units && cp /etc/bulkhead/theirs.toml {home}/.config/bulkhead/own.toml && "
               f"chown -R daemon {home} && cp /etc/user.service /run/systemd/system/own.service").expect(0)
    host.ctl("daemon-reload").expect(0)
    r = host.ctl("start", "own")
    check(r.code == 0, f"{r} {host.ctl('status', '--no-pager', 'own')}")
    user = f"setpriv --reuid=daemon --regid=daemon --clear-groups env HOME={home} XDG_RUNTIME_DIR=/run/user-of-daemon "
    r = host.shell(user + "systemctl --user start bulkhead@own")
    check(r.code == 0, f"{r} {host.shell(user + 'systemctl --user status --no-pager bulkhead@own')}")
    host.shell(user + PROGRAM + " status own").expect(0, out="running")
    host.shell(user + "systemctl --user stop bulkhead@own").expect(0)
    host.shell(user + "systemctl --user show -P Result bulkhead@own").expect(0, out="^success$")


# What bulkhead-seriald and the others call before their own filters stand, and what those leave of it: all that they need of a
# systemd that filters calls, too. Groups are systemd's (systemd-analyze syscall-filter).
CALLS = "@default @basic-io @io-event @network-io @timer @mount @setuid fcntl fstat lstat newfstatat unlink umask chdir readlink " \
        "readlinkat openat pipe2 unshare prctl seccomp landlock_create_ruleset landlock_restrict_self capget capset rt_sigaction"


def outside(host, name, *properties):
    """systemd-run with that daemon, which listens at /run/NAME.sock, or is handed a socket of systemd's there."""
    activated = any("ListenSequentialPacket" in p for p in properties)
    words = [] if activated else ["--socket", f"/run/{name}.sock"]
    host.inside("systemd-run", f"--unit=by-hand-{name}", "--property=SystemCallFilter=" + CALLS,
                "--property=SystemCallErrorNumber=EPERM", "--property=SystemCallArchitectures=native", *properties,
                f"{INSIDE}/devices/bulkhead-{name}", *words).expect(0)
    wait_until(lambda: host.inside("test", "-S", f"/run/{name}.sock").code == 0, f"{name} listens")


@test(limit=170)
def by_hand(t):
    """Daemons under systemd-run with a filter of its own, one of them with a socket of systemd's: used by a machine, killed
    and started again by systemd."""
    with booted(t) as host:
        outside(host, "seriald")
        outside(host, "timerd", "--socket-property=ListenSequentialPacket=/run/timerd.sock")
        host.inside(PROGRAM, "run", "--detach", "--name", "vm", "--kernel", INSIDE + "/tests/guest/board.bin", "--format", "flat64",
                    "--memory", "16M", "--device", "serial=unix:/run/seriald.sock", "--device",
                    "timer=unix:/run/timerd.sock").expect(0)
        known = json.loads(host.inside(PROGRAM, "status", "--json", "vm").out)
        check(known["state"] == "running" and not known["sandbox_missing"], f"fences inside a filter of systemd's: {known}")
        talk = host.inside("timeout", "2", "socat", "-u", "UNIX-CONNECT:/run/bulkhead/vm/console.sock", "-")
        check("board ready" in talk.out, talk)
        host.ctl("kill", "--signal=SIGKILL", "by-hand-timerd.service").expect(0)
        wait_until(lambda: timer(host)["incarnation"] == 2 and timer(host)["state"] == "running",
                   "systemd starts it when the machine connects again")
        host.inside(PROGRAM, "stop", "vm").expect(0)
        wait_until(lambda: host.ctl("is-active", "by-hand-seriald").code != 0, "it ends with its machine")


def timer(host):
    known = json.loads(host.inside(PROGRAM, "status", "--json", "vm").out)
    return next(p for p in known["processes"] if p["role"] == "timerd")


@test(limit=170)
def units(t):
    """A machine whose devices are units of their own: killed, replaced, and gone with it."""
    names = ("irqd", "timerd", "seriald", "platformd")
    with booted(t) as host:
        devices = [f"{name[:-1]}=unix:/run/bulkhead-devices/vm/{name}" for name in names]
        configure(host, "vm", "board", device=devices)
        host.ctl("start", *[f"bulkhead-{name}@vm.socket" for name in names]).expect(0)
        start(host, "vm")
        for name in names:
            check(host.ctl("is-active", f"bulkhead-{name}@vm").code == 0, f"{name} was started by its socket")
        known = status(host, "vm")
        check(known["state"] == "running" and not known["sandbox_missing"], f"fences inside a unit's: {known}")
        talk = host.inside("timeout", "2", "socat", "-u", "UNIX-CONNECT:/run/bulkhead/vm/console.sock", "-")
        check("board ready" in talk.out, talk)
        for command in (("kill", "--signal=SIGKILL"), ("restart",)):
            before = device_of(host, "vm", "seriald")["incarnation"]
            host.ctl(*command, "bulkhead-seriald@vm").expect(0)
            wait_until(lambda: device_of(host, "vm", "seriald")["incarnation"] > before and
                       device_of(host, "vm", "seriald")["state"] == "running", f"it is back after {command}", 20)
        check(show(host, "vm", "ActiveState") == "active", "the machine's unit did not notice")
        host.ctl("stop", "bulkhead@vm").expect(0)
        check(show(host, "vm", "Result") == "success", "it heard the power button")
        wait_until(lambda: not host.processes(), "the devices end with their machine")


def device_of(host, vm, role):
    return next(p for p in status(host, vm)["processes"] if p["role"] == role)


@test(limit=170)
def console(t):
    """Whoever connects to the console starts the machine; its other names lead there too."""
    with booted(t) as host:
        configure(host, "board", "board")
        host.shell("mkdir -p /run/bulkhead").expect(0)
        host.ctl("start", "bulkhead@board.socket").expect(0)
        check(show(host, "board", "ActiveState") == "inactive", "nobody has asked yet")
        for path in ("/run/bulkhead/board.console", "/run/bulkhead/board/console.sock"):
            r = host.inside("timeout", "5", "socat", "-u", "UNIX-CONNECT:" + path, "-")
            check("board ready" in r.out, f"{r}\n{host.ctl('status', '--no-pager', 'bulkhead@board')}\n{journal(host, '-n40')}")
        wait_until(lambda: show(host, "board", "ActiveState") == "active", "it was started", 20)
        host.inside(PROGRAM, "list").expect(0, out="board")
        host.ctl("stop", "bulkhead@board").expect(0)
        expect_gone(host, "board")
        r = host.inside("timeout", "5", "socat", "-u", "UNIX-CONNECT:/run/bulkhead/board.console", "-")
        check("board ready" in r.out, f"and again: {r}")
        host.ctl("stop", "bulkhead@board.socket", "bulkhead@board").expect(0)


if __name__ == "__main__":
    main()
