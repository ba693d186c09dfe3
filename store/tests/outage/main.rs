//! The store while PostgreSQL is stopped and started again. A suite of its own, because nobody
//! else can use the server meanwhile: `TENSOU_TEST_POSTGRES` is its URL, and the program that
//! `TENSOU_TEST_POSTGRES_CONTROL` names stops and starts it. Without both it is ignored.
#![expect(clippy::unwrap_used, reason = "a case that cannot go on has failed")]

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Trial};
use tensou_engine::{CallId, CallResult, Caller, CallerClass, Cdr, Direction, EndedBy, WallTime};
use tensou_store::model::Customer;
use tensou_store::{Actor, CdrFilter, Page, Scope, Store, StoreError};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How long anything may take that takes milliseconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// The store's own bounds for a server that is away, and some room.
const REFUSED_WITHIN: Duration = Duration::from_secs(30);

fn main() {
    let environment = |name| std::env::var(name).ok();
    let url = environment("TENSOU_TEST_POSTGRES");
    let control = environment("TENSOU_TEST_POSTGRES_CONTROL");
    let missing = url.is_none() || control.is_none();
    let silent = url.clone();
    let trials = vec![
        Trial::test("the_store_survives_a_restart_of_the_server", move || {
            let (Some(url), Some(control)) = (url, control) else {
                return Err("there is no server to stop".into());
            };
            alone(restart(&url, &control));
            Ok(())
        }),
        Trial::test("a_network_that_goes_silent_hangs_nobody", move || {
            let Some(url) = silent else { return Err("there is no server".into()) };
            alone(silence(&url));
            Ok(())
        }),
    ];
    // One after the other: the server is there for one.
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    let trials = trials.into_iter().map(|trial| trial.with_ignored_flag(missing)).collect();
    libtest_mimic::run(&arguments, trials).exit();
}

fn alone(case: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.unwrap().block_on(case);
}

fn told(control: &str, word: &str) {
    assert!(Command::new(control).arg(word).status().unwrap().success(), "{control} {word}");
}

fn cdr(n: u64) -> Cdr {
    let at = |ms: i64| WallTime::from_unix_micros((1_795_392_000_000 + ms) * 1000);
    Cdr {
        id: CallId::new(1_795_392_000_000, n, n),
        direction: Direction::Forward,
        did: None,
        customer: None,
        caller: Caller { number: None, class: CallerClass::Withheld },
        trunk_in: None,
        started_at: at(0),
        ringing_at: None,
        answered_at: None,
        ended_at: at(1),
        duration: Duration::ZERO,
        result: CallResult::Busy,
        sip_status: 486,
        q850_cause: 17,
        ended_by: EndedBy::Callee,
        answered_by: None,
        legs: Vec::new(),
    }
}

fn customer(id: &str) -> Customer {
    Customer {
        id: id.into(),
        name: "山田".into(),
        kana: String::new(),
        contacts: Vec::new(),
        closing_day: 31,
        state: "active".into(),
        reseller: None,
        note: String::new(),
    }
}

/// A schema of its own; the URL that leads there.
async fn schema(url: &str) -> String {
    let schema = format!("tensou_outage_{}", uuid::Uuid::now_v7().simple());
    let pool = sqlx::PgPool::connect(url).await.unwrap();
    let create = sqlx::AssertSqlSafe(format!("CREATE SCHEMA {schema}"));
    sqlx::query(create).execute(&pool).await.unwrap();
    pool.close().await;
    let mark = if url.contains('?') { '&' } else { '?' };
    format!("{url}{mark}options[search_path]={schema}")
}

