# SPDX-License-Identifier: MIT
"""Kinds of device daemons, from their table (proto/devices.def)."""
import atexit
import os
import re
import shutil
import tempfile

from bh import SOURCE

with open(SOURCE + "/proto/devices.def", encoding="ascii") as _f:
    _text = _f.read()
_rows = [[column.strip() for column in row.split(",")] for row in re.findall(r"^DEVICE\((.*)", _text, re.M)]
_options = dict(re.findall(r'^#define (\w+)_OPTION "([^"]+)"', _text, re.M))

KINDS = tuple(row[1] for row in _rows)  # "irqd", ...
DEVICES = tuple(row[1] for row in _rows if row[4] == "ALWAYS")  # that every machine has, one of each
FRAMES = tuple(row[1] for row in _rows if row[4] in ("FRAME", "FIRMWARE"))  # of a frame machine, or of one that starts with firmware
TOGETHER = tuple(row[1] for row in _rows if row[1] not in FRAMES + ("gpud",))  # a machine has one screen, and vgad has that
WRITERS = tuple(row[1] for row in _rows if row[8] == "WRITES")  # of guest memory
SEVERAL = tuple(row[1] for row in _rows if int(row[5]) > 1)  # kinds whose processes have numbers behind their names
# Those of a machine that can go on elsewhere.
MOVABLE = tuple(row[1] for row in _rows if row[4] not in ("BACKEND", "BARE", "IMPLIED", "FRAME", "DISPLAY", "FIRMWARE"))


def options(kind):
    """What the command line wants for a machine with one of these."""
    row = next(row for row in _rows if row[1] == kind)
    if row[4] == "IMPLIED":
        return options("blkd")
    if row[4] == "BACKEND":
        return "--" + _options[row[0]], _VALUES[kind]()
    if row[4] == "DISPLAY":
        return ("--display", "vga")
    return ("--" + _options[row[0]],) if row[4] in ("OPTION", "BARE", "BOARD") else ()


def _image():
    """Something to serve, that is nobody else's."""
    fd, path = tempfile.mkstemp(prefix="bh-image-")
    os.truncate(fd, 1 << 20)
    os.close(fd)
    atexit.register(lambda: os.path.exists(path) and os.unlink(path))
    return path


def _wire():
    """The socket of a pair whose other half never comes."""
    path = tempfile.mktemp(prefix="bh-wire-")
    atexit.register(lambda: os.path.exists(path) and os.unlink(path))
    return "pair=" + path


def _folder():
    path = tempfile.mkdtemp(prefix="bh-share-")
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return "tag=" + path


_VALUES = {"blkd": _image, "netd": _wire, "gpud": lambda: "640x480", "fsd": _folder}


def process(kind, instance=0):
    return f"{kind}{instance}" if kind in SEVERAL else kind
