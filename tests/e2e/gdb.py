# SPDX-License-Identifier: MIT
"""Debian's gdb on a guest, through bulkhead-gdbd; the peer that is no gdb is in tests/unit/gdb_test.c."""
import os
import re
import shutil
import socket

from bh import BUILD, Skip, check, debian, main, test, wait_until

SYMBOLS = f"{BUILD}/tests/guest/debugged.elf"
SYMBOLS_SMP = f"{BUILD}/tests/guest/debugged_smp.elf"


def gdb(t, *commands, where=None, symbols=SYMBOLS, seconds=40):
    """What gdb says, errors as well, to these commands, on this test's machine."""
    if not shutil.which("gdb"):
        raise Skip("gdb is not installed")
    args = ["sh", "-c", 'exec "$@" 2>&1', "sh", "gdb", "-nx", "-batch", "-iex", "set pagination off", "-iex", "set confirm off", "-iex", "set remotetimeout 20",
            "-ex", f"target remote {where or t.dir + '/gdb'}"]
    for command in commands:
        args += ["-ex", command]
    return t.call(args + ([symbols] if symbols else []), seconds=seconds).out


def machine(t, *options):
    """The debugged guest stands before its first instruction."""
    t.bulkhead(*t.guest("debugged", "--detach", "--gdb", t.dir + "/gdb", *options)).expect(0)


def expect(out, *patterns):
    """One after the other."""
    at = 0
    for pattern in patterns:
        found = re.compile(pattern, re.M).search(out, at)
        check(found, f"{pattern!r} in:\n{out}")
        at = found.end()


def machine_of_three(t):
    t.bulkhead(*t.guest("debugged_smp", "--detach", "--cpus", "3", "--gdb", t.dir + "/gdb")).expect(0)


def virtualises():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        return bool(re.search(r"^flags.* (vmx|svm)( |$)", f.read(), re.M))


@test
def session(t):
    """From the first instruction to the end that the debugger chooses: breakpoints, steps, calls, registers, memory."""
    machine(t)
    out = gdb(t, "info registers rip", "break round_begins", "continue", "print n", "bt", "stepi", "info registers rip", "finish",
              "print/x area", "info registers cs cr0 efer", "delete", "hbreak add", "continue", "print b", "info threads",
              "set var leave = 1", "detach")
    expect(out, r"^rip +0x1000 ", r"^Breakpoint 1, round_begins", r"^\$1 = 1", r"^#1 .* guest_main", r"^rip +0x\w+ .*round_begins\+",
           r"^guest_main", r"\$2 = .0x0, 0xa1, 0x0 <repeats", r"^cs +0x8", r"^cr0 +0x8\d+", r"^efer +0x5", r"^Breakpoint 2, add",
           r"^\$3 = 1", r"Thread 1 \(vcpu 0\)", r"detached")
    t.bulkhead("wait", t.name).expect(7)
    t.expect_clean()


@test
def watchpoints(t):
    """Written, read, either: each stops behind the instruction that did it."""
    if t.engine == "kvm" and not virtualises():
        raise Skip("this host's KVM interprets guest code, for its processor has no virtualisation: such a one does not look at data")
    machine(t)
    out = gdb(t, "watch counter", "continue", "continue", "print counter", "delete", "rwatch leave", "continue", "delete",
              "awatch area[5]", "set var leave = 0", "kill")
    expect(out, r"Old value = 0\nNew value = 1", r"Old value = 1\nNew value = 3", r"^\$1 = 3", r"Hardware read watchpoint 2: leave",
           r"Value = 0", r"Hardware access \(read/write\) watchpoint 3", r"killed")
    check("killed by its debugger" in t.bulkhead("status", t.name).out, "why it ended")
    t.expect_clean()


