//! Users, tokens, signing in.

use std::net::{IpAddr, Ipv4Addr};

use axum::http::StatusCode;
use serde_json::{Value, json};
use tensou_admin::app::auth::LoginError;
use tensou_admin::app::people::{Account, create_user, reset_password};
use tensou_engine::{CallId, Secret};
use tensou_store::{Actor, Role};

use crate::world::{World, ask};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[tokio::test]
async fn a_user_gets_a_password_once_and_signs_in_with_it() {
    let world = World::new().await;
    let admin = world.admin().await;
    let new = json!({ "name": "yuki", "role": "operator" });
    let made = world.add(&admin, "users", new).await.json();
    let password = made["password"].as_str().unwrap().to_owned();
    let read = world.ask(ask("get", "/api/v1/users/yuki").by(&admin)).await;
    assert_eq!(read.json()["role"], "operator");
    let list = world.ask(ask("get", "/api/v1/users").by(&admin)).await;
    let audit = world.ask(ask("get", "/api/v1/audit?resource=user").by(&admin)).await;
    for answer in [read, list, audit] {
        let text = answer.text();
        assert!(!text.contains(&password) && !text.contains("argon2"), "{text}");
    }
    let signed_in = world.app.login("yuki", Secret::new(password), HERE).await.unwrap();
    assert_eq!(signed_in.session.principal.name(), "yuki");
    let cookie = signed_in.cookie.to_str().unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
}

#[tokio::test]
async fn a_repeated_request_for_a_secret_does_not_show_it_again() {
    let world = World::new().await;
    let admin = world.admin().await;
    for (plural, member) in [("users", "password"), ("tokens", "token")] {
        let post = || {
            ask("post", &format!("/api/v1/{plural}"))
                .by(&admin)
                .with("idempotency-key", plural)
                .json(&json!({ "name": "yuki", "role": "agent" }))
        };
        let first = world.ask(post()).await;
        let again = world.ask(post()).await;
        assert_eq!((first.status, again.status), (StatusCode::CREATED, StatusCode::CREATED));
        assert!(first.json()[member].is_string());
        assert!(again.json()[member].is_null(), "{}", again.text());
        assert_eq!(first.json()["name"], again.json()["name"]);
    }
}

#[tokio::test]
async fn a_deleted_token_is_refused_at_once() {
    let world = World::new().await;
    let admin = world.admin().await;
    let new = json!({ "name": "script", "role": "readonly", "expires_at": "2099-01-01" });
    let made = world.add(&admin, "tokens", new).await.json();
    let token = made["token"].as_str().unwrap();
    assert_eq!(made["expires_at"], "2099-01-02T00:00:00.000+09:00", "the day itself is in");
    let look = || ask("get", "/api/v1/trunks").by(token);
    assert_eq!(world.ask(look()).await.status, StatusCode::OK);
    let path = format!("/api/v1/tokens/{}", made["id"].as_str().unwrap());
    assert_eq!(world.ask(ask("delete", &path).by(&admin)).await.status, StatusCode::NO_CONTENT);
    assert_eq!(world.ask(look()).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn accounts_that_make_no_sense_are_refused() {
    let world = World::new().await;
    let admin = world.admin().await;
    for (body, pointer) in [
        (json!({ "name": "a b", "role": "agent" }), "/name"),
        (json!({ "name": "a", "role": "emperor" }), "/role"),
        (json!({ "name": "a", "role": "customer" }), "/customer"),
        (json!({ "name": "a", "role": "reseller" }), "/reseller"),
        (json!({ "name": "a" }), "/role"),
        (json!({ "name": "a", "role": "agent", "password": "x" }), "/password"),
    ] {
        for plural in ["users", "tokens"] {
            let path = format!("/api/v1/{plural}");
            let answer = world.ask(ask("post", &path).by(&admin).json(&body)).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
            assert_eq!(answer.pointers(), [pointer], "{body}");
        }
    }
}

#[tokio::test]
async fn the_last_administrator_stays() {
    let world = World::new().await;
    let admin = world.admin().await;
    let account = Account::new("root", Role::Admin);
    create_user(&world.store, &Actor::system(), account).await.unwrap();
    let path = "/api/v1/users/root";
    let demoted = ask("put", path).by(&admin).json(&json!({ "role": "agent" }));
    assert_eq!(world.ask(demoted).await.status, StatusCode::CONFLICT);
    assert_eq!(world.ask(ask("delete", path).by(&admin)).await.status, StatusCode::CONFLICT);
    let renamed = ask("put", path).by(&admin).json(&json!({ "name": "x", "role": "admin" }));
    assert_eq!(world.ask(renamed).await.pointers(), ["/name"]);
}

async fn with_user(world: &World) -> Secret {
    let account = Account::new("yuki", Role::Operator);
    create_user(&world.store, &Actor::system(), account).await.unwrap()
}

#[tokio::test]
async fn five_bad_attempts_stop_even_the_right_password() {
    let world = World::new().await;
    let password = with_user(&world).await;
    for _ in 0..5 {
        let tried = world.app.login("yuki", Secret::new("guess"), HERE).await;
        assert!(matches!(tried, Err(LoginError::Wrong)), "{tried:?}");
    }
    let tried = world.app.login("yuki", password.clone(), HERE).await;
    assert!(matches!(tried, Err(LoginError::TooMany { .. })), "{tried:?}");
    let elsewhere = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9));
    assert!(world.app.login("yuki", password, elsewhere).await.is_ok());
}

