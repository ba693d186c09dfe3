//! What an operator configures, through REST.

use axum::http::StatusCode;
use serde_json::{Value, json};
use tensou_store::Role;

use crate::world::{World, ask};

#[tokio::test]
async fn a_document_is_added_read_replaced_changed_and_removed() {
    let world = World::new().await;
    let admin = world.admin().await;
    let made = world.add(&admin, "customers", json!({ "id": "acme", "name": "山田商会" })).await;
    assert_eq!(made.header("location"), "/api/v1/customers/acme");
    assert_eq!(made.header("etag"), "\"1\"");

    let path = "/api/v1/customers/acme";
    let mut document = world.ask(ask("get", path).by(&admin)).await.json();
    assert_eq!(document["closing_day"], 31);
    document["note"] = Value::from("moved");
    let put = world.ask(ask("put", path).by(&admin).json(&document)).await;
    assert_eq!((put.status, put.header("etag")), (StatusCode::OK, "\"2\""));

    let patch = ask("patch", path).by(&admin);
    let patch = patch.text("application/merge-patch+json", "{\"closing_day\":20,\"note\":null}");
    let patched = world.ask(patch).await;
    assert_eq!(patched.status, StatusCode::OK, "{}", patched.text());
    assert_eq!(patched.json()["closing_day"], 20);
    assert_eq!(patched.json()["note"], "");

    let gone = world.ask(ask("delete", path).by(&admin)).await;
    assert_eq!((gone.status, gone.body.len()), (StatusCode::NO_CONTENT, 0));
    let missing = world.ask(ask("get", path).by(&admin)).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert!(missing.pointers().is_empty());
}

#[tokio::test]
async fn every_fault_of_a_document_is_told_at_once_with_its_place() {
    let world = World::new().await;
    let admin = world.admin().await;
    let wrong_shape = json!({
        "id": 7, "members": [{ "ring": "destination:x", "delay": 5 }], "colour": "red",
    });
    let answer = world.ask(ask("post", "/api/v1/groups").by(&admin).json(&wrong_shape)).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answer.pointers(), ["/colour", "/id", "/members/0/delay"]);
    assert_eq!(answer.json()["type"], "urn:tensou:problem:invalid");

    let wrong_sense = json!({
        "id": "sales", "strategy": "all", "ring_seconds": 0,
        "members": [{ "ring": "nobody" }, { "ring": "destination:missing" }],
    });
    let answer = world.ask(ask("post", "/api/v1/groups").by(&admin).json(&wrong_sense)).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let mut places = answer.pointers();
    places.sort();
    for place in ["/members/0/ring", "/ring_seconds", "/strategy"] {
        assert!(places.contains(&place.to_owned()), "{place} is not among {places:?}");
    }
    assert_eq!(world.ask(ask("get", "/api/v1/groups/sales").by(&admin)).await.status, 404);
}

#[tokio::test]
async fn a_reference_to_nothing_is_a_fault_at_its_place() {
    let world = World::new().await;
    let admin = world.admin().await;
    let group = json!({ "id": "sales", "members": [{ "ring": "destination:missing" }] });
    let answer = world.ask(ask("post", "/api/v1/groups").by(&admin).json(&group)).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answer.pointers(), ["/members/0/ring"], "{}", answer.text());
}

#[tokio::test]
async fn a_body_that_is_no_json_or_too_large_is_refused() {
    let world = World::new().await;
    let admin = world.admin().await;
    let post = || ask("post", "/api/v1/customers").by(&admin);
    let large = format!("{{\"id\":\"x\",\"name\":\"{}\"}}", "a".repeat(1024 * 1024));
    for (body, status) in [
        (post().text("application/json", "{\"id\":"), 400),
        (post().text("application/x-www-form-urlencoded", "id=acme"), 415),
        (post(), 415),
        (post().text("application/json", &large), 413),
        (post().text("application/json", "[]"), 422),
        (post().text("application/json; charset=utf-8", "{\"id\":\"a\",\"name\":\"A\"}"), 201),
    ] {
        let answer = world.ask(body).await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text());
    }
}

