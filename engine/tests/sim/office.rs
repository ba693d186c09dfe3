//! The operator's provisioning that the simulated world lives in.

use std::time::Duration;

use tensou_engine::Secret;
use tensou_engine::plan::{E164, parse_e164};
use tensou_engine::route::{
    CustomerSpec, DestinationKind, DestinationSpec, DidSpec, ExtensionSpec, GroupSpec, MemberSpec,
    PeerSpec, Provisioning, Strategy, TargetRef, TrunkSpec,
};

pub(crate) const ENGINE: &str = "192.0.2.10:5060";
pub(crate) const GATEWAY: &str = "192.0.2.1:5060";
pub(crate) const CARRIER: &str = "192.0.2.2:5060";
/// The carrier's second peer.
pub(crate) const CARRIER_2: &str = "192.0.2.3:5060";
/// A trunk with one channel, for +81 70.
pub(crate) const NARROW: &str = "192.0.2.4:5060";
pub(crate) const DESK_PHONE: &str = "198.51.100.21:5080";
pub(crate) const SOFT_PHONE: &str = "198.51.100.22:5081";

/// Rings sato and suzuki at once.
pub(crate) const SALES: &str = "0311112222";
/// Rings sato, then suzuki, then tanaka.
pub(crate) const NIGHT: &str = "0311112223";
/// Rings sato; one call at a time.
pub(crate) const DIRECT: &str = "0311112224";
/// Rings extension 201, and sato five seconds later.
pub(crate) const DESK: &str = "0311112225";
/// Rings kato by the trunk with one channel.
pub(crate) const THIN: &str = "0311112226";

pub(crate) fn number(text: &str) -> E164 {
    parse_e164(text).unwrap()
}

/// The telephone number of somebody.
pub(crate) fn phone_of(who: &str) -> &str {
    match who {
        "sato" => "09000001111",
        "suzuki" => "09000002222",
        "tanaka" => "09000003333",
        "kato" => "07000004444",
        extension => extension,
    }
}

/// Peers in order of preference.
fn ordered_peers(peers: &[&str]) -> Vec<PeerSpec> {
    let peer = |(priority, text): (u16, &&str)| PeerSpec {
        priority,
        ..PeerSpec::at(text.parse().unwrap())
    };
    (0..).zip(peers).map(peer).collect()
}

pub(crate) fn trunk(id: &str, peers: &[&str]) -> TrunkSpec {
    TrunkSpec { id: id.to_owned(), peers: ordered_peers(peers), ..TrunkSpec::default() }
}

fn did(digits: &str, route: TargetRef) -> DidSpec {
    DidSpec {
        number: number(digits),
        customer: Some("yamada".to_owned()),
        active: true,
        route: vec![route],
        max_calls: u32::from(digits == DIRECT),
        presented_name: String::new(),
    }
}

fn destination(who: &str) -> DestinationSpec {
    DestinationSpec {
        id: who.to_owned(),
        kind: DestinationKind::Number(number(phone_of(who))),
        identity: Default::default(),
        trunk: (who == "kato").then(|| "narrow".to_owned()),
    }
}

fn member(target: TargetRef, delay: u64, ring: u64) -> MemberSpec {
    MemberSpec { target, delay: Duration::from_secs(delay), ring: Duration::from_secs(ring) }
}

fn person(who: &str) -> TargetRef {
    TargetRef::Destination(who.to_owned())
}

fn group(id: &str, strategy: Strategy, members: Vec<MemberSpec>) -> GroupSpec {
    GroupSpec {
        id: id.to_owned(),
        strategy,
        members,
        ring: Duration::from_secs(20),
        ends_on_decline: false,
        overflow: (id == "night").then(|| person("tanaka")),
    }
}

fn extension(user: &str) -> ExtensionSpec {
    ExtensionSpec {
        user: user.to_owned(),
        secret: Secret::new(password(user)),
        enabled: true,
        customer: Some("yamada".to_owned()),
        presented: Some(number(SALES)),
    }
}

pub(crate) fn password(user: &str) -> String {
    format!("secret-of-{user}")
}

/// A gateway, a carrier with two peers, a narrow trunk, four people and two phones.
pub(crate) fn provisioning() -> Provisioning {
    let only = |id, peers: &[&str], prefix: &str, channels| TrunkSpec {
        prefixes: vec![prefix.to_owned()],
        channels,
        ..trunk(id, peers)
    };
    let in_group = |id: &str| TargetRef::Group(id.to_owned());
    Provisioning {
        trunks: vec![
            only("gateway", &[GATEWAY], "+8199", 23),
            trunk("carrier", &[CARRIER, CARRIER_2]),
            only("narrow", &[NARROW], "+8170", 1),
        ],
        customers: vec![CustomerSpec { id: "yamada".to_owned(), active: true }],
        dids: vec![
            did(SALES, in_group("sales")),
            did(NIGHT, in_group("night")),
            did(DIRECT, person("sato")),
            did(DESK, in_group("desk")),
            did(THIN, person("kato")),
        ],
        destinations: ["sato", "suzuki", "tanaka", "kato"].map(destination).into(),
        groups: vec![
            group(
                "sales",
                Strategy::Simultaneous,
                vec![member(person("sato"), 0, 0), member(person("suzuki"), 0, 0)],
            ),
            group(
                "night",
                Strategy::Sequential,
                vec![member(person("sato"), 0, 10), member(person("suzuki"), 2, 10)],
            ),
            group(
                "desk",
                Strategy::Simultaneous,
                vec![
                    member(TargetRef::Extension("201".to_owned()), 0, 0),
                    member(person("sato"), 5, 0),
                ],
            ),
        ],
        extensions: vec![extension("201"), extension("202")],
    }
}
