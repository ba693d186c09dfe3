//! No promise: keeps what the engine sends, for scenarios that look at the wire itself.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use super::Check;
use crate::text::Msg;

/// One message of the engine. Time is microseconds.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) at: u64,
    pub(crate) to: String,
    pub(crate) msg: Msg,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Tape(Rc<RefCell<Vec<Sent>>>);

impl Tape {
    /// What went to this place and begins so, in order, copies included.
    pub(crate) fn of(&self, place: &str, begins: &str) -> Vec<Sent> {
        let sent = self.0.borrow();
        let meant = |sent: &&Sent| sent.to == place && sent.msg.start.starts_with(begins);
        sent.iter().filter(meant).cloned().collect()
    }
}

impl Check for Tape {
    fn engine_sent(&mut self, at: u64, to: SocketAddr, msg: &Msg) {
        self.0.borrow_mut().push(Sent { at, to: to.to_string(), msg: msg.clone() });
    }
}
