//! Loopback addresses of a run: each party has its own, as on a real network, and two runs on
//! one machine do not meet.

use std::net::{Ipv4Addr, SocketAddr};

/// Everybody listens where SIP belongs (RFC 3261 19.1.2).
const SIP_PORT: u16 = 5060;

/// Who takes part in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Party {
    /// The program under test.
    Server,
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
}

impl Party {
    /// What stands for its address in a provisioning document.
    const PLACEHOLDERS: [(Party, &'static str); 10] = [
        (Party::Gateway, "@GATEWAY@"),
        (Party::MemberA, "@MEMBER_A@"),
        (Party::MemberB, "@MEMBER_B@"),
        (Party::MemberC, "@MEMBER_C@"),
        (Party::Narrow, "@NARROW@"),
        (Party::Silent, "@SILENT@"),
        (Party::Pri, "@PRI@"),
        (Party::Ngn, "@NGN@"),
        (Party::Itsp, "@ITSP@"),
        (Party::Server, "@SERVER@"),
    ];
}

/// The addresses of one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    net: [u8; 3],
}

impl Addresses {
    /// A /24 of 127.0.0.0/8 that belongs to this process.
    pub(crate) fn of_process() -> Addresses {
        let id = std::process::id();
        // 127.0.x and 127.255.x are left to others, who like to bind there.
        Addresses { net: [127, 1 + (id >> 8) as u8 % 253, id as u8] }
    }

    pub(crate) fn ip(&self, party: Party) -> Ipv4Addr {
        let [a, b, c] = self.net;
        let host = match party {
            Party::Server => 1,
            Party::Gateway => 2,
            Party::MemberA => 3,
            Party::MemberB => 4,
            Party::MemberC => 5,
            Party::Narrow => 6,
            Party::Phone => 7,
            Party::Silent => 8,
            Party::Stranger => 9,
            Party::Pri => 10,
            Party::Ngn => 11,
            Party::Itsp => 12,
        };
        Ipv4Addr::new(a, b, c, host)
    }

    pub(crate) fn sip(&self, party: Party) -> SocketAddr {
        SocketAddr::from((self.ip(party), SIP_PORT))
    }

    /// A provisioning document with the addresses in their places.
    pub(crate) fn fill(&self, document: &str) -> String {
        Party::PLACEHOLDERS.iter().fold(document.to_owned(), |text, (party, placeholder)| {
            text.replace(placeholder, &self.ip(*party).to_string())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_party_has_an_address_of_its_own_and_the_document_names_it() {
        let addresses = Addresses { net: [127, 8, 9] };
        assert_eq!(
            addresses.fill("peers = [\"@MEMBER_A@:5060\"] sources = [\"@GATEWAY@\"]"),
            "peers = [\"127.8.9.3:5060\"] sources = [\"127.8.9.2\"]"
        );
        assert_ne!(addresses.sip(Party::Narrow), addresses.sip(Party::Phone));
    }
}
