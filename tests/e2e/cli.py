# SPDX-License-Identifier: MIT
"""The commands, on small guests: what a user types, sees, and gets back as exit code."""
import json
import os
import re
import socket
import subprocess
import time

from bh import BULKHEAD, SOURCE, check, main, test, wait_until
from kinds import DEVICES

ROLES = {"supervisor", "vcpu", *DEVICES}


@test
def demo(t):
    """No file needed; greets over the serial port and leaves through the exit port."""
    r = t.bulkhead("demo", "--name", t.name, "--engine", t.engine)
    check(r.code == 0 and len(r.out.strip()) > 10, f"a greeting and code 0: {r}")
    t.expect_clean()


@test
def detach_console_stop(t):
    """Leave it running, attach later with what was printed replayed, press the power button."""
    r = t.bulkhead(*t.guest("board", "--detach")).expect(0, out=t.name)
    check(t.runtime in r.out, f"where it is: {r}")
    for _ in range(2):  # the history is there for every client
        console = t.start(*t.command("console", t.name))
        console.expect("board ready")
        console.kill()
    t.bulkhead("stop", t.name, "--timeout", "20s").expect(0)
    t.expect_clean()
    t.bulkhead("console", t.name).expect(30, err=f"{t.name} has ended")


@test
def stop_shows_on_console(t):
    guest = t.start(*t.command(*t.guest("board")))
    guest.expect("board ready")
    t.bulkhead("stop", t.name, "--timeout", "20s").expect(0)
    guest.expect("power button")
    check(guest.wait() == 0, f"exit code {guest.code}")


@test
def stop_without_acpi(t):
    """A guest that does not listen to the power button is ended after the time-out."""
    t.bulkhead(*t.guest("echo", "--detach")).expect(0)
    t.bulkhead("stop", t.name, "--timeout", "300ms", seconds=20).expect(0)
    t.expect_clean()


@test
def stop_force(t):
    t.bulkhead(*t.guest("echo", "--detach")).expect(0)
    t.bulkhead("stop", t.name, "--force", "--timeout", "1h", seconds=20).expect(0)
    t.expect_clean()


def start_waiting(t):
    """`bulkhead wait`, when its request is on the way: it sleeps with a socket open."""
    def is_waiting():
        fds = f"/proc/{waiter.pid}/fd"
        with open(f"/proc/{waiter.pid}/stat") as f:
            sleeps = f.read().rsplit(")", 1)[1].split()[0] == "S"
        return sleeps and any("socket" in os.readlink(f"{fds}/{fd}") for fd in os.listdir(fds))

    waiter = t.start(*t.command("wait", t.name))
    wait_until(is_waiting, "bulkhead wait waits")
    return waiter


@test
def last_words(t):
    """A guest prints more than a socket holds and leaves; a client that reads slowly still gets every byte."""
    vm = t.start(*t.command(*t.guest("last_words", "--no-console")))
    path = f"{t.runtime}/{t.name}/console.sock"
    wait_until(lambda: os.path.exists(path), "the console's socket is there")
    client, got = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), b""
    client.connect(path)
    client.settimeout(30)
    while piece := client.recv(8192):
        got += piece
        time.sleep(0.25)
    check(vm.wait(20) == 6, f"exit code {vm.code}: {vm.stderr()}")
    check(got.count(b"newline at its end") == 240 * 16, f"{len(got)} bytes arrived: {got[-300:]}")
    t.expect_clean()


@test
def kill_and_wait(t):
    t.bulkhead(*t.guest("echo", "--detach")).expect(0)
    waiter = start_waiting(t)
    t.bulkhead("kill", t.name, seconds=20).expect(0)
    check(waiter.wait() == 33, f"wait: exit code {waiter.code}: {waiter.stderr()}")
    check("killed" in waiter.stderr(), waiter.stderr())
    t.expect_clean()


