# SPDX-License-Identifier: MIT
"""
A kind of device is one row and its own files: programs name a kind that only an option brings nowhere else. (Those that
every machine has also have duties of the board: the console, the power button, interrupt acknowledge.) Usage: one_row.py
SOURCE
"""
import os
import re
import sys

COMMENTS = re.compile(r"/\*.*?\*/", re.S)


def main():
    source = sys.argv[1]
    with open(source + "/proto/devices.def", encoding="utf-8") as f:
        rows = [[c.strip() for c in row.split(",")] for row in re.findall(r"^DEVICE\((.*)", f.read(), re.M)]
    problems, files = [], 0
    for macro, name, model, _, presence in (row[:5] for row in rows):
        own = {"proto/devices.def", f"devices/{name}.c", f"devices/{model}_model.c", f"devices/{model}_model.h"}
        names = re.compile(rf"{name}\d*\b|{name}_|{model}_model|{macro}\b|{macro}_")
        for folder, _, entries in (w for top in ("proto", "devices", "vmm", "boot") for w in os.walk(f"{source}/{top}")):
            for path in (os.path.relpath(f"{folder}/{e}", source) for e in entries if e.endswith((".c", ".h", ".def", ".build"))):
                if presence != "OPTION" or path in own:
                    continue
                files += 1
                with open(f"{source}/{path}", encoding="utf-8") as f:
                    problems += [f"{path} names {m}" for m in names.findall(COMMENTS.sub("", f.read()))]
    print("\n".join(problems) if problems else f"{files} files, none of them names a kind that is not its own")
    return bool(problems) or not files


if __name__ == "__main__":
    sys.exit(main())
