//! The timer wheel: what a transaction pays for a timer that never fires, and for one that does.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use tensou_engine::Timestamp;
use tensou_engine::wheel::Wheel;

/// Timers armed besides the measured one: those of 10,000 calls.
const BUSY: u64 = 50_000;

fn busy_wheel() -> Wheel<u64> {
    let mut wheel = Wheel::new();
    for n in 0..BUSY {
        wheel.arm(Timestamp::from_micros(1_000_000 + n * 640), n);
    }
    wheel
}

fn bench(criterion: &mut Criterion) {
    let mut wheel = busy_wheel();
    criterion.bench_function("wheel/arm_and_cancel", |bencher| {
        bencher.iter(|| {
            let id = wheel.arm(black_box(Timestamp::from_micros(32_500_000)), 1);
            wheel.cancel(black_box(id))
        });
    });
    criterion.bench_function("wheel/poll_timeout_unchanged", |bencher| {
        bencher.iter(|| black_box(&wheel).next());
    });
    let mut wheel = busy_wheel();
    criterion.bench_function("wheel/fire_and_rearm_after_32_s", |bencher| {
        bencher.iter(|| {
            let now = wheel.next().unwrap_or_default();
            if let Some((_, key)) = wheel.pop(now) {
                wheel.arm(now + Duration::from_secs(32), key);
            }
        });
    });
}

criterion_group!(benches, bench);
criterion_main!(benches);
