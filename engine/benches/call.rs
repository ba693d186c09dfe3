//! One full forwarded call through the engine, without sockets: seven messages in, nine out, one
//! record, and the timers of the calls before it; with and without what the journal keeps of it.

use criterion::{Criterion, criterion_group, criterion_main};

mod drive;

fn bench(criterion: &mut Criterion) {
    for (name, journal) in [("call/forwarded", false), ("call/forwarded with its journal", true)] {
        let mut line = drive::Line::new(journal);
        line.warm_up();
        criterion.bench_function(name, |bencher| bencher.iter(|| line.call()));
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
