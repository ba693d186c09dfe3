"""Kamailio as an edge proxy, with the configuration that stands beside this file."""

import pathlib
import socket
import subprocess
import time

from wait import check, ended

TEMPLATE = pathlib.Path(__file__).with_name("kamailio.cfg")


def modules():
    """Where Debian keeps them, whatever the machine."""
    found = sorted(pathlib.Path("/usr/lib").glob("*/kamailio/modules"))
    check(found, "no modules of Kamailio in /usr/lib/*/kamailio/modules")
    return found[0]


class Kamailio:
    def __init__(self, edge, border, server, carrier, home):
        self.log = home / "log"
        home.mkdir()
        text = TEMPLATE.read_text()
        for name, value in (("EDGE", edge), ("BORDER", border), ("SERVER", server),
                            ("CARRIER", carrier), ("PATH", modules())):
            text = text.replace(f"@{name}@", str(value))
        (home / "kamailio.cfg").write_text(text)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["kamailio", "-f", str(home / "kamailio.cfg"), "-DD", "-E", "-m", "32", "-M", "4",
                 "-Y", str(home), "-w", str(home)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self._wait_until_ready(edge)
        except BaseException:
            self.stop()
            raise

    def _wait_until_ready(self, edge):
        until = time.monotonic() + 10
        while True:
            try:
                socket.create_connection((edge, 5060), timeout=1).close()
                return
            except OSError as error:
                if self.process.poll() is not None or time.monotonic() > until:
                    raise AssertionError(f"Kamailio is not ready: {error}") from error
                time.sleep(0.05)

    def lines(self, word):
        """What it noted of this kind."""
        text = self.log.read_text(errors="replace")
        return [line.partition(f" {word} ")[2] for line in text.splitlines() if f" {word} " in line]

    def stop(self):
        ended(self.process)
