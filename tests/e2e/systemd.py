# SPDX-License-Identifier: MIT
"""
bulkhead@.service under a real systemd, which boots in namespaces of its own: nothing of the host's is touched but a
cgroup that goes away again.
"""
import glob
import json
import os
import shutil
import time

from bh import BUILD, BULKHEAD, Failure, Skip, check, main, test, wait_until

SYSTEMD = "/lib/systemd/systemd"
UNIT = BUILD + "/systemd/bulkhead@.service"
# The unit's fences keep LeakSanitizer from tracing; builds without sanitizers do not look at it.
SANITIZERS = "ASAN_OPTIONS=detect_leaks=0\n"

# Runs as process 1 of the new namespaces, as root, then becomes systemd. Everything of the host is read-only first;
# /etc, /tmp, /var, /run and the cgroups are private; and of systemd's units there are only ours: one that cleans up
# /tmp, sets sysctls or mounts file systems must not even be found.
INIT = r"""
set -e
dir=$1
mount --make-rprivate /
mount --bind $2 /mnt
cut -d' ' -f5 /proc/self/mountinfo | while read -r where; do
	mount -o remount,bind,ro "$where" 2>/dev/null || :
done
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
mount --bind $dir/etc /etc
for where in /run /var /tmp; do
	mount -t tmpfs -o mode=755 tmpfs $where
done
mkdir /run/lock /var/tmp
umount -R /sys/fs/cgroup
if [ $3 = unified ]; then
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
else
	mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
	mkdir /sys/fs/cgroup/systemd
	mount -t cgroup -o none,name=systemd,xattr cgroup /sys/fs/cgroup/systemd
fi
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=bulkhead-test SYSTEMD_UNIT_PATH=/etc/systemd/system \
	SYSTEMD_GENERATOR_PATH=/run/none SYSTEMD_ENVIRONMENT_GENERATOR_PATH=/run/none \
	/lib/systemd/systemd --unit=test.target --log-target=null --show-status=no
"""

TARGETS = ("test", "sysinit", "basic", "shutdown", "multi-user", "umount", "final", "exit", "rescue", "emergency")
INSIDE = "/mnt"  # where the build directory is in there
PROGRAM = INSIDE + "/vmm/bulkhead"


def unit_text(program):
    with open(UNIT) as f:
        return "".join(f"ExecStart={program} " + line.split(" ", 1)[1] if line.startswith("ExecStart=") else line
                       for line in f)


class Host:
    """A systemd of our own."""

    def __init__(self, t):
        self.t = t
        self.groups = []
        units = t.dir + "/etc/systemd/system"
        os.makedirs(units)
        os.mkdir(t.dir + "/etc/bulkhead")
        os.chmod(t.dir, 0o755)
        for file in ("passwd", "group", "nsswitch.conf", "ld.so.cache"):
            shutil.copy("/etc/" + file, t.dir + "/etc")
        with open(t.dir + "/etc/machine-id", "w") as f:
            f.write("0123456789abcdef0123456789abcdef\n")
        with open(units + "/bulkhead@.service", "w") as f:
            f.write(unit_text(PROGRAM))
        for name in TARGETS:
            with open(f"{units}/{name}.target", "w") as f:
                f.write(f"[Unit]\nDescription={name}\nDefaultDependencies=no\nAllowIsolate=yes\n")
        kind = self.cgroups()
        words = ["unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--cgroup", "--fork", "--mount-proc",
                 "--kill-child=SIGKILL", "sh", "-c", INIT, "sh", t.dir, BUILD, kind]
        # the shell enters the cgroups of its own before it makes the namespace whose root they are
        enter = "".join(f"echo $$ >{g}/cgroup.procs && " for g in self.groups)
        self.unshare = t.start("sh", "-c", enter + 'exec "$@"', "sh", *words)
        wait_until(self.find_init, "the namespaces exist", 10)
        try:
            wait_until(lambda: self.ctl("is-system-running").out.strip() in ("running", "degraded"),
                       "systemd is up", 30)
        except Failure as e:
            raise Skip(f"systemd does not boot here: {e}; {self.ctl('is-system-running')} {self.unshare.stderr()}")

    def cgroups(self):
        """A cgroup for it in each hierarchy that it may use."""
        roots = [r for r in ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup")
                 if os.path.exists(r + "/cgroup.procs")]
        if not roots:
            raise Skip("no cgroup hierarchy to give to a systemd")
        for root in roots:
            group = f"{root}/bulkhead-test-{os.getpid()}"
            try:
                os.mkdir(group)
            except OSError as e:
                raise Skip(f"cgroups cannot be made here: {e}")
            self.groups.append(group)
        return "hybrid" if roots[0].endswith("systemd") else "unified"

    def find_init(self):
        for path in glob.glob("/proc/[0-9]*/stat"):
            try:
                with open(path) as f:
                    fields = f.read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[1]) == self.unshare.pid:
                self.init = int(path.split("/")[2])
                return True
        return False

    def inside(self, *args, seconds=60):
        return self.t.call(["nsenter", "-t", str(self.init), "-m", "-p", "-n", "-i", "-u", "-C", *args],
                           seconds=seconds, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})

    def ctl(self, *args, seconds=60):
        return self.inside("systemctl", *args, seconds=seconds)

    def processes(self):
        """Titles of the machines inside."""
        r = self.inside("sh", "-c", "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep '^bulkhead: ' || :")
        return r.out.split("\n")[:-1]

    def close(self):
        self.unshare.kill()  # --kill-child: process 1 goes, and everything in its namespace with it
        for group in self.groups:
            for path, _, _ in os.walk(group, topdown=False):
                for _ in range(100):
                    try:
                        os.rmdir(path)
                        break
                    except OSError:
                        time.sleep(0.02)


