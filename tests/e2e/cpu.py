# SPDX-License-Identifier: MIT
"""Processor models (--cpu): what the guest's CPUID shows, what then works, and what Linux makes of it."""
import json
import re

from bh import Skip, check, debian, main, test

BOOT = 240
ALWAYS = {("1.0", "edx", 9), ("1.0", "ecx", 27), ("1.0", "edx", 28), ("7.0", "ecx", 4)}  # APIC, OSXSAVE, HTT, OSPKE: not features


def table(t):
    everything = json.loads(t.bulkhead("run", "--cpu", "help", "--json").expect(0).out)
    return {f["name"]: f for f in everything["features"]}, {m["name"]: m for m in everything["models"]}


def run_cpuid(t, model):
    """{leaf: {register: value}}, and the other lines as word -> rest."""
    out = t.run_guest("cpuid", *(["--cpu", model] if model else [])).expect(0, out=r"done\n").out
    leaves = {}
    for leaf, *values in re.findall(r"cpuid (\S+) (\S+) (\S+) (\S+) (\S+)", out):
        leaves[leaf] = dict(zip(("eax", "ebx", "ecx", "edx"), (int(v, 16) for v in values)))
    return leaves, out


def shown(features, leaves):
    return {n for n, f in features.items()
            if leaves[f"{f['leaf']:x}.{f['subleaf']}"][f["register"]] >> f["bit"] & 1}


def compare(wanted, seen, what):
    check(wanted == seen, f"{what}: missing {sorted(wanted - seen)}, too many {sorted(seen - wanted)}")


def check_consistent(features, seen, leaves, out):
    """CR4, XCR0, MSRs and instructions follow CPUID."""
    cr4 = int(re.search(r"cr4 (\S+)", out).group(1), 16)
    for name, f in features.items():
        bits = f["cr4"] & ~(1 << 12 | 1 << 5 | 1 << 17)  # LA57, PAE, PCIDE: depend on more than the feature
        check(not bits or (cr4 & bits == bits) == (name in seen), f"CR4 {cr4:#x} and {name}")
    check(("xcr0 none" in out) == ("xsave" not in seen), "CR4.OSXSAVE")
    if "xsave" in seen:
        check("osxsave 1" in out, "OSXSAVE mirrors CR4")
        supported = leaves["d.0"]["eax"]
        for value, result, size in re.findall(r"xcr0 (\S+) (ok|gp) (\S+)", out):
            v = int(value, 16)
            valid = v & 1 and not v & ~supported and v & 6 != 4 and v & 0xe0 in (0, 0xe0) and (not v & 0xe0 or v & 4)
            check((result == "ok") == bool(valid), f"XSETBV {value}: {result}, of {supported:#x}")
            if valid:
                end = 576
                for n in (2, 5, 6, 7, 9):
                    if v >> n & 1:
                        end = leaves[f"d.{n}"]["ebx"] + leaves[f"d.{n}"]["eax"]
                check(int(size, 16) == end, f"leaf 0Dh EBX with XCR0 {value}: {size}")
    for msr, name in (("3b", "tsc_adjust"), ("48", "spec_ctrl"), ("10a", "arch_capabilities"),
                      ("6e0", "tsc_deadline_timer"), ("da0", "xsaves"), ("c0000103", "rdtscp")):
        check((f"msr {msr} ok" in out) == (name in seen), f"MSR {msr} and {name}")
    tried = re.findall(r"(has|ud) (\S+)", out)
    check(len(tried) > 15, "instructions were tried")
    for result, name in tried:
        check((result == "has") == (name in seen), f"{name}: {result}")


MODELS = (None, "max", "x86-64-v2", "x86-64-v3", "max,-avx", "max,-xsave", "x86-64-v2,+vaes,+sha_ni", "max,-sse4_1",
          "max,-smep,-umip,-arch_capabilities,-tsc_deadline_timer", "max,-avx512f", "x86-64-v4", "max,-avx512vl",
          "max,+rtm,+sse4a,+movdiri,+movdir64b")


@test
def help(t):
    """A sentence for each model and feature, as text and as JSON."""
    features, models = table(t)
    text = t.bulkhead("run", "--cpu", "help").expect(0).out
    for name, row in list(features.items()) + list(models.items()):
        check(re.search(rf"^  {re.escape(name)} +{re.escape(row['help'])}", text, re.M), name)
    check({"max", "x86-64-v2", "x86-64-v3", "x86-64-v4", "host"} == set(models), models.keys())
    v3 = set(models["x86-64-v3"]["features"])
    check({"avx2", "fma", "abm", "bmi1", "bmi2", "movbe", "f16c", "sse4_2"} <= v3 and "aes" not in v3, v3)


@test
def errors(t):
    """Each names the word, and what is near it."""
    for model, part in (("v4", "one of max, x86-64-v2"), ("max,+axv2", "near it: avx, avx2"), ("max,avx2", "avx2=on"),
                        ("max,+avx2,-avx", "avx2 needs avx"), ("max,-sse2", "cannot be turned off"),
                        ("host", "the emulator's is --cpu max"), ("max,+la57,-la57", "on and off")):
        t.bulkhead("run", "--demo", "--cpu", model).expect(2, err=re.escape(part))
    t.bulkhead("run", "--demo", "--json").expect(2, err="--cpu help")
    features, _ = table(t)
    absent = [n for n, f in features.items() if f["emulator"] == "absent"]
    for name in absent[:3]:
        t.bulkhead("run", "--demo", "--cpu", "max,+" + name).expect(2, err=f"the emulator does not have.* {name}")


