//! Connections of stream transports, as far as the engine must know of them.

use std::collections::BTreeMap;

use crate::input::Flow;

/// Open connections by number, with the names that their peers have proved. The shell bounds
/// their number and tells the end of each.
#[derive(Debug, Default)]
pub(crate) struct Connections(BTreeMap<u32, Box<[Box<str>]>>);

impl Connections {
    /// A message came by it.
    pub(crate) fn heard(&mut self, flow: Flow) {
        if flow.connection != 0 {
            self.0.entry(flow.connection).or_default();
        }
    }

    /// Its peer has proved these names.
    pub(crate) fn identified(&mut self, flow: Flow, names: &[Box<str>]) {
        if flow.connection != 0 {
            self.0.insert(flow.connection, names.into());
        }
    }

    /// It is gone.
    pub(crate) fn closed(&mut self, flow: Flow) {
        self.0.remove(&flow.connection);
    }

    /// Whether this very connection stands.
    pub(crate) fn is_open(&self, flow: Flow) -> bool {
        flow.connection != 0 && self.0.contains_key(&flow.connection)
    }

    /// The names that its peer has proved.
    pub(crate) fn names(&self, flow: Flow) -> impl Iterator<Item = &str> {
        let names = self.0.get(&flow.connection).filter(|_| flow.connection != 0);
        names.into_iter().flatten().map(|name| &**name)
    }
}
