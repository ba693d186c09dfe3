//! In builds for tests, every call is compared at the end of each step with what its journal says
//! of it: whatever changes a call must mark it as changed in the same step, for a process that is
//! killed right after goes on with what was written.

use std::collections::BTreeMap;

use crate::call::{Call, CallHandle, PENDING, RECORD, state_of};
use crate::core::Core;
use crate::engine::Engine;
use crate::journal::parts_of;

/// What the journal knows of each call.
#[derive(Default)]
pub(crate) struct Faithful(BTreeMap<CallHandle, BTreeMap<u64, Vec<u8>>>);

impl Faithful {
    /// These parts of the call have been written.
    pub(crate) fn wrote(&mut self, core: &Core, call: &mut Call, record: &[u8]) {
        let essence = call.essence(core);
        let known = self.0.entry(call.handle).or_default();
        for part in
            parts_of(record).into_iter().flat_map(|part| [part, part | RECORD, part | PENDING])
        {
            known.extend(essence.get(&part).map(|bytes| (part, bytes.clone())));
        }
    }

    /// A note has been written that the 2xx to this leg is not resent any more.
    fn noted(&mut self, core: &Core, call: &mut Call, leg: u16) {
        let part = state_of(leg) | PENDING;
        let known = self.0.entry(call.handle).or_default();
        known.extend(call.essence(core).remove(&part).map(|bytes| (part, bytes)));
    }

    pub(crate) fn forget(&mut self, call: CallHandle) {
        self.0.remove(&call);
    }
}

impl Engine {
    /// What is noted now is known of its calls.
    pub(crate) fn noted(&mut self) {
        for confirmed in &self.core.io.notes.confirmed {
            let call = self.calls.iter().find(|(_, call)| call.id == confirmed.call);
            let handle = call.map(|(handle, _)| handle);
            if let Some(call) = handle.and_then(|handle| self.calls.get_mut(handle)) {
                self.faithful.noted(&self.core, call, confirmed.leg);
            }
        }
    }

    /// # Panics
    /// A call has changed and was not marked.
    pub(crate) fn check_calls(&mut self) {
        if !self.core.config.journal {
            return;
        }
        for handle in self.calls.handles() {
            let Some(call) = self.calls.get_mut(handle) else { continue };
            let known = self.faithful.0.get(&handle);
            for (part, now) in call.essence(&self.core) {
                let then = known.and_then(|known| known.get(&part));
                let told = |bytes: &[u8]| bytes.escape_ascii().to_string();
                assert!(
                    then == Some(&now),
                    "part {part} of the call {} has changed and was not marked:\n{}\n{}",
                    call.id,
                    then.map_or_else(String::new, |then| told(then)),
                    told(&now),
                );
            }
        }
    }
}
