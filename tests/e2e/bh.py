# SPDX-License-Identifier: MIT
"""
What the end-to-end tests share: a scratch directory with a runtime directory of its own, the command line, consoles and
terminals that can be talked to, hard time limits, and the check that nothing is left behind.

A test is a function with @test; its argument is a Context. Environment, set by meson.build:
BULKHEAD the program, BUILD the build directory, SOURCE the source tree.
Exit codes: 0 passed, 1 failed, 77 skipped (the reason is printed as "SKIP name: reason").
"""
import fcntl
import os
import pty
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
import traceback

BUILD = os.path.abspath(os.environ.get("BUILD", "build"))
SOURCE = os.path.abspath(os.environ.get("SOURCE", "."))
BULKHEAD = os.path.abspath(os.environ.get("BULKHEAD", BUILD + "/vmm/bulkhead"))
LIMIT_S = 60  # of one test, unless @test says otherwise; generous, since nothing here measures time
SLOW = float(os.environ.get("SLOW", "1"))  # all limits are multiplied by this: builds with sanitizers
NO_SANDBOX = "a build with sanitizers has no sandbox: they need what it takes away"

_tests = []


class Skip(Exception):
    pass


class Failure(Exception):
    pass


def test(function=None, limit=LIMIT_S):
    """Marks a test; `limit` is the number of seconds after which it is ended and has failed."""
    def mark(f):
        f.limit = limit
        _tests.append(f)
        return f
    return mark(function) if function else mark


def check(condition, what):
    if not condition:
        raise Failure(what)


def wait_until(predicate, what, seconds=10):
    end = time.monotonic() + seconds * SLOW
    while not predicate():
        if time.monotonic() > end:
            raise Failure(f"not within {seconds} s: {what}")
        time.sleep(0.02)


def kill_until(t, names, until, seconds, rest):
    """Kills these processes, whenever they are there, until that is true; returns how many. rest(): seconds between two rounds."""
    kills, end = 0, time.monotonic() + seconds
    while not until():
        if time.monotonic() > end:
            raise Failure(f"the guest goes on after {kills} kills")
        for name in names:
            pid = t.processes().get(name)
            if pid:
                try:
                    os.kill(pid, signal.SIGKILL)
                    kills += 1
                except ProcessLookupError:
                    pass
        time.sleep(rest())
    return kills


class Talk:
    """A byte stream to talk over: everything read so far is in .text."""

    def __init__(self, read_fd, write_fd=None):
        self.read_fd = read_fd
        self.write_fd = read_fd if write_fd is None else write_fd
        self.text = ""
        self.at = 0  # what expect() has consumed
        self.ended = False

    def send(self, text):
        os.write(self.write_fd, text.encode() if isinstance(text, str) else text)

    def pump(self, seconds):
        """Reads what there is, waiting for at most this long."""
        if self.ended or not select.select([self.read_fd], [], [], max(0, seconds))[0]:
            return
        try:
            data = os.read(self.read_fd, 65536)
        except OSError:  # EIO: the other side of a pty is gone
            data = b""
        self.ended = not data
        self.text += data.decode("utf-8", "replace")

    def expect(self, pattern, seconds=20):
        """Waits until the regular expression matches what has not been consumed yet; returns the match."""
        end = time.monotonic() + seconds * SLOW
        while True:
            found = re.search(pattern, self.text[self.at:])
            if found:
                self.at += found.end()
                return found
            if self.ended or time.monotonic() > end:
                why = "the stream ended" if self.ended else f"not within {seconds} s"
                raise Failure(f"expected /{pattern}/, {why}; the last of {len(self.text)} characters:\n{self.text[-2000:]}")
            self.pump(end - time.monotonic())

    def read_to_end(self, seconds=20):
        end = time.monotonic() + seconds * SLOW
        while not self.ended:
            if time.monotonic() > end:
                raise Failure(f"the stream did not end within {seconds} s; so far:\n{self.text[-2000:]}")
            self.pump(end - time.monotonic())
        return self.text


class Result:
    def __init__(self, args, code, out, err):
        self.args, self.code, self.out, self.err = args, code, out, err

    def __str__(self):
        return f"{' '.join(self.args)}\nexit code {self.code}\n--- out\n{self.out[-3000:]}\n--- err\n{self.err[-3000:]}"

    def expect(self, code, out=None, err=None):
        check(self.code == code, f"expected exit code {code}: {self}")
        check(out is None or re.search(out, self.out), f"expected /{out}/ on stdout: {self}")
        check(err is None or re.search(err, self.err), f"expected /{err}/ on stderr: {self}")
        return self


