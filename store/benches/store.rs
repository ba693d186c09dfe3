//! What the database costs: call records as the writer delivers them, a change of a large
//! provisioning, and reading that provisioning back.

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tensou_engine::route::Snapshot;
use tensou_engine::{
    CallId, CallResult, Caller, CallerClass, Cdr, CdrLeg, Direction, EndedBy, LegMedia, WallTime,
    plan::parse_e164,
};
use tensou_store::model::{Customer, Did, Document, RouteStep};
use tensou_store::{Actor, Format, Store, parse_document};
use tokio::runtime::Runtime;

const OPERATOR: &str = include_str!("../../examples/operator.toml");
/// As the record writer delivers them.
const BATCH: usize = 500;

fn cdr(n: u64) -> Cdr {
    let at = |ms: i64| WallTime::from_unix_micros((1_795_392_000_000 + n as i64 + ms) * 1000);
    let leg = CdrLeg {
        destination: "yamada-taro".into(),
        trunk_out: Some("carrier-a".into()),
        dialled: "+819001000001".into(),
        presented: parse_e164("03-1200-1000").ok(),
        started_at: at(12),
        ringing_at: Some(at(480)),
        answered_at: Some(at(4_321)),
        ended_at: at(64_322),
        sip_status: 200,
        q850_cause: 16,
        media: Some(LegMedia::default()),
    };
    Cdr {
        id: CallId::new(1_795_392_000_000 + n as i64, n, n),
        direction: Direction::Forward,
        did: parse_e164(&format!("+8131200{:04}", n % 5000)).ok(),
        customer: Some(format!("customer-{}", n % 200).as_str().into()),
        caller: Caller {
            number: parse_e164(&format!("+8190{:08}", n.wrapping_mul(2_654_435_761) % 100_000_000))
                .ok(),
            class: CallerClass::Number,
        },
        trunk_in: Some("ins1500-1".into()),
        started_at: at(0),
        ringing_at: Some(at(500)),
        answered_at: Some(at(4_321)),
        ended_at: at(64_322),
        duration: Duration::from_millis(60_001),
        result: CallResult::Answered,
        sip_status: 200,
        q850_cause: 16,
        ended_by: EndedBy::Caller,
        answered_by: Some("yamada-taro".into()),
        legs: vec![leg.clone(), leg],
    }
}

fn open(runtime: &Runtime) -> (Store, std::path::PathBuf) {
    let folder = std::env::temp_dir().join(format!("tensou-bench-{}", uuid::Uuid::now_v7()));
    let url = format!("sqlite:{}/tensou.db", folder.display());
    let store = runtime.block_on(async {
        let store = Store::connect(&url).await.expect("a database");
        store.migrate().await.expect("its schema");
        store
    });
    (store, folder)
}

fn records(c: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let (store, folder) = open(&runtime);
    let mut next = 0;
    let mut group = c.benchmark_group("store");
    group.throughput(Throughput::Elements(BATCH as u64)).sample_size(20);
    group.bench_function("insert_cdrs_500", |b| {
        b.iter_custom(|rounds| {
            let mut spent = Duration::ZERO;
            for _ in 0..rounds {
                let batch: Vec<Cdr> = (next..next + BATCH as u64).map(cdr).collect();
                next += BATCH as u64;
                let start = Instant::now();
                let new = runtime.block_on(store.insert_cdrs("node-1", &batch));
                spent += start.elapsed();
                assert_eq!(new.expect("stored"), BATCH as u64);
            }
            spent
        });
    });
    group.finish();
    let _ = std::fs::remove_dir_all(folder);
}

fn large(c: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let mut group = c.benchmark_group("store");
    group.sample_size(10).measurement_time(Duration::from_secs(5));
    for count in [1_000, 100_000] {
        let (store, folder) = open(&runtime);
        let actor = Actor::system();
        let mut document: Document = parse_document(OPERATOR, Format::Toml).expect("the example");
        let route = vec![RouteStep { ring: "group:yamada-all".into() }];
        let model = document.dids.last().cloned().expect("a DID");
        document.dids.extend((0..count).map(|n| Did {
            number: format!("+8131{:06}", 300_000 + n),
            customer: Some("yamada".into()),
            route: route.clone(),
            ..model.clone()
        }));
        let start = Instant::now();
        runtime.block_on(store.import(&actor, &document, false)).expect("imported");
        eprintln!("import of {count} DIDs: {:?}", start.elapsed());
        let mut row = document.customers.first().cloned().expect("a customer");
        let mut turn = 0_u64;
        group.bench_function(format!("replace_one_row_beside_{count}_dids"), |b| {
            b.iter(|| {
                turn += 1;
                row.note = turn.to_string();
                let id = row.id.clone();
                runtime.block_on(store.replace::<Customer>(&actor, &id, &row, None)).expect("ok")
            });
        });
        // As a node does it: the write, then what calls use is made from the last one.
        let mut known = runtime.block_on(store.provisioning()).expect("read");
        let mut row = document.dids.last().cloned().expect("a DID");
        group.bench_function(format!("replace_one_did_of_{count}_and_publish"), |b| {
            b.iter(|| {
                turn += 1;
                row.note = turn.to_string();
                let number = row.number.clone();
                let written = store.replace::<Did>(&actor, &number, &row, None);
                runtime.block_on(written).expect("written");
                known = runtime.block_on(store.refreshed(&known)).expect("read");
                Snapshot::compile(known.revision, &known.provisioning).expect("right")
            });
        });
        group.bench_function(format!("compile_{count}_dids"), |b| {
            b.iter(|| Snapshot::compile(known.revision, &known.provisioning).expect("right"));
        });
        group.bench_function(format!("read_provisioning_of_{count}_dids"), |b| {
            b.iter(|| runtime.block_on(store.provisioning()).expect("read"));
        });
        let _ = std::fs::remove_dir_all(folder);
    }
    group.finish();
}

criterion_group!(benches, records, large);
criterion_main!(benches);
