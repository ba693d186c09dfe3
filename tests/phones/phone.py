"""What every phone of these tests is: a process with a trace, events, and what it heard."""

import queue
import re
import time

import tone
from wait import check, ended, eventually


class Phone:
    """It speaks a tone of `frequency`, and keeps everything in the folder `home`."""

    def __init__(self, name, frequency, home):
        self.name = name
        self.frequency = frequency
        self.home = home
        self.log = home / "log"
        self.events = queue.Queue()
        self.process = None
        home.mkdir()
        tone.write(home / "speak.wav", frequency, seconds=30)

    def happened(self, event):
        self.events.put((time.monotonic(), event))

    def expect(self, kind, seconds=10):
        """Waits for the event and returns when it came, with its fields."""
        until = time.monotonic() + seconds
        seen = []
        while True:
            try:
                at, event = self.events.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                others = ", ".join(seen) or "nothing"
                raise AssertionError(
                    f"{self.name}: no {kind} in {seconds} s, but {others}"
                ) from None
            if event["type"] == kind:
                return at, event
            seen.append(f"{event['type']} ({event.get('param', '')})")
            if kind != "CALL_CLOSED" and event["type"] == "CALL_CLOSED":
                raise AssertionError(f"{self.name}: the call ended before {kind}: {seen[-1]}")

    def expect_in_any_order(self, *kinds, seconds=10):
        """Waits for every one of these, each a kind or a kind with what it says."""
        until = time.monotonic() + seconds
        missing, seen = list(kinds), []
        while missing:
            try:
                _, event = self.events.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                raise AssertionError(
                    f"{self.name}: no {missing} in {seconds} s, but {seen}"
                ) from None
            happened = (event["type"], event.get("param", ""))
            seen.append(happened)
            for wanted in (happened, happened[0]):
                if wanted in missing:
                    missing.remove(wanted)
                    break

    def trace(self):
        """SIP as it sent and received it, without the colours."""
        text = self.log.read_text(errors="replace").replace("\r\n", "\n")
        return re.sub(r"\x1b\[[0-9;]*m", "", text)

    def received_invite(self):
        """Request line and headers of the last INVITE that came in."""
        found = re.findall(r"^(INVITE sip:\S+ SIP/2\.0\n.*?)\n\n", self.trace(), re.S | re.M)
        if not found:
            raise AssertionError(f"{self.name}: the SIP trace shows no INVITE")
        return found[-1]

    def take_recording(self):
        """What it heard since the last time, in all its calls."""
        files = sorted(self.home.glob("dump-*-dec.wav"))
        check(files, f"{self.name}: no recording of its call")
        # pjsip ends a file a moment after the call.
        ended = lambda: all(map(tone.is_whole, files))
        eventually(f"{self.name}: its recordings are whole", ended)
        samples = [sample for file in files for sample in tone.read(file)]
        for file in self.home.glob("dump-*.wav"):
            file.unlink()
        return samples

    def stop(self):
        if self.process:
            ended(self.process)
