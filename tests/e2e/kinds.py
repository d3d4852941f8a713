# SPDX-License-Identifier: MIT
"""Kinds of device daemons, from their table (proto/devices.def)."""
import re

from bh import SOURCE

with open(SOURCE + "/proto/devices.def", encoding="ascii") as _f:
    _text = _f.read()
_rows = [[column.strip() for column in row.split(",")] for row in re.findall(r"^DEVICE\((.*)", _text, re.M)]
_options = dict(re.findall(r'^#define (\w+)_OPTION "([^"]+)"', _text, re.M))

KINDS = tuple(row[1] for row in _rows)  # "irqd", ...
DEVICES = tuple(row[1] for row in _rows if row[4] == "ALWAYS")  # that every machine has, one of each
FRAMES = tuple(row[1] for row in _rows if row[4] == "FRAME")  # of a frame machine
WRITERS = tuple(row[1] for row in _rows if row[8] == "WRITES")  # of guest memory
SEVERAL = tuple(row[1] for row in _rows if int(row[5]) > 1)  # kinds whose processes have numbers behind their names


def options(kind):
    """What the command line wants for a machine with one of these."""
    return tuple("--" + _options[row[0]] for row in _rows if row[1] == kind and row[4] == "OPTION")


def process(kind, instance=0):
    return f"{kind}{instance}" if kind in SEVERAL else kind
