"""Who holds connections to waste a server: idle, byte by byte, without end, or with garbage."""

import random
import selectors
import socket
import time

HEAD = b"INVITE sip:0312001201@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.66;branch=z9hG4bK1\r\n"
GET = b"GET /api/v1/system HTTP/1.1\r\nHost: tensou.example.jp\r\nAccept: application/json\r\n"
# The beginning of a TLS record that announces 512 bytes of ClientHello.
HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


class Besieger:
    """A connection: what it says at once, and what it says on byte by byte."""

    def __init__(self, kind, source, target, at_once=b"", then=b""):
        self.kind = kind
        self.then = then
        self.ended = None
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.bind((source, 0))
        self.socket.settimeout(5)
        self.socket.connect(target)
        self.began = time.monotonic()
        self.say(at_once)
        self.socket.setblocking(False)

    def say(self, words):
        try:
            if words:
                self.socket.sendall(words)
        except OSError:
            self.end()

    def trickle(self):
        if self.then and self.ended is None:
            self.say(self.then[:1])
            # There is always more.
            self.then = self.then[1:] or b"X-More: and more\r\n"

    def end(self):
        self.ended = self.ended or time.monotonic()

    def lasted(self):
        return (self.ended or time.monotonic()) - self.began


class Siege:
    """All of them, and who has been shown the door."""

    def __init__(self):
        self.all = []
        self.selector = selectors.DefaultSelector()

    def add(self, *what, **how):
        try:
            one = Besieger(*what, **how)
        except OSError:
            # Not even connected: the place before the door is full.
            return
        self.all.append(one)
        self.selector.register(one.socket, selectors.EVENT_READ, one)

    def look(self):
        """Trickles on, and notes whose connections have been ended."""
        for one in self.all:
            one.trickle()
        for key, _ in self.selector.select(0):
            try:
                gone = not key.fileobj.recv(65536)
            except BlockingIOError:
                continue
            except OSError:
                gone = True
            if gone:
                key.data.end()
                self.selector.unregister(key.fileobj)
                key.fileobj.close()

    def standing(self, kind=None):
        return [one for one in self.all if one.ended is None and kind in (None, one.kind)]

    def of(self, kind):
        return [one for one in self.all if one.kind == kind]

    def close(self):
        for one in self.all:
            one.socket.close()


def one_by_one(sip, tls, admin, net):
    """Those that begin something. `net` gives the first three numbers of their addresses."""
    siege = Siege()
    noise = random.Random(27).randbytes(4096)
    for number in range(20):
        source = f"{net}.{200 + number % 4}"
        siege.add("head byte by byte", source, sip, then=HEAD)
        siege.add("hello without end", source, tls, at_once=HELLO)
        siege.add("garbage to TLS", source, tls, at_once=noise)
        siege.add("garbage to TCP", source, sip, at_once=noise.replace(b"\r\n", b"") * 8)
        siege.add("head too long", source, sip, at_once=HEAD + b"X-A: " + b"a" * 20_000)
        siege.add("body too long", source, sip,
                  at_once=HEAD + b"Content-Length: 4294967295\r\n\r\n" + b"a" * 4096)
        siege.add("HTTP byte by byte", source, admin, then=GET)
    return siege


def in_masses(sip, tls, _admin, net):
    """Those that say nothing: more than the server lets in, of one source and of all."""
    siege = Siege()
    for _ in range(300):
        siege.add("idle of one", f"{net}.199", sip)
    for source in range(1, 18):
        for number in range(240):
            siege.add("idle of many", f"{net}.{source}", tls if number % 4 == 0 else sip)
    return siege
