//! All transactions of the engine: matching (RFC 3261 17.1.3, 17.2.3) and the carrying out of
//! what the four state machines decide.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use crate::arena::{Arena, Handle};
use crate::id::CallId;
use crate::input::Flow;
use crate::sip::syntax::{Message, Method, ParseError};
use crate::sip::token::COOKIE;
use crate::wheel::TimerId;

use super::challenged::Challenged;
use super::head::ResponseHead;
use super::keyed::Keyed;
use super::{Timer, invite_client, invite_server, non_invite_client, non_invite_server};

/// A client transaction.
pub(crate) type ClientHandle = Handle<Client>;
/// A server transaction.
pub(crate) type ServerHandle = Handle<Server>;

/// Whom a client transaction reports to: a leg of a call, as bits, or nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The call's handle.
    pub(crate) call: u64,
    /// The leg.
    pub(crate) leg: u16,
}

/// A request of ours and its answers.
#[derive(Debug)]
pub(crate) struct Client {
    pub(super) machine: ClientMachine,
    pub(super) flow: Flow,
    pub(super) random: u64,
    pub(super) owner: Option<Owner>,
    /// Kept while it may be resent, or an ACK or CANCEL may be made of it.
    pub(super) request: Option<Arc<[u8]>>,
    /// The ACK to a failure, kept while the failure may come again.
    pub(super) ack: Option<Arc<[u8]>>,
    pub(super) timers: Timers,
    pub(super) cancel: Cancel,
    /// Connections that it was lost with.
    pub(super) moves: u8,
    /// The same request for the way that it would go by were it not so large.
    pub(super) smaller: Option<(Flow, Arc<[u8]>)>,
    /// Of an INVITE: To tags of dialogs by it that need no BYE once its call is forgotten.
    pub(super) ended: Vec<Box<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ClientMachine {
    Invite(invite_client::State),
    NonInvite(non_invite_client::State),
}

/// Why an INVITE is cancelled, for its Reason header (RFC 3326).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CancelReason {
    /// The caller gave up: no reason.
    Caller,
    /// Another callee answered.
    Elsewhere,
    /// This Q.850 cause.
    Q850(u8),
}

impl CancelReason {
    pub(super) fn write(self, out: &mut Vec<u8>) {
        match self {
            CancelReason::Caller => {}
            CancelReason::Elsewhere => out
                .extend_from_slice(b"Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n"),
            CancelReason::Q850(cause) => {
                out.extend_from_slice(format!("Reason: Q.850;cause={cause}\r\n").as_bytes());
            }
        }
    }
}

/// RFC 3261 9.1: a CANCEL waits for a provisional answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cancel {
    No,
    Wanted(CancelReason),
    Sent(ClientHandle),
}

/// A peer's request and our answers.
#[derive(Debug)]
pub(crate) struct Server {
    pub(super) machine: ServerMachine,
    pub(super) key: u128,
    /// What the copies of an INVITE have in common that came another way (RFC 3261 8.2.2.2).
    pub(super) origin: Option<u128>,
    /// Until the final answer is given.
    pub(super) head: Option<Box<ResponseHead>>,
    pub(super) flow: Flow,
    /// The last answer, while it may be resent.
    pub(super) last: Option<Arc<[u8]>>,
    pub(super) timers: Timers,
    /// Where answers go when the connection of the request is gone.
    pub(super) sent_by_port: u16,
    /// The call it belongs to, for CANCEL.
    pub(super) owner: Option<Owner>,
    /// The call that is over but for this: who wants to know when it is over too.
    pub(super) watched: Option<CallId>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ServerMachine {
    Invite(invite_server::State),
    NonInvite(non_invite_server::State),
}

/// At most three timers run at once in any of the machines.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Timers(pub(super) [Option<(Timer, TimerId)>; 3]);

impl Timers {
    pub(super) fn set(&mut self, timer: Timer, id: TimerId) {
        if let Some(free) = self.0.iter_mut().find(|slot| slot.is_none()) {
            *free = Some((timer, id));
        }
    }

    pub(super) fn get(&self, timer: Timer) -> Option<TimerId> {
        self.0.iter().flatten().find(|(kind, _)| *kind == timer).map(|(_, id)| *id)
    }

    pub(super) fn take(&mut self, timer: Timer) -> Option<TimerId> {
        let slot = self.0.iter_mut().find(|slot| slot.is_some_and(|(kind, _)| kind == timer))?;
        slot.take().map(|(_, id)| id)
    }
}

/// What a request is to the transaction layer.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// A retransmission, or an ACK that says nothing new: dealt with.
    Absorbed,
    /// The ACK to a failure that a call gave: dealt with.
    Acknowledged(ServerHandle),
    /// Nothing known: a new request, or the ACK to a 2xx.
    Fresh,
}