def needs_systemd():
    if not os.path.exists(SYSTEMD) or not shutil.which("systemd-analyze"):
        raise Skip("systemd is not installed")


@test
def verify(t):
    """systemd-analyze has nothing to say about the unit."""
    needs_systemd()
    path = t.dir + "/bulkhead@vm1.service"
    with open(path, "w") as f:
        f.write(unit_text(BULKHEAD))
    r = t.call(["systemd-analyze", "verify", "--man=no", path])
    ours = [line for line in r.err.splitlines() if "bulkhead" in line]
    check(r.code == 0 and not ours, r)


@test(limit=170)
def life(t):
    """start, status, console, stop; a unit that cannot start; a machine that is killed."""
    needs_systemd()
    if os.geteuid() != 0:
        raise Skip("needs root, to boot a systemd")
    host = Host(t)
    try:
        life_of_a_unit(t, host)
        bad_unit(t, host)
        killed_unit(t, host)
    finally:
        host.close()


def configure(t, name, image, more=""):
    with open(f"{t.dir}/etc/bulkhead/{name}.conf", "w") as f:
        f.write(f"BULKHEAD_KERNEL={INSIDE}/tests/guest/{image}.bin\nBULKHEAD_FORMAT=flat64\nBULKHEAD_MEMORY=16M\n"
                f'BULKHEAD_CMDLINE="two words"\n{more}{SANITIZERS}')


def expect_gone(host, name):
    state = host.ctl("show", "-P", "ActiveState", f"bulkhead@{name}").out.strip()
    check(state in ("inactive", "failed"), state)
    check(not host.processes(), f"processes: {host.processes()}")
    left = host.inside("sh", "-c", "find /run/bulkhead -mindepth 1 -not -path '*/ended*' 2>/dev/null || :").out
    check(not left, f"left behind: {left}")


def life_of_a_unit(t, host):
    configure(t, "board", "board", "BULKHEAD_STOP_TIMEOUT=20s\n")
    r = host.ctl("start", "bulkhead@board")
    check(r.code == 0, f"{r}\n{host.ctl('status', 'bulkhead@board')}")
    host.ctl("is-active", "bulkhead@board").expect(0, out="^active")
    host.ctl("status", "--no-pager", "bulkhead@board").expect(0, out=r"(?s)Active: active \(running\).*Status: \"running")
    check(len(host.processes()) >= 7, host.processes())
    r = host.inside(PROGRAM, "status", "board").expect(0, out="running")
    check("sandbox without" not in r.out, r)
    r = host.inside("timeout", "2", "socat", "-u", "UNIX-CONNECT:/run/bulkhead/board/console.sock", "-")
    check("board ready" in r.out, r)
    began = time.monotonic()
    host.ctl("stop", "bulkhead@board").expect(0)
    check(time.monotonic() - began < 20, "the guest heard the power button, nobody waited for the time-out")
    host.ctl("show", "-P", "Result", "bulkhead@board").expect(0, out="^success$")
    expect_gone(host, "board")
    known = json.loads(host.inside(PROGRAM, "status", "--json", "board").out)
    check(known["state"] == "ended" and known["reason"] == "poweroff", f"how it ended: {known}")


