//! Users, tokens, sessions, answers kept for repeated requests.

use tensou_engine::Secret;
use tensou_store::model::Customer;
use tensou_store::{
    Actor, AuditFilter, NewToken, NewUser, Page, Role, Scope, StoreError, UserChange,
};

use crate::bench::{Bench, admin, places};

crate::cases!(
    a_user_is_created_read_changed_and_deleted,
    the_last_administrator_stays,
    a_user_of_a_customer_names_one_that_exists,
    a_token_is_found_by_its_hash_until_it_expires_or_is_deleted,
    a_session_ends_with_time_password_role_and_user,
    a_customer_with_accounts_is_not_deleted,
    the_first_answer_to_a_repeated_request_is_kept,
);

const FAR: i64 = 4_000_000_000_000;

fn user(name: &str, role: Role) -> NewUser {
    NewUser {
        name: name.into(),
        role,
        password_hash: Secret::new("$argon2id$first"),
        customer: None,
        reseller: None,
    }
}

fn token(hash: &str, expires_at: Option<i64>) -> NewToken {
    NewToken {
        name: "billing-export".into(),
        role: Role::Billing,
        hash: hash.into(),
        customer: None,
        reseller: None,
        expires_at,
    }
}

fn change(role: Role) -> UserChange {
    UserChange { role, password_hash: None, customer: None, reseller: None }
}

async fn a_user_is_created_read_changed_and_deleted(bench: Bench) {
    let store = &bench.store;
    assert_eq!(store.count_users().await.unwrap(), 0);
    store.create_user(&Actor::system(), &user("root", Role::Admin)).await.unwrap();
    store.create_user(&admin(), &user("bob", Role::Operator)).await.unwrap();
    let again = store.create_user(&admin(), &user("bob", Role::Operator)).await;
    assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
    let bob = store.user("bob").await.unwrap().unwrap();
    assert_eq!((bob.role, bob.password_hash.reveal()), (Role::Operator, "$argon2id$first"));
    assert_eq!(bob.scope(), Some(Scope::All));
    let new = UserChange { password_hash: Some(Secret::new("$second")), ..change(Role::Readonly) };
    store.update_user(&admin(), "bob", &new).await.unwrap();
    let bob = store.user("bob").await.unwrap().unwrap();
    assert_eq!((bob.role, bob.password_hash.reveal()), (Role::Readonly, "$second"));
    let names: Vec<_> =
        store.users(&Page::default()).await.unwrap().items.into_iter().map(|it| it.name).collect();
    assert_eq!(names, ["bob", "root"]);
    store.delete_user(&admin(), "bob").await.unwrap();
    assert!(store.user("bob").await.unwrap().is_none());
    let gone = store.delete_user(&admin(), "bob").await;
    assert!(matches!(gone, Err(StoreError::NotFound)), "{gone:?}");
    assert_eq!(store.count_users().await.unwrap(), 1);
    let wrong = store.create_user(&admin(), &user("bob\r\nX", Role::Operator)).await;
    assert_eq!(places(wrong), ["user bob\r\nX name"]);
    let log = bench.texts("SELECT COALESCE(before, '') || COALESCE(after, '') FROM audit").await;
    assert_eq!(log.len(), 4);
    assert!(log.iter().all(|text| !text.contains("$argon2") && !text.contains("$second")));
}

async fn the_last_administrator_stays(bench: Bench) {
    let store = &bench.store;
    store.create_user(&admin(), &user("root", Role::Admin)).await.unwrap();
    for refused in [
        store.delete_user(&admin(), "root").await,
        store.update_user(&admin(), "root", &change(Role::Operator)).await.map(|_| ()),
    ] {
        assert!(matches!(refused, Err(StoreError::LastAdmin)), "{refused:?}");
    }
    assert_eq!(store.user("root").await.unwrap().unwrap().role, Role::Admin);
    store.create_user(&admin(), &user("second", Role::Admin)).await.unwrap();
    store.delete_user(&admin(), "root").await.unwrap();
}

async fn a_user_of_a_customer_names_one_that_exists(bench: Bench) {
    let bench = bench.with_operator().await;
    let store = &bench.store;
    let mut taro = user("taro", Role::Customer);
    assert_eq!(places(store.create_user(&admin(), &taro).await), ["user taro customer"]);
    taro.customer = Some("nobody".into());
    assert_eq!(places(store.create_user(&admin(), &taro).await), ["user taro customer"]);
    taro.customer = Some("yamada".into());
    let taro = store.create_user(&admin(), &taro).await.unwrap();
    assert_eq!(taro.scope(), Some(Scope::Customer("yamada".into())));
    let lost = store.update_user(&admin(), "taro", &change(Role::Reseller)).await;
    assert_eq!(places(lost), ["user taro reseller"]);
}

