# SPDX-License-Identifier: MIT
"""Nobody reads what a machine and its command line say: nobody waits for that, and what is lost is counted."""
import fcntl
import os
import pty
import re
import signal
import subprocess
import termios
import time

from bh import Failure, check, main, test, wait_until
from kinds import DEVICES


def full_pipe(size=4096):
    """A pipe that takes no byte more; its write end waits."""
    rd, wr = os.pipe()
    fcntl.fcntl(wr, fcntl.F_SETPIPE_SZ, size)
    os.set_blocking(wr, False)
    try:
        while True:
            os.write(wr, b"x" * 512)
    except BlockingIOError:
        pass
    os.set_blocking(wr, True)
    return rd, wr


def read_all(fd, pattern=None, seconds=10):
    """What comes until the pattern does, or there is no more."""
    text, end = "", time.monotonic() + seconds
    os.set_blocking(fd, False)
    while time.monotonic() < end and not (pattern and re.search(pattern, text)):
        try:
            data = os.read(fd, 65536)
        except BlockingIOError:
            time.sleep(0.01)
            continue
        if not data:
            break
        text += data.decode(errors="replace").replace("x", "")
    return text


def kill_devices(t):
    """Each dies and comes back, which is worth a line or two."""
    for role in DEVICES:
        wait_until(lambda: role in t.processes(), f"{role} is there")
        before = t.processes()[role]
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: t.processes().get(role, before) != before, f"{role} is back", 20)


def start(t, stderr, *options):
    vm = subprocess.Popen(t.command(*t.guest("echo", "--device-failure-limit", "0", "--verbose", *options)), env=t.env,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr)
    wait_until(lambda: "vcpu" in t.processes(), "the machine is there")
    return vm


def expect_control(t):
    """Everybody does their work."""
    kill_devices(t)
    t.bulkhead("status", t.name, seconds=10).expect(0)


@test
def standard_error(t):
    """A pipe that was full before the machine began. It runs, heals, answers and stops; then the pipe is read."""
    rd, wr = full_pipe()
    vm = start(t, wr)
    os.close(wr)
    expect_control(t)
    check("timerd is back" in read_all(rd, "timerd is back"), "what was said meanwhile comes when somebody reads")
    kill_devices(t)
    check("timerd is back" in read_all(rd, "timerd is back"), "and what is said later")
    t.bulkhead("stop", "--force", t.name).expect(0)
    vm.communicate(timeout=20)


@test
def nobody_ever_reads(t):
    """The same pipe until the end: the end does not wait for it either."""
    rd, wr = full_pipe()
    vm = start(t, wr)
    os.close(wr)
    expect_control(t)
    t.bulkhead("stop", "--force", t.name).expect(0)
    vm.communicate(timeout=20)
    t.expect_clean()
    os.close(rd)


@test
def reader_gone(t):
    """The read end is closed: nobody is killed by that, or by what it does."""
    rd, wr = os.pipe()
    vm = start(t, wr)
    os.close(wr)
    os.close(rd)
    expect_control(t)
    vm.stdin.write(b"q")
    vm.stdin.flush()
    vm.communicate(timeout=20)
    check(vm.returncode == 0, f"exit code {vm.returncode}")


@test
def logger_killed(t):
    """There is no logger any more: the machine goes on without a word."""
    vm = start(t, subprocess.DEVNULL)
    os.kill(t.processes()["logger"], signal.SIGKILL)
    expect_control(t)
    t.bulkhead("stop", "--force", t.name).expect(0)
    vm.communicate(timeout=20)
    t.expect_clean()


@test
def fifo(t):
    """--log names a FIFO: it starts without a reader, and whoever comes later gets what was said."""
    path = t.dir + "/fifo"
    os.mkfifo(path)
    t.bulkhead(*t.guest("echo", "--detach", "--verbose", "--log", path), seconds=20).expect(0)
    t.bulkhead("status", t.name).expect(0)
    rd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    check("first guest instruction" in read_all(rd, "first guest instruction"), "what was said before is there")
    os.close(rd)
    kill_devices(t)
    t.bulkhead("stop", "--force", t.name).expect(0)
    t.expect_clean()


@test
def images(t):
    """A FIFO instead of a kernel, an initial RAM disk or a device's program is a mistake, not a wait."""
    path = t.dir + "/fifo"
    os.mkfifo(path)
    t.bulkhead("run", "--kernel", path, seconds=10).expect(2, err="not a regular file")
    t.bulkhead(*t.guest("echo", "--initrd", path), seconds=10).expect(2, err="not a regular file")
    t.bulkhead(*t.guest("echo", "--detach")).expect(0)
    t.bulkhead("device", "replace", t.name, "serial", "--binary", path, seconds=20).expect(1)
    t.bulkhead("kill", t.name).expect(0)


@test
def stopped_terminal(t):
    """A terminal whose output is stopped: the machine goes on, and signals to the command line reach it."""
    main_fd, other = pty.openpty()
    vm = subprocess.Popen(t.command(*t.guest("chatter", "--device-failure-limit", "0")), env=t.env, stdin=subprocess.PIPE,
                          stdout=other, stderr=other, start_new_session=True)
    termios.tcflow(other, termios.TCOOFF)
    wait_until(lambda: "vcpu" in t.processes(), "the machine is there")
    kill_devices(t)
    t.bulkhead("status", t.name, seconds=10).expect(0)
    for _ in range(3):  # asked, ended, given up
        if vm.poll() is None:
            vm.send_signal(signal.SIGTERM)
            time.sleep(1.5)
    try:
        vm.wait(20)
    except subprocess.TimeoutExpired:
        vm.kill()
        raise Failure("the command line waits for its terminal")
    t.expect_clean()
    os.close(other)
    os.close(main_fd)


@test
def standard_output(t):
    """Nobody reads the console, nor the messages: the third signal is the last one needed."""
    rd, wr = full_pipe()
    vm = subprocess.Popen(t.command(*t.guest("chatter")), env=t.env, stdin=subprocess.PIPE, stdout=wr, stderr=wr)
    os.close(wr)
    wait_until(lambda: "vcpu" in t.processes(), "the machine is there")
    for _ in range(3):
        if vm.poll() is None:
            vm.send_signal(signal.SIGTERM)
            time.sleep(1.5)
    try:
        vm.wait(20)
    except subprocess.TimeoutExpired:
        vm.kill()
        raise Failure("the command line waits for a reader")
    t.expect_clean()
    os.close(rd)


if __name__ == "__main__":
    main()
