"""A phone by PJSIP, as the test sees it: a process with an endpoint of its own."""

import json
import pathlib
import subprocess
import threading

from phone import Phone

BODY = pathlib.Path(__file__).with_name("pjsua_body.py")


class Pjsua(Phone):
    """`account` is what `pjsua_body.py` reads; commands are words of it."""

    def __init__(self, python, name, account, frequency, home):
        super().__init__(name, frequency, home)
        account = {**account, "home": str(home), "log": str(self.log)}
        with (home / "errors").open("wb") as errors:
            self.process = subprocess.Popen(
                [python, str(BODY), json.dumps(account)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        threading.Thread(target=self._listen, daemon=True).start()
        try:
            self.expect("READY")
        except BaseException:
            self.stop()
            raise

    def _listen(self):
        for line in self.process.stdout:
            self.happened(json.loads(line))

    def command(self, command, params=""):
        self.process.stdin.write(f"{command} {params}\n")
        self.process.stdin.flush()

    def received_invite(self):
        """pjsip writes line by line into its log, each message after a line that names it."""
        _, found, rest = self.trace().rpartition(" Request msg INVITE/cseq=")
        while found and "RX " not in _.rsplit("\n", 1)[-1]:
            _, found, rest = _.rpartition(" Request msg INVITE/cseq=")
        head = rest.partition("\nINVITE ")[2].partition("\n\n")[0]
        if not head:
            raise AssertionError(f"{self.name}: the SIP trace shows no INVITE")
        return f"INVITE {head}"
