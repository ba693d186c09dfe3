//! What one change costs: it is judged with what it touches, and read again by itself.

use std::fmt::Debug;

use tensou_store::model::{
    Customer, Destination, Did, Document, Extension, Group, RouteStep, Schedule, Trunk, TrunkAuthIn,
};
use tensou_store::{Loaded, Resource, Store};

use crate::bench::{Bench, admin, operator, places};

crate::cases!(
    what_is_read_again_is_what_would_be_read_anew,
    a_node_that_was_away_for_long_reads_everything,
    a_copy_stands_for_the_provisioning_and_changes_are_followed_from_it,
    a_change_is_judged_as_the_whole_would_be,
    an_extension_named_as_a_trunks_account_is_refused,
);

fn sorted<T: Debug>(list: &[T]) -> Vec<String> {
    let mut all: Vec<String> = list.iter().map(|one| format!("{one:?}")).collect();
    all.sort();
    all
}

/// Everything in it, whatever the order of its rows.
fn content(loaded: &Loaded) -> (u64, Vec<Vec<String>>) {
    let of = &loaded.provisioning;
    let lists = vec![
        sorted(&of.trunks),
        sorted(&of.customers),
        sorted(&of.dids),
        sorted(&of.destinations),
        sorted(&of.groups),
        sorted(&of.extensions),
        sorted(&loaded.faults),
    ];
    (loaded.revision, lists)
}

async fn follow(store: &Store, known: &mut Loaded) {
    *known = store.refreshed(known).await.unwrap();
    assert_eq!(content(known), content(&store.provisioning().await.unwrap()));
}

async fn what_is_read_again_is_what_would_be_read_anew(bench: Bench) {
    let bench = bench.with_operator().await;
    let store = &bench.store;
    let mut known = store.provisioning().await.unwrap();
    follow(store, &mut known).await;
    let one = operator();
    let did = Did { number: "+81399990000".into(), ..one.dids[0].clone() };
    store.create(&admin(), &did).await.unwrap();
    follow(store, &mut known).await;
    let changed = Did { max_calls: 7, note: "changed".into(), ..did.clone() };
    store.replace(&admin(), &did.number, &changed, None).await.unwrap();
    let customer = Customer { id: "new".into(), ..one.customers[0].clone() };
    store.create(&admin(), &customer).await.unwrap();
    let suspended = Customer { state: "suspended".into(), ..customer };
    store.replace(&admin(), "new", &suspended, None).await.unwrap();
    follow(store, &mut known).await;
    store.delete::<Did>(&admin(), &did.number, None).await.unwrap();
    store.delete::<Customer>(&admin(), "new", None).await.unwrap();
    follow(store, &mut known).await;
    let destination = Destination { id: "new".into(), ..one.destinations[0].clone() };
    store.create(&admin(), &destination).await.unwrap();
    let group = Group { id: "new".into(), ring_seconds: 33, ..one.groups[0].clone() };
    store.create(&admin(), &group).await.unwrap();
    let extension = Extension { user: "new".into(), ..one.extensions[0].clone() };
    store.create(&admin(), &extension).await.unwrap();
    follow(store, &mut known).await;
    let trunk = Trunk { channels: 99, ..one.trunks[0].clone() };
    store.replace(&admin(), &trunk.id, &trunk, None).await.unwrap();
    follow(store, &mut known).await;
    let schedule = Schedule { id: "new".into(), ..one.schedules[0].clone() };
    store.create(&admin(), &schedule).await.unwrap();
    follow(store, &mut known).await;
    store
        .import(&admin(), &Document { dids: vec![did], ..Document::default() }, false)
        .await
        .unwrap();
    follow(store, &mut known).await;
}

async fn a_node_that_was_away_for_long_reads_everything(bench: Bench) {
    let bench = bench.with_operator().await;
    let store = &bench.store;
    let mut known = store.provisioning().await.unwrap();
    let mut row = operator().dids[0].clone();
    for turn in 0..1_010 {
        row.max_calls = turn;
        store.replace(&admin(), &row.number, &row, None).await.unwrap();
    }
    follow(store, &mut known).await;
    assert_eq!(
        bench.number("SELECT COUNT(*) FROM changes").await,
        1_000,
        "older ones are forgotten"
    );
}

