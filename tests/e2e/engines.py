# SPDX-License-Identifier: MIT
"""The same guest on both engines asks its devices the same, in the same order, and is answered the same."""
import re

from bh import BUILD, Failure, Skip, check, debian, kvm_missing, main, test

# time, vCPU, device, what, which space, address, size, register, direction, value; and how it was answered, which is the host's
ACCESS = re.compile(r" *[\d.]+ (vcpu\d+) (\S+) +(read|write) +(port|mmio) (\S+) (\d+) (.+?) +(->|<-) (\S+)")


def accesses(path):
    with open(path, encoding="ascii") as f:
        return [" ".join(found.groups()) for found in map(ACCESS.match, f) if found]


def compare(t, name, run, least):
    """`run` starts the guest with these options, on one engine and the other."""
    traces = {}
    for engine in "emu", "kvm":
        path = f"{t.dir}/{name}.{engine}"
        run("--engine", engine, "--trace-io", path)
        traces[engine] = accesses(path)
    emu, kvm = traces["emu"], traces["kvm"]
    check(len(emu) >= least, f"{name}: {len(emu)} accesses")
    if emu == kvm:
        print(f"{name}: {len(emu)} accesses, the same")
        return
    at = next((n for n, (a, b) in enumerate(zip(emu, kvm)) if a != b), min(len(emu), len(kvm)))
    raise Failure(f"{name}: {len(emu)} and {len(kvm)} accesses; the first that differs is number {at}:\n"
                  f"emu {emu[max(0, at - 2):at + 3]}\nkvm {kvm[max(0, at - 2):at + 3]}")


@test
def traces(t):
    """Address, size, register, value and order of every access to a port and to MMIO, of guests that wait for no clock; where they wait
    for a timer's interrupt, what they do in between."""
    if missing := kvm_missing():
        raise Skip(missing)
    for name, code, least in (("hello16", 7, 18), ("hello64", 0, 18), ("unmapped", 0, 60), ("display", None, 50), ("timer_ioapic", 0, 60),
                              ("timer_lapic", 0, 60)):
        def run(*options):
            r = t.run_guest(name, *options)
            check(code is None or r.code == code, r)

        compare(t, name, run, least)


@test
def traces_firmware(t):
    """A Multiboot guest, with modules, and the BIOS's answers; it ends with a reset."""
    if missing := kvm_missing():
        raise Skip(missing)
    with open(t.dir + "/module", "wb") as f:
        f.write(b"a module\0")

    def run(*options):
        t.bulkhead(*t.machine("--kernel", f"{BUILD}/tests/guest/firmware.bin", "--memory", "16M", "--cmdline", "a=b", "--initrd",
                              t.dir + "/module", "--no-reboot", *options)).expect(32)

    compare(t, "firmware", run, 30)


# Lines of times and frequencies, of what is drawn by lot, of how late a busy host was.
OF_THE_MOMENT = re.compile("crng init|Command line|audit\\(|setting system clock|[Cc]alibrat|Detected .* MHz|refined|Freeing .*memory|"
                           "clocksource: |Marking stable|hpet: Lost|interrupt took too long|hrtimer: ")
NUMBERS = re.compile(r"\b0x[0-9a-f]{6,}|\b\d+\.\d+ (BogoMIPS|MHz|MB/s)|\d+ ?(ms|usecs)|lpj=\d+")


def boot_messages(t, *options):
    """What Debian's kernel says, without times and whatever is measured or drawn by lot."""
    kernel, initrd = debian(t.dir)
    r = t.bulkhead(*t.machine("--kernel", kernel, "--initrd", initrd, "--memory", "512M", *options, "--cmdline",
                              'console=ttyS0 quiet nokaslr bulkhead.run="dmesg"'), seconds=120).expect(0)
    lines = [found[1] for found in re.finditer(r"(?m)^\[ *\d+\.\d+\] (.*?)\r?$", r.out)]
    return [NUMBERS.sub("N", line) for line in lines if not OF_THE_MOMENT.search(line)]


@test(limit=280)
def dmesg(t):
    """A boot translated and a boot by blocks: the kernel finds the same machine, and says the same."""
    one, other = boot_messages(t), boot_messages(t, "--tier", "block")
    check(len(one) > 200, f"{len(one)} lines")
    differ = sorted(set(one) ^ set(other))
    check(not differ, "\n".join(differ))
    print(f"{len(one)} lines, the same")


# The processor's own: KVM shows the host's, has a clock for guests, and this host's lacks pages of 1 GiB.
OF_THE_PROCESSOR = re.compile("KVM|kvm-clock|tsc: |TSC doesn't count|Using GB pages|paravirtualized|Command line|x86/fpu|Spectre|CPU: ")


def early_messages(t, engine, initrd, kernel):
    """Up to where the kernel knows its memory, its tables and its processors: what comes later takes a KVM that interprets minutes."""
    vm = t.start(*t.command(*t.machine("--kernel", kernel, "--initrd", initrd, "--memory", "256M", "--engine", engine, "--cmdline",
                                       "console=ttyS0 earlyprintk=ttyS0 nokaslr")))
    vm.expect(r"Booting paravirtualized kernel[^\n]*\n", 240)
    t.bulkhead("kill", t.name).expect(0)
    vm.wait(20)
    lines = [found[1] for found in re.finditer(r"(?m)^\[ *\d+\.\d+\] (.*?)\r?$", vm.talk.text.split("Booting paravirtualized")[0])]
    return [NUMBERS.sub("N", line) for line in lines if not OF_THE_PROCESSOR.search(line)]


@test(limit=280)
def dmesg_kvm(t):
    """The firmware's map, ACPI and MP tables, memory: the kernel says the same of them on KVM."""
    if missing := kvm_missing():
        raise Skip(missing)
    kernel, initrd = debian(t.dir)
    emu, kvm = (early_messages(t, engine, initrd, kernel) for engine in ("emu", "kvm"))
    differ = sorted(set(emu) ^ set(kvm))
    check(len(emu) > 40 and not differ, f"{len(emu)} lines:\n" + "\n".join(differ))
    print(f"{len(emu)} lines, the same")


if __name__ == "__main__":
    main()
