//! The witness at work: a thread that collects what passes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::capture::Capture;
use super::packet::{Segment, Sighting, dissect};
use super::recording::Recording;
use super::stream::Streams;

/// How often the thread looks whether it is to stop.
const TURN: Duration = Duration::from_millis(50);

/// A watch that is going on.
pub struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<std::io::Result<Recording>>,
}

impl Watch {
    /// Watches an interface of the calling thread's network namespace. SIP over UDP is
    /// recognised wherever it goes, SIP over TCP by the servers' ports.
    pub fn start(interface: &str, servers: &[SocketAddr]) -> std::io::Result<Watch> {
        let ports: Vec<u16> = servers.iter().map(SocketAddr::port).collect();
        let capture = Capture::open(interface, &ports)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let collect = move || collect(&capture, &stopped);
        let thread = std::thread::Builder::new().name("witness".to_owned()).spawn(collect)?;
        Ok(Watch { stop, thread })
    }

    /// Stops, and gives what was seen.
    pub fn stop(self) -> std::io::Result<Recording> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| std::io::Error::other("the witness crashed"))?
    }
}

fn collect(capture: &Capture, stop: &AtomicBool) -> std::io::Result<Recording> {
    let mut recording = Recording::default();
    let mut streams = Streams::default();
    let sightings = &mut recording.sightings;
    while !stop.load(Ordering::Relaxed) {
        capture.read(TURN, |at, packet| match dissect(packet) {
            Some(Segment::Udp { from, to, payload }) => {
                sightings.push(Sighting { at, from, to, payload: payload.to_vec() });
            }
            Some(Segment::Tcp { from, to, seq, opens, payload }) => {
                let whole = streams.take((from, to), seq, opens, payload);
                let seen = whole.into_iter().map(|payload| Sighting { at, from, to, payload });
                sightings.extend(seen);
            }
            None => {}
        })?;
    }
    recording.dropped = capture.dropped()?;
    recording.sightings.sort_by_key(|seen| seen.at);
    Ok(recording)
}
