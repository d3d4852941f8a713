# SPDX-License-Identifier: MIT
"""Debian's own kernel, untouched, to an interactive shell: under the emulator."""
import json

from bh import check, debian, main, test
from kinds import DEVICES

LIMIT = 280  # a boot takes seconds; this is for slow and busy machines
BOOT = 240
PROMPT = "bulkhead# "


def options(t, cmdline="console=ttyS0 quiet"):
    kernel, initrd = debian(t.dir)
    return t.machine("--kernel", kernel, "--initrd", initrd, "--memory", "512M", "--cmdline", cmdline)


def shell(vm, command, answer, seconds=60):
    vm.send(command + "\n")
    return vm.expect(answer, seconds)


@test(limit=LIMIT)
def shell_and_poweroff(t):
    """Type a command on the console, read its answer; poweroff ends with code 0."""
    vm = t.start(*t.command(*options(t)), on_terminal=True)
    vm.expect("userspace is up: Linux", BOOT)
    vm.expect(PROMPT, 60)
    shell(vm, "echo $((6 * 7)) is the answer", r"\n42 is the answer")
    shell(vm, "cat /proc/cpuinfo | grep -c ^processor", r"\n1\r*\n")
    # Linux switches its state, too, then: XSAVE has all components in use.
    shell(vm, "grep -c avx512_bitalg /proc/cpuinfo", r"\n1\r*\n")
    shell(vm, "cat /sys/devices/system/clocksource/clocksource0/current_clocksource", r"\n(tsc|hpet|acpi_pm)")
    found = shell(vm, "cat /proc/interrupts", r"(?s)ttyS0.*ERR: +(\d+)")
    check(found.group(1) == "0", f"no spurious APIC errors: {found.group(0)}")
    shell(vm, "ls /sys/firmware/acpi/tables; echo listed", r"(?s)APIC.*DSDT.*FACP.*HPET.*listed")
    s = json.loads(t.bulkhead("status", "--json", t.name).expect(0).out)
    check(s["state"] == "running" and not s["sandbox_missing"], s)
    vm.send("poweroff\n")
    check(vm.wait(60) == 0, f"exit code {vm.code}: {vm.talk.text[-1500:]}")
    t.expect_clean()


@test(limit=LIMIT)
def no_command_line(t):
    """Without any, Linux speaks on the console and looks for no PCI."""
    kernel, initrd = debian(t.dir)
    vm = t.start(*t.command(*t.machine("--kernel", kernel, "--initrd", initrd, "--memory", "512M")))
    vm.expect("Command line: console=ttyS0 pci=off", BOOT)
    vm.expect(PROMPT, BOOT)
    check("PCI: Using configuration type" not in vm.talk.text, "no PCI")
    vm.send("poweroff\n")
    check(vm.wait(60) == 0, f"exit code {vm.code}")


@test(limit=LIMIT)
def reboot(t):
    """The machine starts again, with the console client attached all the while."""
    vm = t.start(*t.command(*options(t)))
    vm.expect("userspace is up", BOOT)
    vm.expect(PROMPT, 60)
    shell(vm, "touch /gone; ls /gone", r"\n/gone")
    before = t.processes()
    vm.send("reboot\n")
    vm.expect("userspace is up", BOOT)
    vm.expect(PROMPT, 60)
    shell(vm, "ls /gone", "No such file")
    s = json.loads(t.bulkhead("status", "--json", t.name).expect(0).out)
    check(s["reboots"] == 1, s)
    after = t.processes()
    for role in ("supervisor", *DEVICES):
        check(before[role] == after[role], f"{role} lives through a reboot: {before} {after}")
    check(before["vcpu"] != after["vcpu"], "the vcpu process is a new one")
    shell(vm, "guest-exit 3", "")
    check(vm.wait(60) == 3, f"exit code {vm.code}")
    t.expect_clean()


@test(limit=LIMIT)
def command_status(t):
    """bulkhead.run=: the command's exit status is the machine's."""
    args = options(t, 'console=ttyS0 quiet bulkhead.run="echo from inside; exit 3"')
    r = t.bulkhead(*args, seconds=BOOT).expect(3, out=r"from inside\r?\n")
    check("bulkhead: command ended with status 3" in r.out, r)


@test(limit=LIMIT)
def panic(t):
    """Linux binds the pvpanic device by ACPI; a panic ends the machine, says so, and leaves the kernel's last words."""
    vm = t.start(*t.command(*options(t)))
    vm.expect("userspace is up", BOOT)
    vm.expect(PROMPT, 60)
    vm.send("echo c >/proc/sysrq-trigger\n")
    check(vm.wait(60) == 35, f"exit code {vm.code}: {vm.talk.text[-1500:]}")
    check("ended: panic, after" in vm.stderr(), vm.stderr())
    record = json.loads(t.bulkhead("status", "--json", t.name).expect(0).out)
    check(record["reason"] == "panic" and record["exit_code"] == 35, record["reason"])
    check("Kernel panic - not syncing: sysrq triggered crash" in record["console"], record["console"][-1500:])
    t.expect_clean()


@test(limit=LIMIT)
def power_button(t):
    """bulkhead stop: the guest hears the power button and turns itself off."""
    t.bulkhead(*options(t), "--detach").expect(0)
    console = t.console()
    console.expect("userspace is up", BOOT)
    console.expect(PROMPT, 60)
    waiter = t.start(*t.command("wait", t.name))
    t.bulkhead("stop", t.name, "--timeout", "60s", seconds=90).expect(0)
    console.expect("bulkhead: power button")
    check(waiter.wait() == 0 and "powered off" in waiter.stderr(), f"{waiter.code}: {waiter.stderr()}")
    t.expect_clean()


if __name__ == "__main__":
    main()