/// Replaces the row by itself and within the whole: both say the same, and nothing is written.
async fn a_copy_stands_for_the_provisioning_and_changes_are_followed_from_it(bench: Bench) {
    let bench = bench.with_operator().await;
    let loaded = bench.store.provisioning().await.unwrap();
    let bytes = bench.store.copy(&loaded).await.unwrap();
    let mut copied = Loaded::from_copy(&bytes).unwrap();
    assert_eq!(content(&copied), content(&loaded));
    let secret = |it: &Loaded| it.provisioning.extensions[0].secret.reveal().to_owned();
    assert_eq!(secret(&copied), secret(&loaded), "phones sign in without the database");
    let customer = Customer { id: "suzuki".into(), ..operator().customers[0].clone() };
    bench.store.create(&admin(), &customer).await.unwrap();
    follow(&bench.store, &mut copied).await;
    assert_eq!(content(&copied), content(&bench.store.provisioning().await.unwrap()));
    assert!(Loaded::from_copy(&bytes[1..]).is_err());
}

async fn alike<R: Resource + Debug>(store: &Store, row: R) {
    let mut whole = store.export(true).await.unwrap();
    let id = row.id().to_owned();
    *R::rows_mut(&mut whole).iter_mut().find(|one| one.id() == id).unwrap() = row.clone();
    let mut alone = places(store.replace(&admin(), &id, &row, None).await);
    let mut together = places(store.import(&admin(), &whole, true).await);
    alone.sort();
    together.sort();
    assert_eq!(alone, together, "{row:?}");
}

async fn a_change_is_judged_as_the_whole_would_be(bench: Bench) {
    let bench = bench.with_operator().await;
    let store = &bench.store;
    let whole = store.export(true).await.unwrap();
    let ring = |target: &str| vec![RouteStep { ring: target.into() }];
    for did in &whole.dids {
        for change in [
            Did { customer: Some("nobody".into()), ..did.clone() },
            Did { route: ring("group:none"), ..did.clone() },
            Did { route: ring("destination:none"), ..did.clone() },
            Did { route: ring("extension:none"), ..did.clone() },
        ] {
            alike(store, change).await;
        }
    }
    for extension in &whole.extensions {
        let foreign = whole.dids.iter().find(|did| did.customer != extension.customer).unwrap();
        let presented = Some(foreign.number.clone());
        alike(store, Extension { presented_did: presented, ..extension.clone() }).await;
        alike(store, Extension { customer: Some("nobody".into()), ..extension.clone() }).await;
        // The DID that it presents goes to somebody else.
        if let Some(own) = &extension.presented_did {
            let did = whole.dids.iter().find(|did| did.number == *own).unwrap();
            let customers = whole.customers.iter().map(|customer| Some(customer.id.clone()));
            let other = customers.into_iter().find(|id| *id != did.customer).unwrap();
            alike(store, Did { customer: other, ..did.clone() }).await;
        }
    }
    for destination in &whole.destinations {
        alike(store, Destination { trunk: Some("none".into()), ..destination.clone() }).await;
    }
    for group in &whole.groups {
        let overflow = Some(format!("group:{}", group.id));
        alike(store, Group { overflow, ..group.clone() }).await;
    }
    for trunk in &whole.trunks {
        alike(store, Trunk { default_did: Some("+81300000000".into()), ..trunk.clone() }).await;
    }
    for customer in &whole.customers {
        alike(store, Customer { closing_day: 3, ..customer.clone() }).await;
    }
}

/// They do not refer to each other, and still a user name is one party's.
async fn an_extension_named_as_a_trunks_account_is_refused(bench: Bench) {
    let bench = bench.with_operator().await;
    let store = &bench.store;
    let one = operator();
    let auth_in = TrunkAuthIn { user: "clash".into(), password: Some("long enough".into()) };
    let trunk = Trunk { auth_in: Some(auth_in), ..one.trunks[0].clone() };
    store.replace(&admin(), &trunk.id, &trunk, None).await.unwrap();
    let extension = Extension { user: "clash".into(), ..one.extensions[0].clone() };
    let refused = places(store.create(&admin(), &extension).await);
    assert_eq!(refused, [format!("trunk {} auth_in.user", trunk.id)]);
}