class Running:
    """A program that goes on while the test talks to it: over pipes, or over a terminal of its own."""

    def __init__(self, args, env, on_terminal=False):
        self.args = args
        self.terminal = None
        if on_terminal:
            pid, fd = pty.fork()
            if pid == 0:
                os.execvpe(args[0], args, env)
            self.pid, self.talk, self.terminal, self.popen = pid, Talk(fd), fd, None
        else:
            self.errors = tempfile.TemporaryFile()
            self.popen = subprocess.Popen(args, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                          stderr=self.errors)
            self.pid = self.popen.pid
            self.talk = Talk(self.popen.stdout.fileno(), self.popen.stdin.fileno())
        self.code = None

    def send(self, text):
        self.talk.send(text)

    def expect(self, pattern, seconds=20):
        return self.talk.expect(pattern, seconds)

    def signal(self, number):
        os.kill(self.pid, number)

    def poll(self):
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
                if self.popen:
                    self.popen.returncode = self.code
        return self.code

    def wait(self, seconds=30):
        """Exit code; reads on meanwhile, so that a full pipe stops nobody."""
        end = time.monotonic() + seconds * SLOW
        while self.poll() is None:
            if time.monotonic() > end:
                raise Failure(f"{' '.join(self.args)} goes on after {seconds} s:\n{self.talk.text[-2000:]}")
            self.talk.pump(0.05) if not self.talk.ended else time.sleep(0.02)
        while not self.talk.ended and select.select([self.talk.read_fd], [], [], 0.2)[0]:
            self.talk.pump(0)
        return self.code

    def close_input(self):
        self.popen.stdin.close()

    def stderr(self):
        self.errors.seek(0)
        return self.errors.read().decode("utf-8", "replace")

    def kill(self):
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait(5)

    def close(self):
        """Its pipes, when it has ended: a test that starts hundreds would run out of the descriptors that select() knows."""
        self.talk.ended = True
        for pipe in (self.popen.stdin, self.popen.stdout, self.errors):
            pipe.close()


def need_sandbox():
    if SLOW != 1:
        raise Skip(NO_SANDBOX)


class Context:
    """One test: its names, its directories, what it started."""

    def __init__(self, name, engine="emu"):
        self.test = name
        self.engine = engine
        self.dir = tempfile.mkdtemp(prefix="bh-", dir="/tmp")
        self.runtime = self.dir + "/run"
        self.name = f"t{os.getpid()}"  # of the machine; unique, so that its processes can be found by it
        self.env = {k: v for k, v in os.environ.items()
                    if k not in ("NOTIFY_SOCKET", "RUNTIME_DIRECTORY", "JOURNAL_STREAM", "BULKHEAD_LIBEXEC")}
        self.env["BULKHEAD_RUNTIME_DIR"] = self.runtime
        # LeakSanitizer spins for ever at the exit of a keeper whose command line is gone; unit tests look for leaks.
        self.env["ASAN_OPTIONS"] = "detect_leaks=0"
        self.mounts = mounts()
        self.started = []

    # ---- running things

    def command(self, *args):
        return [BULKHEAD, *args]

    def call(self, args, input="", seconds=40, env=None):
        """Runs a program to its end."""
        p = subprocess.Popen(args, env=env or self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
        try:
            out, err = p.communicate(input.encode(), timeout=seconds * SLOW)
        except subprocess.TimeoutExpired:
            p.kill()
            out, err = p.communicate()
            raise Failure(f"no end within {seconds} s: {Result(args, None, out.decode(), err.decode())}")
        return Result(args, p.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))

    def bulkhead(self, *args, input="", seconds=40, env=None):
        return self.call(self.command(*args), input, seconds, env)

    def start(self, *args, on_terminal=False, env=None):
        running = Running(list(args), env or self.env, on_terminal)
        self.started.append(running)
        return running

    def machine(self, *options, name=None):
        """Arguments of `bulkhead run` for this test's machine."""
        return ["run", "--name", name or self.name, "--engine", self.engine, *options]

    def guest(self, image, *options, name=None):
        """The same, for a small guest."""
        kind = "flat16" if image.endswith("16") else "flat64"
        return self.machine("--kernel", f"{BUILD}/tests/guest/{image}.bin", "--format", kind, "--memory", "16M",
                            *options, name=name)

    def run_guest(self, image, *options, input="", seconds=40):
        return self.bulkhead(*self.guest(image, *options), input=input, seconds=seconds)

    def console(self, name=None, seconds=10):
        """Connects to the console socket."""
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.connect(f"{self.runtime}/{name or self.name}/console.sock")
        talk = Talk(s.fileno())
        talk.socket = s  # keeps it open
        return talk

    # ---- looking around

    def processes(self, name=None):
        """{role: pid} of a machine, as ps shows them."""
        prefix = f"bulkhead: {name or self.name}/"
        return {title[len(prefix):]: pid for pid, title in titles() if title.startswith(prefix)}

    def residents(self, name=None):
        """Those that stay: the loader is done when the guest begins, and leaves when it gets round to it."""
        return {role: pid for role, pid in self.processes(name).items() if role != "boot"}

    def new_mounts(self):
        """Those that were not there before, but for what other tests do in their directories meanwhile."""
        return {m for m in mounts() - self.mounts if not m.startswith("/tmp/bh-") or m.startswith(self.dir)}

    def leftovers(self):
        """What lies in the runtime directory, but for the records of machines that have ended."""
        return [e for e in os.listdir(self.runtime) if e != "ended"] if os.path.isdir(self.runtime) else []

    def is_clean(self, name=None):
        return not self.leftovers() and not self.processes(name) and not self.new_mounts()

    def expect_clean(self, seconds=5, sweep=False):
        """Nothing of the machine is left: no socket, no process, no mount. `sweep`: the next command may tidy up."""
        if sweep:
            self.bulkhead("list")
        try:
            wait_until(self.is_clean, "nothing is left behind", seconds)
        except Failure as e:
            left = [os.path.join(d, f) for d, _, files in os.walk(self.runtime) for f in files if not d.endswith("/ended")]
            raise Failure(f"{e}; files: {left}; processes: {self.processes()}; "
                          f"mounts: {sorted(self.new_mounts())}")

    # ---- the end

    def close(self):
        for running in self.started:
            running.kill()
        for base, dirs, _ in list(os.walk(self.runtime))[:1]:
            for name in dirs:
                for pid in self.processes(name).values():
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
        for pid in self.processes().values():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        shutil.rmtree(self.dir, ignore_errors=True)


