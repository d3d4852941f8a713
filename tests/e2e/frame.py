# SPDX-License-Identifier: MIT
"""The frame machine (--platform frame), on the engine that --engine names."""
import os
import re
import shutil
import subprocess

import pictures
from bh import BUILD, SOURCE, Skip, check, main, test, wait_until


def kernel(name):
    return f"{BUILD}/tests/guest/{name}.elf"


def frame(t, image, *options):
    return t.machine("--platform", "frame", "--kernel", kernel(image), *options)


def checksum(data):
    value = 0
    for byte in data:
        value = (value * 31 + byte) & 0xffffffff
    return value


@test
def entry(t):
    """What the guest is entered with, and 42 as the exit code itself."""
    t.bulkhead(*frame(t, "frame_entry")).expect(42, out=r"rsp 1efff8\n(?s:.*)program bytes 0\n")
    t.expect_clean()


@test
def program(t):
    """--program: its length at 32 MiB, its bytes 16 further on."""
    path = t.dir + "/program"
    data = os.urandom(70001)
    with open(path, "wb") as f:
        f.write(data)
    t.bulkhead(*frame(t, "frame_entry", "--program", path)).expect(
        42, out=rf"program bytes {len(data):x}\nprogram sum {checksum(data):x}\n")


@test
def refused(t):
    """What such a machine has not, and what cannot be its kernel or program."""
    t.bulkhead(*t.machine("--kernel", kernel("frame_entry"), "--program", "/bin/true")).expect(2, err="--program goes with")
    for options in (["--initrd", "/bin/true"], ["--cmdline", "x"], ["--exec", "true"]):
        t.bulkhead(*frame(t, "frame_entry", *options)).expect(2, err="takes a --program")
    t.bulkhead(*frame(t, "frame_entry", "--memory", "32M")).expect(2, err="has 64M")
    t.bulkhead(*frame(t, "frame_entry", "--cpus", "2")).expect(2, err="has one processor")
    t.bulkhead(*frame(t, "frame_entry", "--format", "flat64")).expect(2, err="leave out --format")
    t.bulkhead(*frame(t, "frame_entry", "--program", "/nowhere")).expect(2, err="--program /nowhere: No such file")
    t.bulkhead(*t.machine("--platform", "frame", "--kernel", SOURCE + "/README.md")).expect(2, err="not an ELF file")
    t.bulkhead(*t.machine("--platform", "frame", "--kernel", "/bin/true")).expect(2)
    big = t.dir + "/big"
    with open(big, "wb") as f:
        f.truncate(33 << 20)
    t.bulkhead(*frame(t, "frame_entry", "--program", big)).expect(2, err="do not fit")
    t.expect_clean()


def show(t):
    """A guest that shows frames, and prints events."""
    vm = t.start(*t.command(*frame(t, "frame_show")))
    vm.expect("ready")
    return vm


def square(n):
    return n * 4 % (pictures.WIDTH - 32)


def expect_square(rows, n):
    """What frame_show draws: its number, and a square of 32 by 32."""
    x = square(n)
    inside = [pictures.pixel(rows[y], c) for y in (224, 255) for c in (x, x + 31)]
    outside = [pictures.pixel(rows[y], x) for y in (223, 256)] + [pictures.pixel(rows[240], x + 32)]
    check(all(p == 0xff8000 for p in inside) and not any(p == 0xff8000 for p in outside), f"frame {n}: {inside} {outside}")


@test
def screenshot(t):
    """A picture is one frame, whole: its number says where its square is."""
    vm = show(t)
    seen = []
    for i in range(4):
        path = f"{t.dir}/{i}.png"
        wait_until(lambda: t.bulkhead("screenshot", t.name, path).code == 0, "a first frame")
        rows = pictures.still(path)
        seen.append(pictures.pixel(rows[0], 0))
        expect_square(rows, seen[-1])
    check(sorted(set(seen)) == seen, f"later pictures are of later frames: {seen}")
    data = t.call(["sh", "-c", f"{t.command()[0]} screenshot {t.name} - | wc -c"]).out
    check(int(data) > 1000, data)
    t.bulkhead("input", t.name, "key", "q").expect(0)
    check(vm.wait() == 7, vm.code)
    t.expect_clean()


