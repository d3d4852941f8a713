# SPDX-License-Identifier: MIT
"""
A device as a file: captured while it serves or when it dies, replayed without its machine, under gdb and git bisect; programs of
machines that run are upgraded, and put back if they fail.
"""
import json
import os
import pty
import random
import shutil
import signal
import subprocess

from bh import BUILD, Skip, check, main, test, wait_until
from hostile import faulty
from kinds import KINDS, TOGETHER, options, process

CLEAN, DIED, UNUSABLE = 0, 1, 125  # what --replay ends with, as git bisect run has it


def program(kind):
    return f"{BUILD}/devices/bulkhead-{kind}"


def as_daemon(t, path, kind, folder):
    """That program under the name of a daemon."""
    os.makedirs(f"{t.dir}/{folder}", exist_ok=True)
    name = f"{t.dir}/{folder}/bulkhead-{kind}"
    shutil.copy(path, name)
    return name


def row(t, name):
    known = json.loads(t.bulkhead("status", "--json", t.name).expect(0).out)
    return next(p for p in known["processes"] if p["role"] == name)


def capture(t, device, path):
    with open(path, "wb") as out:
        p = subprocess.run(t.command("device", "capture", t.name, device), env=t.env, stdout=out, stderr=subprocess.PIPE, timeout=40)
    check(p.returncode == 0, p.stderr)
    return path


def say(vm, text):
    """To the echo guest, which says it in capitals."""
    if "ready" not in vm.talk.text:
        vm.expect("ready")
    vm.send(text)


def crash(t):
    """A serial port with a planted bug dies of a character 1 that is sent, twice, and skips it then. The last capture."""
    vm = t.start(*t.command(*t.guest("echo")))
    say(vm, "before")
    vm.expect("BEFORE")
    planted = faulty(t, "seriald", "poison segv 1003 1")  # incarnations 2 and 3
    t.bulkhead("device", "replace", t.name, "serial", "--binary", planted).expect(0)
    say(vm, "\x01after")
    vm.expect("AFTER")
    found = row(t, "seriald")["capture"]
    check(found and found.startswith(f"{t.runtime}/ended/{t.name}."), found)
    t.bulkhead("status", t.name).expect(0, out=f"what it was then: {found}")
    t.bulkhead("device", "list", t.name).expect(0, out=f"what it was then: {found}")
    t.bulkhead("kill", t.name).expect(0)
    vm.wait()
    check(f"what it was then: {found}" in vm.stderr(), f"the log names it: {vm.stderr()}")
    with open(f"{t.runtime}/ended/{t.name}.json") as f:
        check(len(json.load(f)["captures"]) == 2, "two deaths, two captures, and the record names them")
    return found, as_daemon(t, planted, "seriald", "bad")


@test(limit=120)
def planted_bug(t):
    """The file alone is enough: the program that has the bug dies of it again, and one that has not does not. gdb and git bisect
    find it."""
    bug, bad = crash(t)
    t.call([bad, "--replay", bug]).expect(DIED, out=r"request (\d+): write of 1 x 1 bytes at port 0x3f8, data 0x1",
                                          err=r"bulkhead-seriald: died of signal 11 in request \d+")
    t.call([program("seriald"), "--replay", bug]).expect(CLEAN, out=r"seriald was killed by signal 11(.|\n)*clean: .*requests applied")
    if shutil.which("gdb"):
        r = t.call(["gdb", "-batch", "-ex", "run", "-ex", "bt", "--args", bad, "--replay", bug])
        check("SIGSEGV" in r.out and "runtime_apply" in r.out, r)
    bisect(t, bug, bad)


def bisect(t, bug, bad):
    """A history of programs, in which git finds the first that dies."""
    if not shutil.which("git"):
        raise Skip("no git")
    good = as_daemon(t, program("seriald"), "seriald", "good")
    env = {**t.env, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@t", "GIT_COMMITTER_NAME": "t",
           "GIT_COMMITTER_EMAIL": "t@t", "HOME": t.dir}

    def git(*words):
        return t.call(["git", "-C", t.dir + "/history", *words], env=env)

    os.mkdir(t.dir + "/history")
    git("init", "-q").expect(0)
    for number, path in enumerate((good, good, "/bin/false125", good, bad, bad, bad)):
        with open(t.dir + "/history/daemon", "w") as f:
            f.write(f"{path}\n{number}\n")
        git("add", "daemon").expect(0)
        git("commit", "-qm", f"build {number}").expect(0)
    git("bisect", "start", "HEAD", "HEAD~6").expect(0)
    # The third build does not exist; a script says of such that it cannot be told, as --replay does of a file.
    r = git("bisect", "run", "sh", "-c", f'd=$(head -1 daemon); [ -x "$d" ] || exit 125; "$d" --replay {bug}')
    r.expect(0, out="is the first bad commit")
    check("build 4" in r.out, r)


