//! A leg: one SIP dialog of a call, and what is going on in it.

use std::sync::Arc;
use std::time::Duration;

use crate::call::Hop;
use crate::cdr::CdrLeg;
use crate::id::Key;
use crate::input::Flow;
use crate::journal::Marked;
use crate::media::Side;
use crate::route::{DialogPolicy, TrunkIx};
use crate::sip::dialog::Dialog;
use crate::sip::syntax::{HeaderId, Message};
use crate::sip::transaction::{ClientHandle, ServerHandle};
use crate::time::{Timestamp, WallTime};
use crate::usage::Channel;
use crate::wheel::TimerId;

use super::image::Saved;
use super::reliable::{Early, Reliable};
use super::session::{Ask, Terms, lists};

/// Where a leg stands.
///
/// ```text
///   A: Calling --final 2xx--> Up --BYE--> Leaving --answer--> Gone
///         \---- final failure, CANCEL --------------------------^
///   B: Calling --2xx--> Up --BYE--> Leaving --answer--> Gone
///         |--ring time over, lost the race--> Cancelling --final answer--> Gone
///         \---- failure ----------------------------------------------------^
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LegState {
    /// Its INVITE has no final answer.
    Calling,
    /// CANCEL was sent or waits for a provisional answer.
    Cancelling,
    /// Its INVITE was answered with 2xx.
    Up,
    /// Our BYE waits for its answer, or for the peer's ACK before it may be sent.
    Leaving,
    /// Over: only lingering transactions remember it.
    Gone,
}

/// The INVITE that made the leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Invite {
    /// The caller's.
    Received(ServerHandle),
    /// Ours.
    Sent(ClientHandle),
}

/// A 2xx of ours to an INVITE, resent until its ACK comes (RFC 3261 13.3.1.4).
#[derive(Debug)]
pub(crate) struct PendingOk {
    pub(crate) server: ServerHandle,
    /// CSeq number that the ACK will carry.
    pub(crate) seq: u32,
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) interval: Duration,
    pub(crate) resend: Option<TimerId>,
    pub(crate) over: Option<TimerId>,
    /// The offer was in this 2xx: the ACK brings the answer, and this leg's ACK waits for it.
    pub(crate) answer_to: Option<u16>,
}

/// What a branch of the hunt a callee leg belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) step: u16,
    pub(crate) branch: u16,
    /// Which of the branch's trunks and peers this leg was sent to.
    pub(crate) attempt: u16,
}

/// What the peer of a leg can do, as its last message that told it said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Abilities {
    /// RFC 3311.
    pub(crate) update: bool,
}

impl Abilities {
    /// Takes note of `Allow`; a message without one changes nothing.
    pub(crate) fn learn(&mut self, msg: &Message<'_>) {
        if msg.first(HeaderId::Allow).is_some() {
            self.update = lists(msg, HeaderId::Allow, "UPDATE");
        }
    }
}

/// The session timer of a leg (RFC 4028).
#[derive(Debug)]
pub(crate) struct SessionTimer {
    pub(crate) terms: Terms,
    /// Ours: time to renew, then time to give up. The peer's: time to give up.
    pub(crate) timer: Option<TimerId>,
    /// When it is given up.
    pub(crate) over: Timestamp,
}

