//! Connections of the simulated world: nothing is lost or overtaken, until one is reset.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tensou_engine::{Flow, ListenerId, Transport};

/// Every byte takes this long, so that none overtakes another.
pub(crate) const TRIP: Duration = Duration::from_millis(5);

/// How long one lasts at least that follows a broken one.
const LASTS: Duration = Duration::from_secs(1);

/// The connections that stand, by place.
#[derive(Default)]
pub(crate) struct Streams {
    open: BTreeMap<String, u32>,
    last: u32,
    /// When a message broke the last one of a place, in microseconds.
    broken: BTreeMap<String, u64>,
    /// A message breaks its connection, in percent.
    pub(crate) resets: u64,
    /// An engine that dies leaves them to the next: it hands over. They are such as peers made.
    pub(crate) handed_over: bool,
}

impl Streams {
    /// From now on `place` speaks by TCP.
    pub(crate) fn connect(&mut self, place: &str) {
        self.last += 1;
        self.open.insert(place.to_owned(), self.last);
    }

    /// It does not any more.
    pub(crate) fn forget(&mut self, place: &str) {
        self.open.remove(place);
    }

    /// Whether a message may break the connection of a place. The next one lasts for a while: who
    /// breaks one after the other is given up, though a copy of an INVITE may ring there.
    pub(crate) fn may_break(&mut self, place: &str, now: u64) -> bool {
        let lasts = LASTS.as_micros() as u64;
        let young = self.broken.get(place).is_some_and(|at| now < at + lasts);
        if !young {
            self.broken.insert(place.to_owned(), now);
        }
        !young
    }

    /// The connection of a place that speaks by TCP.
    pub(crate) fn flow(&self, place: &str) -> Option<Flow> {
        let connection = *self.open.get(place)?;
        let (listener, transport) = (ListenerId(1), Transport::Tcp);
        Some(Flow { listener, transport, remote: place.parse().ok()?, connection })
    }

    /// Those that the next engine is given, by peer.
    pub(crate) fn left(&self) -> impl Iterator<Item = (SocketAddr, u32)> {
        let open = self.open.iter().filter(|_| self.handed_over);
        open.filter_map(|(place, number)| Some((place.parse().ok()?, *number)))
    }

    /// The way that leads there without naming a connection.
    pub(crate) fn way(flow: Flow) -> Flow {
        Flow { connection: 0, ..flow }
    }
}
