"""Play: Kamailio stands before the server, towards phones and towards the carrier.

A phone registers through it and is rung by its Path, the carrier's calls and those to the carrier
go through it, and requests within a dialog by its Record-Route.
"""

from kamailio import Kamailio
from office import MOBILE, MOBILE_NATIONAL, Site, did, holds, national, registers, secret, shows
from pjsua import Pjsua
from softphone import Softphone
from talk import talk
from wait import check

BY_BARESIP, BY_PJSIP = 201, 202


def play(python, program, home):
    users = [BY_BARESIP, BY_PJSIP] if python else [BY_BARESIP]
    site = Site(program, home, users, "sip:{net}.5:5060;transport=udp")
    edge, border = f"{site.net}.4", f"{site.net}.5"
    try:
        proxy = site.add(
            Kamailio(edge, border, site.address, site.carrier_address, home / "kamailio")
        )
        carrier = site.add_carrier()
        expected = []
        for count, user in enumerate(users, 1):
            make = baresip if user == BY_BARESIP else pjsip
            phone = make(python, site, user, f"sip:{edge}:5060;transport=tcp")
            registers(site, phone, count)
            expected.append(rings_in(site, carrier, phone, user, border))
            expected.append(rings_out(site, carrier, phone, user))
        went_through(proxy, 2 * len(users))
        for record, judge in zip(site.records(len(expected)), expected, strict=True):
            judge(record)
    finally:
        site.stop()
    site.server.ended_well()


def baresip(_, site, user, edge):
    account = (
        f"<sip:{user}@{site.address}>;auth_pass={secret(user)};regint=60"
        f';outbound="{edge}";answermode=auto;audio_codecs=PCMU'
    )
    home = site.home / str(user)
    return site.add(Softphone(f"extension {user}", f"{site.net}.3", account, 440, home))


def pjsip(python, site, user, edge):
    wish = {
        "address": f"{site.net}.6",
        "transport": "tcp",
        "id": f"sip:{user}@{site.address}",
        "registrar": f"sip:{site.address}",
        "user": str(user),
        "secret": secret(user),
        "proxy": f"{edge};lr",
    }
    return site.add(Pjsua(python, f"extension {user}", wish, 550, site.home / str(user)))


def went_through(proxy, calls):
    """Every call, and every request within it: ACK and BYE, on either leg."""
    begun = [line for line in proxy.lines("BEGINS") if line.startswith("INVITE ")]
    # Half of the calls are a phone's, which come twice: without a password, and with it.
    check(len(begun) == 2 * calls + calls // 2, f"not both legs of {calls} calls: {begun}")
    for method in ("ACK", "BYE"):
        within = [line for line in proxy.lines("WITHIN") if line.startswith(f"{method} ")]
        check(len(within) == 2 * calls, f"{method} of {calls} calls by Record-Route: {within}")
    strays = proxy.lines("STRAY")
    check(not strays, f"requests that went not by Record-Route: {strays}")


def rings_in(site, carrier, phone, user, border):
    print(f"a mobile calls the DID of {user} through the proxy")
    seconds = talk(site, carrier, phone, f"sip:{national(did(user))}@{border}:5060")
    shows(phone, MOBILE_NATIONAL)

    def judge(record):
        holds(record, seconds, direction="in", caller=MOBILE, trunk_in="carrier", did=did(user),
              answered_by=str(user), ended_by="caller")

    return judge


def rings_out(site, carrier, phone, user):
    print(f"extension {user} calls the mobile through the proxy")
    seconds = talk(site, phone, carrier, f"sip:{MOBILE_NATIONAL}@{site.address}")
    shows(carrier, national(did(user)))

    def judge(record):
        holds(record, seconds, direction="out", trunk_in=None, did=did(user), ended_by="caller")
        (leg,) = record["legs"]
        check(leg["trunk_out"] == "carrier", f"leg of the call out: {leg}")

    return judge