#[tokio::test]
async fn a_change_to_a_row_that_changed_meanwhile_is_412() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.add(&admin, "customers", json!({ "id": "acme", "name": "A" })).await;
    let path = "/api/v1/customers/acme";
    let put = |name: &str, tag: &str| {
        ask("put", path)
            .by(&admin)
            .with("if-match", tag)
            .json(&json!({ "id": "acme", "name": name }))
    };
    assert_eq!(world.ask(put("B", "\"1\"")).await.status, StatusCode::OK);
    let late = world.ask(put("C", "\"1\"")).await;
    assert_eq!(late.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(late.json()["type"], "urn:tensou:problem:version");
    let delete = ask("delete", path).by(&admin).with("if-match", "\"1\"");
    assert_eq!(world.ask(delete).await.status, StatusCode::PRECONDITION_FAILED);
    let patch = ask("patch", path).by(&admin).with("if-match", "\"1\"").json(&json!({}));
    assert_eq!(world.ask(patch).await.status, StatusCode::PRECONDITION_FAILED);
    let known = ask("get", path).by(&admin).with("if-none-match", "\"2\"");
    assert_eq!(world.ask(known).await.status, StatusCode::NOT_MODIFIED);
    assert_eq!(world.ask(put("C", "*")).await.status, StatusCode::OK);
    assert_eq!(world.ask(ask("get", path).by(&admin)).await.json()["name"], "C");
}

#[tokio::test]
async fn a_post_that_is_sent_again_is_done_once() {
    let world = World::new().await;
    let admin = world.admin().await;
    let post = |name: &str| {
        ask("post", "/api/v1/customers")
            .by(&admin)
            .with("idempotency-key", "k-1")
            .json(&json!({ "id": "acme", "name": name }))
    };
    let first = world.ask(post("A")).await;
    let again = world.ask(post("A")).await;
    assert_eq!((first.status, again.status), (StatusCode::CREATED, StatusCode::CREATED));
    assert_eq!(first.body, again.body);
    assert_eq!(first.header("etag"), again.header("etag"));
    assert_eq!(again.header("idempotency-replayed"), "true");
    let other = world.ask(post("B")).await;
    assert_eq!(other.status, StatusCode::CONFLICT);
    let elsewhere = world.token(Role::Operator, "").await;
    let of_another = ask("post", "/api/v1/customers")
        .by(&elsewhere)
        .with("idempotency-key", "k-1")
        .json(&json!({ "id": "acme", "name": "A" }));
    let of_another = world.ask(of_another).await;
    assert_eq!(of_another.status, StatusCode::CONFLICT, "keys of others are not ours");
    assert!(of_another.header("idempotency-replayed").is_empty());
    let odd = post("A").with("idempotency-key", "");
    assert_eq!(world.ask(odd).await.status, StatusCode::CREATED, "the first header counts");
}

#[tokio::test]
async fn lists_page_and_filter_and_refuse_what_they_do_not_know() {
    let world = World::new().await;
    let admin = world.admin().await;
    for number in 0..5 {
        let state = if number % 2 == 0 { "active" } else { "suspended" };
        let customer = json!({ "id": format!("c{number}"), "name": "x", "state": state });
        world.add(&admin, "customers", customer).await;
    }
    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let path = format!("/api/v1/customers?limit=2{after}");
        let page = world.ask(ask("get", &path).by(&admin)).await.json();
        for item in page["items"].as_array().unwrap() {
            seen.push(item["id"].as_str().unwrap().to_owned());
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ["c0", "c1", "c2", "c3", "c4"]);
    let active = "/api/v1/customers?state=active";
    let active = world.ask(ask("get", active).by(&admin)).await.json();
    assert_eq!(active["items"].as_array().unwrap().len(), 3);
    for query in ["limit=0", "limit=1001", "limit=ten", "colour=red", "state=active&nmae=x"] {
        let path = format!("/api/v1/customers?{query}");
        let answer = world.ask(ask("get", &path).by(&admin)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(answer.pointers().len(), 1, "{query}");
    }
}

#[tokio::test]
async fn published_filters_are_filters() {
    let world = World::new().await;
    let admin = world.admin().await;
    let document = world.ask(ask("get", "/api/v1/openapi.json")).await.json();
    for plural in
        ["trunks", "customers", "dids", "destinations", "groups", "extensions", "schedules"]
    {
        let pointer = format!("/paths/~1api~1v1~1{plural}/get/parameters");
        let mut tried = 0;
        for parameter in document.pointer(&pointer).unwrap().as_array().unwrap() {
            let name = parameter["name"].as_str().unwrap();
            if matches!(name, "limit" | "after") {
                continue;
            }
            let value = match name {
                "enabled" => "true",
                "closing_day" => "20",
                "number" | "presented_did" => "0312345678",
                _ => "x",
            };
            let path = format!("/api/v1/{plural}?{name}={value}");
            let answer = world.ask(ask("get", &path).by(&admin)).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
            tried += 1;
        }
        assert!(tried > 0, "{plural}");
    }
}

#[tokio::test]
async fn rows_of_others_do_not_exist() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.provision(&admin).await;
    for (role, owner) in [(Role::Customer, "acme"), (Role::Reseller, "res")] {
        let token = world.token(role, owner).await;
        for (path, status) in [
            ("dids/+81311112221", 200),
            ("dids/+81311112222", 404),
            ("dids/0311112222", 404),
            ("customers/acme", 200),
            ("customers/kita", 404),
            ("destinations/acme-mobile", 200),
            ("destinations/kita-mobile", 404),
        ] {
            let answer = world.ask(ask("get", &format!("/api/v1/{path}")).by(&token)).await;
            assert_eq!(answer.status.as_u16(), status, "{role:?} {path}");
        }
        for plural in ["dids", "customers", "destinations"] {
            let list = world.ask(ask("get", &format!("/api/v1/{plural}")).by(&token)).await;
            assert_eq!(list.json()["items"].as_array().unwrap().len(), 1, "{role:?} {plural}");
            assert!(!list.text().contains("kita"), "{role:?} {plural}");
        }
    }
}

