//! A call goes on after a restart.

use std::time::Duration;

use crate::call::compose::{InDialog, send};
use crate::call::{A, Call, LegState, Phase};
use crate::cause::Cause;
use crate::cdr::EndedBy;
use crate::core::Core;
use crate::event::Event;
use crate::id::LegNumber;
use crate::media::{MediaCommand, Side};
use crate::sip::transaction::ClientHandle;
use crate::sip::transaction::timers::T4;
use crate::time::Now;
use crate::timer::CallTimer;

use super::answer::ACK_PATIENCE;
use super::release::RECORD_PATIENCE;

/// When a peer that says nothing is asked whether it is still there: after the BYE of one that
/// hung up meanwhile has come again (T2 at the latest), and not all peers in one moment.
const PROBE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(10));

/// After a longer absence nothing of ours is in the network any more (RFC 3261 17.1.2.2, T4), and
/// nobody has resent anything: what a peer is owed has its whole time anew.
const AWAY: Duration = T4;

impl Call {
    /// The relay gets the session that it had, on the same ports.
    pub(crate) fn reopen_media(&mut self, core: &mut Core) {
        let Some(media) = &*self.media else { return };
        let (session, a, b) = (media.session, media.a, media.b);
        core.io.media(MediaCommand::Open { session, a, b });
        for (side, remote) in [Side::A, Side::B].into_iter().zip(media.remotes) {
            if let Some(remote) = remote {
                core.io.media(MediaCommand::SetRemote { session, side, remote });
            }
        }
        self.watch_silence(core);
    }

    /// Takes up everything that was going on; `alive` is when the node was last known to be.
    /// A call that could not have everything again is `lost`.
    pub(crate) fn resume(&mut self, core: &mut Core, alive: Now, lost: bool) {
        self.announce_again(core);
        if self.record.end.is_none() {
            core.io.counters.calls_active += 1;
        }
        let away = core.io.now.mono.since(alive.mono) > AWAY;
        for leg in 0..self.legs.len() as u16 {
            self.resume_leg(core, leg, away);
        }
        match &*self.phase {
            Phase::Dialling(_) => self.resume_dialling(core),
            Phase::Talking(talking) => {
                self.record.unheard = Some(alive);
                for leg in [talking.pair.0, talking.pair.1] {
                    let after = PROBE.0 + core.io.rng.duration_below(PROBE.1);
                    core.io.arm(after, self.timer(CallTimer::Probe { leg }));
                }
            }
            Phase::Ended => {
                core.io.arm(RECORD_PATIENCE, self.timer(CallTimer::RecordDue));
            }
        }
        if lost {
            if let Some(media) = self.media.take() {
                core.io.media(MediaCommand::Close { session: media.session });
            }
            self.end(core, Cause::Overload, EndedBy::System, None);
        }
        self.settle(core);
    }

    fn resume_leg(&mut self, core: &mut Core, leg: u16, away: bool) {
        if self.leg(leg).state == LegState::Leaving && !self.leg(leg).bye_owed {
            return self.resume_bye(core, leg, away);
        }
        let over = self.timer(CallTimer::AckOver { leg });
        let ended = self.leg(leg).state == LegState::Leaving;
        let Some(pending) = &mut self.leg_mut(leg).pending_ok else { return };
        // Its ACK may have come while nobody listened: the 2xx calls for another, and has as
        // long again for it. What has ended waits no longer than it would have.
        if away || !ended {
            core.io.disarm(pending.over.take());
            pending.over = Some(core.io.arm(ACK_PATIENCE, over));
        }
        core.io.disarm(pending.resend.take());
        self.resend_ok(core, leg);
    }

    /// The BYE under way has lost its transaction: another asks for the same, for as long as the
    /// first would have.
    fn resume_bye(&mut self, core: &mut Core, leg: u16, away: bool) {
        let until = self.leg(leg).bye_until.filter(|_| !away);
        let q850 = self.record.end.map_or(Cause::NormalClearing.q850(), |end| end.q850_cause);
        self.send_bye(core, leg, q850);
        if let (Some(until), Some(bye)) = (until, self.leg(leg).bye) {
            core.transactions.give_up_at(&mut core.io, bye, until);
            self.leg_mut(leg).bye_until = Some(until);
        }
    }

    fn resume_dialling(&mut self, core: &mut Core) {
        let Some(admitted) = self.admission() else { return };
        let Phase::Dialling(dialling) = &mut *self.phase else { return };
        let waiting = std::mem::take(&mut dialling.resolving);
        let (silent, step) = (dialling.early.is_none(), dialling.hunt.step());
        let told = dialling.progress.clone().filter(|_| silent);
        let reliable = self.leg(A).reliable.as_ref();
        // A reliable answer that waits for its PRACK is resent by itself.
        if let Some(progress) = told
            && reliable.is_none_or(|reliable| reliable.waiting.is_none())
        {
            self.tell_progress(core, progress);
        }
        for (_, of, branch) in waiting {
            if usize::from(of) == step
                && let Err(cause) = self.dial(core, of, branch, &admitted)
            {
                self.branch_failed(core, of, cause.status(), cause);
            }
        }
    }

    /// Those who watch calls have not seen this one begin.
    fn announce_again(&mut self, core: &mut Core) {
        self.announce(core);
        let call = self.id;
        for (leg, at) in self.legs.iter().skip(1).zip(1..) {
            let (Some(record), false) = (&*leg.record, leg.state == LegState::Gone) else {
                continue;
            };
            let (leg, destination) = (LegNumber(at), record.destination.clone());
            let trunk_out = record.trunk_out.clone();
            core.io.event(Event::LegDialled { call, leg, destination, trunk_out });
            if let Some(at) = record.ringing_at {
                core.io.event(Event::LegRinging { call, leg, at });
            }
        }
        if let Some(answered) = self.record.answered {
            let (leg, at) = (LegNumber(answered.leg), answered.at);
            core.io.event(Event::CallAnswered { call, leg, at });
        }
    }

    /// A peer of whom nothing was heard since the restart is asked whether it is still there.
    pub(crate) fn probe(&mut self, core: &mut Core, leg: u16) {
        if self.record.unheard.is_none() || self.other(leg).is_none() {
            return;
        }
        let seq = self.leg_mut(leg).dialog.next_seq();
        let owner = self.owner(leg);
        let options = InDialog { method: "OPTIONS", seq, extra: b"", content: None };
        let client = send(core, &self.leg(leg).dialog, &options, Some(owner));
        self.leg_mut(leg).probe = Some(client);
    }

    /// The answer to [`Call::probe`], or 408 for the lack of one. True if `client` was one.
    pub(super) fn probed(
        &mut self,
        core: &mut Core,
        leg: u16,
        client: ClientHandle,
        status: u16,
    ) -> bool {
        if self.leg(leg).probe != Some(client) {
            return false;
        }
        self.leg_mut(leg).probe = None;
        // RFC 3261 12.2.1.2: the dialog is gone. Any other answer shows that it is not.
        if matches!(status, 408 | 481) {
            self.end(core, Cause::Timeout, EndedBy::System, None);
        } else {
            self.heard();
        }
        true
    }

    /// A peer has shown that the call is up.
    pub(crate) fn heard(&mut self) {
        if self.record.unheard.is_some() {
            self.record.unheard = None;
        }
    }
}