@test(limit=120)
def live(t):
    """Of each device while it serves, with a guest that uses them all; the guest notices nothing."""
    kinds = list(TOGETHER)
    extra = [word for kind in kinds for word in options(kind)]
    vm = t.start(*t.command(*t.guest("hostile_steady", *extra)))
    wait_until(lambda: "vcpu" in t.processes(), "it runs")
    paths = [(kind, capture(t, process(kind), f"{t.dir}/{kind}{n}.bhd")) for n in range(3) for kind in kinds]
    check(vm.wait(60) == 42, vm.stderr())
    for kind, path in paths:
        t.call([program(kind), "--replay", path]).expect(CLEAN, out=f"bulkhead-{kind}: clean: state of version")
        t.call([program(kind), "--sandbox", "on", "--replay", path]).expect(CLEAN)
    check(not [d for d in json.load(open(f"{t.runtime}/ended/{t.name}.json"))["devices"] if d["deaths"]], "nobody died")


@test
def words(t):
    """What cannot be: a terminal, another device's file, no file, options that belong elsewhere."""
    vm = t.start(*t.command(*t.guest("echo")))
    vm.expect("ready")
    path = capture(t, "serial", t.dir + "/serial.bhd")
    t.call([program("timerd"), "--replay", path]).expect(UNUSABLE, err="cannot be replayed: it is another device's")
    t.call([program("seriald"), "--replay", t.dir + "/none"]).expect(UNUSABLE, err="No such file")
    t.call([program("seriald"), "--replay", t.dir]).expect(UNUSABLE, err="Is a directory")
    t.call([program("seriald"), "--replay", "/dev/null"]).expect(UNUSABLE, err="too short")
    t.call([program("seriald"), "--replay", path, "--socket", "/x"]).expect(2, err="needs no supervisor")
    t.call([BUILD + "/vmm/vcpu/bulkhead-vcpu", "--replay", path]).expect(2, err="is for devices")
    leader, terminal = pty.openpty()
    p = subprocess.run(t.command("device", "capture", t.name, "serial"), env=t.env, stdout=terminal, stderr=subprocess.PIPE, timeout=40)
    check(p.returncode == 2 and b"writes a file to standard output" in p.stderr, p)
    os.close(leader), os.close(terminal)
    t.bulkhead("device", "capture", t.name).expect(2, err="the device is missing")
    t.bulkhead("device", "capture", t.name, "test0").expect(1, err="no such device in this machine")
    t.bulkhead("device", "restart", t.name, "serial", "--older-than", "1").expect(2, err="goes with device upgrade only")
    t.bulkhead("device", "upgrade", "--all", t.name).expect(2, err="either --all or the name")
    t.bulkhead("device", "upgrade").expect(2, err="the name of a machine is missing")


@test(limit=120)
def damaged(t):
    """A file that was changed anywhere, or cut, is refused, or does no more than a device can do."""
    vm = t.start(*t.command(*t.guest("echo")))
    vm.expect("ready")
    with open(capture(t, "serial", t.dir + "/serial.bhd"), "rb") as f:
        whole = f.read()
    rng = random.Random(7)
    for i in range(60):
        data = bytearray(whole)
        if i % 3 == 0:
            data = data[:rng.randrange(len(data))]
        elif i % 3 == 1:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        else:
            data += os.urandom(rng.randrange(1, 300000))  # what lies behind its end is ignored
        with open(t.dir + "/changed.bhd", "wb") as f:
            f.write(data)
        r = t.call([program("seriald"), "--replay", t.dir + "/changed.bhd"])
        check(r.code == (CLEAN if i % 3 == 2 else UNUSABLE), r)


@test(limit=120)
def last_three(t):
    """Of four deaths the last three are kept, until the machine's name is used again; files that stayed empty go away."""
    vm = t.start(*t.command(*t.guest("echo")))
    vm.expect("ready")
    seen = []
    for i in range(4):
        before = row(t, "timerd")["incarnation"]
        os.kill(row(t, "timerd")["pid"], signal.SIGKILL)
        wait_until(lambda: row(t, "timerd")["incarnation"] > before and row(t, "timerd")["state"] == "running", "it is back")
        seen.append(row(t, "timerd")["capture"])
    check(len(set(seen[:3])) == 3 and seen[3] == seen[0], seen)
    t.bulkhead("kill", t.name).expect(0)
    vm.wait()
    for path, incarnation in zip(seen[1:], (2, 3, 4)):
        check(os.stat(path).st_mode & 0o777 == 0o600, "they are the owner's")
        t.call([program("timerd"), "--replay", path]).expect(CLEAN, out=f"incarnation {incarnation}: timerd was killed by signal 9")
    t.bulkhead(*t.guest("last_instruction")).expect(11)
    check([os.path.getsize(p) for p in seen[:3]] == [0, 0, 0], "another machine of that name")
    t.bulkhead(*t.guest("last_instruction", name=t.name + "b")).expect(11)
    check(not any(os.path.exists(p) for p in seen), "the empty ones are gone")


