//! The client side: our requests, and the peers' answers to them.

use std::sync::Arc;

use crate::input::Flow;
use crate::io::Io;
use crate::sip::syntax::{HeaderId, Message, Method, Start, compact_names};
use crate::sip::token::Branch;
use crate::timer::TimerKey;

use super::layer::{
    Cancel, CancelReason, Client, ClientHandle, ClientMachine, Owner, Timers, Transactions,
};
use super::{Effect, Failure, Timer, invite_client, non_invite_client};

/// Connections that one request may lose: a peer that resets each one would be sent it all the 32 s
/// of timer B. Beside many other requests that go by the same bad connections, a few are lost to
/// each in no time.
const MOST_MOVES: u8 = 32;

impl Transactions {
    /// Begins a client transaction: `write` gets the branch and writes the request.
    pub(crate) fn request(
        &mut self,
        io: &mut Io,
        flow: Flow,
        invite: bool,
        owner: Option<Owner>,
        write: impl FnOnce(&mut Vec<u8>, Branch),
    ) -> ClientHandle {
        let (handle, branch) = self.reserve(io, flow, invite, owner);
        let bytes = io.compose(|out| write(out, branch));
        self.launch(io, handle, bytes);
        handle
    }

    /// A place for a transaction, so that its branch is known before its request is written.
    pub(super) fn reserve(
        &mut self,
        io: &mut Io,
        flow: Flow,
        invite: bool,
        owner: Option<Owner>,
    ) -> (ClientHandle, Branch) {
        let random = io.rng.next_u64();
        let machine = if invite {
            ClientMachine::Invite(invite_client::start(flow.is_reliable()).state)
        } else {
            ClientMachine::NonInvite(non_invite_client::start(flow.is_reliable()).state)
        };
        let handle = self.clients.insert(Client {
            machine,
            flow,
            random,
            owner,
            request: None,
            ack: None,
            timers: Timers::default(),
            cancel: Cancel::No,
            moves: 0,
            smaller: None,
            ended: Vec::new(),
        });
        (handle, Branch { shard: self.shard, transaction: handle.to_bits(), random })
    }

    pub(super) fn launch(&mut self, io: &mut Io, handle: ClientHandle, bytes: Arc<[u8]>) {
        let Some(client) = self.clients.get_mut(handle) else { return };
        client.request = Some(bytes);
        let reliable = client.flow.is_reliable();
        let effects = match client.machine {
            ClientMachine::Invite(_) => {
                let start = invite_client::start(reliable);
                client.machine = ClientMachine::Invite(start.state);
                start.effects
            }
            ClientMachine::NonInvite(_) => {
                let start = non_invite_client::start(reliable);
                client.machine = ClientMachine::NonInvite(start.state);
                start.effects
            }
        };
        self.carry_out_client(io, handle, effects.iter(), false);
    }

    /// An INVITE that nothing was answered to yet.
    pub(crate) fn is_unheard(&self, at: ClientHandle) -> bool {
        let machine = self.clients.get(at).map(|client| client.machine);
        matches!(machine, Some(ClientMachine::Invite(invite_client::State::Calling { .. })))
    }

    /// Cancels an INVITE, now or when its first provisional answer comes (RFC 3261 9.1).
    /// False when it has its final answer.
    pub(crate) fn cancel(&mut self, io: &mut Io, at: ClientHandle, reason: CancelReason) -> bool {
        let Some(client) = self.clients.get_mut(at) else { return false };
        let ClientMachine::Invite(state) = client.machine else { return false };
        match state {
            invite_client::State::Calling { .. } => {
                client.cancel = Cancel::Wanted(reason);
                true
            }
            invite_client::State::Proceeding => {
                self.send_cancel(io, at, reason);
                true
            }
            invite_client::State::Completed
            | invite_client::State::Accepted
            | invite_client::State::Terminated => false,
        }
    }

    /// Gives a cancelled INVITE up whose peer fell silent (RFC 3261 9.1, last paragraph).
    pub(crate) fn abandon(&mut self, io: &mut Io, at: ClientHandle) {
        self.drive_invite_client(io, at, invite_client::Input::Abandon);
    }

    /// The call that waited for an INVITE is over: its answers are still acknowledged, but not
    /// for ever. A peer that has said something and then falls silent would hold it otherwise.
    pub(crate) fn let_go(&mut self, io: &mut Io, at: ClientHandle) {
        if let Some(client) = self.clients.get_mut(at) {
            let id = io.arm(super::timers::M, TimerKey::Client(at.to_bits(), Timer::M));
            client.timers.set(Timer::M, id);
        }
    }

