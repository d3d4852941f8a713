# SPDX-License-Identifier: MIT
"""An initramfs of this host's programs, with the libraries that they need."""
import os
import re
import stat
import subprocess

# A name below one of these is below /usr.
USR_LINKS = ("bin", "sbin", "lib", "lib64")


def libraries(program):
    """The shared libraries of a program or library, the loader included, as ldd resolves them."""
    out = subprocess.run(["ldd", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    return re.findall(r"(/\S+) \(0x", out)


class Archive:
    """A cpio archive (newc) with the files of this host under their own names; times are kept, for Python's caches."""

    def __init__(self, path):
        self.file = open(path, "wb")
        self.done = set()

    def entry(self, name, mode, data=b"", mtime=0):
        head = "070701" + "".join("%08x" % v for v in (
            len(self.done) + 1, mode, 0, 0, 1, int(mtime), len(data), 0, 0, 0, 0, len(name) + 1, 0))
        raw = head.encode() + name.encode() + b"\0"
        self.file.write(raw + b"\0" * (-len(raw) % 4) + data + b"\0" * (-len(data) % 4))

    def parents(self, name):
        parts = name.split("/")[:-1]
        for n in range(1, len(parts) + 1):
            folder = "/".join(parts[:n])
            if folder and folder not in self.done:
                self.done.add(folder)
                self.entry(folder, stat.S_IFDIR | 0o755)

    def text(self, name, data, mode=0o755):
        self.parents(name)
        self.done.add(name)
        self.entry(name, stat.S_IFREG | mode, data.encode())

    def link(self, name, to):
        if name not in self.done:
            self.parents(name)
            self.done.add(name)
            self.entry(name, stat.S_IFLNK | 0o777, to.encode())

    def add(self, path, name=None):
        """A file under its own name (without links on the way), with what it is linked to and the libraries it needs."""
        name = (name or path).lstrip("/")
        # /bin, /lib and /lib64 are links into /usr.
        if re.match(r"(bin|sbin|lib|lib64)/", name):
            name = "usr/" + name
        if name in self.done:
            return
        real = os.path.realpath(path)
        self.parents(name)
        self.done.add(name)
        with open(real, "rb") as f:
            data = f.read()
        s = os.stat(real)
        self.entry(name, stat.S_IFREG | s.st_mode & 0o777, data, s.st_mtime)
        if data[:4] == b"\x7fELF":
            for library in libraries(real):
                self.add(library)

    def tree(self, path, skip):
        """A folder, without those below it whose names begin with a word of `skip`."""
        for folder, folders, files in os.walk(path):
            folders[:] = [d for d in folders if not d.startswith(tuple(skip))]
            for f in files:
                p = os.path.join(folder, f)
                if os.path.exists(p):
                    self.add(p)

    def close(self):
        self.entry("TRAILER!!!", 0)
        self.file.close()
