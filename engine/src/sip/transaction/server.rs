//! The server side: requests of peers, and our answers to them.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::input::Flow;
use crate::io::Io;
use crate::sip::syntax::{Message, Method, ParseError};
use crate::timer::TimerKey;

use super::head::ResponseHead;
use super::layer::{
    Incoming, Owner, Server, ServerHandle, ServerMachine, Timers, Transactions, matching_method,
};
use super::{Effect, Timer, invite_server, non_invite_server};

impl Transactions {
    /// Matches a request with what is running.
    pub(crate) fn on_request(
        &mut self,
        io: &mut Io,
        flow: Flow,
        msg: &Message<'_>,
        method: Method<'_>,
    ) -> Incoming {
        let Ok(key) = self.key(msg, matching_method(method), flow.remote.ip()) else {
            return Incoming::Fresh;
        };
        let Some(handle) = self.by_key.get(&key).copied() else { return Incoming::Fresh };
        let server = self.servers.get(handle);
        let of_call = server.is_some_and(|server| server.owner.is_some());
        match (server.map(|server| server.machine), method) {
            (Some(ServerMachine::Invite(state)), Method::Ack) => {
                self.drive_invite_server(io, handle, invite_server::Input::Ack);
                match state {
                    invite_server::State::Completed { .. } if of_call => {
                        Incoming::Acknowledged(handle)
                    }
                    _ => Incoming::Absorbed,
                }
            }
            (Some(ServerMachine::Invite(_)), _) => {
                self.drive_invite_server(io, handle, invite_server::Input::Invite);
                Incoming::Absorbed
            }
            (Some(ServerMachine::NonInvite(_)), _) => {
                self.drive_non_invite_server(io, handle, non_invite_server::Input::Request);
                Incoming::Absorbed
            }
            (None, _) => Incoming::Fresh,
        }
    }

    /// Begins a server transaction for a fresh request.
    ///
    /// # Errors
    /// The request has no usable Via, From, To, Call-ID or CSeq.
    pub(crate) fn accept(
        &mut self,
        msg: &Message<'_>,
        flow: Flow,
        owner: Option<Owner>,
    ) -> Result<ServerHandle, ParseError> {
        let method = msg.cseq()?.method;
        let key = self.key(msg, method, flow.remote.ip())?;
        let head = ResponseHead::of(msg, flow)?;
        let machine = match method {
            Method::Invite => ServerMachine::Invite(invite_server::State::Proceeding),
            _ => ServerMachine::NonInvite(non_invite_server::State::Trying),
        };
        let origin = self.origin(msg);
        let handle = self.servers.insert(Server {
            machine,
            key,
            origin,
            flow: head.flow,
            sent_by_port: head.sent_by_port,
            head: Some(Box::new(head)),
            last: None,
            timers: Timers::default(),
            owner,
            watched: None,
        });
        self.by_key.insert(key, handle);
        if let Some(origin) = origin {
            self.by_origin.insert(origin, handle);
        }
        Ok(handle)
    }

    /// Whether this fresh INVITE is a copy of one that is being served and that a proxy before
    /// us sent by two ways (RFC 3261 8.2.2.2). Once an INVITE was refused, a copy is another
    /// attempt of its sender by another way.
    pub(crate) fn is_merged(&self, msg: &Message<'_>) -> bool {
        let first = self.origin(msg).and_then(|origin| self.by_origin.get(&origin));
        let machine = first.and_then(|at| self.servers.get(*at)).map(|server| server.machine);
        match machine {
            Some(ServerMachine::Invite(
                invite_server::State::Proceeding | invite_server::State::Accepted,
            )) => true,
            Some(ServerMachine::Invite(_) | ServerMachine::NonInvite(_)) | None => false,
        }
    }

    /// Whether this transaction still exists.
    pub(crate) fn serves(&self, at: ServerHandle) -> bool {
        self.servers.get(at).is_some()
    }

    /// Names the call an INVITE has become.
    pub(crate) fn adopt(&mut self, handle: ServerHandle, owner: Owner) {
        if let Some(server) = self.servers.get_mut(handle) {
            server.owner = Some(owner);
        }
    }

    /// The INVITE transaction a CANCEL means (RFC 3261 9.2), if it still waits for its answer.
    pub(crate) fn cancelled_by(&self, flow: Flow, msg: &Message<'_>) -> Option<Option<Owner>> {
        let key = self.key(msg, Method::Invite, flow.remote.ip()).ok()?;
        let handle = self.by_key.get(&key)?;
        self.servers.get(*handle).map(|server| server.owner)
    }

