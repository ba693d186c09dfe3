//! Who gets in: the whole description of the API, walked operation by operation.

use axum::http::StatusCode;
use serde_json::{Value, json};
use tensou_store::Role;

use crate::world::{Ask, World, ask};

/// Every operation, the roles that may do it as one letter per role in the order of `Role::ALL`
/// (admin, operator, agent, billing, readonly, reseller, customer), and `*` for everybody.
const OPERATIONS: &[(&str, &str, &str)] = &[
    ("get", "/api/v1/trunks", "xx--x--"),
    ("post", "/api/v1/trunks", "xx-----"),
    ("get", "/api/v1/trunks/{id}", "xx--x--"),
    ("put", "/api/v1/trunks/{id}", "xx-----"),
    ("patch", "/api/v1/trunks/{id}", "xx-----"),
    ("delete", "/api/v1/trunks/{id}", "xx-----"),
    ("get", "/api/v1/trunks/{id}/status", "xx--x--"),
    ("get", "/api/v1/customers", "xx-xxxx"),
    ("post", "/api/v1/customers", "xx-x---"),
    ("get", "/api/v1/customers/{id}", "xx-xxxx"),
    ("put", "/api/v1/customers/{id}", "xx-x---"),
    ("patch", "/api/v1/customers/{id}", "xx-x---"),
    ("delete", "/api/v1/customers/{id}", "xx-x---"),
    ("get", "/api/v1/dids", "xxx-xxx"),
    ("post", "/api/v1/dids", "xx-----"),
    ("get", "/api/v1/dids/{id}", "xxx-xxx"),
    ("put", "/api/v1/dids/{id}", "xx-----"),
    ("patch", "/api/v1/dids/{id}", "xx-----"),
    ("delete", "/api/v1/dids/{id}", "xx-----"),
    ("get", "/api/v1/destinations", "xx--xxx"),
    ("post", "/api/v1/destinations", "xx-----"),
    ("get", "/api/v1/destinations/{id}", "xx--xxx"),
    ("put", "/api/v1/destinations/{id}", "xx-----"),
    ("patch", "/api/v1/destinations/{id}", "xx-----"),
    ("delete", "/api/v1/destinations/{id}", "xx-----"),
    ("get", "/api/v1/groups", "xx--xxx"),
    ("post", "/api/v1/groups", "xx-----"),
    ("get", "/api/v1/groups/{id}", "xx--xxx"),
    ("put", "/api/v1/groups/{id}", "xx-----"),
    ("patch", "/api/v1/groups/{id}", "xx-----"),
    ("delete", "/api/v1/groups/{id}", "xx-----"),
    ("get", "/api/v1/extensions", "xx--xxx"),
    ("post", "/api/v1/extensions", "xx-----"),
    ("get", "/api/v1/extensions/{id}", "xx--xxx"),
    ("put", "/api/v1/extensions/{id}", "xx-----"),
    ("patch", "/api/v1/extensions/{id}", "xx-----"),
    ("delete", "/api/v1/extensions/{id}", "xx-----"),
    ("get", "/api/v1/schedules", "xx--xxx"),
    ("post", "/api/v1/schedules", "xx-----"),
    ("get", "/api/v1/schedules/{id}", "xx--xxx"),
    ("put", "/api/v1/schedules/{id}", "xx-----"),
    ("patch", "/api/v1/schedules/{id}", "xx-----"),
    ("delete", "/api/v1/schedules/{id}", "xx-----"),
    ("get", "/api/v1/users", "x------"),
    ("post", "/api/v1/users", "x------"),
    ("get", "/api/v1/users/{name}", "x------"),
    ("put", "/api/v1/users/{name}", "x------"),
    ("delete", "/api/v1/users/{name}", "x------"),
    ("post", "/api/v1/users/{name}/password", "x------"),
    ("get", "/api/v1/tokens", "x------"),
    ("post", "/api/v1/tokens", "x------"),
    ("delete", "/api/v1/tokens/{id}", "x------"),
    ("get", "/api/v1/audit", "xx--x--"),
    ("get", "/api/v1/calls", "xxx-xxx"),
    ("get", "/api/v1/calls/{id}", "xxx-xxx"),
    ("post", "/api/v1/calls/{id}/hangup", "xx-----"),
    ("post", "/api/v1/calls/{id}/transfer", "xx-----"),
    ("get", "/api/v1/cdrs", "xx-xxxx"),
    ("get", "/api/v1/cdrs/{id}", "xx-xxxx"),
    ("get", "/api/v1/events", "xxx-xxx"),
    ("get", "/api/v1/system", "xx--x--"),
    ("post", "/api/v1/route_preview", "xx--x--"),
    ("get", "/api/v1/openapi.json", "*"),
    ("get", "/healthz", "*"),
    ("get", "/readyz", "*"),
    ("get", "/metrics", "*"),
];

async fn description(world: &World) -> Value {
    let answer = world.ask(ask("get", "/api/v1/openapi.json")).await;
    assert_eq!(answer.status, StatusCode::OK);
    answer.json()
}

fn request(method: &str, path: &str) -> Ask {
    let path = path.replace("{id}", "nobody").replace("{name}", "nobody");
    let ask = ask(method, &path);
    if matches!(method, "post" | "put" | "patch") { ask.json(&json!({})) } else { ask }
}

