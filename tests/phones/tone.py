"""Tones: written for a phone to say, measured in what the other one heard."""

import math
import struct
import wave

RATE = 8000
# A tenth of a second holds whole periods of every frequency that is a multiple of 10 Hz, so
# that one tone does not leak into the measure of another.
WINDOW = RATE // 10
# -40 dB of full scale: below it nobody speaks.
SILENCE = 0.01


def write(path, frequency, seconds):
    step = 2 * math.pi * frequency / RATE
    samples = [round(10000 * math.sin(step * n)) for n in range(RATE * seconds)]
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))


def is_whole(path):
    """Its header is written when it is closed."""
    try:
        with wave.open(str(path), "rb") as file:
            return file.getnframes() > 0
    except (wave.Error, EOFError):
        return False


def read(path):
    with wave.open(str(path), "rb") as file:
        form = (file.getnchannels(), file.getsampwidth(), file.getframerate())
        if form != (1, 2, RATE):
            raise AssertionError(f"{path}: channels, bytes and rate are {form}")
        frames = file.readframes(file.getnframes())
    count = len(frames) // 2
    return [sample / 32768 for sample in struct.unpack(f"<{count}h", frames[: 2 * count])]


def goertzel(window, frequency):
    """Mean power that the window has at the frequency."""
    turn = 2 * math.cos(2 * math.pi * frequency / RATE)
    before = last = 0.0
    for sample in window:
        before, last = last, sample + turn * last - before
    return 2 * (last * last + before * before - turn * last * before) / len(window) ** 2


class Heard:
    """What a recording holds of the other's tone and of the own one."""

    def __init__(self, samples, other, own):
        self.seconds = len(samples) / RATE
        self.clear = 0.0
        power = at_other = at_own = 0.0
        for start in range(0, len(samples) - WINDOW + 1, WINDOW):
            window = samples[start : start + WINDOW]
            whole = sum(sample * sample for sample in window) / WINDOW
            tone = goertzel(window, other)
            power += whole
            at_other += tone
            at_own += goertzel(window, own)
            if whole > SILENCE**2 and tone > 0.9 * whole:
                self.clear += WINDOW / RATE
        self.other = at_other / power if power else 0.0
        self.own = at_own / power if power else 0.0

    def __str__(self):
        return (
            f"{self.seconds:.1f} s recorded, the other's tone alone for {self.clear:.1f} s, "
            f"{self.other:.1%} of the power at its frequency, {self.own:.1%} at the own one"
        )
