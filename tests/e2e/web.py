# SPDX-License-Identifier: MIT
"""The screen in a browser: bulkhead view --web, tried with requests by hand, and with Debian's Chromium, which clicks and draws."""
import base64
import json
import os
import re
import shutil
import signal
import socket
import struct
import urllib.request
import zlib

from bh import Skip, check, main, test, titles, wait_until
from vnc import COLOURS, PAPER, need_vncd, paint
import bh
import pictures

bh._tests.clear()  # those of vnc.py


def serve(t, *options):
    """bulkhead view --web: the process, the port of its page, its token, the port of VNC."""
    need_vncd()
    if not os.path.isdir("/usr/share/novnc"):
        raise Skip("novnc is not installed")
    p = t.start(*t.command("view", t.name, "--web", *options))
    p.expect("path=[0-9a-f]+")
    port, token, vnc, path = re.search(r"http://127.0.0.1:(\d+)/([0-9a-f]{32})/vnc.html\?.*&port=(\d+)&path=([0-9a-f]+)", p.talk.text).groups()
    check(path == token, "the same token")
    return p, int(port), token, int(vnc)


def ask(port, request):
    """The status of the answer, and its body."""
    with socket.create_connection(("127.0.0.1", port), 10) as s:
        s.sendall(request)
        data = b""
        while True:
            try:
                more = s.recv(65536)
            except (ConnectionError, TimeoutError):
                break
            data += more
            if not more:
                break
    return data.split(b"\r\n")[0].split(b" ")[1:2], data


def get(port, path):
    return ask(port, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())


def upgrade(port, path):
    """Does it speak RFB over a WebSocket (RFC 6455) there?"""
    request = (f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: binary\r\nOrigin: http://127.0.0.1\r\n\r\n")
    with socket.create_connection(("127.0.0.1", port), 10) as s:
        s.sendall(request.encode())
        data = b""
        try:
            while b"RFB 003.008\n" not in data:
                more = s.recv(4096)
                if not more:
                    return False
                data += more
        except ConnectionError:
            return False
    return b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in data  # RFC 6455, 1.3


@test
def requests(t):
    """Below the token there are noVNC's files, and elsewhere nothing; neither is there a screen without it."""
    vm = paint(t)
    p, port, token, vnc = serve(t)
    check(get(port, f"/{token}/vnc.html")[0] == [b"200"] and b"noVNC" in get(port, f"/{token}/vnc.html")[1], "the page")
    check(b"text/javascript" in get(port, f"/{token}/core/rfb.js")[1], "a module's type, which browsers insist on")
    wrong = token[:-1] + ("0" if token[-1] != "0" else "1")
    for path in ("/", "/vnc.html", f"/{wrong}/vnc.html", f"/{token}", f"/{token}/", f"/{token}/nothing", f"/{token}/core",
                 f"/{token}/../novnc/vnc.html", f"/{token}/%2e%2e/novnc/vnc.html", f"/{token}//etc/passwd", f"/{token}/%2fetc/passwd",
                 f"/{token}/vnc.html%00", f"/{token[:-1]}/vnc.html", "/" + "x" * 5000):
        check(get(port, path)[0] == [b"404"], (path, get(port, path)))
    for odd in (b"\0" * 100 + b"\r\n\r\n", b"POST /%s/vnc.html HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n" % token.encode(), os.urandom(3000) + b"\r\n\r\n",
                b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20000 + b"\r\n"):
        check(ask(port, odd)[0] != [b"200"], odd[:30])
    check(upgrade(vnc, "/" + token), "a WebSocket")
    for path in ("/", "/websockify", "/" + wrong, f"/{token}x", f"/{token[:-1]}"):
        check(not upgrade(vnc, path), path)
    with socket.create_connection(("127.0.0.1", vnc), 10) as s:  # a viewer that is no browser
        s.sendall(b"RFB 003.008\n")
        try:
            check(s.recv(100) == b"", "hung up on")
        except ConnectionError:
            pass
    check(not [title for _, title in titles() if token in title], "no secret among the arguments of a process")
    p.signal(signal.SIGINT)
    check(p.wait() == 0, p.code)
    wait_until(lambda: not is_open(vnc), "the server of VNC is gone, too")
    p, port, _, _ = serve(t, "--port", str(port))
    t.bulkhead("input", t.name, "key", "esc").expect(0)
    check(vm.wait() == 0 and p.wait() == 0, (vm.code, p.code))
    t.expect_clean()


def is_open(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


# ---- Chromium

def png(data):
    """Rows of RGB of any PNG with 8 bits a channel (PNG specification, 9.2)."""
    found = list(pictures.chunks(data))
    width, height, depth, colour = struct.unpack(">IIBB", found[0][1][:10])
    check(depth == 8 and colour in (2, 6), (depth, colour))
    n = 3 if colour == 2 else 4
    raw = zlib.decompress(b"".join(body for kind, body in found if kind == b"IDAT"))
    above, rows = bytearray(n * width), []
    for y in range(height):
        kind, row = raw[y * (1 + n * width)], bytearray(raw[y * (1 + n * width) + 1:(y + 1) * (1 + n * width)])
        for i in range(n * width if kind else 0):
            a, b, c = (row[i - n] if i >= n else 0), above[i], (above[i - n] if i >= n else 0)
            p = a + b - c
            paeth = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            row[i] = row[i] + (0, a, b, (a + b) // 2, paeth)[kind] & 255
        above = row
        rows.append(bytes(v for i, v in enumerate(row) if i % n < 3))
    return rows


class Browser:
    """Chromium by its driver (W3C WebDriver)."""

    def __init__(self, t):
        for name in ("chromium", "chromedriver"):
            if not shutil.which(name):
                raise Skip(f"{name} is not installed")
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.driver = t.start("chromedriver", f"--port={self.port}")
        wait_until(lambda: is_open(self.port), "chromedriver listens", 30)
        options = {"args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=900,700",
                            "--force-color-profile=srgb", f"--user-data-dir={t.dir}/chromium"]}
        self.session = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}})["sessionId"]

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def do(self, method, path, body=None):
        return self.call(method, f"/session/{self.session}{path}", body)

    def script(self, text):
        return self.do("POST", "/execute/sync", {"script": text, "args": []})

    def act(self, kind, actions):
        self.do("POST", "/actions", {"actions": [{"type": kind, "id": kind, "actions": actions}]})

    def close(self):
        self.do("DELETE", "")
        self.driver.kill()


