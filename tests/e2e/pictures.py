# SPDX-License-Identifier: MIT
"""PNG and GIF files as the tests read them: no more of the formats than Bulkhead writes, each part checked."""
import struct
import zlib

from bh import check

WIDTH, HEIGHT = 640, 480
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunks(data):
    check(data[:8] == SIGNATURE, "a PNG signature")
    at = 8
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8:at + 8 + length]
        crc, = struct.unpack_from(">I", data, at + 8 + length)
        check(crc == zlib.crc32(kind + body), f"CRC of {kind}")
        yield kind, body
        at += 12 + length


def rows(packed, count=HEIGHT, width=WIDTH):
    """Rows of RGB; filter type Up (PNG specification, 9.2)."""
    raw = zlib.decompressobj().decompress(packed, count * (1 + 3 * width))
    above, out = bytes(3 * width), []
    for y in range(count):
        row = raw[y * (1 + 3 * width):(y + 1) * (1 + 3 * width)]
        check(row[0] == 2, f"filter {row[0]}")
        above = bytes((a + b) & 255 for a, b in zip(row[1:], above))
        out.append(above)
    return out


def pixel(row, x):
    return int.from_bytes(row[3 * x:3 * x + 3], "big")


def sized(path):
    """Width, height and rows of a picture."""
    with open(path, "rb") as f:
        found = list(chunks(f.read()))
    check([k for k, _ in found] == [b"IHDR", b"IDAT", b"IEND"], [k for k, _ in found])
    width, height = struct.unpack_from(">II", found[0][1])
    check(found[0][1] == struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0), found[0][1])
    return width, height, rows(found[1][1], height, width)


def still(path):
    """Rows of a frame machine's picture."""
    width, height, found = sized(path)
    check((width, height) == (WIDTH, HEIGHT), (width, height))
    return found


def animation(path):
    """Packed frames of an APNG; sequence numbers and their count are as its specification wants them."""
    with open(path, "rb") as f:
        found = list(chunks(f.read()))
    frames, sequence = [], 0
    for kind, body in found:
        if kind in (b"fcTL", b"fdAT"):
            check(struct.unpack_from(">I", body)[0] == sequence, f"sequence number {sequence}")
            sequence += 1
        if kind in (b"IDAT", b"fdAT"):
            frames.append(body if kind == b"IDAT" else body[4:])
    check(found[1][0] == b"acTL" and struct.unpack(">II", found[1][1]) == (len(frames), 0), "acTL")
    check(found[-1][0] == b"IEND", "IEND")
    return frames


def frames(path):
    """How many an APNG of any size has."""
    return len(animation(path))


def number(packed):
    """What frame_show (tests/guest/frame) has put into its first pixel."""
    return pixel(rows(packed, 1)[0], 0)


def gif_frames(path):
    """How many images a GIF has, found block by block (GIF89a)."""
    with open(path, "rb") as f:
        data = f.read()
    check(data[:6] == b"GIF89a" and struct.unpack_from("<HH", data, 6) == (WIDTH, HEIGHT), data[:10])
    at, count = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0), 0
    while data[at] != 0x3b:
        if data[at] == 0x2c:
            count += 1
            at += 10 + (3 << (data[at + 9] & 7) + 1 if data[at + 9] & 0x80 else 0) + 1
        else:
            check(data[at] == 0x21, f"block {data[at]:x}")
            at += 2
        while data[at]:
            at += 1 + data[at]
        at += 1
    return count
