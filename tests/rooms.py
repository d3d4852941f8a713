# SPDX-License-Identifier: MIT
"""
The rooms of the tree and who includes whom. Fails if rooms include each other in a circle, or if something is included
past a room's door; and within the rooms that hold the processes of a machine, if files use each other's functions in a circle.
Usage: rooms.py SOURCE [--draw]; --draw prints the graph, each room with those it includes.
"""
import os
import re
import sys

# A file's room is the deepest of these folders above it.
ROOMS = [
    "boot", "devices", "devices/chips", "proto",
    "emu/apic", "emu/block", "emu/core", "emu/decode", "emu/isa", "emu/jit", "emu/mmu", "emu/model", "emu/native", "emu/run",
    "emu/sem", "emu/sem/fp", "emu/sem/int", "emu/sem/simd", "emu/sem/sys",
    "vmm/cli", "vmm/common", "vmm/gdb", "vmm/host", "vmm/keeper", "vmm/kvm", "vmm/supervisor", "vmm/trace", "vmm/vcpu",
]
# What other rooms may include. Rooms that are not named here have no door: all of their headers are for everybody.
DOORS = {
    "emu/apic": ["apic.h"],
    "emu/block": ["block.h", "internal.h"], # the second for the translator, which takes blocks over
    "emu/decode": ["decode.h", "encode.h"],
    "emu/isa": ["isa.h", "coverage.h"],
    "emu/mmu": ["mmu.h"],
    "emu/model": ["features.h"],
    "emu/native": ["host.h", "memory.h", "narrow.h", "stub.h"],
    "emu/run": ["run.h", "engine_emu.h", "stretch.h"],
    "emu/sem": ["sem.h"],
    "emu/sem/fp": ["fp.h", "provider.h"],
    "emu/sem/int": ["alu.h"],
    "emu/sem/simd": ["evex.h", "simd.h"],
    "emu/sem/sys": ["sys.h"],
    "vmm/host": ["host.h"],
}
# Here no circle of files either: what happens below is told upwards by a function that the upper one has handed down.
IN_ORDER = [room for room in ROOMS if room.split("/")[0] in ("vmm", "devices", "proto")]
# Here a header declares what the file of its name defines, and nothing else.
OF_ITS_OWN = ["vmm/supervisor"]
INCLUDE = re.compile(r'^\s*#\s*include "([^"]+)"', re.M)
NO_CODE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.S)
DEFINITION = re.compile(r'^(?!static|typedef)[a-zA-Z_][\w \t*]*?\b(\w+)\([^;{}]*\)\s*\{', re.M)
TABLE = re.compile(r'^const struct \w+ (\w+)(?:\[[^\]]*\])? = \{', re.M)
DECLARATION = re.compile(r'^(?!static|typedef|extern)[a-zA-Z_][\w \t*]*?\b(\w+)\([^;{}]*\)[^;{}]*;', re.M)


def room_of(path):
    while path := os.path.dirname(path):
        if path in ROOMS:
            return path
    return None


def resolve(path, name, files):
    """The file of the tree that `path` includes as `name`: beside it, or from the root."""
    for candidate in (os.path.normpath(os.path.join(os.path.dirname(path), name)), name):
        if candidate in files:
            return candidate
    return None


def read_graph(source):
    files = {os.path.relpath(os.path.join(folder, name), source) for top in {room.split("/")[0] for room in ROOMS}
             for folder, _, names in os.walk(os.path.join(source, top)) for name in names
             if name.endswith((".c", ".h", ".def"))}
    graph, past = {room: {} for room in ROOMS}, []
    for path in sorted(files):
        if not (room := room_of(path)):
            continue
        with open(os.path.join(source, path), encoding="utf-8") as f:
            for name in INCLUDE.findall(f.read()):
                target = resolve(path, name, files)
                other = target and room_of(target)
                if not other or other == room:
                    continue
                graph[room].setdefault(other, []).append(f"{path} includes {target}")
                if other in DOORS and os.path.basename(target) not in DOORS[other]:
                    past.append(f"{path} includes {target}, which is not a door of {other} ({', '.join(DOORS[other])})")
    return graph, past


def find_circle(graph):
    done = set()

    def visit(room, way):
        if room in way:
            return way[way.index(room):] + [room]
        if room in done:
            return None
        done.add(room)
        return next((c for other in graph[room] if (c := visit(other, way + [room]))), None)

    return next((c for room in graph if (c := visit(room, []))), None)


def read_code(source, room):
    """The C files of a room, each without comments and texts, and which of them defines what."""
    code, where = {}, {}
    for name in sorted(os.listdir(os.path.join(source, room))):
        if name.endswith((".c", ".h")):
            with open(os.path.join(source, room, name), encoding="utf-8") as f:
                code[name] = NO_CODE.sub("", f.read())
    for name, text in code.items():
        if name.endswith(".c"):
            where.update({word: name for word in DEFINITION.findall(text) + TABLE.findall(text)})
    return code, where


def find_file_problems(source, room):
    code, where = read_code(source, room)
    files = {name: {} for name in code if name.endswith(".c")}
    for name in files:
        for word in set(re.findall(r"(?<![.>])\b\w+\b", code[name])):
            if where.get(word, name) != name:
                files[name].setdefault(where[word], []).append(word)
    if circle := find_circle(files):
        yield f"files of {room} use each other in a circle: " + " -> ".join(circle)
        for a, b in zip(circle, circle[1:]):
            yield f"  {a} uses {', '.join(sorted(files[a][b])[:4])} of {b}"
    for name in code if room in OF_ITS_OWN else ():
        for word in DECLARATION.findall(code[name]) if name.endswith(".h") else ():
            if where.get(word, "")[:-2] != name[:-2]:
                yield f"{room}/{name} declares {word}(), which is not {name[:-2]}.c's"


def main():
    graph, problems = read_graph(sys.argv[1])
    if "--draw" in sys.argv:
        for room, others in graph.items():
            print(f"{room:16} -> {', '.join(sorted(others)) or '-'}")
    if circle := find_circle(graph):
        problems.append("rooms include each other in a circle: " + " -> ".join(circle))
        problems += ["  " + why for a, b in zip(circle, circle[1:]) for why in graph[a][b][:3]]
    problems += [problem for room in IN_ORDER for problem in find_file_problems(sys.argv[1], room)]
    print("\n".join(problems) if problems else f"{sum(map(len, graph.values()))} ways between {len(graph)} rooms, no circle")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