#[tokio::test]
async fn a_change_with_a_cookie_needs_the_sessions_proof() {
    let world = World::new().await;
    let password = with_user(&world).await;
    let signed_in = world.app.login("yuki", password, HERE).await.unwrap();
    let cookie = signed_in.cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
    let csrf = signed_in.session.csrf.reveal();
    let look = ask("get", "/api/v1/trunks").with("cookie", &cookie);
    assert_eq!(world.ask(look).await.status, StatusCode::OK, "looking needs the cookie only");

    let path = format!("/api/v1/calls/{}/hangup", CallId::new(1, 2, 3));
    let post = || ask("post", &path).with("cookie", &cookie);
    let proved = StatusCode::NOT_FOUND;
    for (ask, status) in [
        (post(), StatusCode::FORBIDDEN),
        (post().with("x-csrf-token", "guess"), StatusCode::FORBIDDEN),
        (post().with("x-csrf-token", csrf), proved),
        (
            post().with("x-csrf-token", csrf).with("sec-fetch-site", "cross-site"),
            StatusCode::FORBIDDEN,
        ),
        (post().text("application/x-www-form-urlencoded", "csrf_token=x"), StatusCode::FORBIDDEN),
        (
            post().text("application/x-www-form-urlencoded", &format!("a=1&csrf_token={csrf}")),
            proved,
        ),
        (post().text("multipart/form-data", &format!("csrf_token={csrf}")), StatusCode::FORBIDDEN),
    ] {
        assert_eq!(world.ask(ask).await.status, status);
    }

    world.app.logout(&signed_in.session).await.unwrap();
    let look = ask("get", "/api/v1/trunks").with("cookie", &cookie);
    assert_eq!(world.ask(look).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_change_of_role_or_password_ends_sessions() {
    let world = World::new().await;
    let admin = world.admin().await;
    let password = with_user(&world).await;
    let signed_in = world.app.login("yuki", password.clone(), HERE).await.unwrap();
    let cookie = signed_in.cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
    let look = || ask("get", "/api/v1/trunks").with("cookie", &cookie);
    assert_eq!(world.ask(look()).await.status, StatusCode::OK);
    let change = ask("put", "/api/v1/users/yuki").by(&admin).json(&json!({ "role": "agent" }));
    assert_eq!(world.ask(change).await.json()["role"], "agent");
    assert_eq!(world.ask(look()).await.status, StatusCode::UNAUTHORIZED);
    let signed_in = world.app.login("yuki", password, HERE).await.unwrap();
    let cookie = signed_in.cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
    let look = || ask("get", "/api/v1/trunks").with("cookie", &cookie);
    assert_eq!(world.ask(look()).await.status, StatusCode::FORBIDDEN);
    let reset = ask("post", "/api/v1/users/yuki/password").by(&admin);
    let reset = world.ask(reset).await;
    let new = reset.json()["password"].as_str().map(Secret::new).unwrap();
    assert_eq!(world.ask(look()).await.status, StatusCode::UNAUTHORIZED);
    assert!(world.app.login("yuki", new, HERE).await.is_ok());
    let nobody = reset_password(&world.store, &Actor::system(), "nobody").await;
    assert!(nobody.is_err());
}

#[tokio::test]
async fn problems_say_nothing_of_our_inside() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.store.close().await;
    let answer = world.ask(ask("get", "/api/v1/trunks").by(&admin)).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    let problem = answer.json();
    assert_eq!(problem["detail"], Value::from("the database is not available"));
    assert_eq!(world.ask(ask("get", "/healthz")).await.status, StatusCode::OK);
    assert_eq!(world.ask(ask("get", "/readyz")).await.status, StatusCode::SERVICE_UNAVAILABLE);
}
