//! A request of ours that was answered with a challenge (401, 407).

use std::sync::Arc;

use crate::input::Flow;

use super::layer::{ClientHandle, Owner, Transactions};

/// The request and where it went.
#[derive(Clone, Debug)]
pub(crate) struct Challenged {
    pub(crate) request: Arc<[u8]>,
    pub(crate) flow: Flow,
}

impl Owner {
    /// Requests of our own to trunks, which no call owns: they are known by their handles.
    pub(crate) const TRUNKS: Owner = Owner { call: u64::MAX, leg: 0 };
}

impl Transactions {
    /// Keeps the request that an answer challenges: its transaction may be gone when whoever
    /// holds the password hears of it.
    pub(super) fn keep_challenged(&mut self, at: ClientHandle, status: u16) {
        let client = self.clients.get(at).filter(|_| matches!(status, 401 | 407));
        self.challenged = client.and_then(|client| {
            Some(Challenged { request: client.request.clone()?, flow: client.flow })
        });
    }

    /// The request that the answer just delivered challenges.
    pub(crate) fn take_challenged(&mut self) -> Option<Challenged> {
        self.challenged.take()
    }
}
