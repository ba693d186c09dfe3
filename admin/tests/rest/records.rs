//! Call records: search, JSON, CSV.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use tensou_engine::plan::parse_e164;
use tensou_engine::{
    CallId, CallResult, Caller, CallerClass, Cdr, CdrLeg, Direction, EndedBy, Key, WallTime,
};
use tensou_store::Role;

use crate::world::{Answer, World, ask};

/// 2026-11-18T20:06:40 in Tokyo.
const START: i64 = 1_795_000_000_000_000;

fn cdr(number: u64, customer: &str, answered_by: &str) -> Cdr {
    let at = |seconds: i64| {
        WallTime::from_unix_micros(START + number as i64 * 1_000_000 + seconds * 1_000_000)
    };
    Cdr {
        id: CallId::new(1_795_000_000_000, 0, number),
        direction: Direction::Forward,
        did: parse_e164("0311112221").ok(),
        customer: Some(Key::from(customer)),
        caller: Caller { number: parse_e164("09012345678").ok(), class: CallerClass::Number },
        trunk_in: Some(Key::from("pri")),
        started_at: at(0),
        ringing_at: Some(at(1)),
        answered_at: Some(at(4)),
        ended_at: at(64),
        duration: Duration::from_secs(60),
        result: CallResult::Answered,
        sip_status: 200,
        q850_cause: 16,
        ended_by: EndedBy::Callee,
        answered_by: Some(Key::from(answered_by)),
        legs: vec![CdrLeg {
            destination: Key::from(answered_by),
            trunk_out: Some(Key::from("pri")),
            dialled: "=cmd|' /C calc'!A0".into(),
            presented: parse_e164("0311112221").ok(),
            started_at: at(0),
            ringing_at: Some(at(1)),
            answered_at: Some(at(4)),
            ended_at: at(64),
            sip_status: 200,
            q850_cause: 16,
            media: None,
        }],
    }
}

async fn csv(world: &World, token: &str, query: &str) -> Answer {
    let answer = world.ask(ask("get", &format!("/api/v1/cdrs?format=csv{query}")).by(token)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer
}

fn rows(text: &str) -> Vec<csv::StringRecord> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    reader.records().collect::<Result<_, _>>().unwrap()
}

#[tokio::test]
async fn records_are_searched_and_shown() {
    let world = World::new().await;
    let admin = world.admin().await;
    let records = [cdr(1, "acme", "yamada"), cdr(2, "acme", "suzuki"), cdr(3, "kita", "tanaka")];
    assert_eq!(world.store.insert_cdrs("node-1", &records).await.unwrap(), 3);
    let found = |query: &'static str| {
        let ask = ask("get", &format!("/api/v1/cdrs?{query}")).by(&admin);
        let world = &world;
        async move { world.ask(ask).await.json()["items"].as_array().unwrap().len() }
    };
    for (query, count) in [
        ("", 3),
        ("did=03-1111-2221", 3),
        ("did=%2B81311112221&customer=acme", 2),
        ("q=tanaka", 1),
        ("result=busy", 0),
        ("from=2026-11-18&to=2026-11-18", 3),
        ("from=2026-11-19", 0),
        ("from=2026-11-18T20:06:42%2B09:00", 2),
        ("trunk=pri&direction=forward&caller=09012345678", 3),
        ("customer='%20OR%201=1%20--", 0),
    ] {
        assert_eq!(found(query).await, count, "{query}");
    }
    let page = world.ask(ask("get", "/api/v1/cdrs?limit=1").by(&admin)).await.json();
    let newest = &page["items"][0];
    assert_eq!(newest["answered_by"], "tanaka");
    assert_eq!(newest["started_at"], "2026-11-18T20:06:43.000+09:00");
    assert_eq!((&newest["duration_ms"], &newest["price"]), (&json!(60_000), &Value::Null));
    let path = format!("/api/v1/cdrs/{}", newest["id"].as_str().unwrap());
    assert_eq!(&world.ask(ask("get", &path).by(&admin)).await.json(), newest);
    for (query, pointer) in
        [("result=great", "?result"), ("format=xml", "?format"), ("after=x", "?after")]
    {
        let answer = world.ask(ask("get", &format!("/api/v1/cdrs?{query}")).by(&admin)).await;
        assert_eq!(answer.pointers(), [pointer]);
    }
}

