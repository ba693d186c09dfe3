//! Calls as a former release wrote them: one part for the call, one for each leg with what never
//! changes of it, and the same as today of what is large.

use crate::call::leg::Invite;
use crate::call::record::Record;
use crate::call::{Call, Leg, LegState};
use crate::core::Core;
use crate::id::CallId;
use crate::journal::{FORMER, Marked, Parts, Reader, image};
use crate::sip::transaction::{get_client, get_server};

use super::{CallRest, Revived, Saved, Unsaved};

/// Beyond the parts of all legs that these releases numbered first.
const FURTHER: u64 = 1 << 14;

image!(former Leg as read_former {
    dialog, state, invite, channel, pending_ok, owed_ack, last_ack, origin_id, origin_version, nat,
    sends, timer, bye_owed, place, ringing, record, strays, side, policy, can, invite_seq, wish,
    session, early, heard, reliable, phone, left_at, replaces,
} later { trunk, bye_until, prack_due } not {
    sent_by = None, hop = None, served = Vec::new(), asked = Vec::new(), probe = None,
    invite_sent = None, bye = None, described = Box::from([]), told = None,
    saved = Saved::default(),
});
image!(former Record as read_former {
    direction, did, customer, caller, trunk_in, started_at, ringing_at, answered, end, media,
    written,
} not { unheard = None });

/// [`Call::revive`] of such a call.
pub(super) fn revive(core: &mut Core, id: CallId, parts: &Parts) -> Revived {
    let part = |number: u64| parts.by_number.get(&(number | FORMER)).map_or(&[][..], |it| it);
    let routing = core.routing.clone();
    let mut from = Reader::former(part(0), Some(core));
    let Some(record) = Record::read_former(&mut from) else { return Revived::Unreadable };
    let record = Box::new(record);
    let names = (from.get(), from.get(), from.get());
    let (Some(handle), Some(source), Some(phase)) = names else { return Revived::Record(record) };
    let Some(rest) = CallRest::read(&mut from) else { return Revived::Record(record) };
    let mut lost = rest.lost;
    let mut legs = Vec::new();
    for at in 0..rest.legs as u64 {
        let mut from = Reader::former(part(1 + 3 * at), Some(core));
        from.large = part(2 + 3 * at);
        from.dialog = part(FURTHER + 2 * at);
        let Some(mut leg) = get_leg(&mut from) else {
            lost = true;
            continue;
        };
        // Both descriptions stood in one part, before ours had one of its own.
        let mut from = Reader::former(part(3 + 3 * at), None);
        leg.described = from.get().unwrap_or_default();
        leg.told = from.get().unwrap_or_default();
        if let Some(told) = Reader::former(part(FURTHER + 1 + 2 * at), None).get() {
            leg.told = told;
        }
        legs.push(leg);
    }
    if legs.len() != rest.legs {
        return Revived::Record(record);
    }
    let call = Call {
        id,
        handle,
        routing,
        source,
        legs,
        phase: Marked::new(phase),
        media: Marked::new(rest.media),
        did_call: Marked::new(rest.did_call),
        exchanges: Marked::new(rest.exchanges),
        record: Marked::new(record),
        unsaved: Unsaved::everything(),
        finished: None,
    };
    Revived::Call(Box::new(call), lost)
}

fn get_leg(from: &mut Reader<'_>) -> Option<Leg> {
    let mut leg = Leg::read_former(from)?;
    match leg.invite {
        Invite::Received(_) => {
            get_server(from)?;
        }
        Invite::Sent(_) if leg.state == LegState::Gone => {}
        Invite::Sent(_) => {
            let client = get_client(from)?;
            leg.invite_sent = from.core.as_ref()?.transactions.sent(client);
        }
    }
    for _ in 0..from.number()? {
        leg.served.push(get_server(from)?);
    }
    for _ in 0..from.number()? {
        leg.asked.push(get_client(from)?);
    }
    Some(leg)
}
