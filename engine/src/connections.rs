//! Connections of stream transports, as far as the engine must know of them.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::input::{Flow, Transport};

/// Open connections. The shell bounds their number and tells the end of each.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    /// By number, with the names that their peers have proved.
    open: BTreeMap<u32, Box<[Box<str>]>>,
    /// That peers made by TCP to the process before: by peer, while its images are read.
    left: BTreeMap<SocketAddr, u32>,
}

impl Connections {
    /// A message came by it.
    pub(crate) fn heard(&mut self, flow: Flow) {
        if flow.connection != 0 {
            self.open.entry(flow.connection).or_default();
        }
    }

    /// Its peer has proved these names.
    pub(crate) fn identified(&mut self, flow: Flow, names: &[Box<str>]) {
        if flow.connection != 0 {
            self.open.insert(flow.connection, names.into());
        }
    }

    /// It is gone.
    pub(crate) fn closed(&mut self, flow: Flow) {
        self.open.remove(&flow.connection);
    }

    /// Whether this very connection stands.
    pub(crate) fn is_open(&self, flow: Flow) -> bool {
        flow.connection != 0 && self.open.contains_key(&flow.connection)
    }

    /// The names that its peer has proved.
    pub(crate) fn names(&self, flow: Flow) -> impl Iterator<Item = &str> {
        let names = self.open.get(&flow.connection).filter(|_| flow.connection != 0);
        names.into_iter().flatten().map(|name| &**name)
    }

    /// The process before left these, by peer and number.
    pub(crate) fn inherit(&mut self, left: &BTreeMap<SocketAddr, u32>) {
        self.open.extend(left.values().map(|number| (*number, Box::default())));
        self.left = left.clone();
    }

    /// The number that a connection of the process before has now; 0 if it ended with it.
    pub(crate) fn left_by(&self, transport: Transport, remote: SocketAddr) -> u32 {
        let number = self.left.get(&remote).filter(|_| transport == Transport::Tcp);
        number.copied().unwrap_or(0)
    }

    /// Every image has been read.
    pub(crate) fn settle(&mut self) {
        self.left.clear();
    }
}