KEY, REL, ABS, LEFT, SHIFT = 1, 2, 3, 0x110, 42


@test
def keyboard_and_mouse(t):
    """Codes of linux/input-event-codes.h, in the order in which they were typed."""
    vm = show(t)
    script = t.dir + "/script"
    with open(script, "w") as f:
        f.write('# a script\n\nmouse 639 479\nframes 2\npress left\nwait 10ms\nrelease left # up\ntext "b \'c"\nwheel -2\n')
    for words in (["key", "a"], ["key", "shift+ctrl+f1"], ["text", "A;"], ["mouse", "10", "20"], ["click"], ["click", "right"],
                  ["wheel", "3"], ["press", "up"], ["release", "up"], ["key", "shift+plus"], ["script", script]):
        t.bulkhead("input", t.name, *words).expect(0)
    t.bulkhead("input", t.name, "key", "q").expect(0)
    check(vm.wait() == 7, vm.code)
    events = [tuple(map(int, e)) for e in re.findall(r"event (\d+) (\d+) (\d+)", vm.talk.text)]
    tap = lambda *codes: [(KEY, c, 1) for c in codes] + [(KEY, c, 0) for c in reversed(codes)]
    wanted = (tap(30) + tap(SHIFT, 29, 59) + tap(SHIFT, 30) + tap(39) + [(ABS, 0, 10), (ABS, 1, 20)] + tap(LEFT) + tap(0x111) +
              [(REL, 8, 3)] + [(KEY, 103, 1), (KEY, 103, 0)] + tap(SHIFT, 13) + [(ABS, 0, 639), (ABS, 1, 479)] + tap(LEFT) + tap(48) +
              tap(57) + tap(40) + tap(46) + [(REL, 8, 2 ** 32 - 2)] + tap(16))
    check(events == wanted, f"{events}\nwanted {wanted}")


@test
def film(t):
    """Each frame, one after the other, none missing; and the guest goes on when nobody records any more."""
    vm = show(t)
    path = t.dir + "/film.png"
    t.bulkhead("record", t.name, path, "--frames", "25").expect(0, out="25 frames")
    frames = pictures.animation(path)
    numbers = [pictures.number(f) for f in frames]
    check(len(numbers) == 25 and numbers == list(range(numbers[0], numbers[0] + 25)), numbers)
    expect_square(pictures.rows(frames[24]), numbers[24])
    t.bulkhead("record", t.name, t.dir + "/film.gif", "--frames", "5", "--rate", "20").expect(0)
    check(pictures.gif_frames(t.dir + "/film.gif") == 5, "images in the GIF")
    t.call(t.command("record", t.name, t.dir + "/film.webm", "--frames", "3"), env={**t.env, "PATH": "/nowhere"}).expect(1, err="ffmpeg, which is not there")
    t.bulkhead("input", t.name, "key", "q").expect(0)
    check(vm.wait() == 7, vm.code)
    t.expect_clean()


@test
def video(t):
    """A video has each frame: VP9 in a WebM file, which ffmpeg makes; its squares are where the frames' numbers say."""
    if not shutil.which("ffmpeg"):
        raise Skip("ffmpeg is not installed")
    vm = show(t)
    path = t.dir + "/film.webm"
    t.bulkhead("record", t.name, path, "--frames", "12", "--rate", "30").expect(0, out="12 frames")
    about = t.call(["ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=codec_name,width,height,nb_read_frames,r_frame_rate",
                    "-of", "default=noprint_wrappers=1", path]).expect(0).out.split()
    check(set(about) == {"codec_name=vp9", "width=640", "height=480", "r_frame_rate=30/1", "nb_read_frames=12"}, about)
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], stdout=subprocess.PIPE, check=True,
                         timeout=30).stdout
    size = 3 * pictures.WIDTH * pictures.HEIGHT
    check(len(raw) == 12 * size, len(raw))
    # The square is orange, what is around it is not; it goes four columns to the right in each frame.
    reds = [[raw[i * size + 3 * (240 * pictures.WIDTH + x)] > 128 for x in range(pictures.WIDTH)] for i in range(12)]
    places = [row.index(True) for row in reds if True in row]
    steps = [b - a for a, b in zip(places, places[1:])]
    check(len(places) == 12 and sum(2 <= s <= 6 for s in steps) >= 10, places)
    t.bulkhead("input", t.name, "key", "q").expect(0)
    check(vm.wait() == 7, vm.code)


