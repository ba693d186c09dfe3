//! Transactions in the journal: those that a call needs again after a restart.
//!
//! A request that may have to be cancelled or acknowledged, and the head of the answers to one,
//! are large and never change: a lean image leaves them to a part of their own, written once.

use std::sync::Arc;

use crate::input::Flow;
use crate::journal::{Image, Names, Pen, Reader, image};
use crate::sip::transaction::invite_client::State as InviteClient;
use crate::sip::transaction::invite_server::State as InviteServer;
use crate::sip::transaction::non_invite_client::State as NonInviteClient;
use crate::sip::transaction::non_invite_server::State as NonInviteServer;

use super::layer::{Cancel, Client, ClientMachine, Server, ServerMachine, Timers, Transactions};
use super::{CancelReason, ClientHandle, Owner, ResponseHead, ServerHandle};

image!(enum InviteClient {
    0 = Calling { resend }, 1 = Proceeding, 2 = Completed, 3 = Accepted, 4 = Terminated,
});
image!(enum NonInviteClient { 0 = Trying { resend }, 1 = Proceeding, 2 = Completed, 3 = Terminated });
image!(enum InviteServer {
    0 = Proceeding, 1 = Completed { resend }, 2 = Confirmed, 3 = Accepted, 4 = Terminated,
});
image!(enum NonInviteServer { 0 = Trying, 1 = Proceeding, 2 = Completed, 3 = Terminated });
image!(enum ClientMachine { 0 = Invite(state), 1 = NonInvite(state) });
image!(enum ServerMachine { 0 = Invite(state), 1 = NonInvite(state) });
image!(enum CancelReason { 0 = Caller, 1 = Elsewhere, 2 = Q850(cause) });
image!(struct Owner { call, leg });

/// The request or the head stands in the part for what is large.
const ELSEWHERE: u8 = 2;

/// Writes a value that a lean image leaves to the part for what is large.
fn put_large<T: Image>(value: &Option<T>, pen: &mut Pen, names: &Names<'_>) {
    match value {
        Some(_) if names.lean => pen.byte(ELSEWHERE),
        value => pen.put(value, names),
    }
}

fn get_large<T: Image>(from: &mut Reader<'_>) -> Option<Option<T>> {
    match from.byte()? {
        0 => Some(None),
        1 => from.get().map(Some),
        ELSEWHERE => from.alike(from.large).get().map(Some),
        _ => None,
    }
}

impl Image for Client {
    fn write(&self, pen: &mut Pen, names: &Names<'_>) {
        let Client {
            machine,
            flow,
            random,
            owner,
            request,
            ack,
            timers,
            cancel,
            moves: _,
            smaller: _,
            ended: _,
        } = self;
        pen.put(machine, names);
        pen.put(flow, names);
        pen.put(random, names);
        pen.put(owner, names);
        put_large(request, pen, names);
        pen.put(ack, names);
        pen.put(timers, names);
        pen.put(cancel, names);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Client {
            machine: from.get()?,
            flow: from.get()?,
            random: from.get()?,
            owner: from.get()?,
            request: get_large(from)?,
            ack: from.get()?,
            timers: from.get()?,
            cancel: from.get()?,
            moves: 0,
            smaller: None,
            ended: Vec::new(),
        })
    }
}

impl Image for Server {
    fn write(&self, pen: &mut Pen, names: &Names<'_>) {
        let Server {
            machine,
            key,
            origin,
            head,
            flow,
            sent_by_port,
            last,
            timers,
            owner,
            watched: _,
        } = self;
        pen.put(machine, names);
        pen.put(key, names);
        pen.put(origin, names);
        put_large(head, pen, names);
        pen.put(flow, names);
        // While the head is there, the last answer was provisional: not worth its bytes.
        pen.put_some(last.as_ref().filter(|_| head.is_none()), names);
        pen.put(timers, names);
        pen.put(owner, names);
        pen.put(sent_by_port, names);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let (machine, key, origin) = (from.get()?, from.get()?, from.get()?);
        let head: Option<Box<ResponseHead>> = get_large(from)?;
        let (mut flow, last): (Flow, Option<Arc<[u8]>>) = (from.get()?, from.get()?);
        // A request that comes again is told that it is being worked on.
        let last = last.or_else(|| head.as_ref().map(|head| head.trying()));
        let (timers, owner, sent_by_port) = (from.get()?, from.get()?, from.get()?);
        if flow.is_reliable() && flow.connection == 0 {
            // Its connection ended with the process (RFC 3261 18.2.2).
            flow.remote.set_port(sent_by_port);
        }
        Some(Server {
            machine,
            key,
            origin,
            head,
            flow,
            sent_by_port,
            last,
            timers,
            owner,
            watched: None,
        })
    }
}

impl Image for Timers {
    fn write(&self, pen: &mut Pen, names: &Names<'_>) {
        pen.number(self.0.iter().flatten().count() as u64);
        for (timer, id) in self.0.iter().flatten() {
            pen.look();
            pen.put(timer, names);
            pen.put(&Some(*id), names);
        }
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let mut timers = Timers::default();
        for _ in 0..from.number()? {
            let timer = from.get()?;
            if let Some(id) = from.get()? {
                timers.set(timer, id);
            }
        }
        Some(timers)
    }
}

