"""Both ends of a call, by hand: who calls in by a trunk, and who answers behind another."""

import itertools
import re
import socket
import threading
import time

from wait import check

SDP = (
    "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
)
DIALLED = "0312001201"
# RFC 3261 17.1.1.1.
T1 = 0.5
# Of all callers: no two requests are the same.
REQUESTS = itertools.count(1)


def header(message, name):
    found = re.search(rf"(?im)^{name}\s*:\s*(.*?)\r$", message)
    return found.group(1) if found else ""


def headers(message, name):
    return "".join(line + "\r\n" for line in re.findall(rf"(?im)^{name}\s*:.*(?=\r$)", message))


class Callee(threading.Thread):
    """Answers every INVITE, and BYE, by UDP; says its 200 again until it is acknowledged (RFC 3261
    13.3.1.4)."""

    def __init__(self, address, port):
        super().__init__(daemon=True)
        self.address, self.port = address, port
        self.byes = 0
        self.offer = ""
        # What the packets are marked with, in the upper six bits (RFC 2474).
        self.marks = set()
        # By Call-ID: when to say it again, the pause after that, the answer, and to whom.
        self.unacknowledged = {}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        self.socket.bind((address, port))
        self.start()

    def run(self):
        self.socket.settimeout(T1 / 5)
        while True:
            self.repeat()
            try:
                data, notes, _, peer = self.socket.recvmsg(65535, 64)
            except TimeoutError:
                continue
            self.marks |= {mark[0] for _, kind, mark in notes if kind == socket.IP_TOS}
            request = data.decode(errors="replace")
            if request.startswith("ACK "):
                self.unacknowledged.pop(header(request, "Call-ID"), None)
            if request.startswith(("ACK ", "SIP/2.0 ")):
                continue
            self.byes += request.startswith("BYE ")
            copied = "".join(headers(request, name) for name in ("Via", "From", "Call-ID", "CSeq"))
            to = header(request, "To")
            to += "" if "tag=" in to else ";tag=callee"
            body = SDP.format(ip=self.address) if request.startswith("INVITE ") else ""
            self.offer = request if body else self.offer
            kind = "Content-Type: application/sdp\r\n" if body else ""
            answer = (
                f"SIP/2.0 200 OK\r\n{copied}To: {to}\r\n"
                f"Contact: <sip:{self.address}:{self.port}>\r\n"
                f"{kind}Content-Length: {len(body)}\r\n\r\n{body}"
            )
            if body:
                waits = (time.monotonic() + T1, T1 * 2, answer, peer)
                self.unacknowledged.setdefault(header(request, "Call-ID"), waits)
            self.socket.sendto(answer.encode(), peer)

    def repeat(self):
        now = time.monotonic()
        for call, (at, pause, answer, peer) in list(self.unacknowledged.items()):
            if pause > 64 * T1:
                del self.unacknowledged[call]
            elif at <= now:
                self.unacknowledged[call] = (now + min(pause, 8 * T1), pause * 2, answer, peer)
                self.socket.sendto(answer.encode(), peer)


class Datagrams:
    """The way to the server by UDP."""

    transport = "UDP"

    def __init__(self, here, there):
        self.here, self.there = here, there
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(here)
        self.socket.settimeout(0.5)
        self.last = b""

    def send(self, message):
        self.last = message
        self.socket.sendto(message, self.there)

    def receive(self):
        """Sends again what is not answered (RFC 3261 17.1, without the intervals)."""
        for _ in range(12):
            try:
                return self.socket.recv(65535)
            except TimeoutError:
                self.socket.sendto(self.last, self.there)
        raise TimeoutError

    def close(self):
        self.socket.close()


