# SPDX-License-Identifier: MIT
"""
No call is allowed for nothing: a machine's processes are watched by strace(1) while everything is asked of them, and what
their lists allow and nobody has called is a finding, unless it stands below with its reason.
"""
import collections
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.environ["SOURCE"], "tests/e2e"))
from bh import BUILD, Skip, check, main, test, wait_until  # noqa: E402
from kinds import FRAMES, KINDS, options, process  # noqa: E402
from rfb import Viewer  # noqa: E402

# What takes an accident to be called.
EXCUSED = {
    "rt_sigreturn": "under --sandbox=log a handler of SIGSYS returns (probe.c); KVM's kick",
    "restart_syscall": "a timed sleep that was interrupted by SIGSTOP",
    "sched_yield": "processors of one guest that wait for each other (ipi and litmus of suite e2e)",
    "clock_gettime": "a host whose vDSO cannot tell the time",
    "write": "log lines of something that goes wrong",
    "brk": "a heap that grows", "mmap": "a heap that grows", "munmap": "a heap that grows",
    "fstat": "C libraries that do not take newfstatat for it",
    "futex": "whether the other side sleeps is a matter of time",
    "read": "a doorbell rings only for who sleeps",
    "epoll_ctl": "a doorbell whose other end is gone",
    "getrandom": "seeds of Linux images; the guest here is another (debian_* boot those)",
    "exit_group": "a child that is not killed in the end",
    "vcpu (emu): madvise": "a guest that has had megabytes of code and is idle for ten seconds (translated_given_back)",
    "blkd: preadv2": "a guest that has a driver (disk_* of suite e2e)",
    "spawner: preadv2": "a guest that has a driver (disk_* of suite e2e)",
    "blkd: pwritev": "a guest that has a driver (disk_* of suite e2e)",
    "spawner: pwritev": "a guest that has a driver (disk_* of suite e2e)",
    "blkd: fdatasync": "a guest that has a driver (disk_* of suite e2e)",
    "spawner: fdatasync": "a guest that has a driver (disk_* of suite e2e)",
    "blkd: fallocate": "a guest that discards (disk_found_and_written)",
    "blkd: sendmsg": "by itself, for other VMMs (disk_for_qemu)",
    "spawner: dup": "blkd by itself (disk_for_qemu)",
    "blkd: accept4": "by itself, for other VMMs (disk_for_qemu)",
    "vnc: select": "C libraries that do not take pselect6 for it",
    "vnc: shutdown": "libvncserver hangs up by itself (vnc_odd_viewers)",
    "netd: writev": "a guest that has a driver (net_user of suite e2e)",
    "spawner: writev": "a guest that has a driver (net_user of suite e2e)",
    "netd: ioctl": "a card that is connected to an interface (net_tap)",
    "firmwared: pwrite64": "UEFI that keeps something (firmware_ovmf of suite e2e)",
    "netd: preadv2": "by itself, for other VMMs",
    "rngd: preadv2": "by itself, for other VMMs (net_for_qemu)",
    "netd: accept4": "by itself, for other VMMs",
    "rngd: accept4": "by itself, for other VMMs (net_for_qemu)",
    "keeper: sendto": "messages about something that goes wrong",
}
# It is connected to a machine that never comes: what a guest connects to, net_* of suite e2e have.
EXCUSED.update({f"uplinkd: {call}": "a guest that has a driver (net_*)" for call in (
    "accept accept4 bind close connect fcntl getpeername getsockname getsockopt ioctl listen mremap newfstatat openat poll recvfrom recvmsg "
    "sendto setsockopt shutdown socket unlink writev").split()})
HAS_VNC = os.path.exists(BUILD + "/vmm/vnc/bulkhead-vncd")
ENGINES = {"vcpu (kvm)", "vcpu (emu)"}


def lists():
    """{role: set of allowed calls while it works} from the page that is generated from the table."""
    page = subprocess.run([BUILD + "/docs/gen_sandbox"], stdout=subprocess.PIPE, text=True, check=True).stdout
    found, role = collections.defaultdict(set), None
    for line in page.splitlines():
        if line.startswith("## "):
            role = line[3:]
        row = re.match(r"\| `(\w+)`(.*?) \|", line)
        if role and row and ", refused" not in row.group(2):
            found[role].add(row.group(1))
    return found


def read_trace(path):
    """(name of the process, calls of all its life, calls since its last filter)."""
    name, calls, since = None, set(), set()
    with open(path, errors="replace") as f:
        for line in f:
            call = re.match(r"(\w+)\(", line)
            if not call:
                continue
            title = re.search(r'PR_SET_NAME, "bh-([a-z]+)', line)
            name = title.group(1) if title else name
            calls.add(call.group(1))
            since.add(call.group(1))
            if call.group(1) == "seccomp":
                since = set()
    return name, calls, since


def seen_in(directory, engine):
    """{role: calls}; threads have no name of their own, and only the vcpu process has any."""
    seen, children = collections.defaultdict(set), set()
    for trace in os.listdir(directory):
        name, calls, since = read_trace(f"{directory}/{trace}")
        if "execve" in calls and name != "keeper":
            continue  # the command line
        if name is None or name == "vcpu":
            name = f"vcpu ({engine})"
        seen[name] |= since
        children |= calls
    seen["spawner"] |= children  # its list holds everything that they do on their way
    return seen


