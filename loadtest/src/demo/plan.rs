//! Who lives in the demonstration and what is expected of each call.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use crate::agents::{Behaviour, Expectation};

const OPERATOR: &str = include_str!("operator.toml");

/// The sample operator as a provisioning document. `@GATEWAY@` and `@CARRIER@` stand for the
/// `host:port` of the simulated peers; [`operator_document`] fills them in.
pub fn sample_document() -> &'static str {
    OPERATOR
}

/// The sample operator with its peers' addresses.
pub fn operator_document(gateway: SocketAddr, carrier: SocketAddr) -> String {
    OPERATOR.replace("@GATEWAY@", &gateway.to_string()).replace("@CARRIER@", &carrier.to_string())
}

/// A UDP port of the loopback interface that is free now.
pub fn free_port() -> std::io::Result<SocketAddr> {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// A simulated world around an engine.
#[derive(Clone, Debug)]
pub struct DemoPlan {
    /// Where the engine listens for SIP over UDP.
    pub engine_sip: SocketAddr,
    /// Where the simulated PRI gateway listens.
    pub gateway: SocketAddr,
    /// Where the simulated carrier listens.
    pub carrier: SocketAddr,
    /// Phones that register.
    pub phones: Vec<PhoneAccount>,
    /// Numbers behind the gateway, in national form, and what their subscribers do.
    pub gateway_numbers: BTreeMap<String, Behaviour>,
    /// Numbers behind the carrier, in national form, and what their subscribers do.
    pub carrier_numbers: BTreeMap<String, Behaviour>,
    /// DIDs that the world calls.
    pub dids: Vec<DidPlan>,
    /// Calls that extensions place.
    pub outgoing: Vec<OutgoingPlan>,
    /// B channels of the gateway: it places no call without a free one.
    pub channels: usize,
    /// Mean rate of calls; they come at random as from independent callers.
    pub calls_per_second: f64,
    /// Everything random comes from it.
    pub seed: u64,
}

/// A phone's account and habits.
#[derive(Clone, Debug)]
pub struct PhoneAccount {
    /// User name.
    pub user: String,
    /// Password.
    pub password: String,
    /// Registrar domain.
    pub domain: String,
    /// What it does with calls.
    pub behaviour: Behaviour,
}

/// A DID and what must become of calls to it.
#[derive(Clone, Debug)]
pub struct DidPlan {
    /// In national form, as the gateway dials it.
    pub number: String,
    /// What must become of a call.
    pub expect: Expectation,
    /// Who hangs up an answered call.
    pub caller_hangs_up: bool,
    /// Calls at a time, 0 without limit.
    pub max_calls: usize,
    /// How often it is called in comparison with others.
    pub weight: u32,
}

/// A call from an extension to the outside.
#[derive(Clone, Debug)]
pub struct OutgoingPlan {
    /// The extension.
    pub user: String,
    /// What it dials.
    pub dials: String,
    /// What must become of it.
    pub expect: Expectation,
}

/// Talks last between these; long enough to be seen, short enough to see many.
pub(crate) const TALK_SECS: std::ops::Range<f64> = 4.0..14.0;
/// Callers lose patience between these.
pub(crate) const PATIENCE_SECS: std::ops::Range<f64> = 3.0..7.0;

impl DemoPlan {
    /// The plan that fits [`sample_document`]: who answers, who is busy, who never picks up.
    pub fn sample(
        engine_sip: SocketAddr,
        gateway: SocketAddr,
        carrier: SocketAddr,
        domain: &str,
    ) -> DemoPlan {
        DemoPlan {
            engine_sip,
            gateway,
            carrier,
            phones: phones(domain),
            gateway_numbers: BTreeMap::from([(
                "09000000303".to_owned(),
                Behaviour::answers(millis(2500)).with_early_media(),
            )]),
            carrier_numbers: BTreeMap::from([
                ("09000000101".to_owned(), Behaviour::rings_on()),
                ("09000000102".to_owned(), Behaviour::answers_for(millis(2500), millis(9000))),
                ("09000000201".to_owned(), Behaviour::answers(millis(3000))),
                ("09000000203".to_owned(), Behaviour::rings_on()),
                ("09000000301".to_owned(), Behaviour::rings_on()),
                ("09000000302".to_owned(), Behaviour::refuses(404)),
                ("09000000900".to_owned(), Behaviour::answers(millis(2000)).with_early_media()),
            ]),
            dids: dids(),
            outgoing: vec![OutgoingPlan {
                user: "202".to_owned(),
                dials: "09000000900".to_owned(),
                expect: answered_by("09000000900"),
            }],
            channels: 23,
            calls_per_second: 0.5,
            seed: 1,
        }
    }
}

fn phones(domain: &str) -> Vec<PhoneAccount> {
    let phone = |user: &str, password: &str, behaviour| PhoneAccount {
        user: user.to_owned(),
        password: password.to_owned(),
        domain: domain.to_owned(),
        behaviour,
    };
    vec![
        phone("201", "sakura-201-demo", Behaviour::answers(millis(2000))),
        phone("202", "sakura-202-demo", Behaviour::rings_on()),
        phone("203", "sakura-203-demo", Behaviour::rings_on()),
        phone("204", "sakura-204-demo", Behaviour::answers(millis(1500))),
        phone("205", "fuji-205-demo", Behaviour::refuses(486)),
    ]
}

fn dids() -> Vec<DidPlan> {
    let did = |number: &str, weight, expect| DidPlan {
        number: number.to_owned(),
        expect,
        caller_hangs_up: true,
        max_calls: 0,
        weight,
    };
    vec![
        did("0310000101", 4, answered_by("201")),
        DidPlan {
            caller_hangs_up: false,
            max_calls: 5,
            ..did("0310000102", 2, answered_by("09000000102"))
        },
        did("0310000103", 2, answered_by("204")),
        did("0310000201", 2, answered_by("09000000201")),
        did("0310000202", 1, Expectation::Busy),
        did("0310000203", 1, Expectation::Cancelled),
        did("0310000301", 1, Expectation::NoAnswer),
        did("0310000302", 1, Expectation::Refused(vec![404, 480, 410])),
        did("0310000303", 2, answered_by("09000000303")),
    ]
}

fn answered_by(name: &str) -> Expectation {
    Expectation::AnsweredBy(vec![name.to_owned()])
}

const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> DemoPlan {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        DemoPlan::sample(address, address, address, "127.0.0.1:1")
    }

    #[test]
    fn the_document_knows_everything_that_the_plan_calls() {
        let digits = |number: &str| format!("+81{}", number.trim_start_matches('0'));
        let plan = plan();
        for did in &plan.dids {
            assert!(OPERATOR.contains(&format!("number = \"{}\"", digits(&did.number))));
        }
        for phone in &plan.phones {
            assert!(
                OPERATOR.contains(&format!(
                    "user = \"{}\"\nsecret = \"{}\"",
                    phone.user, phone.password
                ))
            );
        }
        let subscribers = plan.gateway_numbers.keys().chain(plan.carrier_numbers.keys());
        for number in subscribers.filter(|number| *number != "09000000900") {
            assert!(OPERATOR.contains(&digits(number)), "{number}");
        }
    }

    #[test]
    fn the_document_has_both_addresses_filled_in() {
        let gateway = SocketAddr::from((Ipv4Addr::LOCALHOST, 40_001));
        let carrier = SocketAddr::from((Ipv4Addr::LOCALHOST, 40_002));
        let document = operator_document(gateway, carrier);
        assert!(document.contains("peers = [\"127.0.0.1:40001\"]"));
        assert!(document.contains("peers = [\"127.0.0.1:40002\"]"));
        assert!(!document.contains("@GATEWAY@") && !document.contains("@CARRIER@"));
    }
}