@test
def several(t):
    """A thread for each processor with its own registers; all stand still together; one can be moved alone."""
    machine_of_three(t)
    looks = "printf \"looks %u %u\\n\", looks[1], looks[2]"
    out = gdb(t, "info threads", "hbreak all_done", "continue", "thread apply 1 2 3 print/x $gs_base", looks, "shell sleep 0.3", looks,
              # The third moves, and the second, which is in the same loop, stays.
              "set scheduler-locking on", "thread 2", "set var $two = $pc", "thread 3", "stepi", "set var $three = $pc", "stepi",
              "print $pc != $three", "thread 2", "print $pc == $two", looks,
              # What is written into one is written into no other, and the guest sees it.
              "thread 3", "set var $gs_base = 0x7770", "thread apply 1 2 3 print/x $gs_base",
              "tbreak look thread 3", "continue", "tbreak look thread 3", "continue", "print/x seen[2]",
              looks, "set var leave = 1", "set scheduler-locking off", "detach", symbols=SYMBOLS_SMP)
    expect(out, r"Thread 1 \(vcpu 0\)", r"Thread 2 \(vcpu 1\)", r"Thread 3 \(vcpu 2\)", r"Thread 1 hit Breakpoint 1, all_done",
           *(rf"^\$\d+ = 0x{n}000" for n in (1, 2, 3)), r"^looks \d", r"^\$\d+ = 1$", r"^\$\d+ = 1$", r"^looks \d",
           r"^\$\d+ = 0x1000", r"^\$\d+ = 0x2000", r"^\$\d+ = 0x7770", r"Thread 3 hit Temporary breakpoint 2",
           r"Thread 3 hit Temporary breakpoint 3", r"^\$\d+ = 0x7770")
    seen = [tuple(map(int, pair)) for pair in re.findall(r"(?m)^looks (\d+) (\d+)$", out)]
    check(len(seen) == 4 and seen[0] == seen[1], f"all stand still: {seen}")
    check(seen[0][0] == seen[3][0] and seen[0][1] < seen[3][1], f"the third alone has moved: {seen}")
    t.bulkhead("wait", t.name).expect(7)
    t.expect_clean()


@test
def several_all_pass(t):
    """While one is moved over a breakpoint, which is away meanwhile, no other runs past it: each of fifteen calls is seen."""
    machine_of_three(t)
    out = gdb(t, "hbreak all_done", "hbreak turn", "ignore 2 1000", "continue", "info breakpoints", "print turns[0] + turns[1] + turns[2]",
              "set var leave = 1", "kill", symbols=SYMBOLS_SMP)
    expect(out, r"Breakpoint 1, all_done", r"in turn at .*\n\tbreakpoint already hit 15 times", r"^\$1 = 15")


@test
def all_registers(t):
    """What is written is read back, of every file; the guest sees it: its own registers are those."""
    machine(t)
    values = {"$rax": "0x1122334455667788", "$r15": "0x99", "$xmm3.v2_int64[1]": "0x123456789", "$mxcsr": "0x1fa0",
              "$fs_base": "0x7000", "$st0": "2.5", "$fctrl": "0x27f"}
    if t.engine == "emu":
        values |= {"$k2": "0xffffffffffffffff", "$ymm4.v4_int64[3]": "0x77", "$zmm5.v8_int64[7]": "0x88",
                   "$zmm20.v8_int64[6]": "0x99", "$xmm31.v2_int64[0]": "0xaa", "$pkru": "0x0"}
    commands = [f"set var {name} = {value}" for name, value in values.items()]
    commands += [f"print{'' if '.5' in value else '/x'} {name}" for name, value in values.items()]
    out = gdb(t, *commands, "stepi", "print/x $rax", "kill")
    expect(out, *[rf"^\$\d+ = {value}$" for value in values.values()], r"^\$\d+ = 0x1122334455667788$")


@test
def no_such_processor(t):
    """Registers that no processor can have are refused, and the guest is as it was."""
    machine(t)
    out = gdb(t, "set var $cr0 = 0", "set var $efer = 0x100", "maintenance flush register-cache", "info registers cr0 efer", "kill")
    expect(out, r"Could not write register", r"Could not write register", r"^cr0 +0x80000031", r"^efer +0x500")


@test
def memory(t):
    """Linear and physical; where there is none, an error and not a wrong value."""
    machine(t)
    out = gdb(t, "x/2xb 0x1000", "set var *(char *)0x1001 = 0x5a", "x/2xb 0x1000", "x/xb 0x7fffffff0000", "monitor xp 0x1000 2",
              "monitor xp 0x100000000000 4", "monitor physical on", "x/xb 0x1001", "kill")
    expect(out, r"0x1000 .*:\t0xfa", r"0x1000 .*:\t0xfa\t0x5a", r"Cannot access memory at address 0x7fffffff0000",
           r"0000001000: fa 5a", r"there is no memory", r"guest-physical", r"0x1001 .*:\t0x5a")


@test
def monitor(t):
    machine(t)
    out = gdb(t, *[f"monitor info {what}" for what in ("registers", "tlb", "apic", "devices", "exits", "nonsense")], "kill")
    expect(out, r"^RIP=0000000000001000", r"^CR0=80000031", r"^0000000000000000-\w+ -> 0000000000 -wx", r"^APIC_BASE +fee00900",
           r"^LVT timer +00010000", r"^irqd .* serves", r"^interrupts +\d", r"^monitor info registers, tlb")


