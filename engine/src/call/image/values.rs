//! Images of what a call and its legs are made of.

use std::sync::Arc;

use crate::id::Key;
use crate::journal::{Image, Marked, Names, Pen, Reader, Usual, image, sparse};
use crate::route::{CallerSide, DiversionReason, Redirection, TrunkIx};
use crate::sip::dialog::Dialog;

use crate::call::leg::{Abilities, Invite, PendingOk, Place, SessionTimer};
use crate::call::media::Media;
use crate::call::record::{Answered, End};
use crate::call::reliable::{Early, Progress, Reliable, Unacknowledged};
use crate::call::session::Terms;
use crate::call::{
    Asked, Dialling, Exchange, Far, LegState, Near, OfferIn, Phase, Purpose, Source, Talking,
    Transfer,
};

image!(enum LegState { 0 = Calling, 1 = Cancelling, 2 = Up, 3 = Leaving, 4 = Gone });
image!(enum Invite { 0 = Received(server), 1 = Sent(client) });
image!(struct Place { step, branch, attempt });
image!(struct PendingOk { server, seq, bytes, interval, resend, over, answer_to });
image!(struct Abilities { update });
image!(struct SessionTimer { terms, timer, over });
image!(struct Terms { expires, ours });
image!(struct Progress { status, sdp, extra });
image!(struct Reliable { rseq, waiting, queue, answered });
image!(struct Unacknowledged { rseq, bytes, sdp, interval, resend, over });
image!(struct Answered { at, mono, leg });
image!(struct End { at, duration, result, sip_status, q850_cause, ended_by });
image!(enum DiversionReason {
    0 = Unconditional, 1 = UserBusy, 2 = NoAnswer, 3 = Unavailable, 4 = Unknown, 5 = Deflection,
    6 = TimeOfDay, 7 = DoNotDisturb, 8 = FollowMe, 9 = OutOfService, 10 = Away,
});
impl Usual for DiversionReason {
    fn is_usual(&self) -> bool {
        *self == DiversionReason::default()
    }
}
image!(struct Redirection { number, reason, counter, private } later { status });
image!(struct CallerSide { display, network, redirections, own });
image!(struct Dialling {
    hunt, offer, onto, origin_id, passed, max_forwards, session, side, tail, reason, best, early,
    progress, held, given, resolving,
} later { launches, redirected } not { ways = Vec::new() });
image!(struct Dialling as put_plan, get_plan {
    hunt, offer, onto, origin_id, passed, max_forwards, session, side, tail,
} not {
    reason = DiversionReason::default(), best = None, early = None, progress = None,
    held = Vec::new(), given = None, resolving = Vec::new(), launches = Vec::new(),
    ways = Vec::new(), redirected = Vec::new(),
});
sparse!(Dialling as put_course, get_course {
    0 = reason, 1 = best, 2 = early, 3 = progress, 4 = held, 5 = given, 6 = resolving,
    7 = launches, 8 = redirected,
} not { hunt, offer, onto, origin_id, passed, max_forwards, session, side, tail, ways });
image!(enum OfferIn { 0 = Request, 1 = Answer });
image!(enum Near { 0 = Invite, 1 = Update, 2 = Prack, 3 = Other });
image!(enum Far { 0 = Invite(offer), 1 = Update, 2 = Other });
image!(struct Asked { leg, server, seq, near, session });
image!(enum Purpose { 0 = Passed(asked), 1 = Renewal(min_se), 2 = Rejoin(then) });
image!(struct Exchange { purpose, to, client, far, far_seq, offer, told });
image!(struct Transfer { by, kept, refer, told, dialling });
image!(struct Talking { pair, transfer } later { rejoins });
image!(enum Phase { 0 = Dialling(dialling), 1 = Talking(talking), 2 = Ended });

/// What the part of a phase begins with whose hunt stands in a part of its own.
const COURSE: u8 = 3;

/// What a call is doing, but for what stands from the beginning of its hunt or rarely changes.
pub(super) fn put_phase(phase: &Phase, pen: &mut Pen, names: &Names<'_>) {
    match phase {
        Phase::Dialling(dialling) => {
            pen.byte(COURSE);
            dialling.put_course(pen, names);
        }
        phase => pen.put(phase, names),
    }
}

