//! Somebody who is no party of any call sends to every relay port, all the time.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::Bench;
use crate::crash::mixed;
use crate::crowd::Crowd;
use crate::evidence::{Leniency, Outcome, conclude};
use crate::node::{Node, Settings};
use crate::site::Site;

/// The relay's ports in this experiment: few, so that all of them are hit in every set-up.
const PORTS: std::ops::Range<u16> = 20_000..20_400;
/// Packets each second.
const RATE: u32 = 10_000;
/// Sent in one go: a millisecond's worth, with a sleep behind.
const BURST: u32 = RATE / 500;
/// For the last BYE and its repetitions.
const GRACE: Duration = Duration::from_secs(45);

/// Calls are set up, talk and end under fire; the stranger is neither heard nor answered.
pub(crate) fn strangers(bench: &Bench) -> Result<Outcome> {
    let (rate, seconds) = bench.size((20u32, 20u64), (10, 5));
    let mut outcome = Outcome::new(format!(
        "{rate} calls/s of every kind with voice, while a third address sends {RATE} RTP packets/s \
         to all {} relay ports in turn",
        PORTS.len()
    ));
    let site = Site::near(&bench.dir)?;
    let media = format!("ports = \"{}-{}\"\n", PORTS.start, PORTS.end - 1);
    let settings = Settings { media, ..Settings::default() };
    let mut node = Node::prepare(&site, &bench.server, 0, &settings)?;
    node.start()?;
    let watch = site.watch()?;
    let length = Duration::from_secs(seconds);
    let stranger = site.afar.within(|| UdpSocket::bind((site.stranger(), 0)))?;
    stranger.set_nonblocking(true)?;
    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let target = site.server(0);
    let gathering = std::thread::scope(|scope| -> Result<_> {
        scope.spawn(|| {
            let mut number = 0u32;
            while !stop.load(Ordering::Relaxed) {
                let turn = Instant::now() + Duration::from_secs(1) * BURST / RATE;
                for _ in 0..BURST {
                    let port = PORTS.start + (number % PORTS.len() as u32) as u16;
                    // What the socket does not take is a packet less of the attack.
                    let gone = stranger.send_to(&forged(number), (target, port));
                    sent.fetch_add(u64::from(gone.is_ok()), Ordering::Relaxed);
                    number = number.wrapping_add(1);
                }
                std::thread::sleep(turn.saturating_duration_since(Instant::now()));
            }
        });
        let crowd = Crowd::start(&site, mixed(f64::from(rate), length, bench.seed));
        let gathering = crowd.and_then(|crowd| crowd.finish(length + GRACE));
        stop.store(true, Ordering::Relaxed);
        gathering
    })?;
    outcome.figure("packets of the stranger", sent.load(Ordering::Relaxed));
    let mut buffer = [0u8; 2048];
    if stranger.recv(&mut buffer).is_ok() {
        outcome.fault("the stranger was answered");
    }
    let heard = |of: fn(&tensou_loadtest::agents::Heard) -> u64| -> u64 {
        gathering.reports.iter().map(|report| of(&report.heard)).sum()
    };
    outcome.figure("voice packets heard", heard(|it| it.packets));
    outcome.figure("voice packets lost", heard(|it| it.lost));
    let foreign = heard(|it| it.strange + it.altered);
    if foreign > 0 {
        outcome.fault(format!("{foreign} packets of somebody else were heard"));
    }
    let recording = watch.stop().context("the witness")?;
    conclude(&mut outcome, &node, &gathering, &recording, Leniency::default())?;
    node.terminate()?;
    Ok(outcome)
}

/// 20 ms of a voice that belongs to nobody.
fn forged(number: u32) -> [u8; 172] {
    let mut packet = [0x55u8; 172];
    packet[0] = 0x80;
    packet[1] = 0;
    packet[2..4].copy_from_slice(&(number as u16).to_be_bytes());
    packet[4..8].copy_from_slice(&number.wrapping_mul(160).to_be_bytes());
    packet[8..12].copy_from_slice(&(number % 7).to_be_bytes());
    packet
}