def titles():
    """(pid, title) of every process."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as f:
                yield int(entry), f.read().rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            pass


def mounts():
    with open("/proc/self/mountinfo") as f:
        return {line.split(" - ")[0].split(" ", 5)[4] for line in f}


def is_raw(terminal_fd):
    return not termios.tcgetattr(terminal_fd)[3] & termios.ICANON


DEBIAN = SOURCE + "/tests/guest/debian"


def fetched(script):
    """{NAME: path} of what a script in tests/guest/debian has in its cache, or fetches into it."""
    p = subprocess.run([f"{DEBIAN}/{script}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=240)
    if p.returncode:
        raise Skip("Debian's packages could not be fetched: " + p.stderr.strip().splitlines()[-1])
    return dict(line.split("=", 1) for line in p.stdout.splitlines())


def debian(directory):
    """Kernel and initial RAM disk of the Debian guest."""
    paths = fetched("fetch.sh")
    initrd = directory + "/initrd.gz"
    subprocess.run([DEBIAN + "/mkinitrd.sh", paths["BUSYBOX"], BUILD + "/tests/guest/guest-exit", initrd,
                    os.path.dirname(os.path.dirname(paths["KERNEL"]))], check=True, timeout=60)
    return paths["KERNEL"], initrd


def debian32(directory):
    """Initial RAM disk for 32-bit kernels."""
    initrd = directory + "/initrd32.gz"
    subprocess.run([DEBIAN + "/mkinitrd.sh", fetched("fetch_others.sh")["BUSYBOX_I386"], DEBIAN + "/guest_exit.sh", initrd],
                   check=True, timeout=60, env={**os.environ, "PACKER": fetched("fetch.sh")["BUSYBOX"]})
    return initrd


def kvm_missing():
    """None, or why KVM cannot be used here."""
    try:
        fd = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    except OSError as e:
        return f"/dev/kvm: {e.strerror}"
    try:
        vm = fcntl.ioctl(fd, 0xae01, 0)  # KVM_CREATE_VM
        os.close(vm)
        return None
    except OSError as e:
        return f"/dev/kvm is there, but no machine can be created: {e.strerror}"
    finally:
        os.close(fd)


def _run(function, engine):
    """0, 1 or 77."""
    name = function.__name__
    context = Context(name, engine)

    def on_alarm(number, frame):
        raise Failure(f"no end within {function.limit} s")

    signal.signal(signal.SIGALRM, on_alarm)
    signal.alarm(int(function.limit * SLOW))
    try:
        function(context)
        print(f"ok {name}", flush=True)
        return 0
    except Skip as reason:
        print(f"SKIP {name}: {reason}", flush=True)
        return 77
    except Exception as e:
        print(f"FAILED {name}: {e}", flush=True)
        if not isinstance(e, Failure):
            traceback.print_exc(file=sys.stdout)
        for running in context.started:
            print(f"--- {' '.join(running.args)}\n{running.talk.text[-2000:]}")
        return 1
    finally:
        signal.alarm(0)
        context.close()


def main(about_sandbox=False):
    """Arguments: names of tests (all if none), and --engine=ENGINE."""
    engine = "emu"
    wanted = []
    for arg in sys.argv[1:]:
        if arg.startswith("--engine="):
            engine = arg.split("=", 1)[1]
        else:
            wanted.append(arg)
    unknown = set(wanted) - {f.__name__ for f in _tests}
    if unknown:
        sys.exit(f"no such test: {' '.join(sorted(unknown))}")
    if about_sandbox and SLOW != 1:
        print(f"SKIP {' '.join(wanted)}: {NO_SANDBOX}")
        sys.exit(77)
    if engine == "kvm" and kvm_missing():
        print(f"SKIP {' '.join(wanted)}: {kvm_missing()}")
        sys.exit(77)
    results = [_run(f, engine) for f in _tests if not wanted or f.__name__ in wanted]
    sys.exit(1 if 1 in results else 77 if set(results) == {77} else 0)