/// That other part, of a call that dials.
pub(super) fn put_plan(phase: &Phase, pen: &mut Pen, names: &Names<'_>) {
    if let Phase::Dialling(dialling) = phase {
        dialling.put_plan(pen, names);
    }
}

/// Reads both.
pub(super) fn get_phase<'a>(from: &mut Reader<'a>, plan: &'a [u8]) -> Option<Phase> {
    if from.peek()? != COURSE {
        return from.get();
    }
    from.byte()?;
    let core = from.core.take();
    let mut plan = Reader::of(plan, core);
    let dialling = Dialling::get_plan(&mut plan);
    from.core = plan.core.take();
    let mut dialling = Box::new(dialling?);
    dialling.get_course(from)?;
    Some(Phase::Dialling(dialling))
}

/// The offer of a plan.
pub(super) fn offer_of(plan: &mut Reader<'_>) -> Option<Arc<[u8]>> {
    Dialling::get_plan(plan)?.offer
}

/// Whether the part for the hunt of a call that dials is not as the journal has it.
pub(super) fn has_new_plan(phase: &Phase) -> bool {
    matches!(phase, Phase::Dialling(dialling) if Marked::changed(&dialling.hunt))
}

pub(super) fn saved_plan(phase: &mut Phase) {
    if let Phase::Dialling(dialling) = phase {
        Marked::saved(&mut dialling.hunt);
    }
}

/// The trunk of a leg, by key. Reading fails when it has been taken away meanwhile.
impl Image for TrunkIx {
    fn write(&self, pen: &mut Pen, names: &Names<'_>) {
        let Some(snapshot) = names.snapshot else { return };
        pen.put(&snapshot.trunk(*self).key, names);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let key: Key = from.get()?;
        from.core.as_ref()?.routing.snapshot.trunk_of_key(&key)
    }
}

/// Whom the call came from, by key. Reading fails when the trunk or the phone has been taken
/// away meanwhile.
impl Image for Source {
    fn write(&self, pen: &mut Pen, names: &Names<'_>) {
        let Some(snapshot) = names.snapshot else { return };
        let (kind, key) = match self {
            Source::Trunk(at) => (0, &snapshot.trunk(*at).key),
            Source::Extension(at) => (1, &snapshot.extension(*at).user),
        };
        pen.byte(kind);
        pen.put(key, names);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let (kind, key): (_, Key) = (from.byte()?, from.get()?);
        let snapshot = &from.core.as_ref()?.routing.snapshot;
        match kind {
            0 => snapshot.trunk_of_key(&key).map(Source::Trunk),
            1 => snapshot.extension_of_user(key.as_str()).map(Source::Extension),
            _ => None,
        }
    }
}

/// What is ours of its dialog is the leg's.
impl Image for Early {
    fn write(&self, pen: &mut Pen, names: &Names<'_>) {
        let Early { tag, dialog, rseq, answer, agreed } = self;
        pen.put(tag, names);
        dialog.put_peer(pen, names);
        pen.put(&dialog.local_seq, names);
        pen.put(&dialog.remote_seq, names);
        pen.put(rseq, names);
        pen.put(answer, names);
        pen.put(agreed, names);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        if from.former {
            return Early::read_former(from);
        }
        let tag = from.get()?;
        let mut dialog = Dialog::get_ours(&mut from.alike(from.dialog))?;
        dialog.get_peer(from)?;
        dialog.local_seq = from.get()?;
        dialog.remote_seq = from.get()?;
        Some(Early { tag, dialog, rseq: from.get()?, answer: from.get()?, agreed: from.get()? })
    }
}

image!(former Early as read_former { tag, dialog, rseq, answer, agreed });

/// Reading takes the same ports again.
impl Image for Media {
    fn write(&self, pen: &mut Pen, names: &Names<'_>) {
        let Media { session, a, b, watched: _, remotes } = self;
        pen.put(session, names);
        pen.put(a, names);
        pen.put(b, names);
        pen.put(&remotes[0], names);
        pen.put(&remotes[1], names);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let (session, a, b) = (from.get()?, from.get()?, from.get()?);
        let remotes = [from.get()?, from.get()?];
        let core = from.core.as_mut()?;
        core.keep_session(session);
        if !core.ports.reserve(a) {
            from.lost = true;
        } else if !core.ports.reserve(b) {
            let now = core.io.now.mono;
            core.ports.give_back(a, now);
            from.lost = true;
        }
        Some(Media { session, a, b, watched: false, remotes })
    }
}