class Stream:
    """The way to the server by a connection that stands."""

    def __init__(self, connection, there, transport):
        self.here, self.there = connection.getsockname()[:2], there
        self.transport = transport
        self.socket = connection
        self.socket.settimeout(3)
        self.received = b""

    def send(self, message):
        self.socket.sendall(message)

    def receive(self):
        """One message (RFC 3261 18.3)."""
        while True:
            head, found, rest = self.received.partition(b"\r\n\r\n")
            length = re.search(rb"(?im)^content-length\s*:\s*(\d+)", head)
            if found and len(rest) >= (size := int(length.group(1)) if length else 0):
                self.received = rest[size:]
                return head + found + rest[:size]
            chunk = self.socket.recv(65535)
            if not chunk:
                raise ConnectionError("the server has ended the connection")
            self.received += chunk

    def close(self):
        self.socket.close()


class Caller:
    """Calls in, by whatever way."""

    def __init__(self, way):
        self.way = way
        self.ip, self.port = way.here
        self.call = self.dialog = None
        self.answer = self.branch = ""

    def ask(self, method, uri, to, cseq, body=""):
        kind = "Content-Type: application/sdp\r\n" if body else ""
        here = f"{self.ip}:{self.port}"
        self.branch = f"z9hG4bK{next(REQUESTS)}"
        request = (
            f"{method} {uri} SIP/2.0\r\n"
            f"Via: SIP/2.0/{self.way.transport} {here};branch={self.branch};rport\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:0399990000@{self.ip}>;tag=caller\r\nTo: {to}\r\n"
            f"Call-ID: {self.call}@{self.ip}\r\nCSeq: {cseq} {method}\r\n"
            f"Contact: <sip:{here};transport={self.way.transport.lower()}>\r\n"
            f"{kind}Content-Length: {len(body)}\r\n\r\n{body}"
        )
        self.way.send(request.encode())

    def status(self, method):
        """The final answer to what was asked last, and its status. A late one to an earlier request,
        which had been sent again, is nobody's (RFC 3261 17.1.3)."""
        while True:
            try:
                answer = self.way.receive().decode(errors="replace")
            except TimeoutError as error:
                raise AssertionError(f"{method} is not answered") from error
            status = re.match(r"SIP/2\.0 ([2-6]\d\d) ", answer)
            mine = f"branch={self.branch};" in header(answer, "Via") + ";"
            if status and mine and header(answer, "CSeq").endswith(method):
                return int(status.group(1)), answer

    def final(self, method):
        status, answer = self.status(method)
        check(status == 200, f"{method} of the trunk: {answer}")
        return answer

    def options(self, what):
        """How an OPTIONS is answered."""
        self.call = f"{what}-{next(REQUESTS)}"
        ip, port = self.way.there
        self.ask("OPTIONS", f"sip:{ip}:{port}", f"<sip:{ip}:{port}>", 1)
        return self.status("OPTIONS")[0]

    def tries(self, what, dialled=DIALLED):
        """How a call of the DID is answered, with the answer."""
        self.call = f"{what}-{next(REQUESTS)}"
        ip, port = self.way.there
        number = f"sip:{dialled}@{ip}:{port}"
        self.ask("INVITE", number, f"<{number}>", 2, SDP.format(ip=self.ip))
        return self.status("INVITE")

    def calls(self, what):
        """The DID is called; how its INVITE was answered."""
        status, answer = self.tries(what)
        target = header(answer, "Contact").strip("<>") or f"sip:{self.way.there[0]}"
        self.dialog, self.answer = (target, header(answer, "To")), answer
        self.ask("ACK", *self.dialog, 2)
        return status

    def hangs_up(self):
        self.ask("BYE", *self.dialog, 3)
        self.final("BYE")

    def completes(self, what):
        """A call from INVITE to BYE; how its INVITE was answered."""
        status = self.calls(what)
        if status == 200:
            self.hangs_up()
        return status

    def serves(self, what):
        """OPTIONS is answered and a call completes."""
        check(self.options(what) == 200, f"{what}: OPTIONS of the trunk is refused")
        check(self.calls(what) == 200, f"{what}: the trunk's call is refused")
        time.sleep(0.2)
        self.hangs_up()
