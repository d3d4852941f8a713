# SPDX-License-Identifier: MIT
"""--trace, --trace-io, --profile (docs/tracing.md) on small guests."""
import json
import os
import re
import select
import shutil
import subprocess
import time

from bh import BUILD, Skip, check, main, need_sandbox, test, wait_until

INSN = re.compile(r"TID\d+: INS 0x([0-9a-f]{16}) +\S+ +(.*?) *(?:\| (.*))?$")


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def insns(text):
    return [(int(m[1], 16), m[2], m[3]) for line in text.splitlines() if (m := INSN.match(line))]


@test
def instructions(t):
    """The guest's own code, from its first instruction to the last; each register and access as the code says."""
    out = t.dir + "/trace"
    t.run_guest("hello64", "--trace", out).expect(0, out="hello from 64 bits")
    text = read(out)
    found = insns(text)
    check(found[0][:2] == (0x1000, "cli") and found[-1][1] == "hlt", f"{found[:2]}, {found[-1]}")
    check("TID0: Read 0x68 = *(UINT8*)0x0000000000001015\nTID0: INS 0x0000000000001009" in text, "lodsb reads an h")
    check([i[2] for i in found if i[1] == "lodsb"][0].startswith("rax = 0x68, rsi = 0x1016"), text[:800])
    letters = [i for i in found if i[1].startswith("out ")]
    check(len(letters) == len("hello from 64 bits\n"), letters)
    t.expect_clean()


@test
def filters(t):
    """By address, by privilege, from one address to another."""
    out = t.dir + "/trace"
    def traced(*options):
        t.run_guest("hello64", "--trace", out, *options).expect(0)
        return [i[0] for i in insns(read(out))]
    check(set(traced("--trace-range", "0x1009-0x100a,0x1010-0x1010")) == {0x1009, 0x100a, 0x1010}, "ranges")
    check(not traced("--trace-privilege", "user"), "this guest has no user")
    some = traced("--trace-start", "0x100e", "--trace-stop", "0x1010")
    check(some[:2] == [0x100e, 0x1010] and set(some) == {0x100e, 0x1010}, f"again at each start: {some}")
    t.run_guest("hello64", "--trace", out, "--trace-range", "5").expect(2, err="--trace-range is FROM-TO")
    t.run_guest("hello64", "--trace", out, "--trace-start", "main").expect(2, err="--trace-start .* take an address")
    t.run_guest("hello64", "--trace", out, "--trace-last", "20000000").expect(2, err="write a number from 0 to 1000000")


@test
def last_ones_at_a_crash(t):
    """Nothing of a guest that ends well, the last ones of one that faults three times."""
    out = t.dir + "/trace"
    t.run_guest("hello64", "--trace", out, "--trace-last", "3").expect(0)
    check(read(out) == "", read(out)[:300])
    t.run_guest("triple", "--trace", out, "--trace-last", "3").expect(34)
    text = read(out)
    check(len(insns(text)) == 3 and insns(text)[-1][1] == "ud2" and text.endswith("# exception 6, error code 0x0\n"), text)


@test
def packed(t):
    """A file that is called .zst can be unpacked, and has the same in it."""
    if not shutil.which("zstd"):
        raise Skip("zstd is not installed")
    plain, small = t.dir + "/trace", t.dir + "/trace.zst"
    t.run_guest("hello64", "--trace", plain).expect(0)
    t.run_guest("hello64", "--trace", small).expect(0)
    out = subprocess.run(["zstd", "-dc", small], stdout=subprocess.PIPE, text=True, check=True).stdout
    check(out == read(plain), f"{len(out)} and {len(read(plain))} bytes")


@test
def accesses(t):
    """Names of devices and registers, values, times that do not go back, posted or not; interrupts."""
    out = t.dir + "/io"
    t.run_guest("timer_pic", "--trace-io", out).expect(0)
    lines = read(out).splitlines()
    check(any(re.search(r" irqd +write port 0x0020 1 MASTER\.ICW1\S* +<- 0x11 waited \d+ ns$", l) for l in lines), lines[:20])
    check(any(re.search(r" seriald +write port 0x03f8 1 COM1\.THR\S* +<- 0x[0-9a-f]{2} posted$", l) for l in lines), lines[-20:])
    check(any(re.search(r" seriald +read  port 0x03fd 1 COM1\.LSR +-> 0x60 shadow$", l) for l in lines), lines[-20:])
    ticks = [l for l in lines if re.search(r" irqd +interrupt vector 0x20 from the 8259$", l)]
    check(len(ticks) >= 20, f"{len(ticks)} ticks")
    times = [float(l.split()[0]) for l in lines]
    check(times == sorted(times), "of one processor")


