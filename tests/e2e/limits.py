# SPDX-License-Identifier: MIT
"""Hosts and users that give too little: descriptors, address space, disk. The message names the cause, nothing stays."""
import os
import resource
import subprocess

from bh import Result, Skip, check, main, test, wait_until

MIB = 1 << 20


def limited(t, *limits, uid=0, options=()):
    """Runs a small guest under limits: (name, soft, hard)."""
    def lower():
        if uid:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
        for what, soft, hard in limits:
            resource.setrlimit(what, (soft, hard))

    words = t.command(*t.guest("hello64", *options))
    p = subprocess.run(words, env=t.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       text=True, timeout=40, preexec_fn=lower)
    return Result(words, p.returncode, p.stdout, p.stderr)


@test
def files(t):
    """getrlimit(2), RLIMIT_NOFILE. A soft limit is raised; a hard one that is too low is named, with what is needed."""
    for soft, hard in (8, 8), (64, 64), (255, 255):
        limited(t, (resource.RLIMIT_NOFILE, soft, hard)).expect(2, err=f"{hard} files .*RLIMIT_NOFILE.* needs 256")
        t.expect_clean()
    for soft, hard in (256, 256), (16, 1024):
        limited(t, (resource.RLIMIT_NOFILE, soft, hard)).expect(0, out="hello from 64 bits")
    t.expect_clean()


@test
def address_space(t):
    """RLIMIT_AS; and RLIMIT_DATA, which a process finds out in the middle of its set-up."""
    limited(t, (resource.RLIMIT_AS, 32 * MIB, 32 * MIB)).expect(2, err="32 MiB of address space .*RLIMIT_AS.* needs 64 MiB")
    t.expect_clean()
    limited(t, (resource.RLIMIT_AS, 64 * MIB, 64 * MIB)).expect(0, out="hello from 64 bits")
    r = limited(t, (resource.RLIMIT_DATA, 3 * MIB, 3 * MIB))  # the command line has two, most of which it never touches
    r.expect(33, err=r"Cannot allocate memory.*\(RLIMIT_DATA is 3 MiB\)")
    t.expect_clean()


@test
def file_size(t):
    """RLIMIT_FSIZE: guest memory is a file, and growing one beyond the limit is a signal."""
    limited(t, (resource.RLIMIT_FSIZE, MIB, MIB)).expect(2, err="files of 1 MiB .*RLIMIT_FSIZE.* 16 MiB")
    t.expect_clean()


@test
def processes(t):
    """RLIMIT_NPROC, which root does not have."""
    if os.geteuid() != 0:
        raise Skip("needs root, to become a user who has no processes")
    uid = 65531
    os.chmod(t.dir, 0o755)
    os.mkdir(t.runtime, 0o700)
    os.chown(t.runtime, uid, uid)
    for count in 1, 2, 3:  # the command line, the keeper, the logger
        r = limited(t, (resource.RLIMIT_NPROC, count, count), uid=uid)
        check(r.code in (33, 41) and "Resource temporarily unavailable" in r.err, r)
        check(count == 1 or f"RLIMIT_NPROC is {count}" in r.err, r)
        wait_until(lambda: not t.processes() and not t.leftovers(), "nothing is left behind")


def on_full_disk(t, mount, *options):
    """Runs a small guest whose runtime directory is on a file system of its own; (result, what is left there)."""
    disk = t.dir + "/disk"
    os.makedirs(disk, exist_ok=True)
    script = (f'mount -t tmpfs -o {mount} tmpfs {disk} && chmod 700 {disk} || exit 99; head -c 64k /dev/zero >{disk}/filler; '
              f'"$@"; code=$?; sleep 0.2; find {disk} -mindepth 2 >&2; exit $code')
    words = t.command(*t.guest("hello64", *options))
    p = subprocess.run(["unshare", "--mount", "sh", "-c", script, "sh", *words], stdin=subprocess.DEVNULL,
                       env=dict(t.env, BULKHEAD_RUNTIME_DIR=disk + "/run"), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       text=True, timeout=40)
    if p.returncode == 99:
        raise Skip("nothing can be mounted here: " + p.stderr)
    left = [line for line in p.stderr.splitlines() if line.startswith(disk)]
    return Result(words, p.returncode, p.stdout, p.stderr), left


@test
def full_disk(t):
    """A runtime directory without inodes, at each of the steps that take one, and without room for a byte."""
    if os.geteuid() != 0:
        raise Skip("needs root, to mount a small file system")
    # Root, filler, base, directory, lock, three sockets; one for what `show` prints and two for the record of the end, without
    # which a machine runs.
    for inodes, code in (2, 2), (3, 2), (4, 2), (5, 41), (6, 41), (7, 41), (8, 0), (9, 0), (10, 0), (11, 0):
        r, left = on_full_disk(t, f"size=1m,nr_inodes={inodes}")
        r.expect(code, err="No space left on device" if inodes < 11 else "ended: halted")
        left = [line for line in left if "/ended" not in line]
        check(not left, f"{inodes} inodes: {left}")
    r, left = on_full_disk(t, "size=1m,nr_inodes=8", "--detach")
    r.expect(2, err="--log .*No space left on device")
    check(not left, f"no room for a log: {left}")
    r, left = on_full_disk(t, "size=32k,nr_inodes=100")
    r.expect(2, err="No space left on device")
    check(not left, f"no room for a byte: {left}")


if __name__ == "__main__":
    main()