def recorder(t, path):
    """Records until the machine ends."""
    r = t.start(*t.command("record", t.name, path))
    wait_until(lambda: os.path.exists(path) and os.path.getsize(path), "it records")
    return r


@test
def film_to_the_end(t):
    """The machine's last frame is the film's. Whoever is turned away keeps the film that they had."""
    vm = show(t)
    path, old = t.dir + "/film.png", t.dir + "/old.gif"
    r = recorder(t, path)
    with open(old, "w") as f:
        f.write("of yesterday")
    t.bulkhead("record", t.name, old).expect(1, err="turns us away")
    with open(old) as f:
        check(f.read() == "of yesterday", "the file is as it was")
    t.bulkhead("input", t.name, "script", "-", input="frames 10\nkey q\n").expect(0)
    check(vm.wait() == 7 and r.wait() == 0, f"{vm.code} {r.code}")
    numbers = [pictures.number(f) for f in pictures.animation(path)]
    check(len(numbers) >= 10 and numbers == list(range(numbers[0], numbers[-1] + 1)), numbers)


@test
def reset(t):
    """The guest starts again with an empty framebuffer and mailbox, which it checks; who watches goes on."""
    vm = show(t)
    r = recorder(t, t.dir + "/film.png")
    t.bulkhead("input", t.name, "script", "-", input="frames 10\nkey r\n").expect(0)
    vm.expect("ready", 20)
    t.bulkhead("input", t.name, "script", "-", input="frames 10\nkey q\n").expect(0)
    check(vm.wait() == 7 and r.wait() == 0, f"{vm.code} {r.code}")
    numbers = [pictures.number(f) for f in pictures.animation(t.dir + "/film.png")]
    again = numbers.index(1)
    check(again >= 10 and numbers[:again] == list(range(numbers[0], numbers[0] + again)), numbers)
    check(numbers[again:] == list(range(1, len(numbers) - again + 1)) and numbers[-1] >= 10, numbers)


@test
def screen_words(t):
    """What is wrong is told with its word, and the guest does not hear of it."""
    t.bulkhead("screenshot", t.name, "x.png").expect(30)
    vm = show(t)
    for words, err in ((["key", "nokey"], "no such key"), (["key", "a+b+c+d+e+f+1+2+3"], "too many keys"), (["key"], "takes one word"),
                       (["mouse", "32768", "0"], "no column"), (["mouse", "0", "32768"], "no row"), (["mouse", "1"], "takes two numbers"),
                       (["wheel", "x"], "no number"), (["text", "\u00e4"], "US layout"), (["click", "a"], "no button"),
                       (["jump", "a"], "none of key"), (["script", "/nowhere"], "No such file")):
        t.bulkhead("input", t.name, *words).expect(2, err=err)
    t.bulkhead("input", t.name, "script", "-", input='key a\ntext "b\n').expect(2, err="-:2: .*quote")
    t.bulkhead("record", t.name, t.dir + "/film.avi").expect(2, err="ends with .png, .gif or .webm")
    t.bulkhead("record", t.name, "/nowhere/film.gif").expect(2, err="No such file")
    t.bulkhead("screenshot", t.name, "/nowhere/x.png").expect(1, err="No such file")
    t.bulkhead("record", t.name, "/dev/full", "--frames", "1").expect(2)
    t.bulkhead("input", t.name, "key", "q").expect(0)
    vm.wait()
    pc = t.start(*t.command(*t.guest("echo", name=t.name)))
    pc.expect("ready")
    t.bulkhead("screenshot", t.name, t.dir + "/x.png").expect(1, err="has no screen")
    pc.send("q")
    pc.wait()


if __name__ == "__main__":
    main()
