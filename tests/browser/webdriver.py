"""A browser under WebDriver (W3C), with nothing but Python's own library.

Enough of the protocol for these tests: chromedriver is started by the caller, elements are found
by CSS, waits are conditions and never sleeps of a fixed length.
"""

import base64
import json
import time
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Failure(Exception):
    """What the driver or the page refused."""


class Browser:
    """One session: one window with its own profile."""

    def __init__(self, driver, profile, *, width=1400, height=850, language="en"):
        self.driver = driver
        arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            f"--user-data-dir={profile}",
            f"--window-size={width},{height}",
            f"--accept-lang={language}",
        ]
        capabilities = {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        answer = self._send("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        self.session = f"/session/{answer['sessionId']}"

    def _send(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(self.driver + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            value = json.load(error)["value"]
            raise Failure(f"{value['error']}: {value['message']}") from None

    def command(self, method, path, body=None):
        return self._send(method, self.session + path, body)

    def close(self):
        self.command("DELETE", "")

    def open(self, url):
        self.command("POST", "/url", {"url": url})

    def url(self):
        return self.command("GET", "/url")

    def run(self, script, *arguments):
        """The value of a function body run in the page."""
        return self.command("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def devtools(self, name, **parameters):
        return self.command("POST", "/goog/cdp/execute", {"cmd": name, "params": parameters})

    def find(self, css):
        value = {"using": "css selector", "value": css}
        return self.command("POST", "/element", value)[ELEMENT]

    def click(self, css):
        self.command("POST", f"/element/{self.find(css)}/click", {})

    def type(self, css, text):
        element = self.find(css)
        self.command("POST", f"/element/{element}/clear", {})
        self.command("POST", f"/element/{element}/value", {"text": text})

    def press(self, key):
        """Presses a key where the focus is; names as in WebDriver 17.4.2."""
        code = {"Tab": "\ue004", "Enter": "\ue007", "Space": " ", "Escape": "\ue00c"}[key]
        keys = [{"type": "keyDown", "value": code}, {"type": "keyUp", "value": code}]
        actions = [{"type": "key", "id": "keyboard", "actions": keys}]
        self.command("POST", "/actions", {"actions": actions})

    def text(self, css):
        return self.run("return document.querySelector(arguments[0])?.textContent ?? null", css)

    def count(self, css):
        return self.run("return document.querySelectorAll(arguments[0]).length", css)

    def wait(self, script, *arguments, seconds=10):
        """Waits until the function body is true; returns its value."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if value := self.run(script, *arguments):
                    return value
            except Failure:
                # Between two pages there is nothing to run in.
                pass
            time.sleep(0.05)
        raise Failure(f"never true: {script}")

    def arrive(self, path):
        """Waits until a click has led to this path."""
        done = "return location.pathname + location.search === arguments[0]"
        self.wait(f"{done} && document.readyState === 'complete'", path)

    def size(self, width, height):
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )

    def scheme(self, name):
        features = [{"name": "prefers-color-scheme", "value": name}]
        self.devtools("Emulation.setEmulatedMedia", media="screen", features=features)

    def complaints(self):
        """What the console said: errors of scripts, refused resources, broken policies."""
        entries = self.command("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]

    def screenshot(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.command("GET", "/screenshot")))
