# SPDX-License-Identifier: MIT
"""
The fence around each process, from inside (programs with probe.c linked in) and from outside (/proc, as root).
PROBES is the directory of the probing programs; the rest as in tests/e2e/bh.py.
"""
import ctypes
import errno
import json
import os
import re
import socket
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.environ["SOURCE"], "tests/e2e"))
from bh import BUILD, Skip, check, main, test, wait_until  # noqa: E402
from kinds import DEVICES  # noqa: E402

PROBES = os.environ.get("PROBES", BUILD + "/tests/sandbox")
PROGRAMS = ("boot", "vcpu") + DEVICES
# In the host's namespaces: the one removes what a machine leaves there, the other writes to where the user said.
OUTSIDE = ("keeper", "logger")
NAMESPACES = ("user", "pid", "mnt", "net", "ipc", "uts", "cgroup")
CLONE_NEWUSER = 0x10000000


def need_root():
    if os.geteuid():
        raise Skip("only root can look into /proc of processes that are not dumpable")


def libexec(t, prefix, names):
    """A directory with our programs, those in `names` replaced by the ones of that prefix."""
    directory = t.dir + "/libexec"
    os.mkdir(directory)
    supervisor = f"{PROBES}/{prefix}-bulkhead-supervisor" if "supervisor" in names else BUILD + "/vmm/bulkhead-supervisor"
    os.symlink(supervisor, directory + "/bulkhead-supervisor")
    os.symlink(BUILD + "/vmm/gdb/bulkhead-gdbd", directory + "/bulkhead-gdbd")
    for name in PROGRAMS:
        place = {"boot": "boot", "vcpu": "vmm/vcpu"}.get(name, "devices")
        ours = name if name not in DEVICES else "device"  # one program under four names
        program = f"{PROBES}/{prefix}-bulkhead-{ours}" if name in names else f"{BUILD}/{place}/bulkhead-{name}"
        os.symlink(program, f"{directory}/bulkhead-{name}")
    return dict(t.env, BULKHEAD_LIBEXEC=directory)


def probe(t, *options, env=None):
    """{(program, phase): {probe: result}} of a machine whose processes all probe."""
    result = t.bulkhead(*t.guest("hello64", *options), env=env or libexec(t, "probe", PROGRAMS))
    found = {}
    for name, phase, rest in re.findall(r": (\w+)\[1\]: probe (\w+) (.*)", result.err):
        found.setdefault((name, phase), {}).update(pair.split("=") for pair in rest.split())
    for name in PROGRAMS:
        for phase in "exec", "setup", "run":
            check(len(found.get((name, phase), {})) == 28, f"{name}, {phase}: not all probes answered: {result}")
    return found, result


def expect_stopped(found):
    """From its program's first step on every try is stopped; before its work, two calls are refused, as libraries make them."""
    for (name, phase), results in found.items():
        for what, outcome in results.items():
            allowed = {"stopped"}
            if phase != "run" and what in ("open", "openat"):
                allowed = {"ENOENT"}
            if phase != "run" and what == "nofile":
                allowed = {"EPERM"}  # limits may be lowered, not raised
            check(outcome in allowed, f"{name}, {phase}: {what} gave {outcome}")


@test
def inside(t):
    """No way out with the filters on."""
    found, result = probe(t)
    expect_stopped(found)
    result.expect(0, out="hello from 64 bits")


def frame_machine(t, guest):
    return t.machine("--platform", "frame", "--kernel", f"{BUILD}/tests/guest/{guest}.elf")