/// One dialog of a call.
#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) dialog: Dialog,
    pub(crate) state: LegState,
    pub(crate) invite: Invite,
    /// The trunk it goes over.
    pub(crate) trunk: Option<TrunkIx>,
    /// The trunk channel it occupies.
    pub(crate) channel: Option<Channel>,
    pub(crate) pending_ok: Option<Box<PendingOk>>,
    /// CSeq number of a 2xx of the peer whose ACK waits for the other side's answer.
    pub(crate) owed_ack: Option<u32>,
    /// The last ACK that carried an answer, for a 2xx that comes again.
    pub(crate) last_ack: Option<(u32, Arc<[u8]>)>,
    /// `o=` of the SDP we send to it.
    pub(crate) origin_id: u64,
    pub(crate) origin_version: u64,
    /// Its media may come from another place than its SDP says.
    pub(crate) nat: bool,
    /// Its phone sends media: not on hold.
    pub(crate) sends: bool,
    /// End of its ring time, or of the wait for a cancelled answer.
    pub(crate) timer: Option<TimerId>,
    /// BYE must wait for the ACK to our 2xx (RFC 3261 15).
    pub(crate) bye_owed: bool,
    /// Callee legs only.
    pub(crate) place: Place,
    /// The way its INVITE was sent by, for the way it was meant to go.
    pub(crate) sent_by: Option<Flow>,
    /// The hop it was sent to.
    pub(crate) hop: Option<Hop>,
    /// Its 18x has been counted.
    pub(crate) ringing: bool,
    /// Callee legs only: its part of the record.
    pub(crate) record: Marked<Option<Box<CdrLeg>>>,
    /// Tags of further 2xx of a fork behind it, ended with BYE.
    pub(crate) strays: Vec<Box<str>>,
    /// Transactions of its peer's requests that go on across the call.
    pub(crate) served: Vec<ServerHandle>,
    /// INVITEs of ours within the dialog.
    pub(crate) asked: Vec<ClientHandle>,
    /// The question whether the peer is still there.
    pub(crate) probe: Option<ClientHandle>,
    /// The side of the relay that serves it.
    pub(crate) side: Side,
    pub(crate) policy: DialogPolicy,
    pub(crate) can: Abilities,
    /// CSeq number of the INVITE that made it.
    pub(crate) invite_seq: u32,
    /// That INVITE until its final answer: it may have to go out again with something changed.
    pub(crate) invite_sent: Option<Arc<[u8]>>,
    /// Its peer's last description that both sides agreed to; empty before.
    pub(crate) described: Box<[u8]>,
    /// And ours to it.
    pub(crate) told: Option<Arc<[u8]>>,
    /// What its INVITE asks of a session timer.
    pub(crate) wish: Ask,
    pub(crate) session: Option<Box<SessionTimer>>,
    /// Early dialogs that provisional answers made; only of a leg that we called.
    pub(crate) early: Vec<Early>,
    /// The one of them whose description is used.
    pub(crate) heard: Option<usize>,
    /// For a caller that wants reliable provisional answers.
    pub(crate) reliable: Option<Box<Reliable>>,
    /// RSeq of the one that was unacknowledged when its INVITE was answered: its PRACK may have
    /// crossed the answer, and still comes (RFC 3262 3).
    pub(crate) prack_due: Option<u32>,
    /// Our BYE.
    pub(crate) bye: Option<ClientHandle>,
    /// When it is given up.
    pub(crate) bye_until: Option<Timestamp>,
    /// The user of one of our phones; none of a trunk or a plain URI.
    pub(crate) phone: Option<Key>,
    /// When another leg took its place, if one did.
    pub(crate) left_at: Option<WallTime>,
    /// The leg whose place it takes once it is answered (RFC 3891).
    pub(crate) replaces: Option<u16>,
    /// What of it the journal has.
    pub(super) saved: Saved,
}

impl Leg {
    pub(crate) fn new(
        dialog: Dialog,
        invite: Invite,
        origin_id: u64,
        nat: bool,
        policy: DialogPolicy,
    ) -> Leg {
        let side = match invite {
            Invite::Received(_) => Side::A,
            Invite::Sent(_) => Side::B,
        };
        Leg {
            dialog,
            state: LegState::Calling,
            invite,
            trunk: None,
            channel: None,
            pending_ok: None,
            owed_ack: None,
            last_ack: None,
            origin_id,
            origin_version: 0,
            nat,
            sends: true,
            timer: None,
            bye_owed: false,
            place: Place { step: 0, branch: 0, attempt: 0 },
            sent_by: None,
            hop: None,
            ringing: false,
            record: Marked::new(None),
            strays: Vec::new(),
            served: Vec::new(),
            asked: Vec::new(),
            probe: None,
            side,
            policy,
            can: Abilities::default(),
            invite_seq: 1,
            invite_sent: None,
            described: Box::from([]),
            told: None,
            wish: Ask::default(),
            session: None,
            early: Vec::new(),
            heard: None,
            reliable: None,
            prack_due: None,
            bye: None,
            bye_until: None,
            phone: None,
            left_at: None,
            replaces: None,
            saved: Saved::default(),
        }
    }

    /// The dialog in which requests are exchanged now: before the answer, the early one whose
    /// description is used.
    pub(crate) fn speaking(&self) -> &Dialog {
        match self.heard.and_then(|at| self.early.get(at)) {
            Some(early) if self.state == LegState::Calling => &early.dialog,
            Some(_) | None => &self.dialog,
        }
    }

    /// [`Leg::speaking`], to be changed.
    pub(crate) fn speaking_mut(&mut self) -> &mut Dialog {
        match self.heard.and_then(|at| self.early.get_mut(at)) {
            Some(early) if self.state == LegState::Calling => &mut early.dialog,
            Some(_) | None => &mut self.dialog,
        }
    }

    /// The dialog that a request of the peer with this From tag belongs to.
    pub(crate) fn dialog_of(&mut self, tag: Option<&str>) -> &mut Dialog {
        let early = self.early.iter_mut().find(|early| Some(&*early.tag) == tag);
        match early {
            Some(early) if self.state == LegState::Calling => &mut early.dialog,
            Some(_) | None => &mut self.dialog,
        }
    }

    /// CSeq number of the INVITE that made it, if that is the peer's.
    pub(crate) fn invite_received_seq(&self) -> Option<u32> {
        match self.invite {
            Invite::Received(_) => Some(self.invite_seq),
            Invite::Sent(_) => None,
        }
    }

    /// The client transaction of its INVITE, for a leg that we called.
    pub(crate) fn sent_invite(&self) -> Option<ClientHandle> {
        match self.invite {
            Invite::Sent(client) => Some(client),
            Invite::Received(_) => None,
        }
    }
}
