# SPDX-License-Identifier: MIT
"""A viewer of VNC, as much of RFC 6143 as the tests need: raw rectangles, keys, pointer, cut text and a password."""
import socket
import struct
import subprocess

from bh import check

RAW, DESKTOP_SIZE = 0, -223


def dial(place, seconds=10):
    s = socket.socket(socket.AF_UNIX if isinstance(place, str) else socket.AF_INET)
    s.settimeout(seconds)
    s.connect(place)
    return s


class Viewer:
    def __init__(self, place, password=None, sock=None):
        self.s = sock or dial(place)
        self.buttons = 0
        check(self.read(12) == b"RFB 003.008\n", "7.1.1")
        self.s.sendall(b"RFB 003.008\n")
        kinds = self.read(self.read(1)[0])
        wanted = 1 if password is None else 2
        check(wanted in kinds, f"security types {list(kinds)}")
        self.s.sendall(bytes([wanted]))
        if password is not None:
            self.s.sendall(answer(password, self.read(16)))
        self.accepted = struct.unpack(">I", self.read(4))[0] == 0
        if self.accepted:
            self.begin()

    def begin(self):
        self.s.sendall(b"\1")
        self.width, self.height = struct.unpack(">HH", self.read(4))
        self.format = self.read(16)
        self.name = self.read(struct.unpack(">I", self.read(4))[0]).decode()
        self.rows = [bytearray(3 * self.width) for _ in range(self.height)]
        # 32 bits, 24 used, little-endian, true colour: 0RGB
        self.s.sendall(struct.pack(">B3xBBBBHHHBBB3x", 0, 32, 24, 0, 1, 255, 255, 255, 16, 8, 0))
        self.s.sendall(struct.pack(">BxHii", 2, 2, RAW, DESKTOP_SIZE))

    def read(self, n):
        data = b""
        while len(data) < n:
            more = self.s.recv(n - len(data))
            if not more:
                raise ConnectionResetError
            data += more
        return data

    def ask(self, incremental=True):
        self.s.sendall(struct.pack(">BBHHHH", 3, incremental, 0, 0, self.width, self.height))

    def take_rectangle(self):
        """True if it shows something."""
        x, y, w, h, kind = struct.unpack(">HHHHi", self.read(12))
        if kind == DESKTOP_SIZE:
            self.width, self.height = w, h
            self.rows = [bytearray(3 * w) for _ in range(h)]
            return False
        check(kind == RAW and x + w <= self.width and y + h <= self.height, (x, y, w, h, kind))
        data = self.read(4 * w * h)
        rgb = bytearray(3 * w * h)
        rgb[0::3], rgb[1::3], rgb[2::3] = data[2::4], data[1::4], data[0::4]
        for i in range(h):
            self.rows[y + i][3 * x:3 * (x + w)] = rgb[3 * w * i:3 * w * (i + 1)]
        return True

    def update(self, incremental=True):
        """Waits for one update. That the size has changed is said in one of its own, after which comes what was asked for."""
        self.ask(incremental)
        while True:
            kind = self.read(1)[0]
            if kind == 0:
                _, count = struct.unpack(">BH", self.read(3))
                if any([self.take_rectangle() for _ in range(count)]):
                    return
                continue
            check(kind == 2, f"message {kind}")  # a bell; nobody here cuts text

    def pixel(self, x, y):
        return int.from_bytes(self.rows[y][3 * x:3 * x + 3], "big")

    def wait_for_pixel(self, x, y, colour):
        for _ in range(300):
            self.update()
            if self.pixel(x, y) == colour:
                return
        check(False, f"{x},{y} is {self.pixel(x, y):06x}, wanted {colour:06x}")

    def key(self, keysym, down=None):
        for state in (True, False) if down is None else (down,):
            self.s.sendall(struct.pack(">BBxxI", 4, state, keysym))

    def pointer(self, x, y, buttons=None):
        self.buttons = self.buttons if buttons is None else buttons
        self.s.sendall(struct.pack(">BBHH", 5, self.buttons, x, y))

    def cut(self, text):
        self.s.sendall(struct.pack(">BxxxI", 6, len(text)) + text.encode("latin-1"))

    def close(self):
        self.s.close()


def answer(password, challenge):
    """DES of the challenge (7.2.2); as is not written there, each byte of the key has its bits the other way round."""
    key = bytes(int(f"{byte:08b}"[::-1], 2) for byte in password.encode().ljust(8, b"\0")[:8])
    return subprocess.run(["openssl", "enc", "-des-ecb", "-K", key.hex(), "-nopad", "-provider", "legacy", "-provider", "default"],
                          input=challenge, stdout=subprocess.PIPE, check=True, timeout=20).stdout
