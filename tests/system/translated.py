# SPDX-License-Identifier: MIT
"""
Debian's kernel on the translator, watched: --tier verify runs what has been translated once more by single steps and compares
the states, --tier check compares each access of translated code with the guest's page tables. Both end the processor on a
difference. The long forms do it for everything (`make soak`).
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
sys.dont_write_bytecode = True
from bh import debian, main, test  # noqa: E402

LIMIT, LONG_LIMIT = 280, 3000
# Programs, pipes, signals, page faults, a file system.
WORK = "uname -r; ls -lR /bin /proc/self | wc -l; seq 20000 | sort -r | md5sum; dd if=/dev/zero bs=64k count=99 | sha256sum; echo all done"


def boot(t, tier, seconds):
    kernel, initrd = debian(t.dir)
    r = t.bulkhead(*t.machine("--kernel", kernel, "--initrd", initrd, "--memory", "512M", "--tier", tier, "--cmdline",
                              f'console=ttyS0 quiet bulkhead.run="{WORK}"'), seconds=seconds)
    r.expect(0, out=r"(?m)^all done\r?$")


@test(limit=LIMIT)
def verified(t):
    """What begins at each address the first times, and some of the rest."""
    boot(t, "verify", LIMIT)


@test(limit=LONG_LIMIT)
def long_verified(t):
    """All of it."""
    boot(t, "verify-all", LONG_LIMIT)


@test(limit=LONG_LIMIT)
def long_checked(t):
    """Each access."""
    boot(t, "check", LONG_LIMIT)


if __name__ == "__main__":
    main()
