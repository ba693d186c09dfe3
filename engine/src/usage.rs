//! Counters that many calls share: channels of trunks, concurrent calls of DIDs. One engine
//! thread counts, so the counts are exact.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::event::Event;
use crate::id::Key;
use crate::plan::E164;
use crate::route::{Snapshot, TrunkIx};

/// A snapshot with the places of its trunks' counters, which outlive it.
#[derive(Debug)]
pub(crate) struct Routing {
    pub(crate) snapshot: Arc<Snapshot>,
    slots: Vec<TrunkSlot>,
}

impl Routing {
    /// The counter of a trunk of this snapshot.
    pub(crate) fn slot(&self, trunk: TrunkIx) -> TrunkSlot {
        self.slots[trunk.0 as usize]
    }
}

/// A trunk's counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TrunkSlot(u32);

/// A channel in use: given back exactly once, by [`Usage::release`].
#[derive(Debug)]
#[must_use]
pub(crate) struct Channel(TrunkSlot);

/// A concurrent call of a DID: given back exactly once, by [`Usage::leave`].
#[derive(Debug)]
#[must_use]
pub(crate) struct DidCall(E164);

#[derive(Debug)]
struct TrunkUse {
    key: Key,
    in_use: u32,
    limit: u32,
    /// What was last reported.
    reported: Option<(u32, u32)>,
}

/// All shared counters.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    trunks: Vec<TrunkUse>,
    by_key: BTreeMap<Key, TrunkSlot>,
    dids: HashMap<E164, u32, std::hash::BuildHasherDefault<std::hash::DefaultHasher>>,
}

impl Usage {
    /// Finds or makes the counters of a new snapshot's trunks; limits change at once.
    pub(crate) fn install(&mut self, snapshot: Arc<Snapshot>) -> Arc<Routing> {
        let slots = snapshot
            .trunks
            .iter()
            .map(|trunk| {
                let next = TrunkSlot(self.trunks.len() as u32);
                let slot = *self.by_key.entry(trunk.key.clone()).or_insert(next);
                if slot == next {
                    let key = trunk.key.clone();
                    self.trunks.push(TrunkUse { key, in_use: 0, limit: 0, reported: None });
                }
                self.trunks[slot.0 as usize].limit = trunk.channels;
                slot
            })
            .collect();
        Arc::new(Routing { snapshot, slots })
    }

    /// Takes a channel, if one is free.
    pub(crate) fn take(&mut self, slot: TrunkSlot) -> Option<Channel> {
        let trunk = &mut self.trunks[slot.0 as usize];
        if trunk.limit != 0 && trunk.in_use >= trunk.limit {
            return None;
        }
        trunk.in_use += 1;
        Some(Channel(slot))
    }

    /// Gives a channel back.
    pub(crate) fn release(&mut self, channel: Channel) {
        self.trunks[channel.0.0 as usize].in_use -= 1;
    }

    /// Enters a call to `did`, if its cap (0: none) allows one more.
    pub(crate) fn enter(&mut self, did: E164, cap: u32) -> Option<DidCall> {
        let calls = self.dids.entry(did).or_insert(0);
        if cap != 0 && *calls >= cap {
            return None;
        }
        *calls += 1;
        Some(DidCall(did))
    }

    /// A call to a DID is over.
    pub(crate) fn leave(&mut self, call: DidCall) {
        if let std::collections::hash_map::Entry::Occupied(mut calls) = self.dids.entry(call.0) {
            *calls.get_mut() -= 1;
            if *calls.get() == 0 {
                calls.remove();
            }
        }
    }

    /// Channels in use over all trunks, and DIDs with calls: both zero when no call is up.
    pub(crate) fn in_use(&self) -> (u64, usize) {
        (self.trunks.iter().map(|trunk| u64::from(trunk.in_use)).sum(), self.dids.len())
    }

    /// What has changed since the last report.
    pub(crate) fn report(&mut self, mut tell: impl FnMut(Event)) {
        for trunk in &mut self.trunks {
            let now = Some((trunk.in_use, trunk.limit));
            if trunk.reported != now {
                trunk.reported = now;
                let (trunk, in_use, limit) = (trunk.key.clone(), trunk.in_use, trunk.limit);
                tell(Event::TrunkChannels { trunk, in_use, limit });
            }
        }
    }
}
