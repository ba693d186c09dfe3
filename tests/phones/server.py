"""A `tensou serve` on loopback, by UDP, TCP and TLS."""

import json
import signal
import subprocess
import time
import urllib.error
import urllib.request

SETTINGS = """\
[node]
name = "phones"
data_dir = "{home}/data"

[sip]
listen = ["udp:{address}:{port}", "tcp:{address}:{port}", "tls:{address}:{tls_port}"]
tls = {{ certificate = "{home}/server.crt", key = "{home}/server.key" {authorities} }}
{sip}

[media]
listen = "{address}"
ports = "20000-20999"

[admin]
listen = "{address}:8080"
{admin}

[database]
url = "sqlite:{home}/data/tensou.db"
"""


def make_certificate(address, certificate, key):
    """One that stands for itself, for an address."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        + ["-nodes", "-days", "2", "-subj", "/CN=tensou", "-addext"]
        + [f"subjectAltName=IP:{address}", "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
        timeout=20,
    )


class Server:
    """`more` are settings by their place in the text above; `https` is whom to believe at HTTPS."""

    def __init__(self, program, address, home, provisioning, port=5060, more=None, https=None):
        self.program = program
        self.https = https
        self.url = f"{'https' if https else 'http'}://{address}:8080"
        self.log = home / "log"
        (home / "data").mkdir(parents=True, exist_ok=True)
        self.certificate = home / "server.crt"
        if not self.certificate.exists():
            make_certificate(address, self.certificate, home / "server.key")
        self.settings = home / "tensou.toml"
        more = {"authorities": "", "sip": "", "admin": "", **(more or {})}
        self.settings.write_text(
            SETTINGS.format(home=home, address=address, port=port, tls_port=port + 1, **more)
        )
        document = home / "provisioning.toml"
        document.write_text(provisioning)
        self.run("import", str(document))
        words = self.run("token", "add", "phones", "--role", "readonly").split()
        self.token = max(words, key=len)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [program, "serve", "--config", str(self.settings)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise

    def _open(self, path, head=None, timeout=5):
        request = urllib.request.Request(f"{self.url}{path}", headers=head or {})
        return urllib.request.urlopen(request, timeout=timeout, context=self.https)

    def _wait_until_ready(self):
        until = time.monotonic() + 15
        while True:
            try:
                with self._open("/readyz", timeout=2):
                    return
            except (urllib.error.URLError, OSError) as error:
                if self.process.poll() is not None or time.monotonic() > until:
                    raise AssertionError(f"tensou serve is not ready: {error}") from error
                time.sleep(0.05)

    def run(self, *arguments):
        command = [self.program, *arguments, "--config", str(self.settings)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        if done.returncode != 0:
            raise AssertionError(
                f"tensou {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done.stdout

    def get(self, path):
        with self._open(f"/api/v1/{path}", {"Authorization": f"Bearer {self.token}"}) as answer:
            return json.load(answer)

    def metric(self, name):
        with self._open("/metrics") as answer:
            lines = answer.read().decode().splitlines()
        return next((int(line.split()[1]) for line in lines if line.startswith(f"{name} ")), 0)

    def records(self):
        return [json.loads(line) for line in self.run("cdr", "--format", "json").splitlines()]

    def stop(self):
        """Ends it as an operator does, and returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode

    def ended_well(self):
        code = self.process.returncode
        if code != 0:
            raise AssertionError(f"tensou serve ended with {code}")
        if "panicked" in (text := self.log.read_text(errors="replace")):
            raise AssertionError(text)