def debug(t):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(f"{t.runtime}/{t.name}/gdb.sock")
        s.sendall(b"$?#3f")
        s.settimeout(20)
        check(s.recv(100).startswith(b"+"), "an answer")


def console(t):
    """The socket is there before anybody listens."""
    while True:
        try:
            return t.console()
        except ConnectionRefusedError:
            time.sleep(0.05)


def ask_everything(t):
    """Console both ways, a reset, status, a key, restarts, a stop by signal and on again, a viewer, a debugger, another log, a reader that leaves, the power button."""
    talk = console(t)
    talk.expect("board ready", seconds=40)
    talk.send("r")
    talk.expect("board ready", seconds=40)
    t.bulkhead("status", t.name).expect(0)
    t.bulkhead("input", t.name, "key", "a").expect(0)
    for kind in (k for k in KINDS if k not in FRAMES):
        t.bulkhead("device", "restart", t.name, process(kind)).expect(0)
    os.kill(t.processes()[process("testd")], signal.SIGKILL)
    wait_until(lambda: "died 1 times" in t.bulkhead("status", t.name).out, "a device died")
    t.bulkhead("screenshot", t.name, t.dir + "/display.png").expect(0)
    debug(t)
    t.bulkhead("log", t.name, "--reopen", t.dir + "/log").expect(0)
    talk.socket.close()
    time.sleep(1)  # seriald is slow under strace, and is to see that
    vcpu = t.processes()["vcpu"]
    os.kill(vcpu, signal.SIGSTOP)
    time.sleep(0.05)
    os.kill(vcpu, signal.SIGCONT)
    t.bulkhead("status", t.name).expect(0)
    t.bulkhead("stop", t.name).expect(0)


def watch(t, directory, *words):
    return t.start("strace", "-ff", "-qq", "-s", "32", "-o", directory + "/trace", *t.command(*words))


def ask_the_screen(t, directory):
    """A machine of its own: viewers that come and go, a restart."""
    vnc = ("--vnc", t.dir + "/vnc") if HAS_VNC else ()
    watched = watch(t, directory, *t.machine("--platform", "frame", "--kernel", f"{BUILD}/tests/guest/frame_show.elf", "--detach", *vnc))
    wait_until(lambda: t.bulkhead("screenshot", t.name, t.dir + "/picture.png").code == 0, "a picture", 60)
    if vnc:
        viewer = Viewer(t.dir + "/vnc")
        viewer.update(incremental=False)
        viewer.key(ord("a"))
    t.bulkhead("device", "restart", t.name, "displayd").expect(0)
    if vnc:
        viewer.key(ord("b"))
        time.sleep(1)  # for its server to have another connection by then
        viewer.update(incremental=False)
        viewer.close()
    t.bulkhead("input", t.name, "key", "q").expect(0)
    watched.wait(40)


def ask_firmware(t, directory):
    """Another one, that has nothing to start from."""
    watched = watch(t, directory, *t.machine("--memory", "64M", "--firmware", "seabios", "--detach"))
    wait_until(lambda: t.bulkhead("device", "restart", t.name, "firmwared").code == 0, "a machine", 60)
    t.bulkhead("kill", t.name).expect(0)
    watched.wait(40)


@test(limit=120)
def used(t):
    if os.geteuid() != 0 or not shutil.which("strace"):
        raise Skip("needs root and strace(1)")
    directory = t.dir + "/traces"
    os.mkdir(directory)
    everything = [option for kind in KINDS for option in options(kind)]
    # A second test device, which the dialler connects to.
    outside = t.start(BUILD + "/devices/bulkhead-testd", "--socket", t.dir + "/testd.sock")
    everything += [*options("testd"), "--device", f"testd1=unix:{t.dir}/testd.sock"]
    watched = watch(t, directory, *t.guest("board", "--detach", "--trace-io", t.dir + "/io", *everything))
    wait_until(lambda: os.path.exists(f"{t.runtime}/{t.name}/console.sock"), "a machine", 40)
    ask_everything(t)
    watched.wait(40)
    check(outside.wait() == 0, outside.stderr())
    ask_the_screen(t, directory)
    ask_firmware(t, directory)
    seen, allowed, unused = seen_in(directory, t.engine), lists(), []
    for other in ENGINES - {f"vcpu ({t.engine})"}:
        allowed["spawner"] -= allowed.pop(other) - allowed[f"vcpu ({t.engine})"]
    for role, calls in allowed.items():
        if role == "vnc" and not HAS_VNC:
            continue
        check(seen.get(role), f"nothing was seen of {role}: {sorted(seen)}")
        unused += [f"{role}: {call}" for call in sorted(calls - seen[role] - set(EXCUSED)) if f"{role}: {call}" not in EXCUSED]
    check(not unused, f"allowed, and never called: {unused}")


if __name__ == "__main__":
    main(about_sandbox=True)
