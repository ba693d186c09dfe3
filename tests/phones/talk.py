"""A call from dialling to hanging up, and what was heard in it."""

import time

from tone import Heard
from wait import check

TALK_SECONDS = 3
# Of each part of a call, which is twice as long: a phone on a busy machine stutters.
CLEAR_SECONDS = 1.2


def connect(site, caller, callee, uri):
    """`caller` dials and `callee` answers by itself; when that was."""
    caller.command("dial", uri)
    caller.expect("CALL_RINGING")
    answered, _ = caller.expect("CALL_ESTABLISHED")
    callee.expect("CALL_ESTABLISHED")
    site.talks()
    return answered


def hang_up(site, who, other):
    """When that was."""
    at = time.monotonic()
    who.command("hangup")
    who.expect("CALL_CLOSED")
    other.expect("CALL_CLOSED")
    site.is_silent()
    return at


def talk(site, caller, callee, uri):
    """A call that the caller ends: what both heard, and how long it was."""
    answered = connect(site, caller, callee, uri)
    time.sleep(max(0.0, answered + TALK_SECONDS - time.monotonic()))
    hung_up = hang_up(site, caller, callee)
    heard(caller, caller.take_recording(), callee)
    heard(callee, callee.take_recording(), caller)
    return hung_up - answered


def heard(ear, samples, *mouths):
    """The recording holds each of the others' tones for a while and no echo of the own."""
    share = 0.0
    for mouth in mouths:
        found = Heard(samples, mouth.frequency, ear.frequency)
        print(f"  {ear.name} heard {mouth.name}: {found}")
        check(
            found.clear >= CLEAR_SECONDS,
            f"{ear.name} did not hear {mouth.name} for {CLEAR_SECONDS} s: {found}",
        )
        check(found.own < 0.01, f"{ear.name} heard itself: {found}")
        share += found.other
    check(share > 0.8, f"{ear.name} heard something else: {share:.1%} was of whom it talked with")
