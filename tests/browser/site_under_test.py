"""The servers and browsers that the tests use, each started for them and stopped after them."""

import os
import pathlib
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from webdriver import Browser

DEMO = os.environ.get("TENSOU_UI_DEMO", "target/debug/examples/ui_demo")
SCREENSHOTS = os.environ.get("TENSOU_SCREENSHOTS")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(url, seconds=30):
    """Waits until something answers there."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
    raise TimeoutError(url)


class Demo:
    """The UI over an invented afternoon."""

    def __init__(self, calls_a_minute=30, port=None):
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = [DEMO, f"127.0.0.1:{self.port}", str(calls_a_minute)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.passwords = {}
        for line in self.process.stdout:
            name, _, password = line.strip().partition(" ")
            if not password:
                break
            self.passwords[name] = password
        answers(self.url + "/healthz")

    def stop(self):
        self.process.send_signal(2)
        self.process.wait(10)
        self.process.stdout.close()


class Driver:
    """chromedriver, and the browsers it starts."""

    def __init__(self):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            ["chromedriver", f"--port={port}", "--silent"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.profiles = []
        answers(self.url + "/status")

    def browser(self, **options):
        profile = tempfile.TemporaryDirectory(prefix="tensou-browser-", ignore_cleanup_errors=True)
        self.profiles.append(profile)
        return Browser(self.url, profile.name, **options)

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        for profile in self.profiles:
            profile.cleanup()


def sign_in(browser, demo, name="admin"):
    browser.open(demo.url + "/login")
    browser.type("input[name=name]", name)
    browser.type("input[name=password]", demo.passwords[name])
    browser.click("button.primary")
    browser.arrive("/")


def connected(browser):
    browser.wait("return document.getElementById('connection')?.dataset.state === 'connected'")


def keep(browser, name):
    """A screenshot for whoever looks at the pages, when a folder for them is named."""
    if SCREENSHOTS:
        pathlib.Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
        browser.screenshot(pathlib.Path(SCREENSHOTS) / f"{name}.png")
