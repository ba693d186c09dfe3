//! Dialling: branches of the hunt become legs.

mod again;
mod invite;
mod redirect;
mod way;
mod ways;

pub(in crate::call) use redirect::Redirected;
pub(in crate::call) use ways::{Hop, Ways};

use crate::call::leg::Place;
use crate::call::{Call, LegState};
use crate::cause::{Cause, rank};
use crate::cdr::EndedBy;
use crate::core::Core;
use crate::hunt::{Launch, Next};
use crate::route::DiversionReason;
use crate::sip::transaction::CancelReason;
use crate::timer::CallTimer;

use super::admit::Admitted;

impl Call {
    /// Carries out what the hunt says, until somebody rings, waits, or nobody is left.
    pub(in crate::call::phase) fn advance(
        &mut self,
        core: &mut Core,
        next: Next,
        admitted: &Admitted,
    ) {
        let mut next = next;
        loop {
            let launches = match next {
                Next::Wait => return,
                Next::Exhausted => return self.nobody_answered(core),
                Next::Launch(launches) => launches,
            };
            let step = self.hunt_step();
            let mut failed = 0;
            for Launch { branch, after } in launches {
                if !after.is_zero() {
                    let timer = CallTimer::Launch { step, branch: branch as u16 };
                    let timer = core.io.arm(after, self.timer(timer));
                    if let Some(dialling) = self.dialling_mut() {
                        dialling.launches.push(Some(timer));
                    }
                } else if let Err(cause) = self.dial(core, step, branch as u16, admitted) {
                    self.note_failure(cause.status(), cause);
                    failed += 1;
                }
            }
            next = Next::Wait;
            for _ in 0..failed {
                if let Some(dialling) = self.dialling_mut() {
                    match dialling.hunt.branch_over(usize::from(step)) {
                        Next::Wait => {}
                        more => next = more,
                    }
                }
            }
        }
    }

    fn hunt_step(&self) -> u16 {
        self.dialling().map_or(u16::MAX, |dialling| dialling.hunt.step() as u16)
    }

    /// The delay of a branch is over.
    pub(crate) fn launch_due(&mut self, core: &mut Core, step: u16, branch: u16) {
        let Some(admitted) = self.admission() else { return };
        if self.hunt_step() != step {
            return;
        }
        if let Err(cause) = self.dial(core, step, branch, &admitted) {
            self.branch_failed(core, step, cause.status(), cause);
        }
    }

    /// A branch is over: the hunt goes on.
    pub(in crate::call::phase) fn branch_failed(
        &mut self,
        core: &mut Core,
        step: u16,
        status: u16,
        cause: Cause,
    ) {
        self.touch();
        self.note_failure(status, cause);
        let Some(admitted) = self.admission() else { return };
        let Some(dialling) = self.dialling_mut() else { return };
        let next = dialling.hunt.branch_over(usize::from(step));
        self.advance(core, next, &admitted);
    }

    /// Keeps the best failure for the caller (RFC 3261 16.7 (6)).
    fn note_failure(&mut self, status: u16, cause: Cause) {
        let Some(dialling) = self.dialling_mut() else { return };
        let given = dialling.given.take();
        if dialling.best.is_none_or(|(best, ..)| rank(status) < rank(best)) {
            dialling.best = Some((status, cause, given));
        }
        dialling.reason = match cause {
            Cause::Busy => DiversionReason::UserBusy,
            Cause::NoAnswer => DiversionReason::NoAnswer,
            _ => DiversionReason::Unavailable,
        };
    }

    /// Whether a 6xx from this place ends the whole hunt.
    pub(in crate::call::phase) fn ends_on_decline(&self, place: Place) -> bool {
        self.hunt_step() == place.step
            && self.dialling().is_some_and(|dialling| dialling.hunt.ends_on_decline())
    }

    /// A member has declined for all (RFC 3261 16.7 (5)): who still rings is cancelled, nobody
    /// else is rung, and the caller hears of it.
    pub(in crate::call::phase) fn declined(
        &mut self,
        core: &mut Core,
        place: Place,
        (status, cause): (u16, Cause),
    ) {
        self.note_failure(status, cause);
        for leg in 1..self.legs.len() as u16 {
            let rings = self.leg(leg).state == LegState::Calling;
            if rings && self.leg(leg).place.step == place.step {
                self.cancel_leg(core, leg, cause, CancelReason::Q850(cause.q850()));
            }
        }
        self.nobody_answered(core);
    }

    fn nobody_answered(&mut self, core: &mut Core) {
        let Some(dialling) = self.dialling() else { return };
        let (status, cause, given) = dialling.best.unwrap_or((480, Cause::Absent, None));
        let status = match status {
            // A redirection that leads nowhere, and a challenge, are not for the caller.
            300..=399 | 401 | 407 => Cause::Absent.status(),
            // Only our own lack of channels keeps a caller away from us.
            503 if cause != Cause::NoChannel => 500,
            status => status,
        };
        if self.transfer().is_some() {
            return self.transfer_failed(core, status, cause);
        }
        // RFC 3326: the cause that the callee itself gave goes to the caller as it is.
        self.end_as(core, cause, EndedBy::Callee, (Some(status), given));
    }

    /// Whether another leg of the same branch could still answer: several phones of one
    /// extension.
    pub(in crate::call::phase) fn branch_still_rings(&self, place: Place) -> bool {
        self.legs.iter().skip(1).any(|leg| {
            leg.state == LegState::Calling
                && leg.place.step == place.step
                && leg.place.branch == place.branch
        })
    }
}
