//! What a phone of ours may call, by dialling or by a transfer: the same rules for both, or a
//! transfer would be a way around them.

use std::sync::Arc;
use std::time::Duration;

use crate::cause::Cause;
use crate::cdr::Direction;
use crate::id::Key;
use crate::plan::{E164, parse_e164};
use crate::route::{Branch, Snapshot, Step, Strategy, Target};

/// RFC 3261 16.6 timer C bounds ringing; a number dialled by one of our phones rings as long.
const OUTGOING_RING: Duration = Duration::from_secs(180);

/// On whose behalf somebody is called.
pub(in crate::call) struct Caller<'a> {
    pub(in crate::call) customer: Option<&'a Key>,
    /// A number of the customer's own, to be presented.
    pub(in crate::call) holds: Option<E164>,
}

/// Who rings for `dialled`: another phone of the customer, a DID of ours, or a number outside.
pub(in crate::call) fn plan(
    snapshot: &Snapshot,
    caller: &Caller<'_>,
    dialled: &str,
) -> Result<(Direction, Arc<[Step]>), Cause> {
    if let Some(other) = snapshot.extension_of_user(dialled)
        && snapshot.extension(other).customer.as_ref() == caller.customer
    {
        return Ok((Direction::In, single(Target::Extension(other))));
    }
    // A feature code of somebody's exchange (`*21*…#`) is no number to call.
    if dialled.contains(['*', '#']) {
        return Err(Cause::Blocked);
    }
    let number = parse_e164(dialled).map_err(|_| Cause::Unallocated)?;
    // A customer without a number of its own has none to present, so it calls nobody.
    if caller.holds.is_none() {
        return Err(Cause::Blocked);
    }
    if let Some(did) = snapshot.did(number) {
        did.takes_calls()?;
        return Ok((Direction::Out, did.route.clone()));
    }
    Ok((Direction::Out, single(Target::Number(number))))
}

fn single(target: Target) -> Arc<[Step]> {
    Arc::from([Step {
        group: None,
        strategy: Strategy::Simultaneous,
        ends_on_decline: false,
        branches: Box::from([Branch { target, delay: Duration::ZERO, ring: OUTGOING_RING }]),
    }])
}