/// The transactions.
pub(crate) struct Transactions {
    pub(super) shard: u8,
    /// Makes keys that a peer cannot collide on purpose.
    secret: (u64, u64),
    pub(super) clients: Arena<Client>,
    pub(super) servers: Arena<Server>,
    pub(super) by_key: HashMap<u128, ServerHandle, BuildHasherDefault<KeyHasher>>,
    /// INVITEs outside dialogs by what their copies have in common.
    pub(super) by_origin: HashMap<u128, ServerHandle, BuildHasherDefault<KeyHasher>>,
    /// The calls of watched server transactions that have ended.
    pub(super) ended: Vec<CallId>,
    /// The request that the answer just handled challenges.
    pub(super) challenged: Option<Challenged>,
    /// Read from the journal, and not to be sent again.
    pub(super) of_ended_dialogs: BTreeSet<ClientHandle>,
}

/// Keys are hashes already: their low half serves as the table's hash.
#[derive(Default)]
pub(super) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, value: u128) {
        self.0 = value as u64;
    }
}

impl Transactions {
    pub(crate) fn new(shard: u8, secret: (u64, u64)) -> Transactions {
        Transactions {
            shard,
            secret,
            clients: Arena::new(),
            servers: Arena::new(),
            by_key: HashMap::default(),
            challenged: None,
            by_origin: HashMap::default(),
            ended: Vec::new(),
            of_ended_dialogs: BTreeSet::new(),
        }
    }

    /// What makes keys the same after a restart.
    pub(crate) fn secret(&self) -> (u64, u64) {
        self.secret
    }

    /// Goes on with the secret of the process before.
    pub(crate) fn keep_secret(&mut self, secret: (u64, u64)) {
        self.secret = secret;
    }

    /// Whether a server transaction exists that was not watched yet; if so,
    /// [`Transactions::take_ended`] will tell its end.
    pub(crate) fn watch(&mut self, at: ServerHandle, call: CallId) -> bool {
        self.servers.get_mut(at).is_some_and(|server| server.watched.replace(call).is_none())
    }

    /// The calls of the watched server transactions that have ended since it was last asked.
    pub(crate) fn take_ended(&mut self) -> Vec<CallId> {
        std::mem::take(&mut self.ended)
    }

    /// After transactions were put back in their old places.
    pub(crate) fn relink(&mut self, first: u32) {
        self.clients.relink(first);
        self.servers.relink(first);
    }

    /// Transactions that exist, lingering ones included.
    pub(crate) fn len(&self) -> usize {
        self.clients.len() + self.servers.len()
    }

    /// What a request is matched by: branch, sent-by and method (RFC 3261 17.2.3), or for an
    /// RFC 2543 element what that section lists instead. The address it came from counts too:
    /// who forges another's branch must not cancel its calls.
    pub(super) fn key(
        &self,
        msg: &Message<'_>,
        method: Method<'_>,
        source: IpAddr,
    ) -> Result<u128, ParseError> {
        let via = msg.top_via()?;
        let mut hasher = Keyed::with(self.secret);
        method.as_str().hash(&mut hasher);
        source.hash(&mut hasher);
        // As written: an ACK or CANCEL copies the Via of its INVITE (RFC 3261 9.1, 17.1.1.3).
        via.host.hash(&mut hasher);
        via.port.hash(&mut hasher);
        let unique =
            via.branch.filter(|branch| branch.starts_with(COOKIE) && branch.len() > COOKIE.len());
        match unique {
            Some(branch) => branch.hash(&mut hasher),
            None => {
                msg.call_id()?.hash(&mut hasher);
                msg.cseq()?.number.hash(&mut hasher);
                msg.from()?.tag().hash(&mut hasher);
                via.raw.hash(&mut hasher);
            }
        }
        Ok(hasher.key())
    }

    /// What an INVITE outside any dialog shares with its copies that took another way: From tag,
    /// Call-ID and CSeq (RFC 3261 8.2.2.2). `None` for one that cannot be recognised by them.
    pub(super) fn origin(&self, msg: &Message<'_>) -> Option<u128> {
        let cseq = msg.cseq().ok().filter(|cseq| cseq.method == Method::Invite)?;
        if msg.to().ok()?.tag().is_some() {
            return None;
        }
        let mut hasher = Keyed::with(self.secret);
        msg.from().ok()?.tag()?.hash(&mut hasher);
        msg.call_id().ok()?.hash(&mut hasher);
        cseq.number.hash(&mut hasher);
        Some(hasher.key())
    }

    /// A number that stays the same for one request and that nobody else can foretell.
    pub(crate) fn mark_of(&self, msg: &Message<'_>, flow: Flow) -> u64 {
        let method = msg.method().unwrap_or(Method::Other(""));
        self.key(msg, method, flow.remote.ip()).unwrap_or(u128::from(self.secret.1)) as u64
    }
}

/// An ACK is matched with its INVITE.
pub(super) fn matching_method(method: Method<'_>) -> Method<'_> {
    match method {
        Method::Ack => Method::Invite,
        other => other,
    }
}