@test
def display(t):
    """displayd, with the filters on; and of the guest's memory it has framebuffer and mailbox, and nothing else."""
    env = libexec(t, "probe", PROGRAMS)
    os.symlink(f"{PROBES}/probe-bulkhead-device", t.dir + "/libexec/bulkhead-displayd")
    result = t.bulkhead(*frame_machine(t, "frame_entry"), env=env)
    found = {}
    for phase, rest in re.findall(r": displayd\[1\]: probe (\w+) (.*)", result.err):
        found.setdefault(("displayd", phase), {}).update(pair.split("=") for pair in rest.split())
    check(len(found) == 3 and all(len(results) == 28 for results in found.values()), f"not all probes answered: {result}")
    expect_stopped(found)
    result.expect(42)
    need_root()
    t.bulkhead(*frame_machine(t, "frame_show"), "--detach").expect(0)
    with open(f"/proc/{t.processes()['displayd']}/maps") as f:
        objects = {line.split("memfd:")[1].split()[0]: line.split()[1] for line in f if "memfd:" in line}
    check(objects["bulkhead-screen"] == "r--s" and objects["bulkhead-mailbox"] == "rw-s", objects)
    check("bulkhead-ram" not in objects and "bulkhead-map" not in objects, objects)
    t.bulkhead("kill", t.name).expect(0)
    # A PC's display: its window and its framebuffer.
    t.bulkhead(*t.guest("vga_text", "--display", "vga", "--detach")).expect(0)
    with open(f"/proc/{t.processes()['vgad']}/maps") as f:
        objects = {line.split("memfd:")[1].split()[0]: line.split()[1] for line in f if "memfd:" in line}
    check(objects["bulkhead-legacy"] == "r--s" and objects["bulkhead-framebuffer"] == "rw-s", objects)
    check("bulkhead-ram" not in objects and "bulkhead-map" not in objects, objects)
    t.bulkhead("kill", t.name).expect(0)
    # A machine without a screen has no such process.
    t.bulkhead(*t.guest("echo", "--detach")).expect(0)
    check("displayd" not in t.processes() and "vgad" not in t.processes(), t.processes())
    t.bulkhead("kill", t.name).expect(0)


# What the kernel says when no filter stops the call: namespaces, ids, capabilities, limits, Landlock.
SECOND_WALL = {
    "open": {"ENOENT"}, "openat": {"ENOENT"}, "passwd": {"ENOENT"}, "proc": {"ENOENT"}, "kvm": {"ENOENT"},
    "create": {"EROFS", "EACCES"}, "mkdir": {"EROFS", "EACCES"}, "root-names": {"0", "EACCES"}, "ways-out": {"0"},
    "exec": {"ENOENT"}, "mount": {"EPERM"}, "inet": {"ENETUNREACH", "EACCES"}, "abstract": {"ECONNREFUSED", "EPERM"},
    "other-vm": {"ENOENT"}, "packet": {"EPERM"}, "kill-all": {"ESRCH", "EPERM"}, "kill": {"ESRCH", "EPERM"},
    "ptrace": {"ESRCH", "EPERM"}, "pidfd": {"ESRCH", "ENOENT", "EINVAL"}, "vm-read": {"ESRCH", "EPERM"},
    "setuid": {"EINVAL", "EPERM"}, "hostname": {"EPERM"}, "iopl": {"EPERM", "ENOSYS"}, "reboot": {"EPERM"},
    "module": {"EPERM", "ENOSYS"}, "nofile": {"EPERM"},
}


@test
def inside_without_filters(t):
    """The second wall stands alone: with --sandbox=log the filters let everything through."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("\0bulkhead-fence-test")
    listener.listen()
    socket.socket(socket.AF_UNIX).connect("\0bulkhead-fence-test")  # the host can
    found, result = probe(t, "--sandbox", "log")
    if "user namespaces" in result.err:
        raise Skip("no user namespaces: " + result.err.splitlines()[0])
    for (name, phase), results in found.items():
        for what, expected in SECOND_WALL.items():
            if name == "vcpu" and what in ("kill", "vm-read", "ptrace"):
                continue  # 2 is a thread of its own there
            check(results[what] in expected, f"{name}, {phase}: {what} gave {results[what]}, not {expected}")
        if phase == "run" and (name, t.engine) != ("vcpu", "kvm"):  # KVM's first run needs a kernel thread
            check(results["fork"] == "EAGAIN", f"{name}: fork gave {results['fork']}")
    check("kernel logs" in result.err, f"--sandbox=log does not say where to look: {result}")


# ---- programs that somebody puts in a device's place


def probe_replacement(t, program, mode, phases):
    """{phase: {probe: result}} of a program that replaces timerd in a machine that is started with this --sandbox."""
    name, log = f"{t.name}{mode}", f"{t.dir}/{mode}.log"
    t.bulkhead(*t.guest("echo", "--detach", "--sandbox", mode, "--log", log, name=name)).expect(0)
    before = t.processes(name)["timerd"]
    replaced = t.bulkhead("device", "replace", name, "timer", "--binary", f"{PROBES}/{program}")
    found = {}

    def answered():
        """What is logged is in the file a moment later."""
        with open(log) as f:
            for phase, rest in re.findall(r": timerd\[2\]: probe (\w+) (.*)", f.read()):
                found.setdefault(phase, {}).update(pair.split("=") for pair in rest.split())
        return set(found) == phases and all(len(results) == 28 for results in found.values())

    wait_until(answered, f"probes have answered in {phases}")
    wait_until(lambda: t.processes(name).get("timerd", before) != before, f"another process: {replaced}")
    now = t.processes(name)["timerd"]
    fenced = replaced.code == 0 and status(now)
    t.bulkhead("kill", name).expect(0)
    expect_stopped({("timerd", phase): results for phase, results in found.items()})
    return found, fenced, replaced


@test
def replaced(t):
    """It is fenced before it runs, whatever the machine's --sandbox says."""
    need_root()
    for mode in "off", "log", "on":
        _, fenced, result = probe_replacement(t, "probe-bulkhead-device", mode, {"exec", "setup", "run"})
        result.expect(0)
        check(fenced["Seccomp"] == "2" and fenced["NoNewPrivs"] == "1", f"{mode}: {fenced}")
        check(int(fenced["CapPrm"], 16) == 0 and "0" not in fenced["Uid"].split(), f"{mode}: {fenced}")


