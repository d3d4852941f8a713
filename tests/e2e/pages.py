# SPDX-License-Identifier: MIT
"""
What pages and manuals tell people to type is typed: the tutorial, the page about a first kernel, and the EXAMPLES of manual pages. The lines shown below a
command must come out of it, in that order; `...` stands for anything.
"""
import os
import re
import shutil
import subprocess

from bh import BUILD, SOURCE, Skip, check, debian, main, test
from systemd import booted
from systemd_host import INSIDE

DONE = "--- that was "


def blocks(kind, page="tutorial.md"):
    with open(f"{SOURCE}/docs/{page}", encoding="utf-8") as f:
        return re.findall(rf"^```{kind}\n(.*?)^```$", f.read(), re.S | re.M)


def steps(text):
    """[(command, [lines below it])]"""
    found = []
    for line in text.replace("\\\n", "").splitlines():
        if re.match(r"[$#] ", line):
            found.append((line[2:], []))
        elif line:
            check(found, f"no command before {line}")
            found[-1][1].append(line)
    return found


def compare(command, output, expected):
    rest = output.splitlines()
    for line in expected:
        pattern = re.compile(".*".join(re.escape(part) for part in line.split("...")))
        at = next((i for i, out in enumerate(rest) if pattern.fullmatch(out.rstrip())), None)
        check(at is not None, f"after `{command}` there is no line like\n  {line}\nin\n{output}")
        rest = rest[at + 1:]


class Shell:
    """Types commands one after the other, in one shell."""

    def __init__(self, t, directory, swaps):
        self.swaps = swaps
        self.running = t.start("bash", "--norc")
        self.running.send(f"cd {directory}\nexec 2>&1\n")

    def type(self, command, expected, codes=(0,), seconds=100):
        for old, new in self.swaps.items():
            command = command.replace(old, new)
            expected = [line.replace(old, new) for line in expected]
        before = self.running.talk.at
        self.running.send("{ " + command + f'\n}} </dev/null\necho "\n{DONE}$?"\n')
        found = self.running.expect(DONE + r"(\d+)\n", seconds)
        output = self.running.talk.text[before:self.running.talk.at - len(found[0])]
        check(int(found[1]) in codes, f"`{command}` ended with {found[1]}:\n{output}")
        compare(command, output, expected)


def clone(t):
    """The directory of a clone, with the build directory where a reader has it."""
    where = t.dir + "/clone"
    os.mkdir(where)
    for name in os.listdir(SOURCE):
        if not name.startswith("build"):
            os.symlink(f"{SOURCE}/{name}", f"{where}/{name}")
    os.symlink(BUILD, where + "/build")
    return where


def need(*programs):
    for name in programs:
        if not shutil.which(name):
            raise Skip(f"{name} is not installed")


@test(limit=290)
def tutorial(t):
    """docs/tutorial.md, but for what needs a systemd."""
    need("gdb", "jq", "socat", "make", "meson")
    if os.geteuid() != 0:
        raise Skip("needs root, as the page says")
    debian(t.dir)
    shell = Shell(t, clone(t), {"/run/bulkhead": t.runtime, "/tmp/tutorial": t.dir + "/tutorial"})
    for block in blocks("console"):
        for command, expected in steps(block):
            shell.type(command, expected)
    t.expect_clean()


@test
def first_kernel(t):
    """docs/first-kernel.md."""
    debian(t.dir)
    shell = Shell(t, clone(t), {"/tmp/first": t.dir + "/first"})
    for block in blocks("console", "first-kernel.md"):
        for command, expected in steps(block):
            shell.type(command, expected)
    t.expect_clean()


@test(limit=170)
def tutorial_systemd(t):
    """The rest of it."""
    kernel, initrd = debian(t.dir)
    with booted(t) as host:
        shutil.copy(kernel, host.etc + "/vmlinuz")
        shutil.copy(initrd, host.etc + "/initrd.img")
        host.shell("mkdir /tmp/tutorial && printf 'kernel = \"/etc/vmlinuz\"\\ninitrd = \"/etc/initrd.img\"\\nmemory = \"256M\"\\n"
                   "stop-timeout = \"60s\"\\n' >/tmp/tutorial/web.toml").expect(0)
        for block in blocks("systemd"):
            for command, expected in steps(block):
                r = host.shell(f"PATH={INSIDE}/vmm:$PATH; {command}", seconds=100)
                check(r.code == 0, r)
                compare(command, r.out, expected)