    /// Answers a request. `write` adds headers and must finish the message. Returns the bytes,
    /// for 2xx answers to INVITE that the call resends itself; `None` when it was answered
    /// before.
    pub(crate) fn respond(
        &mut self,
        io: &mut Io,
        handle: ServerHandle,
        status: u16,
        tag: Option<&str>,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Option<Arc<[u8]>> {
        let server = self.servers.get_mut(handle)?;
        let head = server.head.as_ref()?;
        let bytes = io.compose(|out| {
            head.begin(status, tag, out);
            write(out);
        });
        server.last = Some(bytes.clone());
        if status >= 200 {
            server.head = None;
        }
        match server.machine {
            ServerMachine::Invite(_) => {
                let input = match status {
                    100..=199 => invite_server::Input::Provisional,
                    200..=299 => invite_server::Input::Success,
                    _ => invite_server::Input::Failure,
                };
                self.drive_invite_server(io, handle, input);
            }
            ServerMachine::NonInvite(_) => {
                let input = match status {
                    100..=199 => non_invite_server::Input::Provisional,
                    _ => non_invite_server::Input::Final,
                };
                self.drive_non_invite_server(io, handle, input);
            }
        }
        Some(bytes)
    }

    /// Sends an answer to INVITE again, where it is the call that knows when: a 2xx (RFC 6026
    /// 7.1), a reliable provisional one (RFC 3262 3).
    pub(crate) fn resend(&self, io: &mut Io, handle: ServerHandle, bytes: &Arc<[u8]>) {
        if let Some(server) = self.servers.get(handle) {
            io.retransmit(server.flow, bytes.clone());
        }
    }

    /// The connection of `flow` is gone: answers open a new one to where the request was sent by
    /// (RFC 3261 18.2.2).
    pub(super) fn reconnect_servers(&mut self, flow: Flow) {
        let handles: Vec<ServerHandle> = (self.servers.iter())
            .filter(|(_, server)| server.flow == flow)
            .map(|(at, _)| at)
            .collect();
        for at in handles {
            if let Some(server) = self.servers.get_mut(at) {
                let remote = SocketAddr::new(flow.remote.ip(), server.sent_by_port);
                server.flow = Flow { remote, connection: 0, ..flow };
            }
        }
    }

    /// Answers cannot reach this peer.
    pub(super) fn server_unreachable(&mut self, io: &mut Io, flow: Flow) {
        let hit: Vec<ServerHandle> = (self.servers.iter())
            .filter(|(_, server)| server.flow == flow)
            .map(|(at, _)| at)
            .collect();
        for at in hit {
            match self.servers.get(at).map(|server| server.machine) {
                Some(ServerMachine::Invite(_)) => {
                    self.drive_invite_server(io, at, invite_server::Input::TransportError);
                }
                Some(ServerMachine::NonInvite(_)) => {
                    self.drive_non_invite_server(io, at, non_invite_server::Input::TransportError);
                }
                None => {}
            }
        }
    }

    pub(super) fn drive_invite_server(
        &mut self,
        io: &mut Io,
        at: ServerHandle,
        input: invite_server::Input,
    ) {
        let Some(server) = self.servers.get_mut(at) else { return };
        let ServerMachine::Invite(state) = server.machine else { return };
        let reliable = server.flow.is_reliable();
        let step = invite_server::step(state, input, reliable);
        server.machine = ServerMachine::Invite(step.state);
        let again = matches!(input, invite_server::Input::Invite | invite_server::Input::G);
        self.carry_out_server(io, at, step.effects.iter(), again);
        // RFC 6026 7.1: a 2xx is the call's to resend, and an ACK ends the need of a failure.
        if let Some(server) = self.servers.get_mut(at)
            && !matches!(
                server.machine,
                ServerMachine::Invite(
                    invite_server::State::Proceeding | invite_server::State::Completed { .. }
                )
            )
        {
            server.last = None;
        }
    }

    fn drive_non_invite_server(
        &mut self,
        io: &mut Io,
        at: ServerHandle,
        input: non_invite_server::Input,
    ) {
        let Some(server) = self.servers.get_mut(at) else { return };
        let ServerMachine::NonInvite(state) = server.machine else { return };
        let step = non_invite_server::step(state, input, server.flow.is_reliable());
        server.machine = ServerMachine::NonInvite(step.state);
        let again = matches!(input, non_invite_server::Input::Request);
        self.carry_out_server(io, at, step.effects.iter(), again);
    }

    fn carry_out_server(
        &mut self,
        io: &mut Io,
        at: ServerHandle,
        effects: impl Iterator<Item = Effect>,
        again: bool,
    ) {
        for effect in effects {
            let Some(server) = self.servers.get_mut(at) else { return };
            match effect {
                Effect::Send => {
                    if let Some(bytes) = server.last.clone() {
                        let flow = server.flow;
                        if again { io.retransmit(flow, bytes) } else { io.transmit(flow, bytes) }
                    }
                }
                Effect::Arm(timer, after) => {
                    let id = io.arm(after, TimerKey::Server(at.to_bits(), timer));
                    server.timers.set(timer, id);
                }
                Effect::Disarm(timer) => io.disarm(server.timers.take(timer)),
                Effect::Destroy => {
                    for (_, id) in server.timers.0.iter_mut().filter_map(Option::take) {
                        io.disarm(Some(id));
                    }
                    self.ended.extend(server.watched);
                    self.by_key.remove(&server.key);
                    // A later copy has taken the place when the first was refused.
                    if let Some(origin) = server.origin
                        && self.by_origin.get(&origin) == Some(&at)
                    {
                        self.by_origin.remove(&origin);
                    }
                    self.servers.remove(at);
                }
                Effect::SendAck | Effect::Deliver | Effect::Report(_) => {}
            }
        }
    }

    /// A timer of a server transaction is due.
    pub(crate) fn on_server_timer(&mut self, io: &mut Io, bits: u64, timer: Timer) {
        let at = ServerHandle::from_bits(bits);
        let Some(server) = self.servers.get_mut(at) else { return };
        server.timers.take(timer);
        match server.machine {
            ServerMachine::Invite(_) => {
                if let Some(input) = invite_server::Input::fired(timer) {
                    self.drive_invite_server(io, at, input);
                }
            }
            ServerMachine::NonInvite(_) => {
                if let Some(input) = non_invite_server::Input::fired(timer) {
                    self.drive_non_invite_server(io, at, input);
                }
            }
        }
    }
}