#[tokio::test]
async fn records_of_others_do_not_exist() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.provision(&admin).await;
    let records = [cdr(1, "acme", "yamada"), cdr(2, "kita", "tanaka")];
    world.store.insert_cdrs("node-1", &records).await.unwrap();
    let other = CallId::new(1_795_000_000_000, 0, 2);
    for (role, owner) in [(Role::Customer, "acme"), (Role::Reseller, "res")] {
        let token = world.token(role, owner).await;
        let list = world.ask(ask("get", "/api/v1/cdrs").by(&token)).await;
        assert_eq!(list.json()["items"].as_array().unwrap().len(), 1);
        assert_eq!(
            rows(csv(&world, &token, "").await.text().trim_start_matches('\u{feff}')).len(),
            2
        );
        let one = world.ask(ask("get", &format!("/api/v1/cdrs/{other}")).by(&token)).await;
        assert_eq!(one.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn hostile_fields_are_escaped_and_one_record_is_one_line_after_parsing() {
    let world = World::new().await;
    let admin = world.admin().await;
    let hostile = [
        "=HYPERLINK(\"http://evil\",\"click\")",
        "+1+1",
        "-1+1",
        "@SUM(A1)",
        "\t=1",
        "\r\n=1",
        "quote \" and, comma",
        "two\r\nlines",
        "山田",
    ];
    let records: Vec<Cdr> =
        hostile.iter().zip(1..).map(|(text, number)| cdr(number, "acme", text)).collect();
    world.store.insert_cdrs("node-1", &records).await.unwrap();
    let answer = csv(&world, &admin, "").await;
    assert!(answer.header("content-type").starts_with("text/csv; charset=utf-8"));
    assert!(answer.header("content-disposition").contains("cdrs.csv"));
    let text = answer.text();
    let text = text.strip_prefix('\u{feff}').expect("a byte order mark");
    let rows = rows(text);
    assert_eq!(rows.len(), hostile.len() + 1);
    let column = |name: &str| rows[0].iter().position(|column| column == name).unwrap();
    for (row, text) in rows[1..].iter().rev().zip(hostile) {
        let shown = &row[column("answered_by")];
        let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
        assert_eq!(shown, if formula { format!("'{text}") } else { text.to_owned() });
        for field in row {
            assert!(!field.starts_with(['=', '+', '-', '@', '\t', '\r']), "{field:?}");
        }
        assert_eq!(&row[column("did")], "03-1111-2221");
        assert_eq!(&row[column("caller")], "090-1234-5678");
        let legs: Value = serde_json::from_str(&row[column("legs")]).unwrap();
        assert_eq!(legs[0]["destination"], text);
    }
}

#[tokio::test]
async fn csv_is_a_stream_of_every_record_that_matches() {
    let world = World::new().await;
    let admin = world.admin().await;
    let records: Vec<Cdr> = (0..2_500).map(|number| cdr(number, "acme", "yamada")).collect();
    world.store.insert_cdrs("node-1", &records).await.unwrap();
    let text = csv(&world, &admin, "&q=yamada").await.text();
    let rows = rows(text.trim_start_matches('\u{feff}'));
    assert_eq!(rows.len(), 2_501);
    let ids: std::collections::BTreeSet<&str> = rows[1..].iter().map(|row| &row[0]).collect();
    assert_eq!(ids.len(), 2_500, "each once");
}

#[tokio::test]
async fn csv_also_comes_in_shift_jis() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.store.insert_cdrs("node-1", &[cdr(1, "acme", "髙橋①¥😀")]).await.unwrap();
    let answer = csv(&world, &admin, "&encoding=shift_jis").await;
    assert!(answer.header("content-type").contains("charset=shift_jis"));
    let (text, _, faulty) = encoding_rs::SHIFT_JIS.decode(&answer.body);
    assert!(!faulty);
    assert!(rows(&text)[1].iter().any(|field| field == "髙橋①￥〓"), "{text}");
    let odd = ask("get", "/api/v1/cdrs?format=csv&encoding=latin1").by(&admin);
    assert_eq!(world.ask(odd).await.pointers(), ["?encoding"]);
}

#[tokio::test]
async fn agents_see_no_records_and_billing_does() {
    let world = World::new().await;
    for (role, status) in [(Role::Agent, 403), (Role::Billing, 200)] {
        let token = world.token(role, "").await;
        for query in ["", "?format=csv"] {
            let path = format!("/api/v1/cdrs{query}");
            assert_eq!(world.ask(ask("get", &path).by(&token)).await.status.as_u16(), status);
        }
    }
}
