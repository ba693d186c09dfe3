"""One baresip of its own: configured, started, dialled with, listened to."""

import json
import socket
import subprocess
import threading
import time

from phone import Phone

# Its RTP sockets are bound to no address, so on loopback they send from 127.0.0.1: that is what
# its SDP has to say.
CONFIG = """\
poll_method epoll
sip_listen {address}:5060
net_interface 127.0.0.1
call_local_timeout 20
call_max_calls 2
audio_path {home}
audio_source aufile,{home}/speak.wav
audio_player aubridge,ear
audio_alert aubridge,bell
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
audio_buffer 20-160
rtp_tos 184
jitter_buffer_delay 1-10
module_path {modules}
module g711.so
module sndfile.so
module aufile.so
module aubridge.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen {address}:4444
statmode_default off
snd_path {home}
{more}
"""

MODULES = "/usr/lib/baresip/modules"


class Softphone(Phone):
    """`account` is a line as baresip's accounts file has it."""

    def __init__(self, name, address, account, frequency, home, authority=None):
        super().__init__(name, frequency, home)
        self.control = None
        # Who answers behind TLS must be the one that this certificate says.
        more = f"sip_cafile {authority}\nsip_verify_server yes" if authority else ""
        (home / "config").write_text(CONFIG.format(address=address, home=home, modules=MODULES, more=more))
        (home / "accounts").write_text(account + "\n")
        (home / "contacts").write_text("")
        # -t ends it even if the test is killed before it can.
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["baresip", "-4", "-s", "-f", str(home), "-t", "100"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self.control = self._connect(address)
        except BaseException:
            self.stop()
            raise
        threading.Thread(target=self._listen, daemon=True).start()

    def _connect(self, address):
        until = time.monotonic() + 10
        while True:
            try:
                return socket.create_connection((address, 4444), timeout=None)
            except OSError as error:
                if self.process.poll() is not None or time.monotonic() > until:
                    raise AssertionError(f"{self.name}: no control connection: {error}") from error
                time.sleep(0.05)

    def _listen(self):
        """Takes messages, each a netstring of JSON, and notes when they came."""
        received = b""
        while True:
            try:
                chunk = self.control.recv(65536)
            except OSError:
                return
            if not chunk:
                return
            received += chunk
            while (colon := received.find(b":")) > 0:
                end = colon + 1 + int(received[:colon])
                if len(received) <= end:
                    break
                message = json.loads(received[colon + 1 : end])
                received = received[end + 1 :]
                if message.get("event"):
                    self.happened(message)

    def command(self, command, params=""):
        text = json.dumps({"command": command, "params": params}).encode()
        self.control.sendall(b"%d:%s," % (len(text), text))

    def stop(self):
        super().stop()
        if self.control:
            self.control.close()