async fn restart(url: &str, control: &str) {
    let url = schema(url).await;
    let store = Store::connect(&url).await.unwrap();
    store.migrate().await.unwrap();
    let other = Store::connect(&url).await.unwrap();
    let mut heard = other.changes();
    let hearing = {
        let other = other.clone();
        tokio::spawn(async move { other.listen(|_| {}).await })
    };
    let actor = Actor::system();
    store.insert_cdrs("node-1", &[cdr(1), cdr(2)]).await.unwrap();
    store.create(&actor, &customer("before")).await.unwrap();
    hears(&store, &mut heard).await;

    told(control, "stop");
    let begun = Instant::now();
    let refused = store.insert_cdrs("node-1", &[cdr(2), cdr(3)]).await;
    assert!(matches!(refused, Err(StoreError::Database(_))), "{refused:?}");
    let refused = store.create(&actor, &customer("while")).await;
    assert!(matches!(refused, Err(StoreError::Database(_))), "{refused:?}");
    assert!(begun.elapsed() < REFUSED_WITHIN * 2, "nothing waits for ever");
    told(control, "start");

    // The same store goes on, as the writer of records does: again until it is done.
    let begun = Instant::now();
    while store.insert_cdrs("node-1", &[cdr(2), cdr(3)]).await.is_err() {
        assert!(begun.elapsed() < PATIENCE, "it does not come back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let all = CdrFilter::within(Scope::All);
    assert_eq!(store.cdrs(&all, &Page::default()).await.unwrap().items.len(), 3);
    store.create(&actor, &customer("after")).await.unwrap();
    hears(&store, &mut heard).await;
    hearing.abort();
    store.close().await;
    other.close().await;
}

/// The other node, which does not poll, comes to know the revision.
async fn hears(store: &Store, heard: &mut tokio::sync::watch::Receiver<u64>) {
    let revision = store.revision().await.unwrap();
    let known = heard.wait_for(|known| *known >= revision);
    tokio::time::timeout(PATIENCE, known).await.unwrap().unwrap();
}

/// The server behind a wire that can be cut: nothing comes through any more, and nobody is told.
async fn silence(url: &str) {
    let url = schema(url).await;
    let (before, rest) = url.split_once('@').unwrap();
    let (server, database) = rest.split_once('/').unwrap();
    let wire = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = wire.local_addr().unwrap();
    let cut = Arc::new(watch::Sender::new(false));
    tokio::spawn(carry(wire, server.to_owned(), Arc::clone(&cut)));
    let store = Store::connect(&format!("{before}@{near}/{database}")).await.unwrap();
    store.migrate().await.unwrap();
    store.insert_cdrs("node-1", &[cdr(1)]).await.unwrap();

    cut.send_replace(true);
    let begun = Instant::now();
    let records = [cdr(1), cdr(2)];
    let (inserted, asked) = tokio::join!(store.insert_cdrs("node-1", &records), store.revision());
    assert!(matches!(inserted, Err(StoreError::Database(_))), "{inserted:?}");
    assert!(matches!(asked, Err(StoreError::Database(_))), "{asked:?}");
    assert!(begun.elapsed() < REFUSED_WITHIN * 2, "nothing waits for ever");

    // New connections pass again; those that were cut are found out one by one.
    cut.send_replace(false);
    while store.insert_cdrs("node-1", &records).await.is_err() {
        assert!(begun.elapsed() < PATIENCE * 2, "it does not come back");
    }
    let all = CdrFilter::within(Scope::All);
    assert_eq!(store.cdrs(&all, &Page::default()).await.unwrap().items.len(), 2);
}

/// Passes bytes both ways until the wire is cut; then the connection stays open and silent.
async fn carry(wire: TcpListener, server: String, cut: Arc<watch::Sender<bool>>) {
    while let Ok((mut near, _)) = wire.accept().await {
        let (server, mut cuts) = (server.clone(), cut.subscribe());
        tokio::spawn(async move {
            let mut far = TcpStream::connect(&server).await.unwrap();
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                () = async { _ = cuts.wait_for(|cut| *cut).await } => {
                    std::future::pending::<()>().await;
                }
            }
        });
    }
}