def aged(t, version=b"0.0.9"):
    """The programs as another version, so that there is something to upgrade."""
    own = t.bulkhead("version").out.split()[1].encode()
    if len(own) != len(version):
        raise Skip(f"{own} is not as long as {version}")
    folder = t.dir + "/libexec"
    os.makedirs(folder, exist_ok=True)
    for kind in KINDS:
        with open(program(kind), "rb") as f:
            data = f.read()
        check(own + b"\0" in data, "the version is in there")
        with open(f"{folder}/bulkhead-{kind}", "wb") as f:
            f.write(data.replace(own + b"\0", version + b"\0"))
        os.chmod(f"{folder}/bulkhead-{kind}", 0o755)
    for name, path in (("vcpu", "vmm/vcpu"), ("boot", "boot"), ("gdbd", "vmm/gdb"), ("supervisor", "vmm")):
        os.symlink(f"{BUILD}/{path}/bulkhead-{name}", f"{folder}/bulkhead-{name}")
    return {**t.env, "BULKHEAD_LIBEXEC": folder}, own.decode()


@test(limit=120)
def upgrade(t):
    """Machines of an older version go on with the installed programs."""
    env, own = aged(t)
    vm = t.start(*t.command(*t.guest("echo")), env=env)
    say(vm, "one")
    vm.expect("ONE")
    check(row(t, "seriald")["version"] == "0.0.9", row(t, "seriald"))
    t.bulkhead("device", "upgrade", "--all", "--older-than", "0.0.9").expect(0, out=r"seriald: left alone: 0\.0\.9 is not older than")
    t.bulkhead("device", "upgrade", t.name, "serial").expect(0, out=rf"{t.name} seriald: {own}, was 0\.0\.9")
    check(row(t, "timerd")["version"] == "0.0.9", "the others were not asked for")
    r = t.bulkhead("device", "upgrade", "--all", "--older-than", own).expect(0, out=rf"timerd: {own}, was 0\.0\.9")
    check("seriald: left alone" in r.out, r)
    for kind in ("irqd", "timerd", "seriald", "platformd"):
        check(row(t, kind)["version"] == own and row(t, kind)["deaths"] == 0, row(t, kind))
    say(vm, "two")
    vm.expect("TWO")
    check(vm.talk.text.count("ONE") == 1, vm.talk.text)


@test(limit=120)
def rolled_back(t):
    """A new program that does not come up, that cannot read the state, that writes one which the old one cannot read, or that dies
    within a second, leaves the old one in its place, with its state: a serial port from power-on would not interrupt this guest."""
    vm = t.start(*t.command(*t.guest("echo")))
    say(vm, "one")
    vm.expect("ONE")
    before = row(t, "seriald")
    folder = t.dir + "/installed"
    os.mkdir(folder)
    for plan, why in ((None, "could not be executed"), ("newer segv 9999 1", "seriald"), ("changed segv 0 1", "signal 11"),
                      ("taken segv 0 1", "signal 11")):
        path = "/bin/true" if plan is None else faulty(t, "seriald", plan)
        shutil.copy(path, folder + "/bulkhead-seriald")
        upgrading = t.start(*t.command("device", "upgrade", t.name, "serial"), env={**t.env, "BULKHEAD_LIBEXEC": folder})
        while upgrading.poll() is None:
            if plan and plan.startswith("taken"):
                say(vm, ".")  # work for it to die of
            vm.talk.pump(0.05)
        said = f"{plan}: {upgrading.poll()}, {rest_of(upgrading)}{upgrading.stderr()}"
        check(upgrading.poll() == 1 and "stays" in said and why in said, said)
        wait_until(lambda: row(t, "seriald")["state"] == "running", "the old one is back")
        say(vm, "two")
        vm.expect("TWO")
    check(row(t, "seriald")["version"] == before["version"] and row(t, "seriald")["deaths"] == 0, row(t, "seriald"))
    check(vm.talk.text.count("ONE") == 1, vm.talk.text)


def rest_of(running):
    running.talk.pump(0)
    return running.talk.text


if __name__ == "__main__":
    main()
