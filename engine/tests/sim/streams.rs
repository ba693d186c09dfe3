//! Connections of the simulated world: nothing is lost or overtaken, until one is reset.

use std::collections::BTreeMap;
use std::time::Duration;

use tensou_engine::{Flow, ListenerId, Transport};

/// Every byte takes this long, so that none overtakes another.
pub(crate) const TRIP: Duration = Duration::from_millis(5);

/// The connections that stand, by place.
#[derive(Default)]
pub(crate) struct Streams {
    open: BTreeMap<String, u32>,
    last: u32,
    /// A message breaks its connection, in percent.
    pub(crate) resets: u64,
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

    /// The connection of a place that speaks by TCP.
    pub(crate) fn flow(&self, place: &str) -> Option<Flow> {
        let connection = *self.open.get(place)?;
        let (listener, transport) = (ListenerId(1), Transport::Tcp);
        Some(Flow { listener, transport, remote: place.parse().ok()?, connection })
    }

    /// The way that leads there without naming a connection.
    pub(crate) fn way(flow: Flow) -> Flow {
        Flow { connection: 0, ..flow }
    }
}
