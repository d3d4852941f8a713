# SPDX-License-Identifier: MIT
"""Hosts that offer less: an ordinary user, and no user namespaces. The machine runs; what is missing is named."""
import json
import os
import shutil
import subprocess

from bh import BUILD, BULKHEAD, Result, Skip, check, main, need_sandbox, test, wait_until

UID = 65534


def become(t):
    """A user of our own with an own runtime directory; returns the words to put before a command."""
    if os.geteuid() != 0:
        raise Skip("needs root, to become another user")
    if not shutil.which("setpriv"):
        raise Skip("needs setpriv(1)")
    os.chmod(t.dir, 0o755)
    xdg = t.dir + "/xdg"
    os.mkdir(xdg, 0o700)
    os.chown(xdg, UID, UID)
    del t.env["BULKHEAD_RUNTIME_DIR"]
    t.env["XDG_RUNTIME_DIR"] = xdg
    t.runtime = xdg + "/bulkhead"
    return ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]


def call_without_namespaces(t, args):
    """
    Runs a program where no user namespace can be made: in one that maps every id to itself and then forbids more.
    The map comes from outside, so the shell inside waits for it, and gets its privilege back by a second exec.
    """
    if os.geteuid() != 0:
        raise Skip("needs root, to turn user namespaces off")
    limit = 'echo 0 >/proc/sys/user/max_user_namespaces || exit 99; exec "$@"'
    p = subprocess.Popen(["unshare", "--user", "sh", "-c", f"read go && exec sh -c '{limit}' sh \"$@\"", "sh", *args],
                         env=t.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    ours = os.readlink("/proc/self/ns/user")
    wait_until(lambda: os.readlink(f"/proc/{p.pid}/ns/user") != ours, "a user namespace")
    for name in ("uid_map", "gid_map"):
        with open(f"/proc/{p.pid}/{name}", "w") as f:
            f.write("0 0 4294967295")
    out, err = p.communicate(b"go\n", timeout=40)
    r = Result(args, p.returncode, out.decode(), err.decode())
    if r.code == 99:
        raise Skip("user namespaces cannot be limited here")
    return r


@test
def ordinary_user(t):
    """All of the sandbox, without any privilege; the owner is root's equal at the control socket."""
    user = become(t)
    t.call(user + t.command(*t.guest("hello16"))).expect(7, out="hello from 16 bits")
    t.call(user + t.command(*t.guest("echo", "--detach"))).expect(0, out=t.runtime)
    s = json.loads(t.call(user + t.command("status", "--json", t.name)).expect(0).out)
    check(not s["sandbox_missing"], s["sandbox_missing"])
    uids = {os.stat(f"/proc/{pid}").st_uid for pid in t.processes().values()}
    check(uids <= {UID, 0}, f"user ids of the processes: {uids}")
    t.call(user + t.command("kill", t.name)).expect(0)
    t.expect_clean()


@test
def another_users_machine(t):
    """Somebody else can neither end a machine nor read its console."""
    user = become(t)
    t.bulkhead(*t.guest("echo", "--detach", "--runtime-dir", t.dir + "/run")).expect(0)
    env = dict(t.env, BULKHEAD_RUNTIME_DIR=t.dir + "/run")
    r = t.call(user + t.command("kill", t.name), env=env)
    check(r.code != 0, r)
    r = t.call(user + ["socat", "-u", f"UNIX-CONNECT:{t.dir}/run/{t.name}/console.sock", "-"], env=env)
    check(r.code != 0 and not r.out, r)
    t.bulkhead("kill", t.name, env=env).expect(0)


def shared_machine(t, *options):
    """A machine of root's that group 4321 may use, and what its members and strangers call it by."""
    if os.geteuid() != 0:
        raise Skip("needs root, to become members of groups")
    os.chmod(t.dir, 0o711)
    env = dict(t.env, BULKHEAD_RUNTIME_DIR=t.dir + "/run")
    t.bulkhead(*t.guest("echo", "--detach", "--group", "4321", "--runtime-dir", t.dir + "/run", *options)).expect(0)

    def as_group(groups, *command):
        return t.call(["setpriv", "--reuid=65534", f"--regid={groups[0]}", *groups[1:], *command], env=env)

    return as_group, env


MEMBER = ("4321", "--clear-groups")
MEMBER_BESIDES = ("777", "--groups=4321")  # the group is one of several
STRANGER = ("777", "--clear-groups")


@test
def group_members(t):
    """--group: a member may use console and control, nobody else."""
    as_group, env = shared_machine(t)
    socat = ["socat", "-u", f"UNIX-CONNECT:{t.dir}/run/{t.name}/console.sock,readbytes=5", "-"]
    commands = ("status",), ("status", "--json"), ("device", "list"), ("device", "restart"), ("stop", "--force"), ("kill",), ("wait",)
    check(as_group(STRANGER, *socat).code != 0, "a stranger reads the console")
    for words in commands:
        device = ["serial"] if "restart" in words else []
        r = as_group(STRANGER, *t.command(*words, t.name, *device))
        check(r.code != 0 and t.name + ":" not in r.out, f"a stranger is served: {r}")
    for member in MEMBER, MEMBER_BESIDES:
        as_group(member, *socat).expect(0, out="ready")
        as_group(member, *t.command("list")).expect(0, out=rf"(?m)^{t.name} +running")
        as_group(member, *t.command("status", t.name)).expect(0, out="running")
        as_group(member, *t.command("device", "restart", t.name, "timer")).expect(0)
        as_group(member, *t.command("show", t.name)).expect(1, err="its owner and root may see that")
    check(t.name not in as_group(STRANGER, *t.command("list", "--json")).out, "a stranger sees it")
    as_group(MEMBER, *t.command("stop", "--force", t.name)).expect(0)
    as_group(MEMBER, *t.command("wait", t.name)).expect(0, err="stopped")
    r = as_group(STRANGER, *t.command("wait", t.name)).expect(30)
    check("stopped" not in r.err, r)


@test
def members_find_it(t):
    """Root's machines where root's machines are: a member sees them without being told where."""
    if os.geteuid() != 0:
        raise Skip("needs root, to become members of groups")
    script = """
        mount -t tmpfs -o mode=755 tmpfs /run || exit 99
        name=$1; program=$2; shift 2
        "$@" >&2
        member() { setpriv --reuid=65534 --regid=4321 --clear-groups "$program" "$@"; }
        member list; member status $name; member stop --force $name; member wait $name; echo "code $?"
        member list"""
    env = {k: v for k, v in t.env.items() if k not in ("BULKHEAD_RUNTIME_DIR", "XDG_RUNTIME_DIR", "RUNTIME_DIRECTORY")}
    r = t.call(["unshare", "--mount", "sh", "-c", script, "sh", t.name, BULKHEAD,
                *t.command(*t.guest("echo", "--detach", "--group", "4321"))], env=env)
    if r.code == 99:
        raise Skip("nothing can be mounted here: " + r.err)
    r.expect(0, out=rf"(?s)NAME.*\n{t.name} +running.*{t.name}: running.*code 0\n$", err=f"{t.name}: stopped")


@test
def members_do_not_replace(t):
    """Replacing a program is executing one: a member may do neither with a file nor with what is installed."""
    as_group, env = shared_machine(t)
    before = t.residents()
    program = f"{BUILD}/devices/bulkhead-timerd"
    for member in MEMBER, MEMBER_BESIDES:
        for words in ("--binary", program), ("--binary", "/bin/true"), ():
            r = as_group(member, *t.command("device", "replace", t.name, "timer", *words))
            r.expect(1, err="only the machine's owner and root may do that")
    check(t.residents() == before, "a process was replaced")
    t.bulkhead("device", "replace", t.name, "timer", "--binary", program, env=env).expect(0)
    check(t.processes()["timerd"] != before["timerd"], "root replaces it")
    t.bulkhead("kill", t.name, env=env).expect(0)


@test
def owner_replaces(t):
    """The owner, who is not root, replaces a program; root does it on the owner's machine."""
    user = become(t)
    program = f"{BUILD}/devices/bulkhead-timerd"
    t.call(user + t.command(*t.guest("echo", "--detach"))).expect(0)
    t.call(user + t.command("device", "replace", t.name, "timer", "--binary", program)).expect(0)
    env = dict(t.env, BULKHEAD_RUNTIME_DIR=t.runtime)
    t.bulkhead("device", "replace", t.name, "timer", "--binary", program, env=env).expect(0)
    t.call(user + t.command("kill", t.name)).expect(0)
    t.expect_clean()


@test
def root_without_user_namespaces(t):
    """The warning names them, the machine runs all the same."""
    need_sandbox()
    r = call_without_namespaces(t, t.command(*t.guest("hello16")))
    r.expect(7, out="hello from 16 bits", err="(missing|incomplete).*user namespaces")
    t.expect_clean()


@test
def user_without_user_namespaces(t):
    need_sandbox()
    user = become(t)
    r = call_without_namespaces(t, user + t.command(*t.guest("hello16")))
    r.expect(7, out="hello from 16 bits", err="(missing|incomplete).*user namespaces")
    t.expect_clean()


if __name__ == "__main__":
    main()
