//! The dialogs that an INVITE made and that are over: its transaction outlives their call, and a
//! 2xx that comes again is of one of them.

use super::layer::{Client, ClientHandle, ClientMachine, Transactions};

/// Phones behind one INVITE that are ended each for itself: a fork of more is an attack.
const MOST_ENDED: usize = 32;

impl Transactions {
    /// The dialog with this To tag, of an INVITE of ours, has had its BYE by the time that its
    /// call is forgotten. False when that was known before, and when too many are.
    pub(crate) fn ends(&mut self, at: ClientHandle, tag: &str) -> bool {
        let client = self.clients.get_mut(at);
        let invite = |client: &&mut Client| matches!(client.machine, ClientMachine::Invite(_));
        let Some(client) = client.filter(invite) else { return false };
        let known = client.ended.iter().any(|ended| **ended == *tag);
        let fresh = !known && client.ended.len() < MOST_ENDED;
        if fresh {
            client.ended.push(tag.into());
        }
        fresh
    }
}
