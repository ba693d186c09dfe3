//! A leg: one SIP dialog of a call, and what is going on in it.

use std::sync::Arc;
use std::time::Duration;

use crate::cdr::CdrLeg;
use crate::route::TrunkIx;
use crate::sip::dialog::Dialog;
use crate::sip::transaction::{ClientHandle, ServerHandle};
use crate::usage::Channel;
use crate::wheel::TimerId;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) step: u16,
    pub(crate) branch: u16,
    /// Which of the branch's trunks and peers this leg was sent to.
    pub(crate) attempt: u16,
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
    /// Its 18x has been counted.
    pub(crate) ringing: bool,
    /// Callee legs only: its part of the record.
    pub(crate) record: Option<Box<CdrLeg>>,
    /// Tags of further 2xx of a fork behind it, ended with BYE.
    pub(crate) strays: Vec<Box<str>>,
    /// Transactions of its peer's requests that go on across the call.
    pub(crate) served: Vec<ServerHandle>,
    /// INVITEs of ours within the dialog.
    pub(crate) asked: Vec<ClientHandle>,
    /// The question whether the peer is still there.
    pub(crate) probe: Option<ClientHandle>,
}

impl Leg {
    pub(crate) fn new(dialog: Dialog, invite: Invite, origin_id: u64, nat: bool) -> Leg {
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
            ringing: false,
            record: None,
            strays: Vec::new(),
            served: Vec::new(),
            asked: Vec::new(),
            probe: None,
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