@test
def models(t):
    """CPUID shows the model, and the processor behaves as CPUID says."""
    features, known = table(t)
    for model in MODELS:
        leaves, out = run_cpuid(t, model)
        seen = shown(features, leaves)
        base = (model or "max").split(",")[0]
        if model in (None, base):
            compare(set(known[base]["features"]), seen, str(model))
        for name in seen:
            check(all(need in seen for need in features[name]["needs"]), f"{model}: {name} has what it needs")
        known_bits = {(f"{f['leaf']:x}.{f['subleaf']}", f["register"], f["bit"]) for f in features.values()}
        for leaf, register in {(l, r) for l, r, _ in known_bits if not l.startswith("d.")}:
            for bit in range(32):
                if leaves[leaf][register] >> bit & 1:
                    check((leaf, register, bit) in known_bits | ALWAYS or leaf in ("6.0",),
                          f"{model}: leaf {leaf} {register} bit {bit} is in no row")
        check_consistent(features, seen, leaves, out)


@test
def status(t):
    """The model as it was asked for, and what came of it."""
    features, known = table(t)
    t.bulkhead(*t.guest("echo", "--cpu", "x86-64-v3,-fma", "--detach")).expect(0)
    s = json.loads(t.bulkhead("status", "--json", t.name).expect(0).out)
    check(s["cpu"] == "x86-64-v3,-fma", s)
    compare(set(known["x86-64-v3"]["features"]) - {"fma"}, set(s["cpu_features"]), "status")
    check("x86-64-v3,-fma" in t.bulkhead("status", t.name).expect(0).out, "in words")
    t.bulkhead("kill", t.name).expect(0)
    t.expect_clean()


@test
def kvm(t):
    """Under KVM the guest sees what status says, if this host's KVM lets us decide."""
    t.engine = "kvm"
    features, _ = table(t)
    t.bulkhead(*t.guest("echo", "--cpu", "host,-x2apic", "--detach")).expect(0)
    s = json.loads(t.bulkhead("status", "--json", t.name).expect(0).out)
    t.bulkhead("kill", t.name).expect(0)
    check("x2apic" not in s["cpu_features"] and "lm" in s["cpu_features"] and "kvm" in s["cpu_features"], s)
    t.bulkhead(*t.guest("echo", "--cpu", "host,-kvm", "--detach", name="hides")).expect(0)
    hides = json.loads(t.bulkhead("status", "--json", "hides").expect(0).out)["cpu_features"]
    t.bulkhead("kill", "hides").expect(0)
    check("kvm" not in hides and "hypervisor" in hides, hides)
    missing = next(n for n in features if n not in s["cpu_features"] and n not in ("x2apic",))
    t.bulkhead(*t.guest("echo", "--cpu", "host,+" + missing)).expect(2, err=f"KVM on this host does not have.* {missing}")
    r = t.run_guest("cpuid", "--cpu", "host,-x2apic")
    leaves = {}
    for name, *values in re.findall(r"cpuid (\S+) (\S+) (\S+) (\S+) (\S+)", r.out):
        leaves[name] = dict(zip(("eax", "ebx", "ecx", "edx"), (int(v, 16) for v in values)))
    check("80000008.0" in leaves, r)
    seen = shown(features, leaves)
    # Even bits that KVM_GET_SUPPORTED_CPUID does not offer: this is not what KVM_SET_CPUID2 was given.
    if seen - set(s["cpu_features"]) - {"x2apic"}:
        raise Skip("this host's KVM shows the guest the processor's own CPUID, whatever it is told")
    compare(set(s["cpu_features"]), seen, "CPUID")


def flags_under(t, model):
    kernel, initrd = debian(t.dir)
    r = t.bulkhead(*t.machine("--kernel", kernel, "--initrd", initrd, "--memory", "512M", "--cpu", model, "--cmdline",
                              'console=ttyS0 quiet bulkhead.run="grep ^flags /proc/cpuinfo"'), seconds=BOOT).expect(0)
    found = re.search(r"^flags\s*: (.*?)\r?$", r.out, re.M)
    check(found, r)
    return set(found.group(1).split())


def linux(t, model):
    """/proc/cpuinfo names exactly the model's features; Linux adds some of its own that no CPUID bit stands for."""
    features, known = table(t)
    flags = flags_under(t, model)
    visible = {n for n, f in features.items() if f["cpuinfo"]}
    visible -= {"la57"}  # hidden by a kernel that uses four levels: our loader enters it with four
    compare(set(known[model]["features"]) & visible, flags & visible, model)


@test(limit=280)
def linux_v2(t):
    linux(t, "x86-64-v2")


@test(limit=280)
def linux_max(t):
    linux(t, "max")


if __name__ == "__main__":
    main()
