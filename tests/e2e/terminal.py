# SPDX-License-Identifier: MIT
"""The console on a terminal: escape key, raw mode, and a terminal that is as before on every way out."""
import os
import signal
import termios

from bh import check, is_raw, main, test, wait_until

ESCAPE = "\x1d"


def start(t, *args):
    """The machine on a terminal of its own; its settings before."""
    vm = t.start(*t.command(*args), on_terminal=True)
    before = termios.tcgetattr(vm.terminal)
    return vm, before


def expect_restored(vm, before):
    check(termios.tcgetattr(vm.terminal) == before, "the terminal is as it was before")


def attach(t):
    t.bulkhead(*t.guest("echo", "--detach")).expect(0)
    client, before = start(t, "console", t.name)
    client.expect(r"Escape: Ctrl-\]")
    client.expect("ready")
    return client, before


@test
def normal_end(t):
    vm, _ = start(t, *t.guest("echo"))
    vm.expect(r"Escape: Ctrl-\]")
    vm.expect("ready")
    check(is_raw(vm.terminal), "raw while attached")
    vm.send("abc")
    vm.expect("ABC")
    vm.send("\x03")  # goes to the guest, ends nothing
    vm.send("q")
    vm.expect("bye")
    wait_until(lambda: not is_raw(vm.terminal), "the terminal is restored")
    check(vm.wait() == 0, f"exit code {vm.code}")


@test
def escape_leaves(t):
    """Ctrl-] . leaves a foreground machine running; the console can be attached again."""
    vm, _ = start(t, *t.guest("echo"))
    vm.expect("ready")
    vm.send(ESCAPE + ".")
    vm.expect("goes on")
    check(vm.wait() == 0, f"exit code {vm.code}")
    check("vcpu" in t.processes(), "the machine goes on")
    console = t.console()
    console.expect("ready")
    console.send("x")
    console.expect("X")
    t.bulkhead("kill", t.name).expect(0)
    t.expect_clean()


@test
def escape_help_and_itself(t):
    client, _ = attach(t)
    client.send(ESCAPE + "?")
    client.expect("leave")
    client.send(ESCAPE + ESCAPE)
    client.expect(ESCAPE)
    client.send(ESCAPE + ".")
    check(client.wait() == 0, f"exit code {client.code}")
    t.bulkhead("kill", t.name).expect(0)


@test
def another_escape_key(t):
    t.bulkhead(*t.guest("echo", "--detach")).expect(0)
    client, _ = start(t, "console", t.name, "--escape", "^A")
    client.expect("Escape: Ctrl-A")
    client.send("\x01.")
    check(client.wait() == 0, f"exit code {client.code}")
    t.bulkhead("kill", t.name).expect(0)


@test
def escape_stops(t):
    """Ctrl-] q presses the power button."""
    vm, _ = start(t, *t.guest("board"))
    vm.expect("board ready")
    vm.send(ESCAPE + "q")
    vm.expect("power button")
    check(vm.wait() == 0, f"exit code {vm.code}")
    t.expect_clean()


@test
def restored_after_signals(t):
    """A console client that is told to end restores the terminal; the machine goes on."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        if "vcpu" not in t.processes():
            client, _ = attach(t)
        else:
            client, _ = start(t, "console", t.name)
            client.expect("ready")
        wait_until(lambda: is_raw(client.terminal), "raw while attached")
        client.signal(number)
        wait_until(lambda: not is_raw(client.terminal), f"the terminal is restored after signal {number}")
        code = client.wait()
        check(code in (-number, 128 + number), f"exit code {code} after signal {number}")
    check("vcpu" in t.processes(), "the machine goes on")
    t.bulkhead("kill", t.name).expect(0)


@test
def restored_when_machine_dies(t):
    client, _ = attach(t)
    os.kill(t.processes()["supervisor"], signal.SIGKILL)
    wait_until(lambda: not is_raw(client.terminal), "the terminal is restored")
    client.wait()
    t.expect_clean()


@test
def restored_after_error(t):
    """A kernel that is none: no raw terminal stays behind."""
    bad = t.dir + "/bad"
    with open(bad, "wb") as f:
        f.write(b"not a kernel" * 1000)
    vm, _ = start(t, "run", "--kernel", bad, "--name", t.name)
    vm.expect("bad")
    check(not is_raw(vm.terminal), "not raw")
    check(vm.wait() == 2, f"exit code {vm.code}")


@test
def silent_guest(t):
    """Who sees nothing for some seconds is told what could be the matter, and how to go on."""
    with open(t.dir + "/silent", "wb") as f:
        f.write(b"\xfa\xf4")  # cli; hlt
    vm, _ = start(t, *t.machine("--kernel", t.dir + "/silent", "--format", "flat16", "--memory", "1M", "--on-halt", "wait",
                                "--cmdline", "console=tty0"))
    vm.expect(rf"{t.name} has printed nothing yet: its command line has another console; add console=ttyS0.*Ctrl-\] then q", 30)
    t.bulkhead("kill", t.name).expect(0)


if __name__ == "__main__":
    main()