#[tokio::test]
async fn the_description_lists_exactly_the_reviewed_operations() {
    let world = World::new().await;
    let document = description(&world).await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut described: Vec<(String, String)> = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in ["get", "put", "post", "patch", "delete"] {
            if let Some(operation) = item.get(method) {
                assert!(operation["summary"].is_string(), "{method} {path} says nothing");
                let open = operation["security"] == json!([{}]);
                assert_eq!(open, operation["responses"].get("401").is_none(), "{method} {path}");
                described.push((method.to_owned(), path.clone()));
            }
        }
    }
    let mut reviewed: Vec<(String, String)> = OPERATIONS
        .iter()
        .map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()))
        .collect();
    described.sort();
    reviewed.sort();
    assert_eq!(described, reviewed);
}

#[tokio::test]
async fn every_reference_in_the_description_leads_somewhere() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(target)) = members.get("$ref") {
                    found.push(target.clone());
                }
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let world = World::new().await;
    let document = description(&world).await;
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 100);
    for target in found {
        let pointer = target.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{target} leads nowhere");
    }
}

#[tokio::test]
async fn nobody_gets_in_without_a_valid_token() {
    let world = World::new().await;
    let expired = {
        use tensou_admin::app::people::{Account, create_token};
        let account = Account::new("old", Role::Admin);
        let actor = tensou_store::Actor::system();
        create_token(&world.store, &actor, account, Some(1_000)).await.unwrap().1
    };
    for (method, path, roles) in OPERATIONS {
        let bare = world.status(request(method, path)).await;
        let wrong = world.status(request(method, path).by("tensou_wrong")).await;
        let late = world.status(request(method, path).by(expired.reveal())).await;
        let basic = request(method, path).with("authorization", "Basic YWRtaW46YWRtaW4=");
        let basic = world.status(basic).await;
        for status in [bare, wrong, late, basic] {
            assert_eq!(status == StatusCode::UNAUTHORIZED, *roles != "*", "{method} {path}");
        }
    }
}

#[tokio::test]
async fn every_role_gets_in_where_the_table_says_and_nowhere_else() {
    let world = World::new().await;
    world.provision(&world.admin().await).await;
    for (at, role) in Role::ALL.into_iter().enumerate() {
        let token = world.token(role, "acme").await;
        for (method, path, roles) in OPERATIONS.iter().filter(|row| row.2 != "*") {
            let status = world.status(request(method, path).by(&token)).await;
            let admitted = roles.as_bytes()[at] == b'x';
            assert_eq!(status != StatusCode::FORBIDDEN, admitted, "{role:?} {method} {path}");
            assert_ne!(status, StatusCode::UNAUTHORIZED, "{role:?} {method} {path}");
            assert!(!status.is_server_error(), "{role:?} {method} {path}: {status}");
        }
    }
}

#[tokio::test]
async fn unknown_addresses_and_methods_are_problems_too() {
    let world = World::new().await;
    for (method, path, status) in [
        ("get", "/api/v1/nothing", 404),
        ("get", "/api/v2/trunks", 404),
        ("get", "/api", 404),
        ("delete", "/api/v1/trunks", 405),
        ("put", "/api/v1/calls/x/hangup", 405),
    ] {
        let answer = world.ask(ask(method, path)).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path}");
        assert_eq!(answer.json()["status"], status);
        assert!(answer.pointers().is_empty());
    }
}

#[tokio::test]
async fn every_answer_carries_the_headers_that_protect_a_browser() {
    let world = World::new().await;
    for path in ["/api/v1/trunks", "/healthz", "/api/v1/openapi.json", "/api/docs/", "/login"] {
        let answer = world.ask(ask("get", path)).await;
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(!policy.contains("script-src 'self' 'unsafe"), "{path}: {policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
        assert!(!answer.header("cache-control").is_empty(), "{path}");
    }
}

#[tokio::test]
async fn the_description_is_shown_by_pages_of_our_own() {
    let world = World::new().await;
    let page = world.ask(ask("get", "/api/docs/")).await;
    assert_eq!(page.status, StatusCode::OK);
    let text = page.text();
    assert!(!text.contains("https://"), "nothing is loaded from elsewhere: {text}");
    let script = world.ask(ask("get", "/api/docs/swagger-initializer.js")).await;
    assert!(script.text().contains("/api/v1/openapi.json"));
}

#[tokio::test]
async fn health_readiness_and_metrics_tell_the_truth() {
    let world = World::new().await;
    assert_eq!(world.ask(ask("get", "/healthz")).await.json(), json!({ "status": "ok" }));
    assert_eq!(world.ask(ask("get", "/readyz")).await.status, StatusCode::OK);
    world.ready.send_modify(|ready| ready.trunk = false);
    let answer = world.ask(ask("get", "/readyz")).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    let told = json!({
        "ready": false, "database": true, "listeners": true, "trunk": false, "journal": true,
    });
    assert_eq!(answer.json(), told);
    world.ready.send_modify(|ready| (ready.trunk, ready.journal.full) = (true, true));
    let answer = world.ask(ask("get", "/readyz")).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "new calls are refused");
    assert_eq!(answer.json()["journal"], false);
    let metrics = world.ask(ask("get", "/metrics")).await;
    assert!(metrics.text().starts_with("tensou_"));
    assert!(metrics.header("content-type").starts_with("text/plain; version=0.0.4"));
}
