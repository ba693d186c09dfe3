"""Play: baresip as an extension calls and is called, by UDP, TCP and TLS."""

from office import MOBILE, MOBILE_NATIONAL, Site, did, holds, national, registers, secret, shows
from softphone import Softphone
from talk import talk
from wait import check

USER = 201


def play(program, home, transport):
    # The carrier is called by TCP, unless everything goes by UDP.
    trunk = "udp" if transport == "udp" else "tcp"
    site = Site(program, home, [USER], f"sip:{{carrier}}:5060;transport={trunk}")
    try:
        carrier = site.add_carrier()
        extension = site.add(
            Softphone(
                f"extension {USER}",
                f"{site.net}.3",
                f"<sip:{USER}@{site.at(transport)}>"
                f";auth_pass={secret(USER)};regint=60;answermode=auto;audio_codecs=PCMU",
                440,
                home / "extension",
                site.server.certificate if transport == "tls" else None,
            )
        )
        registers(site, extension, 1)
        came_in = rings_in(site, carrier, extension)
        went_out = rings_out(site, carrier, extension, transport)
        recorded(site, came_in, went_out)
    finally:
        site.stop()
    site.server.ended_well()


def rings_in(site, carrier, extension):
    """The mobile dials the DID, the extension rings and answers; the caller's number is shown."""
    seconds = talk(site, carrier, extension, f"sip:{national(did(USER))}@{site.at('udp')}")
    shows(extension, MOBILE_NATIONAL)
    return seconds


def rings_out(site, carrier, extension, transport):
    """The extension dials the mobile; the carrier sees the DID as the caller."""
    seconds = talk(site, extension, carrier, f"sip:{MOBILE_NATIONAL}@{site.at(transport)}")
    shows(carrier, national(did(USER)))
    invite = carrier.received_invite()
    check(
        invite.startswith(f"INVITE sip:{MOBILE_NATIONAL}@"),
        f"carrier: not the number that was dialled\n{invite}",
    )
    return seconds


def recorded(site, came_in, went_out):
    """One record a call, as long as the call was."""
    one, other = site.records(2)
    both = {"did": did(USER), "ended_by": "caller"}
    holds(one, came_in, direction="in", caller=MOBILE, trunk_in="carrier",
          answered_by=str(USER), **both)
    holds(other, went_out, direction="out", trunk_in=None, **both)
    (leg,) = other["legs"]
    check(
        (leg["trunk_out"], leg["dialled"], leg["presented"])
        == ("carrier", MOBILE_NATIONAL, did(USER)),
        f"leg of the call out: {leg}",
    )
