//! SIP and SDP syntax: what a message costs to read and to write.
//!
//! `parse` makes the index; `read` also reads what the engine acts on; `check` is what every
//! request goes through before that; `write` is the message as the other leg gets it.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tensou_engine::sdp::{Origin, RelayAddress, Sdp, rewrite};
use tensou_engine::sip::syntax::{HeaderId, Message, Start, Writer, reason_phrase};

/// An INVITE of 1,089 bytes with an offer of four codecs, as a PRI gateway sends it, its 180 and
/// its 200.
const MESSAGES: [(&str, &[u8]); 3] = [
    ("invite", include_bytes!("messages/invite.sip")),
    ("180", include_bytes!("messages/ringing.sip")),
    ("200", include_bytes!("messages/answer.sip")),
];

fn read(message: &Message<'_>) {
    black_box(message.top_via().is_ok_and(|via| via.branch.is_some()));
    black_box(message.from().is_ok_and(|from| from.tag().is_some()));
    black_box(message.to().is_ok_and(|to| to.tag().is_some()));
    black_box(message.call_id().is_ok());
    black_box(message.cseq().is_ok());
    black_box(message.max_forwards().is_ok());
    black_box(message.contact().is_ok());
}

/// The message with our own Via, Contact, Call-ID and Max-Forwards, the rest passed through.
fn write(message: &Message<'_>, buf: &mut Vec<u8>) {
    let mut writer = match message.start() {
        Start::Request { method, uri } => Writer::request(buf, method.as_str(), uri),
        Start::Response { status, .. } => Writer::response(buf, status, reason_phrase(status)),
    };
    writer
        .header(HeaderId::Via, "SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKabcdefabcdef;rport")
        .header(HeaderId::Contact, "<sip:192.0.2.9:5060>")
        .header(HeaderId::CallId, "0123456789abcdef0123456789abcdef")
        .number(HeaderId::MaxForwards, 69);
    let ours = [
        HeaderId::Via,
        HeaderId::Contact,
        HeaderId::CallId,
        HeaderId::MaxForwards,
        HeaderId::ContentLength,
    ];
    for header in message.headers().filter(|header| !ours.contains(&header.id)) {
        writer.copy(&header);
    }
    writer.finish(None, message.body());
}

fn messages(criterion: &mut Criterion) {
    for (name, bytes) in MESSAGES {
        let mut group = criterion.benchmark_group(format!("syntax/{name}"));
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function("parse", |b| {
            b.iter(|| Message::parse_datagram(black_box(bytes)).is_ok());
        });
        group.bench_function("read", |b| {
            b.iter(|| Message::parse_datagram(black_box(bytes)).map(|m| read(&m)).is_ok());
        });
        group.bench_function("check", |b| {
            b.iter(|| Message::parse_datagram(black_box(bytes)).map(|m| m.check_request()).is_ok());
        });
        let message = Message::parse_datagram(bytes).expect("a message");
        let mut buf = Vec::with_capacity(2048);
        group.bench_function("write", |b| b.iter(|| write(black_box(&message), &mut buf)));
        group.finish();
    }
}

fn descriptions(criterion: &mut Criterion) {
    let [(_, invite), ..] = MESSAGES;
    let message = Message::parse_datagram(invite).expect("a message");
    let relay = RelayAddress { ip: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9)), rtp: 20_000 };
    let origin = Origin { id: 1, version: 1 };
    let mut out = Vec::with_capacity(1024);
    criterion.bench_function("sdp/parse", |b| {
        b.iter(|| Sdp::parse(black_box(message.body())).is_ok());
    });
    criterion.bench_function("sdp/rewrite", |b| {
        b.iter(|| {
            out.clear();
            Sdp::parse(black_box(message.body()))
                .map(|sdp| rewrite(&sdp, relay, origin, &mut out))
                .is_ok()
        });
    });
}

criterion_group!(benches, messages, descriptions);
criterion_main!(benches);
