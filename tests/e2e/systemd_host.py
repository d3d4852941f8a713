# SPDX-License-Identifier: MIT
"""
A real systemd for tests, which boots in namespaces of its own: nothing of the host's is touched but a cgroup that goes away
again.
"""
import glob
import os
import re
import shutil
import time

from bh import BUILD, SOURCE, Failure, Skip, wait_until

SYSTEMD = "/lib/systemd/systemd"
INSIDE = "/mnt"  # where the build directory is in there
PROGRAM = INSIDE + "/vmm/bulkhead"
UNITS = BUILD + "/systemd/"

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
mount -o remount,bind,rw /proc
for where in /proc/sys $(ls /proc/sysrq-trigger 2>/dev/null); do
	mount --bind $where $where
	mount -o remount,bind,ro $where
done
mount --bind $dir/etc /etc
mount -o remount,bind,rw /etc
for where in /run /var /tmp; do
	mount -t tmpfs -o mode=755 tmpfs $where
done
mkdir /run/lock /var/tmp /var/log
umount -R /sys/fs/cgroup
if [ $3 = unified ]; then
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
else
	mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
	mkdir /sys/fs/cgroup/systemd
	mount -t cgroup -o none,name=systemd,xattr cgroup /sys/fs/cgroup/systemd
fi
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=bulkhead-test SYSTEMD_UNIT_PATH=/etc/systemd/system:/run/systemd/system:/run/systemd/generator \
	SYSTEMD_GENERATOR_PATH=/etc/systemd/system-generators SYSTEMD_ENVIRONMENT_GENERATOR_PATH=/run/none \
	/lib/systemd/systemd --unit=test.target --log-target=null --show-status=no
"""

TARGETS = ("test", "sysinit", "basic", "shutdown", "multi-user", "umount", "final", "exit", "rescue", "emergency", "sockets")
# Debian's unit wants more of the host than there is in here.
JOURNAL = """[Unit]
DefaultDependencies=no
Requires=systemd-journald.socket
After=systemd-journald.socket
[Service]
Type=notify
ExecStart=/lib/systemd/systemd-journald
Sockets=systemd-journald.socket
StandardOutput=null
"""


def installed(text):
    """A unit or script as it is in there: programs where the build directory is."""
    text = re.sub(r"[^\s=(]*/libexec/bulkhead/", INSIDE + "/devices/", text)
    return re.sub(r"[^\s=(]*/bin/bulkhead\b", PROGRAM, text)


class Host:
    """A systemd of our own."""

    def __init__(self, t):
        self.t = t
        self.groups = []
        self.etc = t.dir + "/etc"
        os.makedirs(self.etc + "/systemd/system")
        os.mkdir(self.etc + "/bulkhead")
        os.chmod(t.dir, 0o755)
        for file in ("passwd", "group", "nsswitch.conf", "ld.so.cache", "login.defs"):
            shutil.copy("/etc/" + file, self.etc)
        self.write("machine-id", "0123456789abcdef0123456789abcdef\n")
        self.write_units()
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

    def write(self, path, text, mode=0o644):
        os.makedirs(os.path.dirname(f"{self.etc}/{path}"), exist_ok=True)
        with open(f"{self.etc}/{path}", "w") as f:
            f.write(text)
        os.chmod(f"{self.etc}/{path}", mode)

    def write_units(self):
        """Ours, as they are installed, empty targets, and the journal's."""
        for path in glob.glob(UNITS + "bulkhead*") + glob.glob(SOURCE + "/systemd/*.slice") + glob.glob(SOURCE + "/systemd/*.socket"):
            with open(path) as f:
                text = installed(f.read())
            if path.endswith("generator"):
                self.write("systemd/system-generators/bulkhead-generator", text, 0o755)
            else:
                self.write("systemd/system/" + os.path.basename(path), text)
        for name in TARGETS:
            self.write(f"systemd/system/{name}.target",
                       f"[Unit]\nDescription={name}\nDefaultDependencies=no\nAllowIsolate=yes\n")
        self.write("systemd/system/test.target", "[Unit]\nDescription=test\nDefaultDependencies=no\nAllowIsolate=yes\n"
                   "Wants=systemd-journald.service\n")
        self.write("systemd/system/systemd-journald.service", JOURNAL)
        shutil.copy("/lib/systemd/system/systemd-journald.socket", self.etc + "/systemd/system")
        self.write("systemd/journald.conf", "[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=no\n")

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

    def shell(self, text, seconds=60):
        return self.inside("sh", "-c", text, seconds=seconds)

    def ctl(self, *args, seconds=60):
        return self.inside("systemctl", *args, seconds=seconds)

    def processes(self, name=""):
        """Titles of the machines inside."""
        r = self.shell(f"cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep '^bulkhead: {name}' || :")
        return r.out.split("\n")[:-1]

    def pid_of(self, title):
        r = self.shell(f"grep -lx 'bulkhead: {title}' /proc/[0-9]*/cmdline -z 2>/dev/null | head -n 1 | cut -d/ -f3")
        return r.out.strip()

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
