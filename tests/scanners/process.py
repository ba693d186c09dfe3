"""What a process holds and has used, by /proc (proc(5))."""

import os
import pathlib


class Process:
    """By its id."""

    def __init__(self, pid):
        self.folder = pathlib.Path(f"/proc/{pid}")

    def connections(self):
        """Descriptors of TCP sockets; the relay keeps ports of UDP for the next call."""
        rows = (self.folder / "net/tcp").read_text().splitlines()[1:]
        sockets = {f"socket:[{row.split()[9]}]" for row in rows}
        return sum(link in sockets for link in self._links())

    def _links(self):
        for entry in (self.folder / "fd").iterdir():
            try:
                yield os.readlink(entry)
            except FileNotFoundError:
                continue

    def megabytes(self):
        status = (self.folder / "status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) / 1024

    def processor_seconds(self):
        fields = (self.folder / "stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