/// The CANCEL goes with its INVITE.
impl Image for Cancel {
    fn write(&self, pen: &mut Pen, names: &Names<'_>) {
        match self {
            Cancel::No => pen.byte(0),
            Cancel::Wanted(reason) => {
                pen.byte(1);
                pen.put(reason, names);
            }
            Cancel::Sent(cancel) => {
                pen.byte(2);
                put_client(*cancel, pen, &Names { lean: false, ..*names });
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        match from.byte()? {
            0 => Some(Cancel::No),
            1 => from.get().map(Cancel::Wanted),
            2 => get_client(from).map(Cancel::Sent),
            _ => None,
        }
    }
}

impl Client {
    /// An INVITE without its final answer.
    fn is_open_invite(&self) -> bool {
        matches!(
            self.machine,
            ClientMachine::Invite(InviteClient::Calling { .. } | InviteClient::Proceeding)
        )
    }
}

/// What of a transaction can differ from what was written of it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stage {
    Client(ClientMachine, Flow, Timers, Cancel),
    Server(ServerMachine, Flow, Timers, bool),
}

impl Stage {
    /// An INVITE that was answered with 2xx: its transaction only waits for its end, and what a
    /// restart makes of it ends by itself.
    pub(crate) fn is_settled(&self) -> bool {
        matches!(
            self,
            Stage::Client(ClientMachine::Invite(InviteClient::Accepted), ..)
                | Stage::Server(ServerMachine::Invite(InviteServer::Accepted), ..)
        )
    }

    /// Whether the transaction of a leg's INVITE is no longer as `stage` says; from now on it says
    /// how that is, none when it has ended.
    pub(crate) fn of_client(
        stage: &mut Option<Stage>,
        at: ClientHandle,
        all: &Transactions,
    ) -> bool {
        let client = all.clients.get(at);
        let same = match (&*stage, client) {
            (Some(Stage::Client(machine, flow, timers, cancel)), Some(client)) => {
                *machine == client.machine
                    && *timers == client.timers
                    && *cancel == client.cancel
                    && *flow == client.flow
            }
            (stage, client) => stage.is_none() && client.is_none(),
        };
        if !same {
            *stage = client.map(|client| {
                Stage::Client(client.machine, client.flow, client.timers, client.cancel)
            });
        }
        !same
    }

    /// [`Stage::of_client`] of a server transaction.
    pub(crate) fn of_server(
        stage: &mut Option<Stage>,
        at: ServerHandle,
        all: &Transactions,
    ) -> bool {
        let server = all.servers.get(at);
        let same = match (&*stage, server) {
            (Some(Stage::Server(machine, flow, timers, open)), Some(server)) => {
                *machine == server.machine
                    && *timers == server.timers
                    && *open == server.head.is_some()
                    && *flow == server.flow
            }
            (stage, server) => stage.is_none() && server.is_none(),
        };
        if !same {
            *stage = server.map(|server| {
                Stage::Server(server.machine, server.flow, server.timers, server.head.is_some())
            });
        }
        !same
    }
}

/// Writes a client transaction with its name, if it still exists.
pub(crate) fn put_client(at: ClientHandle, pen: &mut Pen, names: &Names<'_>) {
    pen.put(&at, names);
    let client = names.core.and_then(|core| core.transactions.clients.get(at));
    if names.essence {
        // The INVITE that made the leg; requests within the dialog are asked again without harm.
        let first = names.lean;
        return pen.put(&(first && client.is_some_and(Client::is_open_invite)), names);
    }
    pen.byte(u8::from(client.is_some()));
    if let Some(client) = client {
        pen.put(client, names);
    }
}

/// Reads what [`put_client`] has written, and puts it back in its place.
pub(crate) fn get_client(from: &mut Reader<'_>) -> Option<ClientHandle> {
    let at: ClientHandle = from.get()?;
    if let Some(client) = from.get::<Option<Client>>()? {
        from.core.as_mut()?.transactions.clients.insert_at(at, client);
    }
    Some(at)
}

/// Writes a server transaction with its name, if it still exists.
pub(crate) fn put_server(at: ServerHandle, pen: &mut Pen, names: &Names<'_>) {
    pen.put(&at, names);
    let server = names.core.and_then(|core| core.transactions.servers.get(at));
    if names.essence {
        return pen.put(&server.is_some_and(|server| server.head.is_some()), names);
    }
    pen.byte(u8::from(server.is_some()));
    if let Some(server) = server {
        pen.put(server, names);
    }
}

/// Reads what [`put_server`] has written, and puts it back in its place.
pub(crate) fn get_server(from: &mut Reader<'_>) -> Option<ServerHandle> {
    let at: ServerHandle = from.get()?;
    if let Some(server) = from.get::<Option<Server>>()? {
        let transactions = &mut from.core.as_mut()?.transactions;
        let (key, origin) = (server.key, server.origin);
        if transactions.servers.insert_at(at, server) {
            transactions.by_key.insert(key, at);
            transactions.by_origin.extend(origin.map(|origin| (origin, at)));
        }
    }
    Some(at)
}

/// The large and unchanging part of the transaction of a leg's first INVITE.
pub(crate) fn put_large_of_client(at: ClientHandle, pen: &mut Pen, names: &Names<'_>) {
    let client = names.core.and_then(|core| core.transactions.clients.get(at));
    if let Some(request) = client.and_then(|client| client.request.as_ref()) {
        pen.put(request, names);
    }
}

/// [`put_large_of_client`] of a server transaction.
pub(crate) fn put_large_of_server(at: ServerHandle, pen: &mut Pen, names: &Names<'_>) {
    let server = names.core.and_then(|core| core.transactions.servers.get(at));
    if let Some(head) = server.and_then(|server| server.head.as_ref()) {
        pen.put(head, names);
    }
}
