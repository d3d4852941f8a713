# SPDX-License-Identifier: MIT
"""The screen in a window: bulkhead view, by SDL2, on an X server without a monitor (Xvfb), with keys and a mouse by xdotool."""
import os
import shutil
import signal
import struct
import subprocess

import pictures
import bh
from bh import BUILD, Skip, check, main, test, wait_until
from vnc import COLOURS, PAPER, events, paint, show

bh._tests.clear()  # those of the modules that we borrow from

PROGRAM = BUILD + "/vmm/view/bulkhead-view"
KEY, REL, ABS, LEFT, CTRL, ALT = 1, 2, 3, 0x110, 29, 56


def need(*programs):
    if not os.path.exists(PROGRAM):
        raise Skip("bulkhead-view is not built: libsdl2-dev is not installed")
    for name in programs:
        if not shutil.which(name):
            raise Skip(f"{name} is not installed")


class Desktop:
    """An X server of 800 by 600, whose picture lies in a file (XWDFile.h of X11)."""

    def __init__(self, t):
        need("Xvfb", "xdotool")
        r, w = os.pipe()
        os.set_inheritable(w, True)
        self.server = subprocess.Popen(["Xvfb", "-displayfd", str(w), "-fbdir", t.dir, "-screen", "0", "800x600x24", "-nolisten", "tcp"],
                                       pass_fds=[w], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(w)
        with os.fdopen(r) as f:
            self.env = {**t.env, "DISPLAY": ":" + f.readline().strip()}
        self.path = t.dir + "/Xvfb_screen0"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.terminate()
        self.server.wait(20)

    def do(self, *words):
        return subprocess.run(["xdotool", *map(str, words)], env=self.env, check=True, timeout=20, stdout=subprocess.PIPE, text=True).stdout

    def window(self, t, dark=False):
        """Where its picture begins, when it is there and has the keyboard. dark: there is nothing to be seen."""
        wait_until(lambda: subprocess.run(["xdotool", "search", "--name", f"^{t.name}"], env=self.env, stdout=subprocess.PIPE, check=False).stdout, "a window")
        self.id = self.do("search", "--name", f"^{t.name}").split()[0]
        # Without a window manager it is mapped, placed and moved as it comes.
        wait_until(lambda: self.place() == (50, 40) or self.do("windowmove", self.id, 50, 40), "it is where it was moved to")
        self.do("windowfocus", self.id)
        x, y = self.place()
        wait_until(lambda: dark or any(any(row) for row in self.picture(x, y)), "a first picture: without one the mouse has no place")
        return x, y

    def place(self):
        words = dict(line.split("=") for line in self.do("getwindowgeometry", "--shell", self.id).split())
        self.size = int(words["WIDTH"]), int(words["HEIGHT"])
        return int(words["X"]), int(words["Y"])

    def rows(self):
        """RGB."""
        with open(self.path, "rb") as f:
            data = f.read()
        head = struct.unpack_from(">25I", data)
        width, height, line = head[4], head[5], head[12]
        at = head[0] + 12 * head[19]
        out = []
        for y in range(height):
            row = data[at + y * line:at + y * line + 4 * width]
            rgb = bytearray(3 * width)
            rgb[0::3], rgb[1::3], rgb[2::3] = row[2::4], row[1::4], row[0::4]
            out.append(bytes(rgb))
        return out

    def picture(self, x, y, width=640, height=480):
        return [row[3 * x:3 * (x + width)] for row in self.rows()[y:y + height]]


def view(t, desktop, *options):
    return t.start(*t.command("view", t.name, *options), env=desktop.env)


@test
def picture_key_and_click(t):
    """The window shows what a screenshot shows, to the bit; a key and a stroke of the mouse arrive."""
    with Desktop(t) as d:
        vm = paint(t)
        v = view(t, d)
        x, y = d.window(t)
        d.do("key", "a")  # KEY_A is 30
        d.do("mousemove", x + 100, y + 100, "mousemove", x + 300, y + 200, "click", 1)
        wait_until(lambda: pictures.pixel(d.picture(x, y)[200], 300) == COLOURS[30 % 8], "a line to where the mouse is")
        t.bulkhead("screenshot", t.name, t.dir + "/now.png").expect(0)
        wait_until(lambda: d.picture(x, y) == pictures.still(t.dir + "/now.png"), "the same picture")
        # Twice as small: its corners are those of the picture, and the mouse is where it seems to be.
        d.do("windowsize", "--sync", d.id, 320, 240, "key", "b")
        wait_until(lambda: pictures.pixel(d.picture(x, y)[100], 150) == COLOURS[30 % 8] and pictures.pixel(d.picture(x, y)[10], 300) == PAPER, "scaled")
        d.do("mousemove", x + 280, y + 220)
        wait_until(lambda: pictures.pixel(d.picture(x, y)[220], 280) == COLOURS[48 % 8], "560, 440")
        d.do("key", "Escape")
        check(vm.wait() == 0 and v.wait() == 0, (vm.code, v.code, v.stderr()))
    t.expect_clean()


@test
def pc(t):
    """A PC's keyboard and mouse are another process's than its screen."""
    with Desktop(t) as d:
        vm = t.start(*t.command(*t.guest("ps2", "--display", "vga", "--ps2")))
        vm.expect("ready")
        v = view(t, d)
        d.window(t, dark=True)
        wait_until(lambda: d.do("key", "a") or vm.talk.pump(0.3) or "key 9e" in vm.talk.text, "a key")
        d.do("click", 1)
        wait_until(lambda: vm.talk.pump(0.05) or "mouse 0 0 0 1" in vm.talk.text, "a button")
        d.do("key", "q")
        check(vm.wait() == 7 and v.wait() == 0, (vm.code, v.code, v.stderr()))


@test
def keys_and_mouse(t):
    """Codes by the place of a key; buttons and the wheel; what is ours, with Ctrl and Alt; nothing stays down."""
    with Desktop(t) as d:
        vm = show(t)
        v = view(t, d)
        d.window(t)

        def move():
            x, y = d.place()
            d.do("mousemove", x + 4, y + 4, "mousemove", x + 5, y + 6)

        wait_until(lambda: move() or vm.talk.pump(0.3) or events(vm)[-1:] == [(ABS, 1, 6)],
                   "it has the mouse, where that is")
        d.do("key", "F1", "key", "z", "key", "Left", "key", "Return")
        d.do("click", 3, "click", 4, "click", 5)
        d.do("keydown", "Control_L", "keydown", "Alt_L", "key", "g", "keyup", "Alt_L", "keyup", "Control_L")  # grab
        d.do("mousemove_relative", 7, 0)
        tap = lambda c: [(KEY, c, 1), (KEY, c, 0)]
        wanted = (tap(59) + tap(44) + tap(105) + tap(28) + tap(0x111) + [(REL, 8, 1), (REL, 8, 2 ** 32 - 1)] +
                  [(KEY, CTRL, 1), (KEY, ALT, 1), (KEY, CTRL, 0), (KEY, ALT, 0)])
        wait_until(lambda: vm.talk.pump(0.05) or any(e[:2] == (REL, 0) for e in events(vm)), "it moves, and has no place")
        found = [e for e in events(vm) if e[0] != ABS]
        check(found[:len(wanted)] == wanted, [(i, f, w) for i, (f, w) in enumerate(zip(found, wanted)) if f != w][:3])
        check(events(vm)[-1][0] != ABS, "grabbed, it has no place")
        d.do("keydown", "k")
        wait_until(lambda: vm.talk.pump(0.05) or (KEY, 37, 1) in events(vm), "k is down")
        v.signal(signal.SIGTERM)
        check(v.wait() == 0, v.stderr())
        wait_until(lambda: vm.talk.pump(0.05) or (KEY, 37, 0) in events(vm), "k is up")
        t.bulkhead("input", t.name, "key", "q").expect(0)
        check(vm.wait() == 7, vm.code)


@test
def full_screen_paste_and_death(t):
    """The whole of the screen, black beside the picture; text of the clipboard is typed; the display's daemon may die."""
    with Desktop(t) as d:
        need("xclip", "openbox")
        manager = subprocess.Popen(["openbox"], env=d.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # One that is there before the manager is never asked to be as large.
        wait_until(lambda: subprocess.run(["xdotool", "get_num_desktops"], env=d.env, check=False, stdout=subprocess.DEVNULL,
                                          stderr=subprocess.DEVNULL).returncode == 0, "a window manager")
        vm = show(t, "--device-failure-limit", "0")
        v = view(t, d, "--full-screen")
        wait_until(lambda: subprocess.run(["xdotool", "search", "--name", f"^{t.name}"], env=d.env, stdout=subprocess.PIPE, check=False).stdout, "a window")

        def covers():
            d.id = d.do("search", "--name", f"^{t.name}").split()[0]
            return d.place() == (0, 0) and d.size == (800, 600)

        wait_until(covers, "it covers the screen", 20)
        d.do("windowfocus", d.id)
        subprocess.run(["xclip", "-selection", "clipboard"], input=b"Hi!", env=d.env, check=True, timeout=20)
        d.do("keydown", "Control_L", "keydown", "Alt_L", "key", "v", "keyup", "Alt_L", "keyup", "Control_L")
        shifted = lambda c: [(KEY, 42, 1), (KEY, c, 1), (KEY, c, 0), (KEY, 42, 0)]
        typed = shifted(35) + [(KEY, 23, 1), (KEY, 23, 0)] + shifted(2)
        wait_until(lambda: vm.talk.pump(0.05) or str(typed)[1:-1] in str(events(vm)), "it was typed")
        os.kill(t.processes()["displayd"], signal.SIGKILL)
        before = d.rows()
        wait_until(lambda: d.rows() != before, "frames go on")
        d.do("key", "x")
        wait_until(lambda: vm.talk.pump(0.05) or (KEY, 45, 0) in events(vm), "keys, too")
        d.do("key", "q")
        check(vm.wait() == 7 and v.wait() == 0, (vm.code, v.code, v.stderr()))
        manager.terminate()
        manager.wait(20)


@test
def no_display_server(t):
    need()
    vm = show(t)
    env = {k: v for k, v in t.env.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    t.call(t.command("view", t.name), env=env).expect(1, err="no window can be opened: .*no display server(?s:.*)--web shows it in a browser")
    t.call(t.command("view", t.name), env={**env, "DISPLAY": ":9999"}).expect(1, err="no window can be opened")
    t.call(t.command("view", t.name + "x"), env=env).expect(30, err="no machine named")
    t.bulkhead("input", t.name, "key", "q").expect(0)
    check(vm.wait() == 7, vm.code)


if __name__ == "__main__":
    main()
