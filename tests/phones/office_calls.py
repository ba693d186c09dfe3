"""Play: two phones by PJSIP, one by TCP and one by TLS, as an office uses them: calls in and
out, hold, a blind and an attended transfer. So is the carrier, by UDP: baresip 1.0 hears nothing
after it was held."""

import time

from office import MOBILE, MOBILE_NATIONAL, Site, did, holds, national, registers, secret, shows
from pjsua import Pjsua
from talk import connect, hang_up, heard, talk
from tone import Heard
from wait import check

DESK, BACK = 201, 202
SECONDS = 2.4
HOLD_SECONDS = 2.0


def play(python, program, home):
    site = Site(program, home, [DESK, BACK])
    try:
        carrier = beyond(python, site)
        desk = phone(python, site, DESK, "tcp", 440)
        registers(site, desk, 1)
        back = phone(python, site, BACK, "tls", 550)
        registers(site, back, 2)
        expected = [
            *passed_on(site, carrier, desk, back),
            *announced(site, carrier, back, desk),
            *called_out(site, carrier, desk, "tcp", DESK),
            *called_out(site, carrier, back, "tls", BACK),
        ]
        for record, judge in zip(site.records(5), expected, strict=True):
            judge(record)
    finally:
        site.stop()
    site.server.ended_well()


def phone(python, site, user, transport, frequency, proxy=None):
    wish = {
        "address": f"{site.net}.{user - 190}",
        "transport": transport,
        "id": f"sip:{user}@{site.address}",
        "registrar": f"sip:{site.at(transport)}",
        "user": str(user),
        "secret": secret(user),
        "authority": str(site.server.certificate) if transport == "tls" else None,
        "proxy": proxy,
    }
    return site.add(Pjsua(python, f"extension {user}", wish, frequency, site.home / str(user)))


def beyond(python, site):
    """The carrier, which stands for everybody beyond the trunk."""
    address = site.carrier_address
    wish = {
        "address": address,
        "port": 5060,
        "transport": "udp",
        "id": f"sip:{MOBILE_NATIONAL}@{address}",
    }
    return site.add(Pjsua(python, "carrier", wish, 700, site.home / "carrier"))


def dials_in(site, user):
    return f"sip:{national(did(user))}@{site.at('udp')}"


def held(phone):
    """The phone holds and resumes; for how long it was quiet."""
    began = time.monotonic()
    phone.command("hold")
    wait_for(phone, "MEDIA", "held by us")
    time.sleep(HOLD_SECONDS)
    phone.command("resume")
    wait_for(phone, "MEDIA", "active")
    return time.monotonic() - began


def wait_for(phone, kind, param):
    while phone.expect(kind)[1]["param"] != param:
        pass


def passed_on(site, carrier, desk, back):
    """A mobile calls the desk, is held and heard again, and is sent to the phone at the back."""
    print("a mobile calls, is held, and is transferred blind")
    answered = connect(site, carrier, desk, dials_in(site, DESK))
    shows(desk, MOBILE_NATIONAL)
    time.sleep(SECONDS / 2)
    quiet = held(desk)
    time.sleep(SECONDS)
    asked = time.monotonic()
    desk.command("transfer", f"sip:{BACK}@{site.address}")
    wait_for(desk, "TRANSFER", "200")
    desk.expect("CALL_CLOSED")
    back.expect("CALL_ESTABLISHED")
    time.sleep(SECONDS)
    seconds = hang_up(site, carrier, back) - answered
    ears = carrier.take_recording()
    heard(carrier, ears, desk, back)
    of_desk = Heard(ears, desk.frequency, carrier.frequency).clear
    most = asked - answered - quiet + 1
    check(of_desk <= most, f"carrier heard the desk for {of_desk:.1f} s, also while it was held")
    heard(desk, desk.take_recording(), carrier)
    heard(back, back.take_recording(), carrier)

    def judge(record):
        holds(record, seconds, direction="in", caller=MOBILE, trunk_in="carrier", did=did(DESK),
              answered_by=str(DESK), ended_by="caller")
        check(parties(record) == [str(DESK), str(BACK)], f"legs of the transfer: {record['legs']}")

    return [judge]


def announced(site, carrier, back, desk):
    """The phone at the back asks the desk first, then brings both together."""
    print("a mobile calls, and is transferred after a consultation")
    answered = connect(site, carrier, back, dials_in(site, BACK))
    time.sleep(SECONDS)
    back.command("hold")
    wait_for(back, "MEDIA", "held by us")
    asked = time.monotonic()
    back.command("dial", f"sip:{DESK}@{site.at('tls')}")
    consulted, _ = back.expect("CALL_ESTABLISHED")
    desk.expect("CALL_ESTABLISHED")
    time.sleep(SECONDS)
    moved = time.monotonic()
    back.command("attended")
    # The consultation ends as the desk is moved (RFC 5589 7.1), the held call once it has moved:
    # which of the two dialogs the phone hears of first is not said.
    back.expect_in_any_order(("TRANSFER", "200"), "CALL_CLOSED", "CALL_CLOSED")
    site.talks()
    time.sleep(SECONDS)
    seconds = hang_up(site, desk, carrier) - answered
    ears = carrier.take_recording()
    heard(carrier, ears, back, desk)
    of_back = Heard(ears, back.frequency, carrier.frequency).clear
    check(of_back <= asked - answered + 1, f"carrier heard {of_back:.1f} s of who held it")
    heard(back, back.take_recording(), carrier, desk)
    heard(desk, desk.take_recording(), back, carrier)

    def judge(record):
        holds(record, seconds, direction="in", caller=MOBILE, did=did(BACK),
              answered_by=str(BACK), ended_by="callee")
        check(parties(record) == [str(BACK), str(DESK)], f"legs of the transfer: {record['legs']}")

    def judge_consultation(record):
        holds(record, moved - consulted, caller=did(BACK), answered_by=str(DESK))
        check(parties(record) == [str(DESK)], f"legs of the consultation: {record['legs']}")

    return [judge, judge_consultation]


def called_out(site, carrier, caller, transport, user):
    """A phone dials the mobile; the carrier sees its DID."""
    print(f"extension {user} calls the mobile by {transport}")
    seconds = talk(site, caller, carrier, f"sip:{MOBILE_NATIONAL}@{site.at(transport)}")
    shows(carrier, national(did(user)))

    def judge(record):
        holds(record, seconds, direction="out", trunk_in=None, did=did(user), ended_by="caller")
        (leg,) = record["legs"]
        found = (leg["trunk_out"], leg["dialled"], leg["presented"])
        check(found == ("carrier", MOBILE_NATIONAL, did(user)), f"leg of the call out: {leg}")

    return [judge]


def parties(record):
    """Who talked, in the order in which they came."""
    legs = [leg for leg in record["legs"] if leg["answered_at"]]
    return [leg["destination"] for leg in sorted(legs, key=lambda leg: leg["answered_at"])]
