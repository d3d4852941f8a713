# SPDX-License-Identifier: MIT
"""What collect.py and load.py share: where states of released versions lie, and how a machine's is had and given."""
import array
import fcntl
import os
import socket
import struct

from bh import SOURCE, check

FOLDER = SOURCE + "/tests/states"
GUEST = "survivor"  # works every device, and says so in lines
TAKE, OK = 31, 1  # proto/control.proto
STATE, RAM = 0, 1  # of the descriptors that TAKE brings (proto/frame.h)


def versions():
    return sorted(name for name in os.listdir(FOLDER) if os.path.isdir(f"{FOLDER}/{name}") and name[0].isdigit())


def take(t):
    """The state of the test's machine, and its memory."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.connect(f"{t.runtime}/{t.name}/control.sock")
        s.settimeout(30)
        s.send(struct.pack("<HHIIHH", 0x4842, TAKE, 0, 1, 0, 0))
        packet, ancillary, _, _ = s.recvmsg(65536 + 16, socket.CMSG_SPACE(4 * 8))
        check(struct.unpack_from("<HH", packet)[1] == OK, f"TAKE is refused: {packet!r}")
        fds = array.array("i")
        for _, _, data in ancillary:
            fds.frombytes(data)
        length = struct.unpack("<Q", os.pread(fds[STATE], 8, 16))[0]  # struct state_header, bytes
        return os.pread(fds[STATE], length, 0), os.pread(fds[RAM], os.fstat(fds[RAM]).st_size, 0)


def sealed(data, size):
    """A memory object as the supervisor wants it (proto/shm.h)."""
    fd = os.memfd_create("state", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    os.pwrite(fd, data, 0)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    return fd
