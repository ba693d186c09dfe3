//! Where trunks are: whose call a packet is by its source, and which peer of a trunk is called.

use tensou_engine::Event;
use tensou_engine::route::{PeerSpec, Source, TrunkSpec};

use crate::office::{CARRIER, CARRIER_2, DIRECT, GATEWAY, SALES, trunk};
use crate::sim::{Sim, invite, offer_of, secs};

/// The trunk that a call from this place is taken for; none if nothing is answered.
fn taken_for(sim: &mut Sim, place: &str) -> Option<String> {
    let (id, shown) = sim.fresh();
    let began = sim.world.calls_started().len();
    sim.world.inbox.clear();
    let mut msg = invite(GATEWAY, SALES, &shown, id).with_sdp(&offer_of(GATEWAY));
    msg.set("Via", &format!("SIP/2.0/UDP {place};branch=z9hG4bK{id};rport"));
    sim.sends(place, &msg);
    let started = sim.world.events.iter().filter_map(|event| match event {
        Event::CallStarted(start) => start.trunk_in.as_ref(),
        _ => None,
    });
    let trunk = started.map(|key| key.as_str().to_owned()).nth(began);
    assert_eq!(trunk.is_none(), sim.world.inbox.is_empty(), "{place}");
    trunk
}

#[test]
fn a_trunk_is_known_by_its_addresses_ports_and_networks_the_narrower_first() {
    let source = |network: &str, prefix_len, port| Source {
        network: network.parse().unwrap(),
        prefix_len,
        port,
    };
    let of = |id: &str, sources| TrunkSpec {
        sources,
        prefixes: vec!["+8197".to_owned()],
        ..trunk(id, &[])
    };
    let mut sim = Sim::with(|office| {
        office.trunks.push(of("wide", vec![source("198.51.200.0", 24, None)]));
        office.trunks.push(of("port", vec![source("198.51.200.7", 32, Some(5070))]));
        office.trunks.push(of("half", vec![source("198.51.200.128", 25, None)]));
        office.trunks.push(of("six", vec![source("2001:db8:7::", 48, None)]));
    });
    for (place, expected) in [
        ("198.51.200.50:40000", Some("wide")),
        ("198.51.200.7:5070", Some("port")),
        ("198.51.200.7:5060", Some("wide")),
        ("198.51.200.200:5060", Some("half")),
        ("[2001:db8:7::1]:5060", Some("six")),
        ("[2001:db8:8::1]:5060", None),
        ("198.51.201.50:40000", None),
        ("198.51.199.255:5060", None),
        // A peer's own address, from whatever port.
        ("192.0.2.1:6000", Some("gateway")),
        ("192.0.2.3:1024", Some("carrier")),
    ] {
        assert_eq!(taken_for(&mut sim, place).as_deref(), expected, "{place}");
        sim.command(tensou_engine::OperatorCommand::HangUpAll);
        sim.world.run(secs(40));
    }
}

#[test]
fn peers_of_one_priority_share_the_calls_by_weight_and_lower_ones_get_none() {
    let spare = "192.0.2.5:5060";
    let mut sim = Sim::with(|office| {
        let peer = |place: &str, priority, weight| PeerSpec {
            priority,
            weight,
            ..PeerSpec::at(place.parse().unwrap())
        };
        office.trunks[1].peers =
            vec![peer(spare, 9, 100), peer(CARRIER, 1, 3), peer(CARRIER_2, 1, 1)];
    });
    for _ in 0..200 {
        sim.call(DIRECT).refused_by("sato", 486).gets(486, None);
    }
    let calls = |place: &str| sim.world.uas[place].sessions.len();
    let (more, less) = (calls(CARRIER), calls(CARRIER_2));
    assert_eq!(more + less, 200);
    assert!((30..=70).contains(&less), "{more} and {less}, where 150 and 50 are meant");
    assert!(sim.sent(spare, "INVITE").is_empty());
}