    fn send_cancel(&mut self, io: &mut Io, at: ClientHandle, reason: CancelReason) {
        let Some(client) = self.clients.get(at) else { return };
        if matches!(client.cancel, Cancel::Sent(_)) {
            return;
        }
        let Some(invite) = client.request.clone() else { return };
        let (flow, random) = (client.flow, client.random);
        let start = non_invite_client::start(flow.is_reliable());
        let cancel = self.clients.insert(Client {
            machine: ClientMachine::NonInvite(start.state),
            flow,
            random,
            owner: None,
            request: Some(io.compose(|out| derive("CANCEL", &invite, None, reason, out))),
            ack: None,
            timers: Timers::default(),
            cancel: Cancel::No,
            moves: 0,
            smaller: None,
            ended: Vec::new(),
        });
        if let Some(client) = self.clients.get_mut(at) {
            client.cancel = Cancel::Sent(cancel);
        }
        self.carry_out_client(io, cancel, start.effects.iter(), false);
    }

    /// Matches a response (RFC 3261 17.1.3): the owner it is for, when the owner shall see it.
    pub(crate) fn on_response(
        &mut self,
        io: &mut Io,
        msg: &Message<'_>,
        status: u16,
    ) -> Option<(Owner, ClientHandle)> {
        let found = self.client_of(msg);
        let Some((at, method_is_invite)) = found else {
            io.counters.sip_stray_responses += 1;
            return None;
        };
        self.keep_challenged(at, status);
        if !method_is_invite {
            let input = match status {
                100..=199 => non_invite_client::Input::Provisional,
                _ => non_invite_client::Input::Final,
            };
            let owner = self.owner(at);
            return if self.drive_non_invite_client(io, at, input) { owner } else { None };
        }
        let input = match status {
            100..=199 => invite_client::Input::Provisional,
            200..=299 => invite_client::Input::Success,
            _ => invite_client::Input::Failure,
        };
        if status >= 300 {
            let client = self.clients.get_mut(at)?;
            if let (None, Some(invite)) = (&client.ack, &client.request) {
                let to = msg.first(HeaderId::To);
                client.ack =
                    Some(io.compose(|out| derive("ACK", invite, to, CancelReason::Caller, out)));
            }
        }
        // Read first: on a reliable transport the same step delivers and destroys.
        let owner = self.owner(at);
        let deliver = self.drive_invite_client(io, at, input);
        if (100..200).contains(&status)
            && let Some(Cancel::Wanted(reason)) = self.clients.get(at).map(|client| client.cancel)
        {
            self.send_cancel(io, at, reason);
        }
        if status >= 200
            && let Some(client) = self.clients.get_mut(at)
        {
            client.request = None;
        }
        if deliver { owner } else { None }
    }

    /// A request of ours that has no final answer yet, as it went out.
    pub(crate) fn sent(&self, at: ClientHandle) -> Option<std::sync::Arc<[u8]>> {
        self.clients.get(at).and_then(|client| client.request.clone())
    }

    /// Its leg belongs to another call now.
    pub(crate) fn hand_over(&mut self, at: ClientHandle, owner: Owner) {
        if let Some(client) = self.clients.get_mut(at) {
            client.owner = Some(owner);
        }
    }

    /// Whether this transaction still exists.
    pub(crate) fn asks(&self, at: ClientHandle) -> bool {
        self.clients.get(at).is_some()
    }

    /// Where the request of a transaction went.
    pub(crate) fn flow_of(&self, at: ClientHandle) -> Option<Flow> {
        self.clients.get(at).map(|client| client.flow)
    }

    fn owner(&self, at: ClientHandle) -> Option<(Owner, ClientHandle)> {
        self.clients.get(at).and_then(|client| client.owner).map(|owner| (owner, at))
    }

    fn client_of(&self, msg: &Message<'_>) -> Option<(ClientHandle, bool)> {
        let via = msg.top_via().ok()?;
        let branch = Branch::parse(via.branch?)?;
        if branch.shard != self.shard {
            return None;
        }
        let at = ClientHandle::from_bits(branch.transaction);
        let client = self.clients.get(at).filter(|client| client.random == branch.random)?;
        let method = msg.cseq().ok()?.method;
        match (client.machine, method) {
            (ClientMachine::Invite(_), Method::Invite) => Some((at, true)),
            (ClientMachine::Invite(_), Method::Cancel) => match client.cancel {
                Cancel::Sent(cancel) => Some((cancel, false)),
                Cancel::No | Cancel::Wanted(_) => None,
            },
            (ClientMachine::NonInvite(_), Method::Invite | Method::Cancel) => None,
            (ClientMachine::NonInvite(_), _) => Some((at, false)),
            (ClientMachine::Invite(_), _) => None,
        }
    }

