//! Agents against agents over the loopback interface: before they judge an engine they are
//! judged without one.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use tensou_loadtest::agents::{
    AgentId, Behaviour, CallScript, Expectation, Gateway, Report, World,
};

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A carrier that takes the given number and a gateway that calls it directly.
fn world(number: &str, behaviour: Behaviour) -> std::io::Result<(World, AgentId)> {
    let mut world = World::new(7)?;
    let carrier = world.gateway(Gateway {
        name: "carrier".into(),
        address: ANY,
        engine: ANY,
        takes: BTreeMap::from([(number.to_owned(), behaviour)]),
    })?;
    let gateway = world.gateway(Gateway {
        name: "gateway".into(),
        address: ANY,
        engine: world.address(carrier),
        takes: BTreeMap::new(),
    })?;
    Ok((world, gateway))
}

fn script(number: &str, talks: Option<Duration>, expect: Expectation) -> CallScript {
    CallScript {
        dials: number.to_owned(),
        shows: Some("08000000001".to_owned()),
        talks,
        cancels_after: (expect == Expectation::Cancelled).then(|| millis(300)),
        expect,
    }
}

/// Runs until no call is left; at most ten seconds.
fn finish(world: &mut World) -> std::io::Result<Vec<Report>> {
    let deadline = Instant::now() + Duration::from_secs(10);
    while world.active(None) > 0 {
        assert!(Instant::now() < deadline, "calls never ended");
        world.run_until(Instant::now() + millis(20))?;
    }
    assert_eq!(world.take_faults(), Vec::<String>::new());
    Ok(world.take_reports())
}

#[test]
fn fifty_talks_are_heard_whole_on_both_sides() {
    let (mut world, gateway) = world("09000000102", Behaviour::answers(millis(200))).unwrap();
    for _ in 0..50 {
        let expect = Expectation::AnsweredBy(vec!["09000000102".into()]);
        world.call(gateway, script("09000000102", Some(millis(1500)), expect)).unwrap();
    }
    let reports = finish(&mut world).unwrap();
    assert_eq!(reports.len(), 100);
    for report in &reports {
        assert_eq!(report.faults, Vec::<String>::new(), "{report:?}");
        assert!(report.heard.packets >= 70, "{report:?}");
    }
    let callee = reports.iter().find(|report| !report.placed).unwrap();
    assert_eq!(callee.heard_from, ["08000000001"]);
}

#[test]
fn the_callee_may_hang_up_refuse_or_never_answer() {
    let answered = Expectation::AnsweredBy(vec!["1".into()]);
    let cases = [
        (Behaviour::answers_for(millis(100), millis(700)).with_early_media(), answered),
        (Behaviour::refuses(486), Expectation::Busy),
        (Behaviour::refuses(404), Expectation::Refused(vec![404])),
        (Behaviour::rings_on(), Expectation::Cancelled),
    ];
    for (behaviour, expect) in cases {
        let (mut world, gateway) = world("1", behaviour).unwrap();
        world.call(gateway, script("1", None, expect.clone())).unwrap();
        let reports = finish(&mut world).unwrap();
        assert_eq!(reports.len(), 2, "{expect:?}");
        assert!(reports.iter().all(|report| report.faults.is_empty()), "{reports:#?}");
    }
}

#[test]
fn a_call_that_goes_another_way_than_scripted_says_so() {
    let (mut world, gateway) = world("1", Behaviour::refuses(486)).unwrap();
    world.call(gateway, script("1", None, Expectation::NoAnswer)).unwrap();
    let reports = finish(&mut world).unwrap();
    let caller = reports.iter().find(|report| report.placed).unwrap();
    assert!(caller.faults[0].contains("expected NoAnswer, became Refused(486)"), "{caller:?}");
}

#[test]
fn cutting_short_ends_ringing_and_talking_calls_cleanly() {
    let (mut world, gateway) = world("1", Behaviour::answers(millis(600))).unwrap();
    let expect = Expectation::AnsweredBy(vec!["1".into()]);
    world.call(gateway, script("1", Some(Duration::from_secs(60)), expect.clone())).unwrap();
    world.run_until(Instant::now() + millis(1300)).unwrap();
    world.call(gateway, script("1", Some(Duration::from_secs(60)), expect)).unwrap();
    world.run_until(Instant::now() + millis(200)).unwrap();
    world.cut_short();
    let reports = finish(&mut world).unwrap();
    assert_eq!(reports.len(), 4);
    assert!(reports.iter().all(|report| report.faults.is_empty()), "{reports:#?}");
}
