//! Live calls, events and the dry run.

use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tensou_engine::plan::parse_e164;
use tensou_engine::{
    CallId, CallResult, CallStarted, Caller, CallerClass, Direction, EndedBy, Event, Key,
    LegNumber, OperatorCommand, TrunkFigures, TrunkState, WallTime,
};
use tensou_store::Role;
use tower::ServiceExt;

use crate::world::{Ask, World, ask};

fn id(number: u64) -> CallId {
    CallId::new(1_795_000_000_000, 0, number)
}

fn started(call: CallId, customer: &str) -> Event {
    Event::CallStarted(Box::new(CallStarted {
        call,
        at: WallTime::from_unix_micros(1_795_000_000_123_456),
        direction: Direction::Forward,
        did: parse_e164("+81311112221").ok(),
        customer: Some(Key::from(customer)),
        caller: Caller { number: parse_e164("09012345678").ok(), class: CallerClass::Number },
        trunk_in: Some(Key::from("pri")),
    }))
}

fn ended(call: CallId) -> Event {
    Event::CallEnded {
        call,
        at: WallTime::from_unix_micros(1_795_000_060_000_000),
        duration: Duration::from_millis(59_876),
        result: CallResult::Answered,
        sip_status: 200,
        q850_cause: 16,
        ended_by: EndedBy::Caller,
    }
}

#[tokio::test]
async fn live_calls_are_listed_page_by_page_and_shown() {
    let world = World::new().await;
    let admin = world.admin().await;
    for number in 0..3 {
        world.board.apply(&started(id(number), "acme"));
    }
    world.board.apply(&Event::LegDialled {
        call: id(0),
        leg: LegNumber(1),
        destination: Key::from("yamada"),
        trunk_out: Some(Key::from("pri")),
    });
    let first = world.ask(ask("get", "/api/v1/calls?limit=2").by(&admin)).await.json();
    assert_eq!(first["items"].as_array().unwrap().len(), 2);
    let next = first["next"].as_str().unwrap();
    let path = format!("/api/v1/calls?limit=2&after={next}");
    let second = world.ask(ask("get", &path).by(&admin)).await.json();
    assert_eq!(second["items"].as_array().unwrap().len(), 1);
    assert_eq!(second["next"], Value::Null);

    let call = world.ask(ask("get", &format!("/api/v1/calls/{}", id(0))).by(&admin)).await.json();
    assert_eq!(call["started_at"], "2026-11-18T20:06:40.123+09:00");
    assert_eq!(call["caller"], "+819012345678");
    assert_eq!(call["state"], "routing");
    assert_eq!(call["legs"][0]["destination"], "yamada");
    for missing in [id(99).to_string(), "no-id".to_owned()] {
        let answer = world.ask(ask("get", &format!("/api/v1/calls/{missing}")).by(&admin)).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
    }
    let odd = world.ask(ask("get", "/api/v1/calls?after=zero").by(&admin)).await;
    assert_eq!(odd.pointers(), ["?after"]);
}

#[tokio::test]
async fn live_calls_are_filtered_by_field() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.board.apply(&started(id(1), "acme"));
    world.board.apply(&started(id(2), "kita"));
    world.board.apply(&Event::LegDialled {
        call: id(2),
        leg: LegNumber(1),
        destination: Key::from("yamada"),
        trunk_out: Some(Key::from("carrier")),
    });
    let at = WallTime::from_unix_micros(1_795_000_001_000_000);
    world.board.apply(&Event::LegRinging { call: id(2), leg: LegNumber(1), at });
    for (query, count) in [
        ("customer=acme", 1),
        ("did=03-1111-2221", 2),
        ("did=0399999999", 0),
        ("caller=%2B819012345678", 2),
        ("trunk=pri", 2),
        ("trunk=carrier", 1),
        ("state=ringing", 1),
        ("state=routing&customer=kita", 0),
    ] {
        let answer = world.ask(ask("get", &format!("/api/v1/calls?{query}")).by(&admin)).await;
        assert_eq!(answer.json()["items"].as_array().unwrap().len(), count, "{query}");
    }
    let odd = "/api/v1/calls?did=x&state=asleep";
    assert_eq!(world.ask(ask("get", odd).by(&admin)).await.pointers(), ["?did", "?state"]);
}

#[tokio::test]
async fn calls_of_others_do_not_exist() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.provision(&admin).await;
    world.board.apply(&started(id(1), "acme"));
    world.board.apply(&started(id(2), "kita"));
    for (role, owner) in [(Role::Customer, "acme"), (Role::Reseller, "res")] {
        let token = world.token(role, owner).await;
        let list = world.ask(ask("get", "/api/v1/calls").by(&token)).await.json();
        assert_eq!(list["items"].as_array().unwrap().len(), 1, "{role:?}");
        assert_eq!(list["items"][0]["customer_id"], "acme");
        for (number, status) in [(1, 200), (2, 404)] {
            let path = format!("/api/v1/calls/{}", id(number));
            let status_now = world.ask(ask("get", &path).by(&token)).await.status;
            assert_eq!(status_now.as_u16(), status, "{role:?} {number}");
        }
    }
}

