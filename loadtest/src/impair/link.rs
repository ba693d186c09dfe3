//! The link: two TUN devices and a thread between them that decides what passes, and when.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::Serialize;

use super::fate::{Fates, Weather};
use super::netns::Namespace;
use super::tun;

/// Packets under way at once; more are lost, and counted. At 100,000 packets/s, 0.6 s of delay.
const MOST_UNDER_WAY: usize = 65_536;
/// Packets read from one side before the other has its turn.
const BATCH: usize = 64;
/// How often the thread looks whether it is to stop or the weather has changed.
const TURN: Duration = Duration::from_millis(20);

/// One end of the link.
#[derive(Debug)]
pub struct Side<'a> {
    /// Where it is.
    pub namespace: &'a Namespace,
    /// Name of the device there.
    pub device: &'a str,
    /// Its addresses, all of one /24.
    pub addresses: &'a [Ipv4Addr],
}

/// What happened to the packets of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Packets that came in.
    pub seen: u64,
    /// Lost by the weather, outages among them.
    pub lost: u64,
    /// Copies made.
    pub duplicated: u64,
    /// Held back.
    pub reordered: u64,
    /// Damaged.
    pub corrupted: u64,
    /// Lost because too many were under way, or the device took no more.
    pub overflowed: u64,
}

/// What happened to the packets of both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Statistics {
    /// From the first side to the second.
    pub forth: Counts,
    /// From the second to the first.
    pub back: Counts,
}

/// A link that is up until it is dropped.
pub struct Link {
    stop: Arc<AtomicBool>,
    weather: Sender<Weather>,
    thread: Option<JoinHandle<io::Result<Statistics>>>,
}

impl Link {
    /// Joins two namespaces.
    pub fn start(one: &Side<'_>, other: &Side<'_>, seed: u64) -> io::Result<Link> {
        let open =
            |side: &Side<'_>| side.namespace.within(|| tun::open(side.device, side.addresses));
        let devices = [open(one)?, open(other)?];
        let stop = Arc::new(AtomicBool::new(false));
        let (weather, changes) = channel();
        let mut carrier = Carrier {
            devices,
            changes,
            weather: Weather::default(),
            fates: [Fates::new(seed), Fates::new(seed.wrapping_add(1))],
            counts: [Counts::default(); 2],
            under_way: BTreeMap::new(),
            serial: 0,
        };
        let stopped = Arc::clone(&stop);
        let run = move || carrier.run(&stopped);
        let thread = std::thread::Builder::new().name("impair".to_owned()).spawn(run)?;
        Ok(Link { stop, weather, thread: Some(thread) })
    }

    /// Changes the weather for packets that come from now on.
    pub fn set(&self, weather: Weather) {
        // The thread is gone only if it failed, which `stop` tells.
        let _ = self.weather.send(weather);
    }

    /// Takes the link down.
    pub fn stop(mut self) -> io::Result<Statistics> {
        self.stop.store(true, Ordering::Relaxed);
        let Some(thread) = self.thread.take() else { return Ok(Statistics::default()) };
        thread.join().map_err(|_| io::Error::other("the link crashed"))?
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// A packet and the side that it goes to.
type Parcel = (usize, Arc<[u8]>);

struct Carrier {
    devices: [File; 2],
    changes: Receiver<Weather>,
    weather: Weather,
    fates: [Fates; 2],
    counts: [Counts; 2],
    /// By arrival; the serial keeps packets of one moment in order.
    under_way: BTreeMap<(Instant, u64), Parcel>,
    serial: u64,
}

impl Carrier {
    fn run(&mut self, stop: &AtomicBool) -> io::Result<Statistics> {
        while !stop.load(Ordering::Relaxed) {
            while let Ok(weather) = self.changes.try_recv() {
                self.weather = weather;
            }
            let now = Instant::now();
            let due = self.under_way.first_key_value().map(|((at, _), _)| *at);
            let wait = due.map_or(TURN, |at| at.saturating_duration_since(now).min(TURN));
            // Rounded up: a millisecond early would spin; packets without delay do not wait.
            let wait = if wait.is_zero() { wait } else { wait + Duration::from_micros(999) };
            let [one, other] = &self.devices;
            let mut ready =
                [one, other].map(|device| PollFd::new(device.as_fd(), PollFlags::POLLIN));
            match poll(&mut ready, PollTimeout::try_from(wait).unwrap_or(PollTimeout::ZERO)) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            let readable = ready.map(|fd| fd.any().unwrap_or_default());
            for (from, _) in readable.iter().enumerate().filter(|(_, readable)| **readable) {
                self.read(from)?;
            }
            self.deliver();
        }
        let [forth, back] = self.counts;
        Ok(Statistics { forth, back })
    }

    fn read(&mut self, from: usize) -> io::Result<()> {
        let mut buffer = [0u8; 65_536];
        for _ in 0..BATCH {
            let length = match (&self.devices[from]).read(&mut buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            self.send(from, &mut buffer[..length]);
        }
        Ok(())
    }

    fn send(&mut self, from: usize, packet: &mut [u8]) {
        let fate = self.fates[from].of(&self.weather, packet);
        let counts = &mut self.counts[from];
        counts.seen += 1;
        counts.lost += u64::from(fate.arrivals.is_empty());
        counts.duplicated += fate.arrivals.len().saturating_sub(1) as u64;
        counts.reordered += u64::from(fate.reordered);
        counts.corrupted += u64::from(fate.corrupted);
        let now = Instant::now();
        let packet: Arc<[u8]> = Arc::from(&*packet);
        for after in fate.arrivals {
            if self.under_way.len() >= MOST_UNDER_WAY {
                counts.overflowed += 1;
                continue;
            }
            self.serial += 1;
            self.under_way.insert((now + after, self.serial), (1 - from, Arc::clone(&packet)));
        }
    }

    fn deliver(&mut self) {
        let now = Instant::now();
        while let Some(entry) = self.under_way.first_entry().filter(|e| e.key().0 <= now) {
            let (to, packet) = entry.remove();
            if (&self.devices[to]).write(&packet).is_err() {
                self.counts[1 - to].overflowed += 1;
            }
        }
    }
}
