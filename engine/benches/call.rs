//! One full forwarded call through the engine, without sockets: seven messages in, nine out, one
//! record, and the timers of the calls before it.

use criterion::{Criterion, criterion_group, criterion_main};

mod drive;

fn bench(criterion: &mut Criterion) {
    let mut line = drive::Line::new(false);
    line.warm_up();
    criterion.bench_function("call/forwarded", |bencher| bencher.iter(|| line.call()));
}

criterion_group!(benches, bench);
criterion_main!(benches);
