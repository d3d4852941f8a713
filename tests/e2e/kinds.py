# SPDX-License-Identifier: MIT
"""Kinds of device daemons, from their table (proto/devices.def)."""
import re

from bh import SOURCE

with open(SOURCE + "/proto/devices.def", encoding="ascii") as _f:
    _rows = [[column.strip() for column in row.split(",")] for row in re.findall(r"^DEVICE\((.*)\)$", _f.read(), re.M)]

DEVICES = tuple(row[1] for row in _rows)  # "irqd", ...