def bad_unit(t, host):
    configure(t, "bad", "no-such-image")
    r = host.ctl("start", "bulkhead@bad")
    check(r.code != 0, r)
    host.ctl("show", "-P", "ExecMainStatus", "bulkhead@bad").expect(0, out="^2$")
    check(host.ctl("start", "bulkhead@unconfigured").code != 0, "no file, no machine")
    expect_gone(host, "bad")


def killed_unit(t, host):
    """A guest without ACPI is ended after the stated time; SIGKILL of everything leaves nothing behind."""
    configure(t, "deaf", "echo", "BULKHEAD_STOP_TIMEOUT=500ms\n")
    host.ctl("start", "bulkhead@deaf").expect(0)
    host.ctl("stop", "bulkhead@deaf", seconds=20).expect(0)
    expect_gone(host, "deaf")
    host.ctl("start", "bulkhead@deaf").expect(0)
    host.ctl("kill", "--signal=SIGKILL", "bulkhead@deaf").expect(0)
    wait_until(lambda: host.ctl("is-active", "bulkhead@deaf").code != 0, "it has failed")
    expect_gone(host, "deaf")


# What bulkhead-seriald and the others call before their own filters stand, and what those leave of it: all that they need of a
# systemd that filters calls, too. Groups are systemd's (systemd-analyze syscall-filter).
CALLS = "@default @basic-io @io-event @network-io @timer @mount @setuid fcntl fstat lstat newfstatat unlink umask chdir readlink " \
        "readlinkat openat pipe2 unshare prctl seccomp landlock_create_ruleset landlock_restrict_self capget capset rt_sigaction"


def outside(host, name, *properties):
    """systemd-run with that daemon, which listens at /run/NAME.sock, or is handed a socket of systemd's there."""
    activated = any("ListenSequentialPacket" in p for p in properties)
    words = [] if activated else ["--socket", f"/run/{name}.sock"]
    host.inside("systemd-run", f"--unit=by-hand-{name}", "--property=SystemCallFilter=" + CALLS,
                "--property=SystemCallErrorNumber=EPERM", "--property=SystemCallArchitectures=native", *properties,
                f"{INSIDE}/devices/bulkhead-{name}", *words).expect(0)
    wait_until(lambda: host.inside("test", "-S", f"/run/{name}.sock").code == 0, f"{name} listens")


@test(limit=170)
def by_hand(t):
    """Daemons under systemd-run with a filter of its own, one of them with a socket of systemd's: used by a machine, killed
    and started again by systemd."""
    needs_systemd()
    if os.geteuid() != 0:
        raise Skip("needs root, to boot a systemd")
    host = Host(t)
    try:
        outside(host, "seriald")
        outside(host, "timerd", "--socket-property=ListenSequentialPacket=/run/timerd.sock")
        # /proc is read-only in here, and user ids are mapped there.
        host.inside("unshare", "--mount", "sh", "-c", 'mount -o remount,bind,rw /proc && exec "$@"', "sh",
                    PROGRAM, "run", "--detach", "--name", "vm", "--kernel", INSIDE + "/tests/guest/board.bin", "--format", "flat64",
                    "--memory", "16M", "--device", "serial=unix:/run/seriald.sock", "--device",
                    "timer=unix:/run/timerd.sock").expect(0)
        known = json.loads(host.inside(PROGRAM, "status", "--json", "vm").out)
        check(known["state"] == "running" and not known["sandbox_missing"], f"fences inside a filter of systemd's: {known}")
        talk = host.inside("timeout", "2", "socat", "-u", "UNIX-CONNECT:/run/bulkhead/vm/console.sock", "-")
        check("board ready" in talk.out, talk)
        host.ctl("kill", "--signal=SIGKILL", "by-hand-timerd.service").expect(0)
        wait_until(lambda: timer(host)["incarnation"] == 2 and timer(host)["state"] == "running",
                   "systemd starts it when the machine connects again")
        host.inside(PROGRAM, "stop", "vm").expect(0)
        wait_until(lambda: host.ctl("is-active", "by-hand-seriald").code != 0, "it ends with its machine")
    finally:
        host.close()


def timer(host):
    known = json.loads(host.inside(PROGRAM, "status", "--json", "vm").out)
    return next(p for p in known["processes"] if p["role"] == "timerd")


if __name__ == "__main__":
    main()