async fn a_token_is_found_by_its_hash_until_it_expires_or_is_deleted(bench: Bench) {
    let store = &bench.store;
    let made = store.create_token(&admin(), &token("aa", None)).await.unwrap();
    store.create_token(&admin(), &token("bb", Some(1))).await.unwrap();
    store.create_token(&admin(), &token("cc", Some(FAR))).await.unwrap();
    assert_eq!(store.token_by_hash("aa").await.unwrap().as_ref(), Some(&made));
    assert_eq!(store.token_by_hash("bb").await.unwrap(), None, "expired");
    assert!(store.token_by_hash("cc").await.unwrap().is_some());
    assert_eq!(store.token_by_hash("' OR '1'='1").await.unwrap(), None);
    let twice = store.create_token(&admin(), &token("aa", None)).await;
    assert!(matches!(twice, Err(StoreError::Conflict(_))), "{twice:?}");
    assert_eq!(store.tokens(&Page::default()).await.unwrap().items.len(), 3);
    assert_eq!(store.purge().await.unwrap(), 1);
    store.delete_token(&admin(), &made.id).await.unwrap();
    assert_eq!(store.token_by_hash("aa").await.unwrap(), None);
    let gone = store.delete_token(&admin(), &made.id).await;
    assert!(matches!(gone, Err(StoreError::NotFound)), "{gone:?}");
    let entries = store.audit(&AuditFilter::default(), &Page::default()).await.unwrap().items;
    let actions: Vec<_> = entries.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["delete", "create", "create", "create"]);
}

async fn a_session_ends_with_time_password_role_and_user(bench: Bench) {
    let store = &bench.store;
    store.create_user(&admin(), &user("root", Role::Admin)).await.unwrap();
    store.create_user(&admin(), &user("bob", Role::Operator)).await.unwrap();
    let csrf = Secret::new("csrf-value");
    store.create_session("old", "bob", &csrf, 1).await.unwrap();
    assert!(store.session("old").await.unwrap().is_none());
    assert_eq!(store.purge().await.unwrap(), 1);
    store.create_session("h1", "bob", &csrf, FAR).await.unwrap();
    let session = store.session("h1").await.unwrap().unwrap();
    assert_eq!((session.user.as_str(), session.csrf.reveal()), ("bob", "csrf-value"));
    store.delete_session("h1").await.unwrap();
    store.delete_session("h1").await.unwrap();
    assert!(store.session("h1").await.unwrap().is_none());
    store.create_session("h2", "bob", &csrf, FAR).await.unwrap();
    store.update_user(&admin(), "bob", &change(Role::Operator)).await.unwrap();
    assert!(store.session("h2").await.unwrap().is_some(), "nothing changed");
    let password = UserChange { password_hash: Some(Secret::new("$n")), ..change(Role::Operator) };
    store.update_user(&admin(), "bob", &password).await.unwrap();
    assert!(store.session("h2").await.unwrap().is_none(), "new password");
    store.create_session("h3", "bob", &csrf, FAR).await.unwrap();
    store.update_user(&admin(), "bob", &change(Role::Readonly)).await.unwrap();
    assert!(store.session("h3").await.unwrap().is_none(), "new role");
    store.create_session("h4", "bob", &csrf, FAR).await.unwrap();
    store.delete_user(&admin(), "bob").await.unwrap();
    assert!(store.session("h4").await.unwrap().is_none(), "no such user any more");
    let nobody = store.create_session("h5", "nobody", &csrf, FAR).await;
    assert!(matches!(nobody, Err(StoreError::Database(_))), "{nobody:?}");
}

async fn a_customer_with_accounts_is_not_deleted(bench: Bench) {
    let store = &bench.store;
    let row = Customer { id: "solo".into(), ..crate::bench::operator().customers[0].clone() };
    store.create(&admin(), &row).await.unwrap();
    let owned = NewUser { customer: Some("solo".into()), ..user("taro", Role::Customer) };
    store.create_user(&admin(), &owned).await.unwrap();
    let owned = NewToken { customer: Some("solo".into()), ..token("aa", None) };
    store.create_token(&admin(), &owned).await.unwrap();
    match store.delete::<Customer>(&admin(), "solo", None).await {
        Err(StoreError::InUse { kind, id, by }) => {
            assert_eq!((kind, id.as_str()), ("customer", "solo"));
            assert_eq!(by, ["token billing-export", "user taro"]);
        }
        other => panic!("{other:?}"),
    }
}

async fn the_first_answer_to_a_repeated_request_is_kept(bench: Bench) {
    let store = &bench.store;
    assert_eq!(store.response_for("k", "alice").await.unwrap(), None);
    store.remember_response("k", "alice", 201, "{\"id\":1}").await.unwrap();
    store.remember_response("k", "alice", 500, "later").await.unwrap();
    let answer = store.response_for("k", "alice").await.unwrap().unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (201, "{\"id\":1}"));
    assert_eq!(store.response_for("k", "bob").await.unwrap(), None, "keys are each actor's own");
}