    /// Whether an answer is to a request of ours that an earlier process sent: `first` is the
    /// first generation of this one.
    pub(crate) fn is_of_another_life(&self, msg: &Message<'_>, first: u32) -> bool {
        let via = msg.top_via().ok();
        let branch = via.and_then(|via| via.branch).and_then(Branch::parse);
        branch.is_some_and(|branch| {
            let at = ClientHandle::from_bits(branch.transaction);
            branch.shard == self.shard && at.generation() < first && !self.asks(at)
        })
    }

    /// The connection of `flow` is gone, for what went by it and what named no connection to its
    /// peer. What waits for an answer is sent again by a new connection, as the same to who has
    /// had it; when that cannot be made, it has failed. Answers to the peer's requests find
    /// another way.
    pub(crate) fn closed(&mut self, io: &mut Io, flow: Flow) -> Vec<(Owner, ClientHandle)> {
        let way = Flow { connection: 0, ..flow };
        self.reconnect_servers(flow);
        let hit: Vec<ClientHandle> = (self.clients.iter())
            .filter(|(_, client)| client.flow == flow || client.flow == way)
            .map(|(at, _)| at)
            .collect();
        let mut failed = Vec::new();
        for at in hit {
            let Some(client) = self.clients.get_mut(at) else { continue };
            let waits = matches!(
                client.machine,
                ClientMachine::Invite(invite_client::State::Calling { .. })
                    | ClientMachine::NonInvite(
                        non_invite_client::State::Trying { .. }
                            | non_invite_client::State::Proceeding,
                    )
            );
            let Some(request) = client.request.clone().filter(|_| waits) else { continue };
            if client.moves >= MOST_MOVES {
                failed.push(at);
                continue;
            }
            client.moves += 1;
            client.flow = way;
            io.retransmit(way, request);
        }
        self.transport_failed(io, failed)
    }

    /// A way to a peer is broken: transactions that wait on it fail at once.
    pub(crate) fn unreachable(&mut self, io: &mut Io, flow: Flow) -> Vec<(Owner, ClientHandle)> {
        self.server_unreachable(io, flow);
        let hit: Vec<ClientHandle> = (self.clients.iter())
            .filter(|(_, client)| client.flow == flow && client.request.is_some())
            .map(|(at, _)| at)
            .collect();
        self.transport_failed(io, hit)
    }

    fn transport_failed(
        &mut self,
        io: &mut Io,
        hit: Vec<ClientHandle>,
    ) -> Vec<(Owner, ClientHandle)> {
        let mut told = Vec::new();
        for at in hit {
            if self.falls_back(io, at) {
                continue;
            }
            let report = self.owner(at);
            match self.clients.get(at).map(|client| client.machine) {
                Some(ClientMachine::Invite(_)) => {
                    self.drive_invite_client(io, at, invite_client::Input::TransportError);
                }
                Some(ClientMachine::NonInvite(_)) => {
                    self.drive_non_invite_client(io, at, non_invite_client::Input::TransportError);
                }
                None => {}
            }
            // An INVITE that has been heard of goes on: the error was about a copy of it.
            if self.clients.get(at).is_none() {
                told.extend(report);
            }
        }
        told
    }

    fn drive_invite_client(
        &mut self,
        io: &mut Io,
        at: ClientHandle,
        input: invite_client::Input,
    ) -> bool {
        let Some(client) = self.clients.get_mut(at) else { return false };
        let ClientMachine::Invite(state) = client.machine else { return false };
        let step = invite_client::step(state, input, client.flow.is_reliable());
        client.machine = ClientMachine::Invite(step.state);
        let again = matches!(input, invite_client::Input::A);
        self.carry_out_client(io, at, step.effects.iter(), again).0
    }

    fn drive_non_invite_client(
        &mut self,
        io: &mut Io,
        at: ClientHandle,
        input: non_invite_client::Input,
    ) -> bool {
        let Some(client) = self.clients.get_mut(at) else { return false };
        let ClientMachine::NonInvite(state) = client.machine else { return false };
        let step = non_invite_client::step(state, input, client.flow.is_reliable());
        client.machine = ClientMachine::NonInvite(step.state);
        let again = matches!(input, non_invite_client::Input::E);
        self.carry_out_client(io, at, step.effects.iter(), again).0
    }

