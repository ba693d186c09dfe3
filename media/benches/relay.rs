//! What a packet costs in the core, without sockets.

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};

use criterion::{Criterion, criterion_group, criterion_main};
use tensou_media::{Arrival, Latch, Port, Remote, Session, Side, Timestamp};

fn relay(criterion: &mut Criterion) {
    let phone = |host| SocketAddr::from((Ipv4Addr::new(192, 0, 2, host), 4000));
    let report = |host| SocketAddr::from((Ipv4Addr::new(192, 0, 2, host), 4001));
    let mut session = Session::default();
    for (side, host) in [(Side::A, 1), (Side::B, 2)] {
        let remote =
            Remote { rtp: phone(host), rtcp: report(host), latch: Latch::Signalled, sends: true };
        session.set_remote(Timestamp::default(), side, remote);
    }
    let mut bytes = vec![0x55; 172];
    let mut number = 0_u32;
    criterion.bench_function("one RTP packet through the core", |bencher| {
        bencher.iter(|| {
            number = number.wrapping_add(1);
            let timestamp = number.wrapping_mul(160);
            bytes[..2].copy_from_slice(&[0x80, 0]);
            bytes[2..4].copy_from_slice(&(number as u16).to_be_bytes());
            bytes[4..8].copy_from_slice(&timestamp.to_be_bytes());
            let now = Timestamp::from_micros(u64::from(number) * 20_000);
            let arrival = Arrival { side: Side::A, port: Port::Rtp, from: phone(1), bytes: &bytes };
            let verdict = session.packet(now, black_box(arrival));
            (verdict, session.counters(Side::A))
        });
    });
    criterion.bench_function("one stranger's packet through the core", |bencher| {
        let arrival =
            Arrival { side: Side::A, port: Port::Rtp, from: phone(66), bytes: &[0x80; 172] };
        bencher.iter(|| session.packet(Timestamp::default(), black_box(arrival)));
    });
}

criterion_group!(benches, relay);
criterion_main!(benches);
