//! A DID looked up in a snapshot: a hundred thousand must cost no more than ten.
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up shall stop")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

#[expect(dead_code, reason = "the calls are the other bench's")]
mod drive;

fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("snapshot/did");
    for dids in [10, 100_000] {
        let snapshot = drive::snapshot(dids);
        // All over the table, so that the cache is not flattered.
        let numbers: Vec<_> = (0..dids).map(|at| drive::did(at * 7919 % dids)).collect();
        group.bench_with_input(BenchmarkId::from_parameter(dids), &numbers, |bencher, numbers| {
            let mut turn = numbers.iter().cycle();
            bencher.iter(|| {
                let number = turn.next().copied().unwrap();
                assert!(snapshot.has_did(black_box(number)));
            });
        });
    }
    let unknown = drive::did(1_000_000);
    let snapshot = drive::snapshot(100_000);
    group.bench_function("unknown", |bencher| {
        bencher.iter(|| snapshot.has_did(black_box(unknown)));
    });
}

criterion_group!(benches, bench);
criterion_main!(benches);
