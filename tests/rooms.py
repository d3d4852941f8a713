# SPDX-License-Identifier: MIT
"""
The rooms of the tree and who includes whom. Fails if rooms include each other in a circle, or if something is included
past a room's door. Usage: rooms.py SOURCE [--draw]; --draw prints the graph, each room with those it includes.
"""
import os
import re
import sys

# A file's room is the deepest of these folders above it.
ROOMS = [
    "boot", "devices", "devices/chips", "proto",
    "emu/apic", "emu/block", "emu/core", "emu/decode", "emu/isa", "emu/jit", "emu/mmu", "emu/model", "emu/native", "emu/run",
    "emu/sem", "emu/sem/fp", "emu/sem/int", "emu/sem/simd", "emu/sem/sys",
    "vmm/cli", "vmm/common", "vmm/keeper", "vmm/kvm", "vmm/supervisor", "vmm/vcpu",
]
# What other rooms may include. Rooms that are not named here have no door: all of their headers are for everybody.
DOORS = {
    "emu/apic": ["apic.h"],
    "emu/block": ["block.h", "internal.h"], # the second for the translator, which takes blocks over
    "emu/decode": ["decode.h", "encode.h"],
    "emu/isa": ["isa.h", "coverage.h"],
    "emu/mmu": ["mmu.h"],
    "emu/model": ["features.h"],
    "emu/native": ["host.h", "memory.h", "stub.h"],
    "emu/run": ["run.h", "engine_emu.h"],
    "emu/sem": ["sem.h"],
    "emu/sem/fp": ["fp.h", "provider.h"],
    "emu/sem/int": ["alu.h"],
    "emu/sem/simd": ["evex.h", "simd.h"],
    "emu/sem/sys": ["sys.h"],
}
INCLUDE = re.compile(r'^\s*#\s*include "([^"]+)"', re.M)


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


def main():
    graph, problems = read_graph(sys.argv[1])
    if "--draw" in sys.argv:
        for room, others in graph.items():
            print(f"{room:16} -> {', '.join(sorted(others)) or '-'}")
    if circle := find_circle(graph):
        problems.append("rooms include each other in a circle: " + " -> ".join(circle))
        problems += ["  " + why for a, b in zip(circle, circle[1:]) for why in graph[a][b][:3]]
    print("\n".join(problems) if problems else f"{sum(map(len, graph.values()))} ways between {len(graph)} rooms, no circle")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