@test
def replaced_by_stranger(t):
    """A program that is none of ours gets no further, and the one before it comes back."""
    need_root()
    for mode in "off", "on":
        probe_replacement(t, "probe-stranger", mode, {"exec"})[2].expect(1, err="ended unexpectedly with code 0")


# ---- from outside


def status(pid):
    with open(f"/proc/{pid}/status") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def limits(pid):
    with open(f"/proc/{pid}/limits") as f:
        return {line[:26].strip(): line[26:].split()[0] for line in f}


def mappings(pid):
    """(permissions, inode, name) of each mapping."""
    with open(f"/proc/{pid}/maps") as f:
        for line in f:
            parts = line.split(None, 5)
            yield parts[1], int(parts[4]), parts[5].strip() if len(parts) > 5 else ""


def objects(pid):
    """(name, inode, permissions) of the machine's shared objects that are mapped."""
    for perms, inode, name in mappings(pid):
        found = re.match(r"/memfd:bulkhead-(\w+)", name)
        if found:
            yield found.group(1), inode, perms


def descriptors(pid):
    return [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]


def start(t, name=None, env=None):
    t.bulkhead(*t.guest("echo", "--detach", name=name), env=env).expect(0)
    found = {}

    def complete():
        found.update(t.processes(name))
        return set(found) >= {"keeper", "supervisor", "spawner", "vcpu", *DEVICES}

    wait_until(complete, "all processes have their names")
    return {role: pid for role, pid in found.items() if role != "boot"}


# capabilities(7): kill, setgid, setuid, sys_admin; for root's machines only, in a user namespace that owns nothing.
CAPS = {"supervisor": 1 << 5, "spawner": 1 << 6 | 1 << 7 | 1 << 21}


def expect_locked(role, pid):
    """What holds on every host and for every user."""
    s = status(pid)
    check(s["NoNewPrivs"] == "1", f"{role}: no_new_privs is {s['NoNewPrivs']}")
    check(s["Seccomp"] == "2", f"{role}: seccomp mode {s['Seccomp']}")
    # Of a child: the spawner's filter, and its own for the start of its program, for its set-up, for its work.
    least = {"keeper": 1, "logger": 1, "spawner": 1, "supervisor": 2}.get(role, 4)
    check(int(s.get("Seccomp_filters", least)) >= least, f"{role}: {s.get('Seccomp_filters')} filters")
    for caps in "CapInh", "CapPrm", "CapEff", "CapAmb":
        own = CAPS.get(role, 0) if caps in ("CapPrm", "CapEff") else 0
        check(int(s[caps], 16) in (0, own), f"{role}: {caps} {s[caps]}")
    check(limits(pid)["Max core file size"] == "0", f"{role}: core dumps")
    if role in DEVICES:
        check(int(s["Threads"]) == 1, f"{role}: {s['Threads']} threads")
        for name, value in (("Max processes", "0"), ("Max locked memory", "0"), ("Max msgqueue size", "0"),
                            ("Max address space", str(256 << 20)), ("Max open files", "224")):
            check(limits(pid)[name] == value, f"{role}: {name} is {limits(pid)[name]}")