@test
def attach_interrupt_leave(t):
    """A running machine: it stands while gdb is there, goes on when gdb leaves, and the next one may come."""
    t.bulkhead(*t.guest("debugged", "--detach")).expect(0)
    where = t.bulkhead("gdb", t.name, "--print").expect(0).out.strip()
    for _ in range(2):
        expect(gdb(t, "print counter", "print leave", "detach", where=where), r"^\$1 = 15", r"^\$2 = 0", r"detached")
    processes = t.processes()
    check("gdbd" in processes, f"a process of its own: {processes}")
    check("gdbd" in t.bulkhead("status", t.name).expect(0).out, "status shows it")
    gdb(t, "set var leave = 1", "detach", where=where)
    t.bulkhead("wait", t.name).expect(7)
    t.expect_clean()


@test
def reset(t):
    """The guest starts again under its debugger: points are still set, and memory is a new guest's."""
    machine(t)
    out = gdb(t, "break round_begins if n == 1", "continue", "print counter", "set var leave = 2", "continue", "print n", "print leave",
              "print counter", "delete", "set var leave = 1", "detach")
    expect(out, r"^Breakpoint 1, round_begins", r"^\$1 = 0", r"^Breakpoint 1, round_begins", r"^\$2 = 1", r"^\$3 = 0", r"^\$4 = 0")
    t.bulkhead("wait", t.name).expect(7)


@test
def gone_without_a_word(t):
    """A debugger that vanishes, or whose process is killed, leaves a guest that runs."""
    t.bulkhead(*t.guest("debugged", "--detach")).expect(0)
    path = t.bulkhead("gdb", t.name, "--print").expect(0).out.strip()
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(path)
    peer.sendall(b"$?#3f")
    wait_until(lambda: b"$T02" in peer.recv(4096), "it stands")
    second = socket.socket(socket.AF_UNIX)
    second.connect(path)
    check(second.recv(100) == b"", "the second one is turned away")
    peer.close()
    third = socket.socket(socket.AF_UNIX)
    third.connect(path)
    third.sendall(b"$Z0,2430,1#00")
    check(third.recv(1) == b"-", "a wrong checksum")
    os.kill(t.processes()["gdbd"], 9)
    check(third.recv(100) == b"", "its process is dead")
    wait_until(lambda: "gdbd" not in t.processes(), "it is gone")
    gdb(t, "set var leave = 1", "detach", where=path)
    t.bulkhead("wait", t.name).expect(7)


@test
def tcp(t):
    """A port of this host's own, and of no other."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    t.bulkhead(*t.guest("debugged", "--detach", "--gdb", str(port))).expect(0)
    with open("/proc/net/tcp", encoding="ascii") as f:
        check(f"0100007F:{port:04X} 00000000:0000 0A" in f.read(), "it listens on 127.0.0.1")
    expect(gdb(t, "info registers rip", "kill", where=f"localhost:{port}"), r"^rip +0x1000 ")
    t.bulkhead(*t.guest("debugged", "--gdb", "nonsense")).expect(2, err=r"a port from 1 to 65535")


def addresses(t, kernel, initrd, *names):
    """Of a kernel that is not moved: System.map is in a package of its own, but the kernel knows its symbols itself."""
    wanted = "\\|".join(f" {name}$" for name in names)
    out = t.bulkhead(*t.machine("--kernel", kernel, "--initrd", initrd, "--memory", "256M", "--cmdline",
                                f"console=ttyS0 quiet nokaslr bulkhead.run=\"grep '{wanted}' /proc/kallsyms\""), seconds=120).out
    return {name: int(value, 16) for value, name in re.findall(r"([0-9a-f]{16}) \w (\w+)", out)}


@test(limit=280)
def linux(t):
    """Debian's kernel by its symbols' addresses: start_kernel, a step, jiffies as they change, and on to the shell."""
    kernel, initrd = debian(t.dir)
    at = addresses(t, kernel, initrd, "start_kernel", "jiffies_64")
    check(len(at) == 2, f"what /proc/kallsyms says: {at}")
    t.bulkhead(*t.machine("--kernel", kernel, "--initrd", initrd, "--memory", "256M", "--detach", "--gdb", t.dir + "/gdb",
                          "--cmdline", "console=ttyS0 quiet nokaslr")).expect(0)
    out = gdb(t, f"hbreak *{at['start_kernel']:#x}", "continue", "info registers rip", "stepi", "delete",
              f"watch *(unsigned long *){at['jiffies_64']:#x}", "continue", "delete", "monitor info tlb", "detach", symbols=None, seconds=120)
    expect(out, rf"^rip +{at['start_kernel']:#x} ", r"Old value = \d+\nNew value = \d+", r"^ffffffff8\w+-", r"detached")
    t.console().expect("userspace is up", 60)


main()