@test
def wait_for_exit_code(t):
    t.bulkhead(*t.guest("board", "--no-reboot", "--detach")).expect(0)
    waiter = start_waiting(t)
    console = t.console()
    console.expect("board ready")
    console.send("r")
    check(waiter.wait() == 32, f"wait: exit code {waiter.code}")


@test
def status(t):
    """For people and for programs, and the processes by name."""
    t.bulkhead(*t.guest("echo", "--detach")).expect(0)
    t.console().expect("ready")
    t.bulkhead("status", t.name).expect(0, out="(?s)running.*vcpu.*" + ".*".join(DEVICES))
    s = json.loads(t.bulkhead("status", "--json", t.name).expect(0).out)
    check(s["name"] == t.name and s["state"] == "running" and s["engine"] == t.engine, s)
    check(s["ram_bytes"] == 16 << 20 and os.path.dirname(s["console"]) == f"{t.runtime}/{t.name}", s)
    running = {p["role"]: p for p in s["processes"] if p["state"] == "running"}
    check(set(running) >= ROLES - {"supervisor"}, s)
    shown = t.processes()
    check(set(shown) >= ROLES, f"ps shows {shown}")
    for role, p in running.items():
        check(shown.get(role) == p["pid"], f"pid of {role}: status says {p['pid']}, ps {shown}")
    check(running["vcpu"]["stats"]["instructions"] > 0, running["vcpu"])
    t.bulkhead("kill", t.name).expect(0)


@test
def jq_reads_it(t):
    """The JSON goes through jq, as in the manual's example."""
    t.bulkhead(*t.guest("echo", "--detach")).expect(0)
    out = t.call(["sh", "-c", f"{BULKHEAD} status --json {t.name} | jq -r .state"]).expect(0).out
    check(out == "running\n", out)
    out = t.call(["sh", "-c", f"{BULKHEAD} list --json | jq -r '.[].name'"]).expect(0).out
    check(out == t.name + "\n", out)
    t.bulkhead("kill", t.name).expect(0)


@test
def side_by_side(t):
    """Two machines, two consoles; the end of one is not the end of the other."""
    names = [t.name + "a", t.name + "b"]
    for name in names:
        t.bulkhead(*t.guest("echo", "--detach", name=name)).expect(0)
    listing = t.bulkhead("list").expect(0).out
    check(all(name in listing for name in names), listing)
    a, b = (t.console(name) for name in names)
    a.expect("ready")
    b.expect("ready")
    a.send("one")
    b.send("two")
    a.expect("ONE")
    b.expect("TWO")
    t.bulkhead("kill", names[0]).expect(0)
    b.send("still")
    b.expect("STILL")
    check("ONE" not in b.text and "TWO" not in a.text, "bytes of one machine on the other's console")
    b.send("q")
    b.read_to_end()
    for name in names:
        wait_until(lambda: t.is_clean(name), f"{name} is gone")


@test
def names_by_themselves(t):
    """Without --name: the first free of vm1, vm2, ..."""
    started = []
    for expected in ("vm1", "vm2"):
        args = [a for a in t.guest("echo", "--detach") if a not in ("--name", t.name)]
        started.append(t.bulkhead(*args).expect(0, out=rf"(?m)^{expected}$").out.split()[0])
    for name in started:
        t.bulkhead("kill", name).expect(0)
    wait_until(lambda: not t.leftovers(), "both are gone")


@test
def socat(t):
    """The console needs no program of ours."""
    t.bulkhead(*t.guest("echo", "--detach")).expect(0)
    client = t.start("socat", "-", f"UNIX-CONNECT:{t.runtime}/{t.name}/console.sock")
    client.expect("ready")
    client.send("socat")
    client.expect("SOCAT")
    client.send("q")
    check(client.wait() == 0, f"socat: exit code {client.code}")