#[tokio::test]
async fn secrets_are_written_and_never_shown() {
    let world = World::new().await;
    let admin = world.admin().await;
    let extension = json!({ "user": "100", "secret": "s3cret-password", "name": "desk" });
    let made = world.add(&admin, "extensions", extension).await;
    let read = world.ask(ask("get", "/api/v1/extensions/100").by(&admin)).await;
    let list = world.ask(ask("get", "/api/v1/extensions").by(&admin)).await;
    let patch = ask("patch", "/api/v1/extensions/100").by(&admin).json(&json!({ "name": "door" }));
    let patched = world.ask(patch).await;
    assert_eq!(patched.json()["name"], "door");
    let audit = world.ask(ask("get", "/api/v1/audit?resource=extension").by(&admin)).await;
    assert_eq!(audit.json()["items"].as_array().unwrap().len(), 2);
    for answer in [made, read, list, patched, audit] {
        assert!(!answer.text().contains("s3cret"), "{}", answer.text());
    }
    let loaded = world.store.provisioning().await.unwrap().provisioning;
    assert_eq!(loaded.extensions[0].secret.reveal(), "s3cret-password", "a patch keeps it");
}

#[tokio::test]
async fn hostile_texts_come_back_as_they_went_in() {
    let world = World::new().await;
    let admin = world.admin().await;
    for (at, text) in [
        "<img src=x onerror=alert(1)>",
        "'; DROP TABLE customers; --",
        "=HYPERLINK(\"http://evil\")",
        "\u{202e}reversed \\ \" \u{1f600}",
        "two\nlines\tand a tab",
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("c{at}");
        world.add(&admin, "customers", json!({ "id": id, "name": "x", "note": text })).await;
        let read = world.ask(ask("get", &format!("/api/v1/customers/{id}")).by(&admin)).await;
        assert_eq!(read.json()["note"], text);
        assert_eq!(read.header("content-type"), "application/json");
        assert_eq!(read.header("x-content-type-options"), "nosniff");
    }
    let escape = json!({ "id": "c9", "name": "x", "note": "\u{1b}[31m" });
    let answer = world.ask(ask("post", "/api/v1/customers").by(&admin).json(&escape)).await;
    assert_eq!(answer.pointers(), ["/note"], "what would steer a terminal is refused");
}

#[tokio::test]
async fn every_write_stands_in_the_audit_log() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.add(&admin, "customers", json!({ "id": "acme", "name": "A" })).await;
    let path = "/api/v1/customers/acme";
    world.ask(ask("put", path).by(&admin).json(&json!({ "id": "acme", "name": "B" }))).await;
    world.ask(ask("delete", path).by(&admin)).await;
    let log = world.ask(ask("get", "/api/v1/audit?resource=customer").by(&admin)).await.json();
    let entries: Vec<_> = log["items"].as_array().unwrap().iter().collect();
    let actions: Vec<_> = entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["delete", "replace", "create"]);
    assert_eq!(entries[1]["before"]["name"], "A");
    assert_eq!(entries[1]["after"]["name"], "B");
    assert_eq!(entries[1]["actor"], "token:t-admin");
    assert!(entries[1]["at"].as_str().unwrap().ends_with("+09:00"));
}
