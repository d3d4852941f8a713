# SPDX-License-Identifier: MIT
"""bulkhead console: who types and who watches, scripts, logs, and terminals that are left whole."""
import fcntl
import os
import struct
import termios

from bh import check, main, test


def echo(t, *options):
    t.bulkhead(*t.guest("echo", "--detach", *options)).expect(0)


def console(t, *options, on_terminal=True):
    return t.start(*t.command("console", t.name, *options), on_terminal=on_terminal)


def set_size(vm, rows, columns):
    fcntl.ioctl(vm.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


@test
def one_writer(t):
    """The first types; the next one watches and is told, or with --steal types instead, and the first is told."""
    echo(t)
    first = console(t)
    first.expect("ready")
    first.send("one")
    first.expect("ONE")
    second = console(t)
    second.expect("another client types at .*this one watches; --steal takes over")
    second.expect("ready\r?\n(.*)ONE")
    second.send("never")
    second.expect("only watched")
    third = console(t, "--steal")
    third.expect("ONE")
    first.expect("another client types now; this one only watches")
    third.send("two")
    for c in (first, second, third):
        c.expect("TWO")
    first.send("nothing")
    t.bulkhead("device", "restart", t.name, "serial").expect(0)
    third.send("three")
    for c in (first, second, third):
        c.expect("THREE")
    check("NEVER" not in third.talk.text and "NOTHING" not in third.talk.text, third.talk.text)
    # The writer leaves: the next who asks types.
    third.send("\x1d.")
    check(third.wait() == 0, third.code)
    fourth = console(t)
    fourth.send("four")
    fourth.expect("FOUR")
    t.bulkhead("kill", t.name).expect(0)


@test
def scripts_do_not_watch(t):
    """Without a terminal, who may not type has failed, and says so."""
    echo(t)
    writer = console(t)
    writer.expect("ready")
    t.bulkhead("console", t.name, input="x").expect(1, err="another client types at its console; --steal takes over, --read-only")
    t.bulkhead("console", t.name, "--send", "x", "--expect", "X").expect(1, err="another client types")
    t.bulkhead("console", t.name, "--steal", "--send", "x", "--expect", "X").expect(0)
    t.bulkhead("console", t.name, "--expect", "ready").expect(0)
    t.bulkhead("kill", t.name).expect(0)


@test
def plain_streams(t):
    """A socket that says nothing types, unless somebody has asked to; who asks does not get between a user's words."""
    echo(t)
    plain = t.console()
    plain.expect("ready")
    plain.send("a")
    plain.expect("A")
    t.bulkhead("console", t.name, "--send", "x").expect(1, err="another client types")
    thief = console(t, "--steal")
    thief.expect("A")
    plain.send("b")
    plain.expect("another client types here")
    thief.send("c")
    thief.expect("C")
    thief.send("\x1d.")
    check(thief.wait() == 0, thief.code)
    plain.send("d")
    plain.expect("CD")
    t.bulkhead("kill", t.name).expect(0)


@test
def ninth(t):
    """Many watch, one types; the ninth gets an error, and disturbs nobody."""
    echo(t)
    watchers = [console(t, "--read-only", on_terminal=False) for _ in range(7)]
    for w in watchers:
        w.expect("ready")
    writer = console(t)
    writer.expect("ready")
    for option in ([], ["--read-only"], ["--steal"]):
        t.bulkhead("console", t.name, *option).expect(1, err="all 8 places at its console are in use")
    t.console().expect("too many console clients")
    writer.send("all")
    for c in (*watchers, writer):
        c.expect("ALL")
    watchers[0].kill()
    t.bulkhead("console", t.name, "--expect", "ALL").expect(0)
    writer.send("q")
    for c in (*watchers[1:], writer):
        check(c.wait() == 0, c.code)
    t.expect_clean()


@test
def steps(t):
    """--send and --expect in their order, each with its own time; what came before a text was sent does not answer it."""
    echo(t)
    r = t.bulkhead("console", t.name, "--expect", "^ready$", "--send", "a\\x62c", "--expect", "A(B)C", "--send", "d", "--expect", "D")
    r.expect(0, out="ready\nABCD")
    r = t.bulkhead("console", t.name, "--send", "x", "--expect", "ready", "--timeout", "300ms").expect(36, err="--expect ready: not within 0.300 s")
    t.bulkhead("console", t.name, "--send", "q", "--expect", "never").expect(1, err="closed the console")
    for words, why in ((["--expect", "("], "--expect"), (["--send", "\\"], "backslash"), (["--read-only", "--send", "x"], "exclude"),
                       (["--steal", "--read-only"], "exclude"), (["--port", "5"], "from 1"), (["--timeout", "x"], "not a time")):
        check(why in t.bulkhead("console", t.name, *words).expect(2).err, words)


@test
def end_of_input(t):
    """What was typed is answered; then the end of standard input ends it. Who only watches stays."""
    echo(t)
    t.bulkhead("console", t.name, "--expect", "ready").expect(0)
    r = t.bulkhead("console", t.name, input="typed").expect(0, out="TYPED")
    watcher = console(t, "--read-only", on_terminal=False)
    watcher.close_input()
    watcher.expect("TYPED")
    t.bulkhead("console", t.name, input="again").expect(0, out="TYPEDAGAIN")
    watcher.expect("AGAIN")
    check(watcher.poll() is None, "it watches on")
    t.bulkhead("kill", t.name).expect(0)


@test
def log(t):
    """What is printed goes to a file, too, and to others when that is full; history only if it begins."""
    echo(t)
    path = t.dir + "/log"
    t.bulkhead("console", t.name, "--log", path, "--log-size", "16", "--log-count", "2", "--send", "abcdefghij", "--expect", "J").expect(0)
    t.bulkhead("console", t.name, "--log", path, "--log-size", "16", "--log-count", "2", "--send", "k" * 40, "--expect", "K{40}").expect(0)
    text = "".join(open(path + suffix, encoding="ascii").read() for suffix in (".2", ".1", ""))
    check(("ready\nABCDEFGHIJ" + "K" * 40).endswith(text) and len(text) > 32 and os.path.getsize(path + ".1") == 16, text)
    check(not os.path.exists(path + ".3"), os.listdir(t.dir))
    t.bulkhead("console", t.name, "--log", "/nowhere/log").expect(2, err="--log /nowhere/log: No such file")
    t.bulkhead("console", t.name, "--log", "/dev/full", "--send", "x", "--expect", "X").expect(40, err="--log /dev/full: No space")
    t.bulkhead("kill", t.name).expect(0)


@test
def terminal_is_left_whole(t):
    """Alternate screen, mouse, scroll region, hidden cursor: what the guest has switched on is off again."""
    echo(t)
    c = console(t)
    c.expect("ready")
    c.send("\x1b[?1049h\x1b[?1000h\x1b[5;10R\x1b[?25l")
    c.expect("25L")
    c.send("\x1d.")
    check(c.wait() == 0, c.code)
    text = c.talk.text
    # The guest's letters come back in upper case: these sequences are not those that it was sent.
    for sequence in ("\x1b[?1000l", "\x1b[?2004l", "\x1b[?25h", "\x1b[0m"):
        check(sequence in text, f"{sequence!r} in {text!r}")
    check("\x1b[?1049l" not in text, "nobody entered the alternate screen")
    t.bulkhead("kill", t.name).expect(0)


@test
def history_asks_nothing(t):
    """What a guest once asked its terminal is not asked again when somebody attaches; live it is."""
    t.bulkhead(*t.guest("ports", "--detach")).expect(0)  # digits and signs come back as they are
    first = console(t)
    first.expect("ready")
    first.send("before\x1b[>0q\x1bP$q\"p\x1b\\\x05after")
    first.expect("AFTER")
    check("\x05" in first.talk.text, f"live: {first.talk.text!r}")
    first.send("\x1d.")
    first.wait()
    second = console(t, "--read-only")
    second.expect("BEFORE.*AFTER")
    check("\x05" not in second.talk.text, f"history: {second.talk.text!r}")
    piped = t.bulkhead("console", t.name, "--expect", "AFTER").expect(0)
    check("\x05" in piped.out, f"no terminal, all bytes: {piped.out!r}")
    t.bulkhead("kill", t.name).expect(0)


@test
def resize(t):
    """The size is typed into the guest's shell, at once or when the user wants it."""
    t.bulkhead(*t.guest("ports", "--detach")).expect(0)
    c = t.start("/bin/sh", "-c", 'stty rows 31 cols 97; exec "$@"', "sh", *t.command("console", t.name, "--resize"), on_terminal=True)
    c.expect("STTY ROWS 31 COLS 97")
    set_size(c, 40, 120)
    c.send("\x1dr")
    c.expect("STTY ROWS 40 COLS 120")
    t.bulkhead("kill", t.name).expect(0)


if __name__ == "__main__":
    main()
