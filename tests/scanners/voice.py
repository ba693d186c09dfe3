"""Voice in both directions of one call: every packet carries its number, and none may be missing."""

import multiprocessing
import re
import select
import socket
import time

EVERY = 0.02
# A packet that has not come by then is lost.
PATIENCE = 0.5


def media_of(description):
    """Where a session description wants its audio."""
    address = re.search(r"(?m)^c=IN IP4 (\S+?)\r?$", description).group(1)
    return address, int(re.search(r"(?m)^m=audio (\d+) ", description).group(1))


def packet(ssrc, number):
    head = bytes((0x80, 0)) + (number & 0xFFFF).to_bytes(2) + (160 * number & 0xFFFFFFFF).to_bytes(4)
    return head + ssrc.to_bytes(4) + number.to_bytes(4) + bytes(156)


def talk(ends, until, result):
    """`ends`: own address and where to send, of each party."""
    sockets = []
    for own, _ in ends:
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.bind(own)
        sockets.append(one)
    heard = [set(), set()]
    sent, due = 0, time.monotonic()

    def listen(seconds):
        ready, _, _ = select.select(sockets, [], [], max(seconds, 0))
        for one in ready:
            heard[sockets.index(one)].add(int.from_bytes(one.recv(2048)[12:16]))

    while not until.is_set():
        for ssrc, (one, (_, there)) in enumerate(zip(sockets, ends), 1):
            one.sendto(packet(ssrc, sent), there)
        sent += 1
        due += EVERY
        while (left := due - time.monotonic()) > 0:
            listen(left)
    end = time.monotonic() + PATIENCE
    while (left := end - time.monotonic()) > 0:
        listen(left)
    result.put((sent, [sent - len(one) for one in heard]))


class Voice:
    """Two parties who talk until they are asked how it went."""

    def __init__(self, *ends):
        self.until, self.result = multiprocessing.Event(), multiprocessing.Queue()
        self.process = multiprocessing.Process(target=talk, args=(ends, self.until, self.result))
        self.process.start()

    def ends(self):
        """How many packets each said, and how many of them each did not hear."""
        self.until.set()
        sent, lost = self.result.get()
        self.process.join()
        return sent, lost
