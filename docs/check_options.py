# SPDX-License-Identifier: MIT
"""
Do the manual, --help and the completions of shells say the same as the program's table of options? Usage:
check_options.py SOURCE BUILD
"""
import os
import re
import shutil
import subprocess
import sys

source, build = sys.argv[1:3]
program, completion = build + "/vmm/bulkhead", build + "/vmm/completion/"
problems = []


def call(*args, **env):
    return subprocess.run(args, env={**os.environ, **env}, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)


def want(what, condition):
    if not condition:
        problems.append(what)


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def options_of(command):
    out = call(program, command, "--help").stdout
    return set(re.findall(r"(?m)^  --([a-z0-9-]+)", out)) - {"help"}


commands = re.findall(r"(?m)^  ([a-z]+) +\S", call(program, "help").stdout.split("Examples:")[0])
table = {command: options_of(command) for command in commands}
want(f"commands of bulkhead help: {commands}", len(commands) > 10 and len(table["run"]) > 15)

# The manual: what the synopsis names of each small command, and the list of the options of run.
page = read(source + "/docs/man/bulkhead.1")
synopsis, rest = page.split(".Sh DESCRIPTION")
blocks = re.findall(r"(?m)^\.Nm\n\.Cm ([a-z]+)(.*)\n((?:\..*\n)*?)(?=\.Nm|\Z)", synopsis.split(".Sh SYNOPSIS")[1])
named = {}
for command, _, block in blocks:
    named.setdefault(command, set()).update(re.findall(r"Fl -([a-z0-9-]+)", block))
want(f"not in the synopsis: {set(commands) - set(named)}", set(commands) <= set(named))
for command in commands:
    if command not in ("run", "demo"):
        want(f"{command}: the synopsis has {named.get(command)}, --help {table[command]}", named.get(command) == table[command])
listed = set(re.findall(r"(?m)^\.It Fl -([a-z0-9-]+)", rest.split(".Ss Options of run")[1].split(".Ss ")[0]))
want(f"options of run: in the manual alone {listed - table['run']}, in --help alone {table['run'] - listed}", listed == table["run"])
want("demo has options that run has not", table["demo"] <= table["run"])

# vm.toml(5): every option of a machine is a key of the list.
keys = set(re.findall(r"(?m)^\.It Cm ([a-z0-9-]+)", read(source + "/docs/man/vm.toml.5")))
want(f"keys: in vm.toml(5) alone {keys - table['run']}, missing there {table['run'] - keys - {'config', 'json'}}",
     keys == table["run"] - {"config", "json"})

# --help in columns.
for width in (40, 80, 100):
    for command in commands:
        text = call(program, command, "--help", COLUMNS=str(width)).stdout.split("Examples:")[0]
        # A word that is longer than a line stays whole, and what is made of lines is not wrapped.
        long = [line for line in text.split("\n\n  device list")[0].splitlines() if len(line) > width and len(line.split()) > 2
                and not line.startswith(("Usage:", "  --"))]
        want(f"{command} --help in {width} columns: {long}", not long)

# Completions: every command and option is in each, and the shells take them.
for name, form in (("bulkhead", "--%s "), ("_bulkhead", "--%s"), ("bulkhead.fish", "-l %s ")):
    text = read(completion + name)
    missing = [option for options in table.values() for option in options if form % option not in text]
    want(f"not in completion/{name}: {missing}", not missing and all(command in text for command in commands))
for shell, name in (("bash", "bulkhead"), ("zsh", "_bulkhead"), ("fish", "bulkhead.fish")):
    if shutil.which(shell):
        r = call(shell, "-n", completion + name)
        want(f"{shell} -n: {r.stderr}", r.returncode == 0)
    else:
        print(f"SKIP {shell} is not installed")


def complete(*words):
    script = f'. {completion}bulkhead; COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); _bulkhead; echo "${{COMPREPLY[@]}}"'
    return call("bash", "-c", script, "bash", "bulkhead", *words).stdout.split()


for words, offered in ((["sto"], ["stop"]), (["run", "--eng"], ["--engine"]), (["run", "--engine", ""], ["auto", "emu", "kvm"]),
                       (["run", "--engine", "=", "k"], ["kvm"]), (["stop", "vm1", "--f"], ["--force"]),
                       (["device", "rep"], ["replace"]), (["device", "restart", "vm1", "ser"], ["seriald"]),
                       (["device", "--binary", "x", "rep"], ["replace"]), (["device", "--binary", "=", "x", "rep"], ["replace"]),
                       (["run", "--cpu", "x86-64-v"], ["x86-64-v2", "x86-64-v3", "x86-64-v4"]),
                       (["run", "--kernel", source + "/LIC"], [source + "/LICENSE"]), (["demo", "--kern"], [])):
    want(f"bash completes {words} to {complete(*words)}, not {offered}", complete(*words) == offered)
if shutil.which("fish"):
    for line, offered in (("bulkhead sto", ["stop"]), ("bulkhead run --eng", ["--engine"]), ("bulkhead run --engine ", ["auto", "emu", "kvm"])):
        out = call("fish", "--no-config", "-c", f"source {completion}bulkhead.fish; complete -C '{line}'").stdout
        found = [row.split("\t")[0] for row in out.splitlines()]
        want(f"fish completes {line} to {found}, not {offered}", found == offered)
if shutil.which("zsh"):
    out = call("zsh", "-f", "-c", f"fpath=({completion} $fpath); autoload -U compinit; compinit -D -u; echo $_comps[bulkhead]").stdout
    want(f"zsh: {out}", out.strip() == "_bulkhead")

print(f"{sum(map(len, table.values()))} options of {len(table)} commands")
sys.exit("\n".join(problems) if problems else 0)