    /// Carries effects out; tells whether the response is the owner's, and what to report.
    fn carry_out_client(
        &mut self,
        io: &mut Io,
        at: ClientHandle,
        effects: impl Iterator<Item = Effect>,
        again: bool,
    ) -> (bool, Option<Failure>) {
        let (mut deliver, mut told) = (false, None);
        for effect in effects {
            let Some(client) = self.clients.get_mut(at) else { break };
            match effect {
                Effect::Send => {
                    if let Some(bytes) = client.request.clone() {
                        let flow = client.flow;
                        if again { io.retransmit(flow, bytes) } else { io.transmit(flow, bytes) }
                    }
                }
                Effect::SendAck => {
                    if let Some(bytes) = client.ack.clone() {
                        io.transmit(client.flow, bytes);
                    }
                }
                Effect::Deliver => deliver = true,
                Effect::Arm(timer, after) => {
                    let id = io.arm(after, TimerKey::Client(at.to_bits(), timer));
                    client.timers.set(timer, id);
                }
                Effect::Disarm(timer) => io.disarm(client.timers.take(timer)),
                Effect::Report(failure) => told = Some(failure),
                Effect::Destroy => {
                    for (_, id) in client.timers.0.iter_mut().filter_map(Option::take) {
                        io.disarm(Some(id));
                    }
                    self.clients.remove(at);
                }
            }
        }
        (deliver, told)
    }

    /// A timer of a client transaction is due.
    pub(crate) fn on_client_timer(
        &mut self,
        io: &mut Io,
        bits: u64,
        timer: Timer,
    ) -> Option<(Owner, ClientHandle, Failure)> {
        let at = ClientHandle::from_bits(bits);
        let client = self.clients.get_mut(at)?;
        client.timers.take(timer);
        let waiting = matches!(
            client.machine,
            ClientMachine::Invite(
                invite_client::State::Calling { .. } | invite_client::State::Proceeding
            )
        );
        if waiting && timer == Timer::M {
            self.abandon(io, at);
            return None;
        }
        let owner = client.owner;
        let reliable = client.flow.is_reliable();
        let (effects, again) = match client.machine {
            ClientMachine::Invite(state) => {
                let input = invite_client::Input::fired(timer)?;
                let step = invite_client::step(state, input, reliable);
                client.machine = ClientMachine::Invite(step.state);
                (step.effects, timer == Timer::A)
            }
            ClientMachine::NonInvite(state) => {
                let input = non_invite_client::Input::fired(timer)?;
                let step = non_invite_client::step(state, input, reliable);
                client.machine = ClientMachine::NonInvite(step.state);
                (step.effects, timer == Timer::E)
            }
        };
        let (_, told) = self.carry_out_client(io, at, effects.iter(), again);
        Some((owner?, at, told?))
    }
}

/// Makes the CANCEL of an INVITE (RFC 3261 9.1) or the ACK to its failure (17.1.1.3): its
/// Request-URI, top Via, From, To, Call-ID, CSeq number and Route headers.
fn derive(method: &str, invite: &[u8], to: Option<&[u8]>, reason: CancelReason, out: &mut Vec<u8>) {
    // Our own request: it parses.
    let Ok(msg) = Message::parse_datagram(invite) else { return };
    let Start::Request { uri, .. } = msg.start() else { return };
    let mut line = |parts: &[&[u8]]| {
        for part in parts {
            out.extend_from_slice(part);
        }
        out.extend_from_slice(b"\r\n");
    };
    line(&[method.as_bytes(), b" ", uri.as_bytes(), b" SIP/2.0"]);
    for id in [HeaderId::Via, HeaderId::MaxForwards, HeaderId::From, HeaderId::CallId] {
        if let Some(value) = msg.first(id) {
            line(&[id.name().as_bytes(), b": ", value]);
        }
    }
    if let Some(value) = to.or_else(|| msg.first(HeaderId::To)) {
        line(&[b"To: ", value]);
    }
    if let Ok(cseq) = msg.cseq() {
        line(&[b"CSeq: ", cseq.number.to_string().as_bytes(), b" ", method.as_bytes()]);
    }
    for route in msg.all(HeaderId::Route) {
        line(&[b"Route: ", route]);
    }
    reason.write(out);
    out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    // A peer that got the INVITE in its compact form gets all of the transaction so.
    if msg.headers().next().is_some_and(|via| via.name == "v") {
        compact_names(out);
    }
}