@test
def two_clients(t):
    """Both see all output; input of either reaches the guest."""
    t.bulkhead(*t.guest("echo", "--detach")).expect(0)
    a, b = t.console(), t.console()
    for c in (a, b):
        c.expect("ready")
    a.send("a")
    b.expect("A")
    b.send("b")
    a.expect("B")
    a.socket.close()
    b.send("c")
    b.expect("C")
    t.bulkhead("kill", t.name).expect(0)


@test
def no_console(t):
    """For services: in the foreground, silent, ended by SIGTERM through the power button."""
    vm = t.start(*t.command(*t.guest("board", "--no-console")))
    wait_until(lambda: os.path.exists(f"{t.runtime}/{t.name}/console.sock"), "the console socket is there")
    console = t.console()
    console.expect("board ready")
    vm.signal(15)
    console.expect("power button")
    check(vm.wait() == 0, f"exit code {vm.code}: {vm.stderr()}")
    t.expect_clean()


@test
def help_and_version(t):
    t.bulkhead("help").expect(0, out="(?s)run.*console.*status.*stop.*kill.*wait")
    t.bulkhead("--help").expect(0, out="Usage")
    t.bulkhead("version").expect(0, out=r"bulkhead \d+\.\d+(?s:.*)protocol +1\.\d+\nstate .*machine \d.* seriald \d+\.\d+")
    told = json.loads(t.bulkhead("--version", "--json").out)
    check(told["protocol"]["major"] == 1 and told["state"]["devices"]["irqd"]["model"] > 0 and told["build"]["compiler"], told)
    for command in ("run", "demo", "console", "list", "status", "stop", "kill", "wait"):
        t.bulkhead(command, "--help").expect(0, out="Usage")


@test
def host(t):
    """For people and for scripts; what it says of KVM and of namespaces is what a machine finds."""
    text = t.bulkhead("host").expect(0, out="(?s)processor.*kvm.*fence.*resources").out
    told = json.loads(t.bulkhead("host", "--json").expect(0).out)
    check(all(f["value"] in text and (f["advice"] or f["verdict"] in ("ok", "note")) for f in told["findings"]), told)
    with open("/proc/cpuinfo") as f:
        flags = re.search(r"(?m)^flags\s*:(.*)", f.read()).group(1).split()
    check(told["vmx"] == ("vmx" in flags) and told["svm"] == ("svm" in flags), told)
    check((told["kvm"] == "none") == ("KVM_CAP_SPLIT_IRQCHIP" not in told["capabilities"]), told)
    if told["kvm"] != "none":
        t.bulkhead("demo", "--engine", "kvm", seconds=60).expect(0)
    unshared = subprocess.run(["unshare", "-U", "true"], capture_output=True, check=False).returncode == 0
    fence = {f["name"]: f["verdict"] for f in told["findings"] if f["area"] == "fence"}
    check((fence["user namespaces"] == "ok") <= unshared, fence)


@test
def manual_names_everything(t):
    """bulkhead(1) knows every command and every option that the program offers."""
    with open(SOURCE + "/docs/man/bulkhead.1") as f:
        page = f.read()
    commands = re.findall(r"(?m)^  ([a-z]+) +\S", t.bulkhead("help").expect(0).out.split("Examples:")[0])
    check(len(commands) >= 10, commands)
    options = re.findall(r"(?m)^  --([a-z-]+)", t.bulkhead("run", "--help").expect(0).out)
    check(len(options) >= 15, options)
    missing = [c for c in commands if f".Cm {c}" not in page]
    missing += ["--" + o for o in options if o != "help" and f"Fl -{o}" not in page]
    check(not missing, f"not in bulkhead(1): {missing}")
    with open(SOURCE + "/vmm/common/exit_codes.h") as f:
        codes = re.findall(r"EXIT_\w+ = (\d+)", f.read())
    check(not [c for c in codes if f".It {c}\n" not in page], f"exit codes {codes}")


if __name__ == "__main__":
    main()
