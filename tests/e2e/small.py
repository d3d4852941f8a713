# SPDX-License-Identifier: MIT
"""The small guests (tests/guest/small), each on the engine that --engine names."""
import datetime
import itertools

from bh import BUILD, check, main, test


@test
def hello16(t):
    t.run_guest("hello16").expect(7, out=r"hello from 16 bits\n")
    t.expect_clean()


@test
def hello64(t):
    """Port 10h is the debug console, which shows up in the console; HLT with interrupts off ends the machine."""
    result = t.run_guest("hello64").expect(0, out=r"hello from 64 bits\n")
    check("talks too much" not in result.err, f"who is asked for its last words has not said them unasked: {result.err}")


@test
def last_instruction(t):
    """A write to an exit port is the last thing that the guest does: (5 << 1) | 1, and nothing is printed behind it."""
    result = t.run_guest("last_instruction").expect(11, out=r"before\n")
    check("after" not in result.out, result.out[:200])
    t.expect_clean()


@test
def firmware(t):
    """Multiboot: selectors, the image's name before its command line, modules with theirs; the BIOS: no service, reset."""
    files = []
    for text in "first", "second":
        files.append(f"{t.dir}/{text}.img")
        with open(files[-1], "wb") as f:
            f.write(f"content of {text}\0".encode())
    t.bulkhead(*t.machine("--kernel", f"{BUILD}/tests/guest/firmware.bin", "--memory", "16M", "--cmdline", "a=b",
                          "--initrd", files[0] + ":root=1 x", "--initrd", files[1], "--no-reboot")).expect(
        32, out=r"firmware\.bin a=b\nfirst\.img root=1 x\ncontent of first\nsecond\.img\ncontent of second\nno such service\n")
    t.expect_clean()


@test
def timer_pic(t):
    t.run_guest("timer_pic").expect(0, out=r"20 ticks through the 8259\n20 periodic RTC interrupts through the slave")


@test
def timer_ioapic(t):
    t.run_guest("timer_ioapic").expect(0, out=r"20 ticks through the IOAPIC\n")


@test
def timer_lapic(t):
    t.run_guest("timer_lapic").expect(0, out=r"10 periodic ticks of the local APIC\none-shot\n(TSC deadlines|no TSC)")


@test
def rtc(t):
    """The guest prints its clock, UTC, to the minute."""
    before = datetime.datetime.utcnow().replace(second=0, microsecond=0)
    text = t.run_guest("rtc").expect(0, out=r"\d{4}-\d\d-\d\d \d\d:\d\d\n").out.strip()
    after = datetime.datetime.utcnow()
    seen = datetime.datetime.strptime(text, "%Y-%m-%d %H:%M")
    check(before <= seen <= after, f"{before} <= {seen} <= {after}")


@test
def tables(t):
    """Tables of the processor where there is no memory, and an event to deliver: shutdown, on both engines. A stack there
    takes what is pushed to the bus, and the event is delivered; KVM cannot, but the emulator that it falls back to
    can, unless KVM has called it a shutdown already and does not tell what there was to deliver: then it says so."""
    for place, event in itertools.product(["in", "tn", "gn"], "ust"):
        t.run_guest("tables", "--no-reboot", input=place + event).expect(34, out="now", err="triple fault")
    for place, event in itertools.product(["sn", "sd"], "ust"):
        result = t.run_guest("tables", "--no-reboot", input=place + event)
        if t.engine == "kvm" and result.code == 33:
            result.expect(33, out="now", err="KVM gave up: it cannot deliver an event to a stack that is not memory")
        else:
            result.expect(5, out="now\r?\ndelivered")
    for place in "id", "td", "gd":
        t.run_guest("tables", "--no-reboot", input=place + "s").expect(34, out="now", err="triple fault")
    t.expect_clean()


@test
def fallback(t):
    """What KVM cannot do, the emulator does for it: the results are the architecture's, on both engines. It is counted, and
    without it the machine ends with a report where KVM fails."""
    t.run_guest("fallback").expect(0, out="exact")
    if t.engine == "kvm":
        r = t.run_guest("fallback", "--no-fallback")
        if r.code != 0:  # a real KVM fails at the accesses to a device only, and one day at none
            r.expect(33, err=r"KVM gave up: .*\(KVM_EXIT_INTERNAL_ERROR, suberror \d+\); instruction( [0-9a-f?]{2}){15}")
    t.expect_clean()


@test
def echo(t):
    """Input by interrupt: typed into the console socket, echoed in upper case, ends at q."""
    t.bulkhead(*t.guest("echo", "--detach")).expect(0)
    console = t.console()
    console.expect("ready")
    console.send("bulkhead")
    console.expect("BULKHEAD")
    console.send("q")
    console.expect("Q.*\n?bye")
    console.read_to_end()
    t.expect_clean()


@test
def echo_foreground(t):
    """The same over standard input and output; more at once than the FIFO holds."""
    guest = t.start(*t.command(*t.guest("echo")))
    guest.expect("ready")
    guest.send("abcdefghijklmnopqrstuvwxyz"[:16] * 20 + "q")
    guest.expect("ABCDEFGHIJKLMNOP" * 20 + "Q")
    check(guest.wait() == 0, f"exit code {guest.code}")


@test
def unmapped(t):
    t.run_guest("unmapped").expect(0, out=r"all ones\n")


@test
def triple(t):
    """Reported as such, with the registers, and no hang."""
    t.run_guest("triple").expect(34, out="about to fault three times", err=r"(?s)triple fault.*[Rr][Aa][Xx][= ]+0*600dcafe")
    t.expect_clean()


@test
def storm(t):
    t.run_guest("storm").expect(0, out=r"still here\n")


@test
def hpet_routes(t):
    """Three timers on pins 20 to 23, edge and level: as many interrupts as were asked for. Some KVMs report the end of a
    level interrupt when it is delivered, too: it comes again, and the guest finds nothing to do."""
    spurious = "0" if t.engine == "emu" else r"\d+"
    t.run_guest("hpet_routes").expect(0, out=rf"3 timers, 24 routes, {spurious} spurious\n")


@test
def display(t):
    """--vga: a stub that keeps what is written to the cursor's registers, or nobody."""
    t.run_guest("display").expect(0, out=r"cursor at 0, then 7cf\n")
    t.run_guest("display", "--vga", "none").expect(0, out=r"cursor at ffff, then ffff\n")


@test
def board(t):
    """Power button, reset register, power-off: the doors of the board."""
    guest = t.start(*t.command(*t.guest("board")))
    guest.expect("board ready")
    guest.send("r")
    guest.expect("board ready")
    guest.send("p")
    check(guest.wait() == 0, f"exit code {guest.code}")
    guest = t.start(*t.command(*t.guest("board", "--no-reboot")))
    guest.expect("board ready")
    guest.send("r")
    check(guest.wait() == 32, f"exit code {guest.code}")


if __name__ == "__main__":
    main()
