"""A server, its carrier and its phones, on addresses of this run alone."""

import random

from server import Server
from softphone import Softphone
from wait import check, eventually

MOBILE = "+819001000001"
MOBILE_NATIONAL = "09001000001"
# Between the phones' clocks and the record's.
TOLERANCE_SECONDS = 0.5

TRUNK = """\
[[trunks]]
id = "carrier"
peers = ["{peer}"]
{more}
number_format_in = "national"
number_format_out = "national"
trusted = true
identity = {{ from = "did", asserted = "did", diversion = false }}

[[customers]]
id = "yamada"
name = "Yamada"
"""

EXTENSION = """
[[dids]]
number = "+8131200{user:04}"
customer = "yamada"
route = [{{ ring = "extension:{user}" }}]

[[extensions]]
user = "{user}"
secret = "phones-{user}-secret"
customer = "yamada"
presented_did = "+8131200{user:04}"
"""


def did(user):
    """The DID that rings an extension, and that it shows when it calls out."""
    return f"+8131200{user:04}"


def national(number):
    return number.replace("+81", "0", 1)


def secret(user):
    return f"phones-{user}-secret"


class Site:
    """`trunk` is what the carrier's peer is; `{carrier}` in it is the carrier's address."""

    def __init__(self, program, home, users, trunk="sip:{carrier}:5060", more=""):
        net = f"127.{random.randint(64, 250)}.{random.randint(1, 250)}"
        self.address, self.carrier_address = f"{net}.1", f"{net}.2"
        self.net = net
        self.home = home
        self.parts = []
        home.mkdir()
        peer = trunk.format(carrier=self.carrier_address, net=net)
        provisioning = TRUNK.format(peer=peer, more=more.format(net=net))
        provisioning += "".join(EXTENSION.format(user=user) for user in users)
        self.server = self.add(Server(program, self.address, home / "server", provisioning))

    def add(self, part):
        """Whatever is added ends with the site, the last one first."""
        self.parts.append(part)
        return part

    def add_carrier(self, outbound=""):
        """Stands for everybody beyond the trunk, and calls by UDP: on loopback its connections
        would come from 127.0.0.1, as the extensions' do, and not from its own address."""
        account = (
            f"<sip:{MOBILE_NATIONAL}@{self.carrier_address}:5060;transport=udp>"
            f";regint=0;answermode=auto;audio_codecs=PCMU{outbound}"
        )
        home = self.home / "carrier"
        return self.add(Softphone("carrier", self.carrier_address, account, 700, home))

    def at(self, transport):
        """The server, as a phone of this transport dials it."""
        port = 5061 if transport == "tls" else 5060
        return f"{self.address}:{port};transport={transport}"

    def stop(self):
        for part in reversed(self.parts):
            part.stop()

    def call_states(self):
        return [call["state"] for call in self.server.get("calls")["items"]]

    def talks(self):
        eventually("one talking call in REST", lambda: self.call_states() == ["talking"])

    def is_silent(self):
        eventually("no call in REST", lambda: self.call_states() == [])

    def records(self, count):
        """All records, in the order in which the calls began."""
        found = eventually(
            f"{count} records",
            lambda: (found := self.server.records()) and len(found) >= count and found,
        )
        check(len(found) == count, f"{len(found)} records of {count} calls: {found}")
        return sorted(found, key=lambda record: record["started_at"])


def registers(site, phone, count):
    """The phone was challenged and has proved itself; the registrar has so many bindings."""
    eventually(f"{count} registrations in the metrics", lambda: site.server.metric("tensou_registrations") == count)
    trace = phone.trace()
    check("SIP/2.0 401 " in trace, f"{phone.name}: its REGISTER was not challenged")
    check("\nAuthorization: Digest " in trace, f"{phone.name}: no digest in its REGISTER")


def shows(phone, number):
    """The last call that came to the phone had this caller."""
    invite = phone.received_invite()
    headers = [line for line in invite.splitlines() if line.lower().startswith("from:")]
    check(
        len(headers) == 1 and f"<sip:{number}@" in headers[0],
        f"{phone.name}: From shows {headers}, not {number}\n{invite}",
    )


def holds(record, seconds, **fields):
    """The record says this of its call, and how long the phones talked."""
    what = f"record of direction {record['direction']}"
    expected = {"customer_id": "yamada", "result": "answered", "sip_status": 200, "q850_cause": 16}
    for field, value in {**expected, **fields}.items():
        check(record[field] == value, f"{what}: {field} is {record[field]!r}, not {value!r}: {record}")
    took = record["duration_ms"] / 1000
    print(f"  {what}: {took:.3f} s; the phones: {seconds:.3f} s")
    check(
        abs(took - seconds) <= TOLERANCE_SECONDS,
        f"{what}: {took} s, but the phones talked {seconds:.3f} s",
    )
