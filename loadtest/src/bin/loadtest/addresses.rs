//! Loopback addresses of a run: each party has its own, as on a real network, and two runs on
//! one machine do not meet, nor do the lanes of one run.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Everybody listens where SIP belongs (RFC 3261 19.1.2), but for IPv6: it has one loopback
/// address, on which each party has a port.
const SIP_PORT: u16 = 5060;
/// SIP over TLS has a port of its own there.
pub(crate) const TLS_PORT: u16 = 5061;
/// Room for the parties of a lane.
const PARTIES: u8 = 40;
/// Below the ports of the relay and of the system.
const FIRST_PORT: u16 = 10_000;

/// One of the servers that run side by side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lane {
    number: u8,
    ipv6: bool,
}

impl Lane {
    /// More than these have no room in the /24 of a process.
    pub(crate) const MOST: u8 = 5;

    pub(crate) fn ipv4(number: u8) -> Lane {
        Lane { number, ipv6: false }
    }

    pub(crate) fn ipv6(number: u8) -> Lane {
        Lane { number, ipv6: true }
    }

    pub(crate) fn is_ipv6(self) -> bool {
        self.ipv6
    }

    /// For file names.
    pub(crate) fn name(self) -> String {
        let family = if self.ipv6 { "-ipv6" } else { "" };
        format!("lane-{}{family}", self.number)
    }
}

/// Who takes part in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Party {
    /// The program under test.
    Server = 1,
    /// The trunk that brings calls.
    Gateway,
    /// Hunt group members, each behind a trunk of its own.
    MemberA,
    MemberB,
    MemberC,
    /// A trunk with one channel.
    Narrow,
    /// A trunk behind which nobody answers.
    Silent,
    /// A PRI gateway, by its profile.
    Pri,
    /// NTT's NGN, by its profile.
    Ngn,
    /// A SIP carrier, by its profile.
    Itsp,
    /// A phone that registers.
    Phone,
    /// An address that the server does not know.
    Stranger,
    /// A trunk that speaks TCP.
    Tcp,
    /// A trunk that speaks TLS.
    Tls,
    /// What the names of trunks lead to: ports of an address of this machine that is not
    /// loopback, for an answer that leads to loopback is not followed.
    FarFirst,
    FarSecond,
    /// As these, for a case of its own: who failed once is avoided for half a minute.
    FarThird,
    FarFourth,
}

impl Party {
    /// Those behind names.
    pub(crate) const FAR: [Party; 4] =
        [Party::FarFirst, Party::FarSecond, Party::FarThird, Party::FarFourth];

    /// What stands for its address in a provisioning document.
    const PLACEHOLDERS: [(Party, &'static str); 14] = [
        (Party::Phone, "@PHONE@"),
        (Party::Stranger, "@STRANGER@"),
        (Party::Gateway, "@GATEWAY@"),
        (Party::MemberA, "@MEMBER_A@"),
        (Party::MemberB, "@MEMBER_B@"),
        (Party::MemberC, "@MEMBER_C@"),
        (Party::Narrow, "@NARROW@"),
        (Party::Silent, "@SILENT@"),
        (Party::Pri, "@PRI@"),
        (Party::Ngn, "@NGN@"),
        (Party::Itsp, "@ITSP@"),
        (Party::Tcp, "@TCP@"),
        (Party::Tls, "@TLS@"),
        (Party::Server, "@SERVER@"),
    ];
}

/// The addresses of one lane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    net: [u8; 3],
    lane: Lane,
    outside: Option<IpAddr>,
}

impl Addresses {
    /// A part of a /24 of 127.0.0.0/8 that belongs to this process.
    pub(crate) fn of(lane: Lane) -> Addresses {
        let id = std::process::id();
        // 127.0.x and 127.255.x are left to others, who like to bind there.
        let net = [127, 1 + (id >> 8) as u8 % 253, id as u8];
        Addresses { net, lane, outside: outside() }
    }

    /// This machine's address besides loopback, if it has one.
    pub(crate) fn outside(&self) -> Option<IpAddr> {
        self.outside
    }

    pub(crate) fn ip(&self, party: Party) -> IpAddr {
        if self.lane.ipv6 {
            return Ipv6Addr::LOCALHOST.into();
        }
        if let (true, Some(outside)) = (Party::FAR.contains(&party), self.outside) {
            return outside;
        }
        let [a, b, c] = self.net;
        Ipv4Addr::new(a, b, c, self.lane.number * PARTIES + party as u8).into()
    }

    pub(crate) fn sip(&self, party: Party) -> SocketAddr {
        let shares = self.lane.ipv6 || Party::FAR.contains(&party);
        let port = if shares { self.port(party) } else { SIP_PORT };
        SocketAddr::from((self.ip(party), port))
    }

    /// A port that no other party of any lane of this process has.
    fn port(&self, party: Party) -> u16 {
        let own = u16::from(self.lane.number * PARTIES + party as u8);
        // Of processes that run at the same time few meet here.
        FIRST_PORT + u16::from(self.net[2] % 35) * 256 + own
    }

    /// A provisioning document with the addresses in their places. Without a port of its own a
    /// party is known by its address, if it has one for itself.
    pub(crate) fn fill(&self, document: &str) -> String {
        Party::PLACEHOLDERS.iter().fold(document.to_owned(), |text, (party, placeholder)| {
            let sip = self.sip(*party).to_string();
            let text = text.replace(&format!("{placeholder}:{SIP_PORT}"), &sip);
            if self.lane.ipv6 {
                let tls = format!("{placeholder}:{TLS_PORT}");
                return text.replace(&tls, &sip).replace(placeholder, &sip);
            }
            text.replace(placeholder, &self.ip(*party).to_string())
        })
    }
}

/// The address by which this machine would reach the world; no packet is sent.
fn outside() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // RFC 5737: an address of nobody.
    socket.connect((Ipv4Addr::new(203, 0, 113, 1), 9)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback()).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_party_has_an_address_of_its_own_and_the_document_names_it() {
        let document = "peers = [\"@MEMBER_A@:5060\"] sources = [\"@GATEWAY@\"]";
        let addresses = Addresses { net: [127, 8, 9], lane: Lane::ipv4(1), outside: None };
        assert_eq!(
            addresses.fill(document),
            "peers = [\"127.8.9.43:5060\"] sources = [\"127.8.9.42\"]"
        );
        assert_ne!(addresses.sip(Party::Narrow), addresses.sip(Party::Phone));
        let addresses = Addresses { net: [127, 8, 9], lane: Lane::ipv6(0), outside: None };
        assert_eq!(
            addresses.fill(document),
            "peers = [\"[::1]:12307\"] sources = [\"[::1]:12306\"]"
        );
    }
}