@test
def profile(t):
    """Text, JSON, folded stacks; nearly all of what is counted is the guest's own loop."""
    out = t.dir + "/profile"
    t.run_guest("chatter", "--profile", out, "--timeout", "3s")
    rows = json.loads(read(out + ".json"))
    check(rows["samples"] > 0 and rows["instructions"] > 0 and rows["blocks"], rows)
    check(sum(b["samples"] for b in rows["blocks"]) == rows["samples"], "each sample is in a block")
    check("HOT BLOCKS" in read(out) and "MNEMONICS" in read(out), read(out)[:500])
    for line in read(out + ".folded").splitlines():
        check(re.fullmatch(r"(kernel|user)(;\S+)+ \d+", line), line)


@test
def not_of_kvm(t):
    for option in ("--trace", "--profile"):
        t.bulkhead(*t.guest("hello64", option, t.dir + "/x", "--engine", "kvm")).expect(2, err=f"{option} is of the emulator")


@test
def what_cannot_be_written(t):
    """A path that cannot be opened is named; a full disk, a limit, a reader that is gone: told, and the guest goes on."""
    t.run_guest("hello64", "--trace", t.dir + "/no/such/place").expect(2, err="--trace .*no/such/place")
    t.run_guest("hello64", "--profile", t.dir + "/p", "--symbols", t.dir + "/none").expect(2, err="--symbols .*none")
    for option in ("--trace", "--trace-io"):
        t.run_guest("timer_pic", option, "/dev/full").expect(0, err=f"traced: {option}: No space left on device; the guest goes on")
    fifo = t.dir + "/fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    vm = t.start(*t.command(*t.guest("board", "--trace", fifo)))
    wait_until(lambda: select.select([reader], [], [], 0)[0] and os.read(reader, 1000), "something is traced")
    os.close(reader)
    vm.send("x")
    vm.expect("board ready")
    t.bulkhead("kill", t.name).expect(0)
    vm.wait()
    t.expect_clean()


@test
def reader_that_does_not_read(t):
    """The guest stands still, and can be asked and ended all the same; after a while it goes on without a trace."""
    fifo = t.dir + "/fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    vm = t.start(*t.command(*t.guest("timer_pic", "--trace", fifo)))
    time.sleep(0.5)
    t.bulkhead("status", t.name).expect(0, out="running")
    vm.expect("20 ticks through the 8259", seconds=30)
    check(vm.wait() == 0 and "traced: --trace: nobody reads it" in vm.stderr(), vm.stderr())
    os.close(reader)


@test
def tracer_that_dies(t):
    """Its guest goes on."""
    vm = t.start(*t.command(*t.guest("board", "--trace", t.dir + "/trace")))
    vm.expect("board ready")
    os.kill(int(subprocess.run(["pgrep", "-f", f"^bulkhead-traced {t.name} "], stdout=subprocess.PIPE, text=True, check=True).stdout.split()[0]), 9)
    vm.send("r")
    vm.expect("board ready")
    t.bulkhead("stop", "--force", t.name).expect(0)
    vm.wait()
    t.expect_clean()


@test
def fence(t):
    """The tracer is fenced: a filter, no new privileges, and nothing open but what it needs."""
    need_sandbox()
    t.bulkhead(*t.guest("board", "--detach", "--trace-io", t.dir + "/io")).expect(0)
    rows = json.loads(t.bulkhead("security", "--json", t.name).expect(0).out)["processes"]
    row = next(r for r in rows if r["process"] == "traced")
    check(row["seccomp_mode"] == 2 and row["no_new_privs"] and row["calls_allowed"] <= 16 and int(row["capabilities"], 16) == 0, row)
    t.bulkhead("kill", t.name).expect(0)
    t.expect_clean()


if __name__ == "__main__":
    main()
