"""What stands between the extension's phone and the server: a hop that leaves MD5 alone.

RFC 8760 2.4 lets a registrar ask with several algorithms, the preferred one first, and a phone
takes the first that it knows. The libre of Debian's baresip (before 3.12) gives the account up
as soon as one challenge is not MD5, so challenges for other algorithms are taken out of answers.
"""

import re
import select
import socket
import threading

OTHER_CHALLENGE = re.compile(
    rb"(?:WWW|Proxy)-Authenticate:[^\r\n]*algorithm=(?!MD5\b)[^\r\n]*\r\n", re.IGNORECASE
)


class Outbound:
    def __init__(self, address, server):
        self.to_phone = self._socket(address)
        self.to_server = self._socket(address, 5070)
        self.to_server.connect((server, 5060))
        self.over, self.end = socket.socketpair()
        self.thread = threading.Thread(target=self._carry, daemon=True)
        self.thread.start()

    @staticmethod
    def _socket(address, port=5060):
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((address, port))
        return made

    def _carry(self):
        phone = None
        while True:
            ready, _, _ = select.select([self.to_phone, self.to_server, self.over], [], [])
            if self.over in ready:
                return
            if self.to_phone in ready:
                datagram, phone = self.to_phone.recvfrom(65536)
                self.to_server.send(datagram)
            if self.to_server in ready:
                datagram = OTHER_CHALLENGE.sub(b"", self.to_server.recv(65536))
                if phone:
                    self.to_phone.sendto(datagram, phone)

    def stop(self):
        self.end.send(b"\0")
        self.thread.join(5)
        for part in (self.to_phone, self.to_server, self.over, self.end):
            part.close()
