//! Requests that are too large for a datagram (RFC 3261 18.1.1).

use crate::input::Flow;
use crate::io::Io;
use crate::sip::token::Branch;
use crate::sip::transport::LARGEST_DATAGRAM;

use super::layer::{ClientHandle, ClientMachine, Owner, Transactions};
use super::{invite_client, non_invite_client};

impl Transactions {
    /// Begins an INVITE that goes by `large` if it would be too large for a datagram (RFC 3261
    /// 18.1.1): `write` gets the way, for Via must name it. Returns the way taken.
    pub(crate) fn invite(
        &mut self,
        io: &mut Io,
        (flow, large): (Flow, Option<Flow>),
        owner: Option<Owner>,
        write: impl Fn(&mut Vec<u8>, Branch, Flow),
    ) -> (ClientHandle, Flow) {
        let (handle, branch) = self.reserve(io, flow, true, owner);
        let mut taken = flow;
        let mut bytes = io.compose(|out| write(out, branch, flow));
        if let Some(large) = large.filter(|_| bytes.len() > LARGEST_DATAGRAM) {
            taken = large;
            bytes = io.compose(|out| write(out, branch, large));
            if let Some(client) = self.clients.get_mut(handle) {
                client.flow = large;
            }
        }
        self.launch(io, handle, bytes);
        (handle, taken)
    }

    /// Begins a request within a dialog, which goes by `large` if it would be too large for a
    /// datagram, and by `flow` after all where that way leads nowhere (RFC 3261 18.1.1).
    pub(crate) fn request_of_any_size(
        &mut self,
        io: &mut Io,
        (flow, large): (Flow, Option<Flow>),
        (invite, owner): (bool, Option<Owner>),
        write: impl Fn(&mut Vec<u8>, Branch, Flow),
    ) -> ClientHandle {
        let (handle, branch) = self.reserve(io, flow, invite, owner);
        let mut bytes = io.compose(|out| write(out, branch, flow));
        if let Some(large) = large.filter(|_| bytes.len() > LARGEST_DATAGRAM)
            && let Some(client) = self.clients.get_mut(handle)
        {
            client.flow = large;
            client.smaller = Some((flow, bytes));
            bytes = io.compose(|out| write(out, branch, large));
        }
        self.launch(io, handle, bytes);
        handle
    }

    /// A request that went another way for its size alone goes by its own. False when it has
    /// been heard of, or has no other way.
    pub(super) fn falls_back(&mut self, io: &mut Io, at: ClientHandle) -> bool {
        let Some(client) = self.clients.get_mut(at) else { return false };
        let silent = matches!(
            client.machine,
            ClientMachine::Invite(invite_client::State::Calling { .. })
                | ClientMachine::NonInvite(non_invite_client::State::Trying { .. })
        );
        let Some((flow, bytes)) = client.smaller.take().filter(|_| silent) else { return false };
        client.flow = flow;
        for (_, id) in client.timers.0.iter_mut().filter_map(Option::take) {
            io.disarm(Some(id));
        }
        self.launch(io, at, bytes);
        true
    }
}
