"""Certificate authorities of this run, by the openssl command."""

import subprocess


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, timeout=20)


class Authority:
    """Signs for whoever asks; everything is kept in the folder `home`."""

    def __init__(self, name, home):
        self.home = home
        self.certificate, self.key = home / f"{name}.crt", home / f"{name}.key"
        openssl("req", "-x509", *NEW_KEY, "-days", 2, "-subj", f"/CN={name}",
                "-keyout", self.key, "-out", self.certificate)

    def signs(self, alternative, certificate, key):
        """A certificate for an alternative name, as `IP:127.0.0.1` or `DNS:sip.example.jp`."""
        request = self.home / "request"
        openssl("req", *NEW_KEY, "-subj", "/", "-keyout", key, "-out", request)
        extension = self.home / "extension"
        extension.write_text(f"subjectAltName={alternative}\n")
        openssl("x509", "-req", "-days", 2, "-in", request, "-CA", self.certificate,
                "-CAkey", self.key, "-CAcreateserial", "-extfile", extension, "-out", certificate)
        return certificate, key


NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