#[tokio::test]
async fn a_hang_up_reaches_the_engine_and_a_full_queue_says_so() {
    let mut world = World::new().await;
    let admin = world.admin().await;
    world.board.apply(&started(id(1), "acme"));
    let hang_up = |call: CallId| ask("post", &format!("/api/v1/calls/{call}/hangup")).by(&admin);
    assert_eq!(world.ask(hang_up(id(1))).await.status, StatusCode::ACCEPTED);
    assert_eq!(world.commands.try_recv().ok(), Some(OperatorCommand::HangUp(id(1))));
    assert_eq!(world.ask(hang_up(id(2))).await.status, StatusCode::NOT_FOUND);
    assert!(world.commands.try_recv().is_err(), "nothing is asked for a call that is not there");
    for _ in 0..4 {
        assert_eq!(world.ask(hang_up(id(1))).await.status, StatusCode::ACCEPTED);
    }
    let full = world.ask(hang_up(id(1))).await;
    assert_eq!(full.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(full.header("retry-after"), "1");
}

#[tokio::test]
async fn a_transfer_reaches_the_engine_for_whom_the_customer_may_call() {
    let mut world = World::new().await;
    let admin = world.admin().await;
    world.board.apply(&started(id(1), "acme"));
    let transfer = |call: CallId, to: &str| {
        let path = format!("/api/v1/calls/{call}/transfer");
        ask("post", &path).json(&json!({ "to": to })).by(&admin)
    };
    let early = world.ask(transfer(id(1), "080-1234-5678")).await;
    assert_eq!(early.status, StatusCode::CONFLICT);
    let leg = tensou_engine::LegNumber(1);
    let at = tensou_engine::WallTime::from_unix_micros(1_795_392_000_000_000);
    world.board.apply(&Event::CallAnswered { call: id(1), leg, at });
    let done = world.ask(transfer(id(1), "080-1234-5678")).await;
    assert_eq!(done.status, StatusCode::ACCEPTED);
    let asked = OperatorCommand::Transfer { call: id(1), to: "+818012345678".into() };
    assert_eq!(world.commands.try_recv().ok(), Some(asked));
    let nobody = world.ask(transfer(id(1), "nobody")).await;
    assert_eq!(nobody.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(nobody.json()["errors"][0]["pointer"], "/to");
    assert_eq!(world.ask(transfer(id(2), "201")).await.status, StatusCode::NOT_FOUND);
    assert!(world.commands.try_recv().is_err());
}

#[tokio::test]
async fn a_trunk_tells_its_channels() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.provision(&admin).await;
    let path = "/api/v1/trunks/pri/status";
    let idle = world.ask(ask("get", path).by(&admin)).await.json();
    let told = json!({
        "id": "pri", "name": "INS1500", "enabled": true, "channels_in_use": 0, "channels": 23,
        "up": true, "registered": null, "reason": "", "peers": [], "attempts": 0,
        "asr_percent": null, "acd_seconds": null, "pdd_ms": null,
    });
    assert_eq!(idle, told);
    world.board.apply(&Event::TrunkChannels { trunk: Key::from("pri"), in_use: 7, limit: 23 });
    let busy = world.ask(ask("get", path).by(&admin)).await.json();
    assert_eq!(busy["channels_in_use"], 7);
    let seconds = std::time::Duration::from_secs;
    let figures = TrunkFigures {
        attempts: 8,
        rung: 4,
        answered: 2,
        talk: seconds(180),
        until_ringing: seconds(6),
    };
    world.board.apply(&Event::TrunkFigures { trunk: Key::from("pri"), figures });
    let state = TrunkState {
        up: false,
        registered: Some(false),
        peers: vec![("192.0.2.1:5060".parse().unwrap(), true)],
        reason: "the registrar answers 403".to_owned(),
    };
    world.board.apply(&Event::TrunkState { trunk: Key::from("pri"), state: Box::new(state) });
    let down = world.ask(ask("get", path).by(&admin)).await.json();
    let of = |field: &str| down[field].clone();
    assert_eq!(
        [of("up"), of("registered"), of("asr_percent"), of("acd_seconds"), of("pdd_ms")],
        [json!(false), json!(false), json!(25), json!(90), json!(1500)]
    );
    assert_eq!(of("reason"), json!("the registrar answers 403"));
    assert_eq!(of("peers"), json!([{ "peer": "192.0.2.1:5060", "up": true }]));
    let missing = world.ask(ask("get", "/api/v1/trunks/other/status").by(&admin)).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
}

/// A stream of events, read piece by piece.
struct Stream(Body);

impl Stream {
    async fn open(world: &World, ask: Ask) -> Self {
        let response = world.router.clone().oneshot(ask.request()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut stream = Stream(response.into_body());
        assert!(stream.next().await.starts_with(": open"), "the stream greets at once");
        stream
    }

    async fn next(&mut self) -> String {
        let frame = self.0.frame().await.expect("the stream goes on").expect("a piece");
        String::from_utf8(frame.into_data().expect("data").to_vec()).expect("text")
    }

    async fn event(&mut self) -> (String, Value) {
        let text = self.next().await;
        let line = |name: &str| {
            let found = text.lines().find_map(|line| line.strip_prefix(name));
            found.unwrap_or_else(|| panic!("no {name} in {text}")).trim().to_owned()
        };
        (line("event:"), serde_json::from_str(&line("data:")).unwrap())
    }
}

#[tokio::test]
async fn events_are_streamed_as_they_happen() {
    let world = World::new().await;
    let admin = world.admin().await;
    let mut stream = Stream::open(&world, ask("get", "/api/v1/events").by(&admin)).await;
    world.board.apply(&started(id(1), "acme"));
    world.board.apply(&Event::TrunkChannels { trunk: Key::from("pri"), in_use: 1, limit: 23 });
    world.board.apply(&ended(id(1)));
    let (name, data) = stream.event().await;
    assert_eq!(
        (name.as_str(), data["id"].as_str().unwrap()),
        ("call.started", &*id(1).to_string())
    );
    let (name, data) = stream.event().await;
    assert_eq!((name.as_str(), &data["in_use"]), ("trunk.channels", &json!(1)));
    let (name, data) = stream.event().await;
    assert_eq!(name, "call.ended");
    assert_eq!((&data["result"], &data["duration_ms"]), (&json!("answered"), &json!(59_876)));
}

#[tokio::test]
async fn a_customer_hears_of_its_own_calls_only() {
    let world = World::new().await;
    world.provision(&world.admin().await).await;
    let token = world.token(Role::Customer, "acme").await;
    let mut stream = Stream::open(&world, ask("get", "/api/v1/events").by(&token)).await;
    world.board.apply(&started(id(1), "kita"));
    world.board.apply(&Event::TrunkChannels { trunk: Key::from("pri"), in_use: 1, limit: 23 });
    world.board.apply(&started(id(2), "acme"));
    let (name, data) = stream.event().await;
    assert_eq!((name.as_str(), &data["customer_id"]), ("call.started", &json!("acme")));
}

#[tokio::test]
async fn a_slow_listener_is_told_that_it_lost_events() {
    let world = World::new().await;
    let admin = world.admin().await;
    let mut stream = Stream::open(&world, ask("get", "/api/v1/events").by(&admin)).await;
    let busy = Event::TrunkChannels { trunk: Key::from("pri"), in_use: 1, limit: 23 };
    for _ in 0..20_000 {
        world.board.apply(&busy);
    }
    let (name, data) = stream.event().await;
    assert_eq!(name, "lagged");
    assert!(data["missed"].as_u64().unwrap() > 0);
    assert_eq!(stream.event().await.0, "trunk.channels");
}

#[tokio::test]
async fn a_dry_run_tells_who_would_ring() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.provision(&admin).await;
    let post = |body: Value| ask("post", "/api/v1/route_preview").by(&admin).json(&body);
    let body =
        json!({ "from": "090-1234-5678", "to": "03-1111-2221", "at": "2026-11-23T09:00:00+09:00" });
    let answer = world.ask(post(body)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let preview = answer.json();
    assert_eq!(preview["did"], "+81311112221");
    assert_eq!(preview["at"], "2026-11-23T09:00:00.000+09:00");
    assert_eq!(preview["refused"], Value::Null);
    let branch = &preview["steps"][0]["branches"][0];
    assert_eq!(branch["destination"], "acme-mobile");
    assert_eq!(branch["trunk"], "pri");

    let unknown = world.ask(post(json!({ "to": "0399999999" }))).await.json();
    assert_eq!(unknown["refused"]["sip_status"], 404);
    let wrong = world.ask(post(json!({ "from": "x", "to": "y", "at": "noon" }))).await;
    assert_eq!(wrong.pointers(), ["/from", "/to", "/at"]);
}

#[tokio::test]
async fn the_node_tells_its_state() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.board.apply(&started(id(1), "acme"));
    let state = world.ask(ask("get", "/api/v1/system").by(&admin)).await.json();
    assert_eq!(state["version"], "9.9.9");
    assert_eq!(state["node"], "node-1");
    assert_eq!(state["database"], true);
    assert_eq!(state["calls_active"], 1);
    assert!(state["uptime_seconds"].as_i64().unwrap() < 600);
    assert_eq!(state["alarms"], json!([]));
    world.ready.send_modify(|ready| {
        ready.database = false;
        ready.journal.records_waiting = 7;
        ready.journal.oldest_waiting = Some(Duration::from_secs(90));
        ready.journal.disk_free = 1 << 30;
    });
    let state = world.ask(ask("get", "/api/v1/system").by(&admin)).await.json();
    assert_eq!(state["alarms"], json!(["database_away", "records_waiting"]));
    let journal = json!({
        "records_waiting": 7, "oldest_waiting_seconds": 90, "bytes": 0,
        "disk_free_bytes": 1 << 30, "errors": 0,
    });
    assert_eq!(state["journal"], journal);
}