@test(limit=170)
def manual_systemd(t):
    """Those of bulkhead.service(8)."""
    kernel, initrd = debian(t.dir)
    with booted(t) as host:
        shutil.copy(kernel, host.etc + "/vmlinuz")
        shutil.copy(initrd, host.etc + "/initrd.img")
        for command, expected in (step for text in examples("bulkhead.service.8") for step in steps(text)):
            if command.startswith("cat "):  # what the file is like
                host.write("bulkhead/web.toml", "\n".join(expected).replace("/boot/", "/etc/").replace("1G", "256M") + "\n")
                expected = []
            r = host.shell(f"PATH={INSIDE}/vmm:$PATH; {command}", seconds=100)
            check(r.code == 0, r)
            compare(command, r.out, expected)
        host.ctl("is-active", "bulkhead@web", "bulkhead-seriald@web").expect(0)
        host.ctl("kill", "--kill-who=all", "--signal=SIGKILL", "bulkhead@web")


def examples(page):
    """(text of each display of its EXAMPLES)"""
    with open(f"{SOURCE}/docs/man/{page}", encoding="utf-8") as f:
        section = f.read().split(".Sh EXAMPLES\n")[1].split("\n.Sh ")[0]
    found = []
    for one_line, display in re.findall(r"^\.Dl ([^\n]*)$|^\.Bd .*?\n(.*?)^\.Ed$", section, re.M | re.S):
        found.append((one_line or display).replace("\\e", "\\").replace("\\(dq", '"').replace("\\(aq", "'"))
    check(found, page)
    return found


# Whoever attaches a console stays; what reads it in the manual is a person.
STAYS = re.compile(r"(socat|bulkhead console|bulkhead run (?!.*--detach))")


def type_examples(t, page, files, shell):
    for text in examples(page):
        if text.startswith("# web.toml"):
            for old, new in files.items():
                text = text.replace(old, new)
            with open(t.dir + "/web.toml", "w", encoding="utf-8") as f:
                f.write(text)
            continue
        for command, expected in steps(text):
            if "web2" in command or STAYS.match(command) and "--config web.toml" not in command:
                shell.type("timeout --preserve-status --signal=TERM 8 " + command, expected, (0, 143), 150)
            elif "memroy" not in "".join(expected):
                shell.type(command, expected, seconds=150)


@test(limit=290)
def manual_examples(t):
    """bulkhead(1), vm.toml(5); those of other pages are tests of their own (byhand.py, systemd.py)."""
    need("jq", "socat")
    kernel, initrd = debian(t.dir)
    os.symlink(kernel, t.dir + "/vmlinuz")
    os.symlink(initrd, t.dir + "/initrd.img")
    shell = Shell(t, t.dir, {"/run/bulkhead": t.runtime})
    shell.type(f"export PATH={BUILD}/vmm:$PATH", [])
    type_examples(t, "bulkhead.1", {}, shell)
    shell.type("bulkhead run --detach --name vm1 --kernel vmlinuz --stop-timeout 1s", [])  # what the page speaks of
    files = {"/boot/vmlinuz": kernel, "/boot/initrd.img": initrd, '"1G"': '"512M"'}
    type_examples(t, "vm.toml.5", files, shell)
    shell.type("bulkhead check vm1.toml", ["vm1.toml: nothing is wrong with it"])
    shell.type("sed -i '5s/.*/memroy = \"1G\"/' web.toml; bulkhead check web.toml",
               ["bulkhead: web.toml:5:1: unknown key memroy; did you mean memory?"], (2,))
    shell.type("for m in web vm1; do bulkhead kill $m; done; true", [])
    t.expect_clean()


@test
def every_page(t):
    """Those with examples are known here."""
    del t
    known = {"bulkhead.1", "vm.toml.5", "bulkhead.service.8", "bulkhead-seriald.8",
             "bulkhead-blkd.8",  # disk.py, for_qemu
             "bulkhead-rngd.8",  # net.py, for_qemu
             "bulkhead-fsd.8"}  # share.py, both_ways
    found = {p for p in os.listdir(SOURCE + "/docs/man") if ".Sh EXAMPLES" in open(f"{SOURCE}/docs/man/{p}", encoding="utf-8").read()}
    check(found == known, f"pages with examples: {found}, of which a test types {known}")


if __name__ == "__main__":
    main()
