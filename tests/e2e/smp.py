# SPDX-License-Identifier: MIT
"""Machines with several processors: small guests on the engine that --engine names, and Debian's kernel under the emulator."""
import os
import re

from bh import check, debian, main, test

LIMIT = 280  # as debian.py
BOOT = 240
PROMPT = "bulkhead# "
IPI = ["fixed, shorthands, NMI", "logical, flat", "logical, clusters", "logical, flat", "lowest priority", "HLT", "INIT and SIPI",
       "counters", "x2APIC: fixed, shorthands, NMI", "x2APIC: HLT", "x2APIC: INIT and SIPI"]
FORBIDDEN = ["SB with MFENCE", "SB with LOCK", "SB by XCHG", "LB", "MP", "MP by MOVNTI and SFENCE", "R with MFENCE"]
REST = ["locked operations", "CMPXCHG16B, XCHG, BTS", "changed code"]


def lines(*expected):
    return "".join(re.escape(line) + r"\n" for line in expected)


@test(limit=80)
def ipi(t):
    """All kinds of messages between processors, with more of them than the host has, too."""
    for cpus in (2, 4) if t.engine == "emu" else (2,):
        t.run_guest("ipi", "--cpus", str(cpus)).expect(0, out=lines(f"{cpus} processors", *IPI))
    if t.engine == "emu":  # in the last, ids have gaps: two sockets of three cores
        t.run_guest("ipi", "--cpus", "1").expect(0, out=lines("1 processors", *IPI))
        t.run_guest("ipi", "--cpus", "6,sockets=2,cores=3").expect(0, out=lines("6 processors", *IPI))


@test(limit=80)
def litmus(t):
    """What the memory order forbids does not happen; locked operations are atomic; changed code is seen."""
    for tier in ("auto", "block") if t.engine == "emu" else ("auto",):
        out = t.run_guest("litmus", "--cpus", "2", "--tier", tier).expect(0, out=lines(*REST)).out
        check(all(f"{name}: never\n" in out for name in FORBIDDEN), out)
    if t.engine == "emu":
        t.run_guest("litmus", "--cpus", "4").expect(0, out="IRIW: never\n(.|\n)*" + lines(*REST))


@test
def lint0(t):
    """The 8259's interrupts go to the processor whose LINT0 takes them, and to no other."""
    said = lines("the first takes the 8259's", "the second takes the 8259's", "the first again")
    t.run_guest("lint0", "--cpus", "2").expect(0, out=said)


@test
def halted(t):
    """HLT with interrupts off on all processors is the end; on some of them it is not. Those that were never started do not count."""
    for cpus in ("1", "2", "3"):
        t.run_guest("halted", "--cpus", cpus).expect(0, out=r"to the end\n", err="halt")
    t.run_guest("hello64", "--cpus", "4").expect(0, out=r"hello from 64 bits\n", err="halt")
    t.expect_clean()


def linux(t, command, cmdline="", *options, code=0):
    kernel, initrd = debian(t.dir)
    machine = t.machine("--kernel", kernel, "--initrd", initrd, "--memory", "512M", *options, "--cmdline",
                        f'console=ttyS0 quiet {cmdline} bulkhead.run="{command}"')
    return t.bulkhead(*machine, seconds=BOOT).expect(code).out.replace("\r", "")


@test(limit=LIMIT)
def linux_boots(t):
    """As many processors as were asked for, arranged as was asked for, with interrupts on each."""
    out = linux(t, "nproc; cat /sys/devices/system/cpu/cpu*/topology/core_id; grep LOC: /proc/interrupts; dmesg | grep -c 'your CPUs had inconsisten[t]'; "
                "cat /sys/devices/system/clocksource/clocksource0/current_clocksource", "", "--cpus", "2")
    check(re.search(r"^2\n0\n1\n", out, re.M), out)
    check(re.search(r"LOC: +[1-9]\d* +[1-9]\d* ", out), out)
    check(re.search(r"^0\ntsc$", out, re.M), f"firmware has set MTRRs on all, and the counters are in step: {out}")


@test(limit=LIMIT)
def linux_topology(t):
    out = linux(t, "nproc; cat /sys/devices/system/cpu/cpu*/topology/physical_package_id | uniq -c; "
                "cat /sys/devices/system/cpu/cpu*/topology/thread_siblings_list", "", "--cpus", "4,sockets=2,threads=2")
    check(re.search(r"^4\n +2 0\n +2 1\n0-1\n0-1\n2-3\n2-3\n", out, re.M), out)


@test(limit=LIMIT)
def linux_takes_fewer(t):
    """maxcpus, nosmp and noapic: the rest waits for ever, which harms nobody; what was left out comes later."""
    out = linux(t, "nproc; echo 1 >/sys/devices/system/cpu/cpu1/online; nproc", "maxcpus=1", "--cpus", "2")
    check(re.search(r"^1\n2\n", out, re.M), out)
    for option in "nosmp", "noapic":
        out = linux(t, "echo this is $(nproc); cat /proc/interrupts", option, "--cpus", "2")
        check(re.search(r"^this is [12]\n", out, re.M) and re.search(r"timer", out), out)


@test(limit=LIMIT)
def linux_offline_and_online(t):
    """A processor is taken away and given back while all are busy."""
    out = linux(t, "for i in 1 2 3; do (while :; do :; done) & done; for i in 1 2 3 4 5; do "
                "for c in 1 2; do echo 0 >/sys/devices/system/cpu/cpu$c/online || echo failed; done; nproc; "
                "for c in 2 1; do echo 1 >/sys/devices/system/cpu/cpu$c/online || echo failed; done; nproc; done; "
                "echo the end; kill $(jobs -p)", "", "--cpus", "3")
    check(len(re.findall(r"^1\n3\n", out, re.M)) == 5 and "failed" not in out, out)


@test(limit=LIMIT)
def linux_more_than_the_host(t):
    check(re.search(r"^8\n", linux(t, "nproc", "", "--cpus", "8"), re.M), "8 processors")


@test
def boots(t):
    """Small guests: twenty starts, and as many resets in a row."""
    for _ in range(20):
        t.run_guest("halted", "--cpus", "2").expect(0, out=r"to the end\n", err="halt")
    guest = t.start(*t.command(*t.guest("survivor", "--cpus", "2")))
    for _ in range(20):
        guest.expect("survivor", 60)
        guest.send("@")
    guest.expect("survivor", 60)
    guest.send("!")
    check(guest.wait(60) == 42, f"exit code {guest.code}")


COUNT = int(os.environ.get("SMP_BOOTS", "20"))  # make soak: 1000


@test(limit=max(LIMIT, 60 * COUNT))
def linux_again_and_again(t):
    """Boots of Linux with two processors, each a machine of its own; then as many reboots in a row of one machine. None hangs."""
    kernel, initrd = debian(t.dir)

    def start(command):
        return t.start(*t.command(*t.machine("--kernel", kernel, "--initrd", initrd, "--memory", "256M", "--cpus", "2", "--cmdline",
                                             f'console=ttyS0 quiet bulkhead.run="{command}"')))

    for n in range(COUNT):
        guest = start("echo this is $(nproc)")
        guest.expect("this is 2", BOOT)
        check(guest.wait(BOOT) == 0, f"boot {n}: exit code {guest.code}")
        guest.close()
    guest = start("echo this is $(nproc); reboot -f")
    for n in range(COUNT):
        guest.expect("this is 2", BOOT)
    t.bulkhead("kill", t.name).expect(0)
    guest.wait(60)
    print(f"{COUNT} boots, {COUNT} reboots")


if __name__ == "__main__":
    main()
