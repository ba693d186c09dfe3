"""Words that every play needs: what must be true, now or soon."""

import subprocess
import time


def check(true, message):
    if not true:
        raise AssertionError(message)


def eventually(what, question, seconds=5):
    """Asks until the answer is true, and returns it."""
    until = time.monotonic() + seconds
    while True:
        if answer := question():
            return answer
        check(time.monotonic() < until, f"{what}: not within {seconds} s")
        time.sleep(0.1)


def ended(process):
    """Asks a process to end, and ends it if it does not within five seconds."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