@test(limit=150)
def chromium(t):
    """noVNC in a browser: a key, a stroke of the mouse, and the browser's own picture of it."""
    vm = paint(t)
    p, _, _, _ = serve(t)
    browser = Browser(t)
    browser.do("POST", "/url", {"url": re.search(r"http://\S+", p.talk.text)[0]})
    wait_until(lambda: browser.script("return document.documentElement.classList.contains('noVNC_connected')"), "noVNC is connected", 40)
    box = browser.script("const r = document.querySelector('canvas').getBoundingClientRect(); return [r.left, r.top, r.width, r.height]")
    left, top, width, height = box
    place = lambda x, y: {"x": int(left + x * width / 640), "y": int(top + y * height / 480), "duration": 100}
    browser.act("key", [{"type": "keyDown", "value": "a"}, {"type": "keyUp", "value": "a"}])
    browser.act("pointer", [{"type": "pointerMove", **place(100, 100)}, {"type": "pointerDown", "button": 0}, {"type": "pointerMove", **place(300, 200)},
                            {"type": "pointerUp", "button": 0}])
    wanted = COLOURS[30 % 8]

    def drawn():
        t.bulkhead("screenshot", t.name, t.dir + "/now.png").expect(0)
        return pictures.pixel(pictures.still(t.dir + "/now.png")[200], 300) == wanted

    wait_until(drawn, "the guest has drawn a line to where the mouse is")
    guest = pictures.still(t.dir + "/now.png")

    def shown():
        rows = png(base64.b64decode(browser.do("GET", "/screenshot")))
        seen = [[pictures.pixel(rows[int(top + (y + 0.5) * height / 480)], int(left + (x + 0.5) * width / 640)) for x in range(100, 301, 20)]
                for y in range(100, 201, 20)]
        wanted_here = [[pictures.pixel(guest[y], x) for x in range(100, 301, 20)] for y in range(100, 201, 20)]
        same = sum(a == b for s, w in zip(seen, wanted_here) for a, b in zip(s, w))
        # It is scaled: an edge of the line may be blurred, its middle and the paper are not.
        return same >= 60 and seen[-1][-1] == wanted and seen[-1][0] == PAPER

    wait_until(shown, "the browser shows what the guest has drawn", 20)
    with open(t.dir + "/browser.png", "wb") as f:
        f.write(base64.b64decode(browser.do("GET", "/screenshot")))
    if "KEEP" in os.environ:
        shutil.copy(t.dir + "/browser.png", os.environ["KEEP"])
    browser.act("key", [{"type": "keyDown", "value": "\ue00c"}, {"type": "keyUp", "value": "\ue00c"}])  # Escape
    check(vm.wait() == 0 and p.wait() == 0, (vm.code, p.code))
    browser.close()


if __name__ == "__main__":
    main()
