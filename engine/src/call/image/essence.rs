//! What of a call its journal must say at the end of each step, for the check of test builds.

use std::collections::BTreeMap;

use super::leg::{put_attempt, put_nature, put_outcome, put_state, put_transaction};
use super::values::{put_phase, put_plan};
use super::{Call, Core, FACTS, Names, PHASE, PLAN, PROGRESS, Part, Pen, Phase, REST, outcome_of};

/// What a leg's parts say with the call's record stands apart: when the record has been written,
/// nobody reads it again.
pub(crate) const RECORD: u64 = 1 << 32;
/// Also whether our 2xx is resent, of which a note is enough.
pub(crate) const PENDING: u64 = 1 << 33;

/// The part of how a leg stands.
pub(crate) fn state_of(leg: u16) -> u64 {
    Part::State.of(usize::from(leg))
}

impl Call {
    /// Every part of its image, but for how far transactions are beyond what their answers are:
    /// a restart begins with them anew (see [`Names::essence`]).
    pub(crate) fn essence(&mut self, core: &Core) -> BTreeMap<u64, Vec<u8>> {
        let routing = self.routing.clone();
        let names = &Names { essence: true, ..Names::of(core, &routing.snapshot) };
        let part = |write: &dyn Fn(&mut Pen)| Pen::writes(write);
        let mut parts = BTreeMap::from([
            (FACTS, part(&|pen| self.put_facts(pen, names))),
            (PROGRESS, part(&|pen| self.record.put_progress(pen, names))),
            (PHASE, part(&|pen| put_phase(&self.phase, pen, names))),
            (REST, part(&|pen| self.put_rest(pen, names))),
        ]);
        if let Phase::Dialling(_) = &*self.phase {
            parts.insert(PLAN, part(&|pen| put_plan(&self.phase, pen, names)));
        }
        for (at, leg) in self.legs.iter_mut().enumerate() {
            let nature = Part::Nature.of(at);
            if !self.record.written {
                let names = &Names { essence: false, ..*names };
                parts.insert(nature | RECORD, part(&|pen| put_attempt(leg, pen, names)));
                if leg.record.is_some() {
                    let outcome = part(&|pen| put_outcome(leg, pen, names));
                    parts.insert(outcome_of(at) | RECORD, outcome);
                }
            }
            parts.insert(nature, part(&|pen| put_nature(leg, pen, names)));
            let state = Part::State.of(at);
            parts.insert(state | PENDING, part(&|pen| pen.put(&leg.pending_ok, names)));
            let pending = leg.pending_ok.take();
            parts.insert(state, part(&|pen| put_state(leg, pen, names)));
            leg.pending_ok = pending;
            if leg.keeps_transaction() {
                parts.insert(
                    Part::Transaction.of(at),
                    part(&|pen| put_transaction(leg, pen, names)),
                );
            }
            parts.insert(Part::Dialog.of(at), part(&|pen| leg.dialog.put_ours(pen, names)));
            parts.insert(Part::Peer.of(at), part(&|pen| leg.dialog.put_peer(pen, names)));
            parts.insert(Part::Described.of(at), part(&|pen| pen.put(&leg.described, names)));
            parts.insert(Part::Told.of(at), part(&|pen| pen.put(&leg.told, names)));
        }
        parts
    }
}
