//! Several nodes on one PostgreSQL.

use std::time::Duration;

use tensou_engine::CallId;
use tensou_store::model::Customer;
use tensou_store::{Beat, CallNews, Order, Store};
use tokio::sync::mpsc;

use crate::bench::{Bench, admin, operator};

crate::cases!(one_node_sees_itself_alone_where_no_others_can_be,);
crate::cases!(
    POSTGRES_CASES = a_change_on_one_node_is_heard_on_another,
    an_order_is_heard_on_every_node,
    a_node_that_stops_is_gone_at_once,
    live_calls_are_seen_on_the_other_nodes_only,
);

/// How long anything may take that takes milliseconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn beat(node: &str) -> Beat {
    Beat {
        node: node.into(),
        instance: format!("{node}-1"),
        version: "1".into(),
        started_at: 7,
        calls_active: 2,
        calls_talking: 1,
    }
}

async fn one_node_sees_itself_alone_where_no_others_can_be(bench: Bench) {
    let store = &bench.store;
    store.beat(&beat("a")).await.unwrap();
    let seen = store.nodes().await.unwrap();
    assert_eq!(seen.len(), usize::from(store.shared()));
    assert_eq!(store.calls_elsewhere("a").await.unwrap(), []);
    store.leave("a").await.unwrap();
    assert_eq!(store.nodes().await.unwrap(), []);
}

async fn a_change_on_one_node_is_heard_on_another(bench: Bench) {
    let other = Store::connect(&bench.url).await.unwrap();
    let mut changes = other.changes();
    let hearing = {
        let other = other.clone();
        tokio::spawn(async move { other.listen(|_| {}).await })
    };
    // Once it hears, it knows the revision; nobody here polls.
    tokio::time::timeout(PATIENCE, changes.changed()).await.unwrap().unwrap();
    for n in 0..3 {
        let row = Customer { id: format!("c{n}"), ..operator().customers[0].clone() };
        bench.store.create(&admin(), &row).await.unwrap();
        let revision = bench.store.revision().await.unwrap();
        let heard = changes.wait_for(|heard| *heard == revision);
        tokio::time::timeout(PATIENCE, heard).await.unwrap().unwrap();
    }
    hearing.abort();
    other.close().await;
}

async fn an_order_is_heard_on_every_node(bench: Bench) {
    let (heard, mut orders) = mpsc::channel(4);
    let store = bench.store.clone();
    let mut changes = store.changes();
    let seen = *changes.borrow_and_update();
    let hearing = tokio::spawn(async move {
        store.listen(move |order| drop(heard.try_send(order))).await;
    });
    let order = Order::HangUp { node: "b".into(), call: CallId::new(1_795_392_000_000, 1, 2) };
    // Whoever is heard of a change listens.
    let row = Customer { id: "c".into(), ..operator().customers[0].clone() };
    let other = Store::connect(&bench.url).await.unwrap();
    other.create(&admin(), &row).await.unwrap();
    let ready = changes.wait_for(|heard| *heard > seen);
    tokio::time::timeout(PATIENCE, ready).await.unwrap().unwrap();
    other.order(&order).await.unwrap();
    let got = tokio::time::timeout(PATIENCE, orders.recv()).await.unwrap();
    assert_eq!(got, Some(order));
    hearing.abort();
    other.close().await;
}

async fn a_node_that_stops_is_gone_at_once(bench: Bench) {
    let store = &bench.store;
    assert_eq!(store.beat(&beat("a")).await.unwrap(), []);
    assert_eq!(store.beat(&beat("b")).await.unwrap().len(), 1);
    let seen = store.nodes().await.unwrap();
    assert!(seen.iter().all(tensou_store::NodeSeen::alive), "{seen:?}");
    assert_eq!(seen[0].beat, beat("a"));
    bench.texts("UPDATE nodes SET seen_at = seen_at - 6000 WHERE name = 'b' RETURNING name").await;
    assert!(!store.nodes().await.unwrap()[1].alive(), "silence is death");
    store.leave("a").await.unwrap();
    assert_eq!(store.nodes().await.unwrap().len(), 1);
}

async fn live_calls_are_seen_on_the_other_nodes_only(bench: Bench) {
    let store = &bench.store;
    for node in ["a", "b"] {
        store.beat(&beat(node)).await.unwrap();
    }
    let call = |n: usize| (format!("id-{n:04}"), format!("body {n}"));
    let news = CallNews { anew: true, changed: (0..1_200).map(call).collect(), ended: Vec::new() };
    store.publish_calls("a", &news).await.unwrap();
    assert_eq!(store.calls_elsewhere("a").await.unwrap(), []);
    let seen = store.calls_elsewhere("b").await.unwrap();
    assert_eq!((seen.len(), seen[3].clone()), (1_200, ("a".into(), "body 3".into())));
    let news = CallNews {
        anew: false,
        changed: vec![("id-0003".into(), "talks".into())],
        ended: (4..1_200).map(|n| call(n).0).collect(),
    };
    store.publish_calls("a", &news).await.unwrap();
    let seen = store.calls_elsewhere("b").await.unwrap();
    assert_eq!((seen.len(), seen[3].1.as_str()), (4, "talks"));
    bench.texts("UPDATE nodes SET seen_at = seen_at - 6000 WHERE name = 'a' RETURNING name").await;
    assert_eq!(store.calls_elsewhere("b").await.unwrap(), [], "a dead node has no calls");
    store.leave("a").await.unwrap();
    assert_eq!(bench.number("SELECT COUNT(*) FROM live_calls").await, 0);
}