def expect_own_namespaces(role, pid):
    for ns in NAMESPACES:
        ours, theirs = (os.readlink(f"/proc/{p}/ns/{ns}") for p in ("self", pid))
        check(ours != theirs, f"{role}: shares the host's {ns} namespace")
    check(os.listdir(f"/proc/{pid}/root/") == [], f"{role}: root holds {os.listdir(f'/proc/{pid}/root/')}")
    with open(f"/proc/{pid}/mountinfo") as f:
        mounts = f.read().splitlines()
    check(len(mounts) == 1 and " ro," in mounts[0], f"{role}: mounts: {mounts}")


def expect_logger_outside(pid):
    """A socket to read from, and the log: nothing else."""
    fds = {fd: os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    check(set(fds) == {"0", "1", "2"} and fds["0"].startswith("socket:") and fds["1"] == "/dev/null", f"logger: {fds}")


def expect_keeper_outside(t, pid):
    """It holds what it waits for, has to remove and will write; of the host's files it sees its own directory."""
    kinds = re.compile(r"/dev/null$|pipe:|socket:|anon_inode:\[pidfd\]$")
    named = [fd for fd in descriptors(pid) if not kinds.match(fd)]
    own = {t.runtime, f"{t.runtime}/{t.name}", f"{t.runtime}/{t.name}/lock", f"{t.runtime}/{t.name}/log", "/", "/" + t.name,
           f"{t.runtime}/ended/{t.name}.json", *(f"{t.runtime}/ended/{t.name}.{n}.bhd" for n in (1, 2, 3))}
    check(set(named) <= own and len(named) <= 9, f"the keeper holds {named}")
    check(set(os.listdir(f"/proc/{pid}/root/")) <= {"lock", "log", "control.sock", "console.sock", "gdb.sock", "vm.toml"},
          f"the keeper's root holds {os.listdir(f'/proc/{pid}/root/')}")


@test
def outside(t):
    """Each process of a running machine, seen by root."""
    need_root()
    processes = start(t)
    uids = {}
    for role, pid in processes.items():
        expect_locked(role, pid)
        if role == "keeper":
            expect_keeper_outside(t, pid)
        if role == "logger":
            expect_logger_outside(pid)
        if role in OUTSIDE:
            continue
        expect_own_namespaces(role, pid)
        s = status(pid)
        ids = set(s["Uid"].split()) | set(s["Gid"].split())
        check(len(ids) == 1 and ids != {"0"} and s["Groups"].strip() == "", f"{role}: ids {ids}, groups {s['Groups']}")
        check(ids.isdisjoint(uids), f"{role} shares its id with {uids.get(min(ids))}")
        uids.update({i: role for i in ids})
        check(os.stat(f"/proc/{pid}/maps").st_uid == 0, f"{role} is dumpable")
        check(int(s["CapBnd"], 16) == CAPS.get(role, 0), f"{role}: bounding set {s['CapBnd']}")
        check(int(s["CapEff"], 16) == CAPS.get(role, 0), f"{role}: {s['CapEff']}")
    t.bulkhead("kill", t.name)


@test
def one_writer(t):
    """design.md, section 2: each object has one writer. Legacy devices have no guest memory. Nothing is executable."""
    need_root()
    processes = start(t)
    writers = {}
    for role, pid in processes.items():
        for name, inode, perms in objects(pid):
            if perms[1] == "w" and perms[3] == "s":
                writers.setdefault((inode, name), set()).add(role)
        check(not [m for m in mappings(pid) if m[0][1] == "w" and m[0][2] == "x"], f"{role}: writable code")
        if role in DEVICES:
            mapped = {(name, perms) for name, _, perms in objects(pid)}
            check(not [m for m in mapped if m[0] == "ram"], f"{role} maps guest memory")
            check(("req", "r--s") in mapped and ("req", "rw-s") not in mapped, f"{role}: {mapped}")
            expect_fds(role, pid)
        generated = [perms for name, _, perms in objects(pid) if name == "code"]
        check(sorted(generated) == (["r-xs", "rw-s"] if role == "vcpu" else []), f"{role}: generated code is mapped {generated}")
    check(len(writers) == 4 * 5 + 6 + (t.engine != "kvm"), f"objects with a writer: {writers}")
    for (inode, name), roles in writers.items():
        check(len(roles) == 1, f"{name} ({inode}) has the writers {roles}")
        owner = {"req": {"vcpu"}, "ram": {"vcpu"}, "counters": {"vcpu"}, "code": {"vcpu"}, "map": {"vcpu"}, "state": {"supervisor"}, "msi": {"irqd"}, "backlog": {"seriald"}}.get(name, set(DEVICES))
        check(roles <= owner, f"{name} is written by {roles}")
    check(not {"journal", "line"} & {name for name, _, _ in objects(processes["vcpu"])}, "the vcpu maps a journal or lines")
    t.bulkhead("kill", t.name)


def expect_fds(role, pid):
    """Pipes, sockets, its event loop: no name in any file system, and no object beyond its mappings."""
    fds = descriptors(pid)
    kinds = re.compile(r"/dev/null$|pipe:|socket:|anon_inode:\[(eventpoll|timerfd)\]$")
    check(len(fds) <= 24, f"{role} has {len(fds)} descriptors: {fds}")
    check(all(kinds.match(fd) for fd in fds), f"{role}: {[fd for fd in fds if not kinds.match(fd)]}")


@test
def machines_apart(t):
    """Two machines share no object, socket, pipe or user id."""
    need_root()
    seen = {}
    for name in t.name + "a", t.name + "b":
        processes = start(t, name)
        things = {status(pid)["Uid"].split()[0] for role, pid in processes.items() if role not in OUTSIDE}
        for role, pid in processes.items():
            if role in OUTSIDE:
                continue
            things |= {inode for _, inode, _ in objects(pid)}
            things |= {fd for fd in descriptors(pid) if fd.startswith("socket:")}
            things |= {fd for fd in descriptors(pid) if fd.startswith("pipe:") and role != "supervisor"}
            things |= {os.readlink(f"/proc/{pid}/ns/{ns}") for ns in NAMESPACES}
        seen[name] = things
    first, second = seen.values()
    check(not first & second, f"shared: {first & second}")
    for name in seen:
        t.bulkhead("kill", name)


# ---- the keeper, which stays outside


def without_landlock():
    """Called in a child: landlock_create_ruleset() fails as on a kernel that does not have it."""
    code = struct.pack("HBBI" * 4, 0x20, 0, 0, 0, 0x15, 0, 1, 444, 0x06, 0, 0, 0x50000 | errno.ENOSYS, 0x06, 0, 0, 0x7fff0000)
    buffer = ctypes.create_string_buffer(code)
    program = struct.pack("HxxxxxxP", 4, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.create_string_buffer(program), 0, 0):
        os._exit(99)


def probe_keeper(t, *options, uid=0, prepare=None):
    """{probe: result}, and stderr, of a keeper that tries to do harm to files of its user's, beside another machine."""
    need_root()
    reachable_by(uid)
    os.chmod(t.dir, 0o755)
    victim, empty, other = t.dir + "/victim", t.dir + "/empty", t.name + "x"
    for path in t.runtime, empty:
        os.mkdir(path, 0o700)
    open(victim, "w").close()
    for path in t.dir, t.runtime, victim, empty:
        os.chown(path, uid, uid)

    def become():
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        if prepare:
            prepare()

    def run(env, *args):
        p = subprocess.run(t.command(*args), env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, timeout=40, preexec_fn=become)
        check(p.returncode == 0, f"{p.returncode}: {p.stdout} {p.stderr}")
        return p

    run(t.env, *t.guest("echo", "--detach", name=other))
    env = libexec(t, "probe", ["supervisor"])
    p = run(dict(env, PROBE_FILE=victim, PROBE_DIR=empty, PROBE_OTHER=other), *t.guest("hello64", *options))
    check("hello from 64 bits" in p.stdout, p.stdout)
    found = dict(pair.split("=") for rest in re.findall(r"probe keeper (.*)", p.stderr) for pair in rest.split())
    check(len(found) == 19, f"{found}: {p.stderr}")
    check(os.path.exists(victim) and os.path.isdir(empty), f"files of the host are gone: {found}")
    run(t.env, "status", other)
    check(not os.path.exists(f"{t.runtime}/{t.name}"), "its own directory is removed in the end")
    run(t.env, "kill", other)
    return found, p.stderr


KEEPER_REMOVES = ("file", "file-up", "dir", "dir-up", "other-up", "other-root", "other-dir")
KEEPER_OTHERS = ("other-socket", "unlink", "rmdir", "rename", "read", "proc", "create", "own-read", "exec", "chroot", "setuid")
NOWHERE = {"ENOENT", "EACCES", "EXDEV"}  # it is not there, or may not be touched


def expect_keeper(found, filtered, elsewhere):
    for what in KEEPER_REMOVES:
        allowed = elsewhere | ({"ENOTEMPTY"} if what == "other-dir" else set())
        check(found[what] in allowed, f"{what} gave {found[what]}")
    check(found["own"] == "ENOENT", f"own: there is no log to remove, and that is all: {found['own']}")
    for what in KEEPER_OTHERS:
        check(not filtered or found[what] == "stopped", f"{what} gave {found[what]}")


@test
def keeper(t):
    """root's keeper: neither an absolute path nor ".." leads out of its directory, and nothing else is tried twice."""
    found, err = probe_keeper(t)
    expect_keeper(found, True, NOWHERE)
    check("missing" not in err, err)


@test
def keeper_without_filter(t):
    """With --sandbox=log the second wall stands alone."""
    found, _ = probe_keeper(t, "--sandbox", "log")
    expect_keeper(found, False, NOWHERE)
    for what in set(KEEPER_OTHERS):
        check(found[what] in NOWHERE | {"EPERM"}, f"{what} gave {found[what]}")


@test
def keeper_of_ordinary_user(t):
    """Landlock alone; a user's keeper cannot have a root of its own."""
    found, err = probe_keeper(t, uid=65534)
    expect_keeper(found, True, NOWHERE)
    check("missing" not in err, err)


@test
def keeper_without_landlock(t):
    """A root of its own alone: there is nothing of the host below it."""
    found, err = probe_keeper(t, prepare=without_landlock)
    expect_keeper(found, True, NOWHERE | {"EBUSY"})
    check("missing" not in err, err)


@test
def keeper_without_any(t):
    """An ordinary user on a kernel without Landlock: that something is missing is said."""
    need_root()
    reachable_by(65534)
    os.chmod(t.dir, 0o755)
    os.mkdir(t.runtime, 0o700)
    os.chown(t.runtime, 65534, 65534)

    def become():
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        without_landlock()

    p = subprocess.run(t.command(*t.guest("hello64")), env=t.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, text=True, timeout=40, preexec_fn=become)
    check(p.returncode == 0 and "hello from 64 bits" in p.stdout, f"{p.returncode}: {p.stdout} {p.stderr}")
    check("missing: the keeper's fence around its directory" in p.stderr, p.stderr)


# ---- a call that is not on the list


VIOLATION = r"sandbox: %s: system call getppid \(110\) is not on its list"


@test
def violation(t):
    """The CPU process makes a forbidden call: the machine ends with 38, and call and process are named."""
    result = t.bulkhead(*t.guest("hello64"), env=libexec(t, "violate", ["vcpu"]))
    result.expect(38, err=r"vcpu\[1\]: " + VIOLATION % r"vcpu \(emu\)")
    check("hello" not in result.out, f"the guest ran: {result}")
    t.expect_clean()


@test
def violation_of_device(t):
    """A daemon makes a forbidden call: it is ended and replaced, the log and the status name call and process."""
    log = t.dir + "/log"
    t.bulkhead(*t.guest("echo", "--detach", "--log", log), env=libexec(t, "violate", ["seriald"])).expect(0)

    def named():
        answer = t.bulkhead("status", t.name, "--json")
        rows = json.loads(answer.out)["processes"] if answer.code == 0 else []
        return any(re.search(VIOLATION % "seriald", row["last_reason"] or "") for row in rows if row["role"] == "seriald")

    wait_until(named, "status names the call", 20)

    def logged():
        with open(log) as f:
            return re.search(r"seriald\[1\]: " + VIOLATION % "seriald", f.read())

    wait_until(logged, "the log names the call")
    t.bulkhead("kill", t.name)


@test
def violation_logged(t):
    """With --sandbox=log it goes on, and the user is told where the kernel writes the call."""
    result = t.bulkhead(*t.guest("chatter", "--sandbox", "log"), env=libexec(t, "violate", ["seriald"]))
    result.expect(5, out="1048576 bytes", err="kernel logs")


# ---- what a user is told


def told(t, name, state, missing):
    """list, status, and status as JSON say the same."""
    t.bulkhead("list").expect(0, out=rf"NAME .* SANDBOX .*\n(.*\n)*{name} +running +{t.engine} +{state} ")
    without = rf"\n  sandbox without: {missing}" if missing else ""
    t.bulkhead("status", name).expect(0, out=rf"\n  sandbox +{state}{without}")
    for words in ("status", name, "--json"), ("list", "--json"):
        answer = json.loads(t.bulkhead(*words).expect(0).out)
        row = answer if isinstance(answer, dict) else [r for r in answer if r["name"] == name][0]
        check(row["sandbox"] == state, f"{words}: {row['sandbox']}")
        said = "; ".join(row["sandbox_missing"])
        check(re.search(missing, said) if missing else not said, f"{words}: {said}")


@test
def told_at_start(t):
    """--sandbox log and off are no secret: at start, detached or not, in list, in status, in JSON."""
    for mode, state, missing, warning in (("on", "on", None, None), ("log", "partial", "filters", "--sandbox log: .*not stopped"),
                                          ("off", "off", "everything", "--sandbox off: no process .* has a sandbox")):
        name = t.name + mode
        r = t.bulkhead(*t.guest("echo", "--detach", "--sandbox", mode, name=name)).expect(0, err=warning)
        check(warning or not r.err, f"nothing is missing: {r}")
        told(t, name, state, missing)
        t.bulkhead("kill", name).expect(0)
        r = t.bulkhead(*t.guest("hello64", "--sandbox", mode, "--quiet")).expect(0, err=warning)
        check(warning or not r.err, f"nothing is missing: {r}")


@test
def told_what_is_missing(t):
    """A host that refuses user namespaces: as ordinary user, detached."""
    need_root()
    reachable_by(65534)
    p = as_user(t, 65534, 0, t.guest("echo", "--detach"), t.env)
    check(p.returncode == 0 and "missing: user namespaces" in p.stderr, f"{p.returncode}: {p.stdout} {p.stderr}")
    env = dict(t.env, BULKHEAD_RUNTIME_DIR=t.runtime)
    row = json.loads(t.bulkhead("status", t.name, "--json", env=env).expect(0).out)
    check(row["sandbox"] == "partial" and "empty root" in " ".join(row["sandbox_missing"]), f"{row}")
    t.bulkhead("kill", t.name, env=env).expect(0)


# ---- bulkhead security


@test
def security(t):
    """The command tells the same as /proc, and rates daemons as sealed."""
    need_root()
    processes = start(t)
    rows = {}

    def report():
        found = json.loads(t.bulkhead("security", t.name, "--json").expect(0).out)
        rows.clear()
        rows.update({row["process"].split(" ")[0]: row for row in found["processes"]})
        return "boot" not in rows and all(sum(rows[role]["fds"].values()) == len(descriptors(pid)) for role, pid in processes.items())

    wait_until(report, "the loader, which may still be ending, is gone, and the descriptors of all are counted")
    check(set(rows) == set(processes), f"{set(rows)} are not {set(processes)}")
    for role, pid in processes.items():
        row = rows[role]
        check(row["pid"] == pid, f"{role}: pid {row['pid']}")
        check(row["seccomp_mode"] == 2 and row["no_new_privs"], f"{role}: {row}")
        check(row["uid"] == int(status(pid)["Uid"].split()[0]), f"{role}: uid {row['uid']}")
        check(row["guest_memory_mapped"] == (role == "vcpu"), f"{role}: guest memory {row['guest_memory_mapped']}")
        has = int(status(pid)["CapEff"], 16)
        check(int(row["capabilities"], 16) == has, f"{role}: {row['capabilities']}, /proc says {has:x}")
        check(("capabilities" in row["open"]) == (has != 0), f"{role}: {row['open']}")
        if role in DEVICES:
            check(row["level"] == "sealed" and row["exposure"] == 0, f"{role}: {row}")
            check(row["calls_allowed"] <= 16, f"{role}: {row['calls_allowed']} calls")
    t.bulkhead("security", t.name).expect(0, out=r"seriald +\d+ +0.0 sealed")
    t.bulkhead("security", "nobody-has-this-name").expect(30)
    t.bulkhead("kill", t.name)


@test
def security_of_ordinary_user(t):
    """What counts is what a process can do: its bounding set, which an ordinary user cannot shrink, is no capability."""
    need_root()
    reachable_by(65534)
    p = as_user(t, 65534, 1000, t.guest("echo", "--detach"), t.env)
    check(p.returncode == 0, f"{p.returncode}: {p.stdout} {p.stderr}")
    found = json.loads(t.bulkhead("security", t.name, "--json", env=dict(t.env, BULKHEAD_RUNTIME_DIR=t.runtime)).expect(0).out)
    for row in found["processes"]:
        check(int(row["capabilities"], 16) == 0 and "capabilities" not in row["open"], f"{row['process']}: {row}")
    t.bulkhead("kill", t.name, env=dict(t.env, BULKHEAD_RUNTIME_DIR=t.runtime)).expect(0)


# ---- hosts and users that have less


def in_namespace(uid, limit):
    """Called in a child: a user namespace with all ids, in which at most `limit` further ones may be made, as `uid`."""
    libc = ctypes.CDLL(None, use_errno=True)
    ready_r, ready_w = os.pipe()
    mapped_r, mapped_w = os.pipe()
    parent = os.getpid()
    if os.fork() == 0:  # writes the maps, which takes the privileges that we are about to leave
        os.read(ready_r, 1)
        for kind in "uid_map", "gid_map":
            with open(f"/proc/{parent}/{kind}", "w") as f:
                f.write("0 0 4294967295")
        os.write(mapped_w, b"x")
        os._exit(0)
    if libc.unshare(CLONE_NEWUSER):
        os._exit(99)
    os.write(ready_w, b"x")
    os.read(mapped_r, 1)
    os.wait()
    with open("/proc/sys/user/max_user_namespaces", "w") as f:
        f.write(str(limit))
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def as_user(t, uid, limit, args, env):
    """Runs bulkhead as that user."""
    os.chmod(t.dir, 0o755)
    os.makedirs(t.runtime, exist_ok=True)
    os.chown(t.runtime, uid, uid)
    os.chmod(t.runtime, 0o700)
    p = subprocess.run(t.command(*args), env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, text=True, timeout=40, preexec_fn=lambda: in_namespace(uid, limit))
    return p


def reachable_by(uid):
    """Can that user execute what was built?"""
    p = subprocess.run(["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", BUILD + "/vmm/bulkhead",
                        "version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if p.returncode:
        raise Skip(f"user {uid} cannot execute {BUILD}/vmm/bulkhead")


def try_as(t, uid, limit, warning):
    """Everything probed is stopped; the warning, and nothing else, tells what is missing."""
    need_root()
    reachable_by(uid)
    env = libexec(t, "probe", PROGRAMS)
    p = as_user(t, uid, limit, t.guest("hello64"), env)
    check(p.returncode == 0 and "hello from 64 bits" in p.stdout, f"{p.returncode}: {p.stdout} {p.stderr}")
    found = {}
    for name, phase, rest in re.findall(r": (\w+)\[1\]: probe (\w+) (.*)", p.stderr):
        found.setdefault((name, phase), {}).update(pair.split("=") for pair in rest.split())
    check(len(found) == 3 * len(PROGRAMS), f"{found}")
    expect_stopped(found)
    others = [line for line in p.stderr.splitlines() if ": probe " not in line and ": ended: " not in line]
    if warning is None:
        check(not others, f"unexpected: {others}")
    else:
        check(len(others) == 1 and re.search(warning, others[0]), f"expected one line with /{warning}/: {others}")


@test
def ordinary_user(t):
    """The whole fence, without root."""
    try_as(t, 65534, 1000, None)


@test
def ordinary_user_without_namespaces(t):
    """Filters, limits and no_new_privs remain; one line names what is missing."""
    try_as(t, 65534, 0, r"the sandbox is incomplete on this host, missing: user namespaces .*empty root")


@test
def root_without_user_namespaces(t):
    """The other namespaces and the empty root remain, and the processes do not run as root."""
    try_as(t, 0, 0, r"the sandbox is incomplete on this host, missing: user namespaces .*a user id of its own")


@test
def ordinary_user_from_outside(t):
    """An ordinary user's running machine, seen by root."""
    need_root()
    reachable_by(65534)
    p = as_user(t, 65534, 1000, t.guest("echo", "--detach"), t.env)
    check(p.returncode == 0, f"{p.returncode}: {p.stdout} {p.stderr}")
    wait_until(lambda: set(t.processes()) >= {"keeper", "supervisor", "vcpu", *DEVICES}, "all processes")
    for role, pid in t.processes().items():
        if role == "boot":
            continue
        expect_locked(role, pid)
        if role not in OUTSIDE:
            expect_own_namespaces(role, pid)
        check(status(pid)["Uid"].split()[0] == "65534", f"{role}: {status(pid)['Uid']}")
        check(os.stat(f"/proc/{pid}/maps").st_uid == 0, f"{role} is dumpable")


if __name__ == "__main__":
    main(about_sandbox=True)
