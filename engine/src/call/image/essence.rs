//! What of a call its journal must say at the end of each step, for the check of test builds.

use std::collections::BTreeMap;

use crate::sip::dialog::Dialog;

use super::leg::{put_nature, put_state, put_transaction};
use super::{Call, Core, FACTS, PHASE, PROGRESS, Part, Pen, REST};

/// What a leg's parts say with the call's record stands apart: when the record has been written,
/// nobody reads it again.
pub(crate) const RECORD: u64 = 1 << 32;

impl Call {
    /// Every part of its image, but for how far transactions are beyond what their answers are:
    /// a restart begins with them anew (see [`Pen::essence`]).
    pub(crate) fn essence(&mut self, core: &Core) -> BTreeMap<u64, Box<[u8]>> {
        let routing = self.routing.clone();
        let part = |write: &dyn Fn(&mut Pen<'_>)| -> Box<[u8]> {
            let mut pen = Pen { essence: true, ..Pen::of(core, &routing.snapshot, Vec::new()) };
            write(&mut pen);
            pen.out.into()
        };
        let mut parts = BTreeMap::from([
            (FACTS, part(&|pen| self.put_facts(pen))),
            (PROGRESS, part(&|pen| self.record.put_progress(pen))),
            (PHASE, part(&|pen| pen.put(&*self.phase))),
            (REST, part(&|pen| self.put_rest(pen))),
        ]);
        for (at, leg) in self.legs.iter_mut().enumerate() {
            let (nature, state) = (Part::Nature.of(at), Part::State.of(at));
            if !self.record.written {
                parts.insert(nature | RECORD, part(&|pen| put_nature(leg, pen)));
                parts.insert(state | RECORD, part(&|pen| put_state(leg, pen)));
            }
            let record = leg.record.take();
            parts.insert(nature, part(&|pen| put_nature(leg, pen)));
            parts.insert(state, part(&|pen| put_state(leg, pen)));
            leg.record = record;
            if leg.keeps_transaction() {
                parts.insert(Part::Transaction.of(at), part(&|pen| put_transaction(leg, pen)));
            }
            parts.insert(Part::Dialog.of(at), part(&|pen| put_dialog(&leg.dialog, pen)));
            parts.insert(Part::Described.of(at), part(&|pen| pen.put(&leg.described)));
            parts.insert(Part::Told.of(at), part(&|pen| pen.put(&leg.told)));
        }
        parts
    }
}

/// All but the CSeq numbers, which stand in the part of the leg.
fn put_dialog(dialog: &Dialog, pen: &mut Pen<'_>) {
    let Dialog { call_id, local, local_tag, remote, remote_tag, .. } = dialog;
    pen.put(call_id);
    pen.put(local);
    pen.put(local_tag);
    pen.put(remote);
    pen.put(remote_tag);
    let Dialog { target, routes, flow, by_flow, style, .. } = dialog;
    pen.put(target);
    pen.put(routes);
    pen.put(flow);
    pen.put(by_flow);
    pen.put(style);
}
