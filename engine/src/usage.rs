//! Counters that many calls share: channels of trunks, concurrent calls of DIDs. One engine
//! thread counts, so the counts are exact.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::event::Event;
use crate::id::Key;
use crate::journal::{Image, Names, Pen, Reader};
use crate::plan::{E164, NumberHash};
use crate::route::{Snapshot, TrunkIx};
use crate::time::Timestamp;

/// What the limit of calls per second is counted over.
const SECOND: Duration = Duration::from_secs(1);

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

/// Stands for a channel of the leg's own trunk.
const OWN: u8 = 2;

impl Image for Channel {
    #[inline]
    fn write(&self, pen: &mut Pen, names: &Names<'_>) {
        let trunk = names.core.map(|core| core.usage.trunk_of(self));
        match (trunk, names.own) {
            (Some(trunk), Some(own)) if trunk.is(own) => pen.byte(OWN),
            (trunk, _) => pen.put_some(trunk, names),
        }
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let trunk = match from.peek()? {
            OWN => from.byte().and(from.own.clone())?,
            _ => from.get::<Option<Key>>()??,
        };
        Some(from.core.as_mut()?.usage.claim(&trunk))
    }
}

impl Image for DidCall {
    fn write(&self, pen: &mut Pen, names: &Names<'_>) {
        pen.put(&self.0, names);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let did = from.get()?;
        Some(from.core.as_mut()?.usage.enter_again(did))
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

/// Which way a call goes through a trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// It comes in by it.
    In,
    /// It leaves by it: it may not take the channels kept for those that come in.
    Out,
}

/// Why a trunk takes no call now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoom {
    /// Every channel is in use, or kept.
    Full,
    /// As many calls as it allows have begun within the last second.
    TooFast,
}

#[derive(Debug)]
struct TrunkUse {
    key: Key,
    in_use: u32,
    limit: u32,
    /// Of the limit, channels that calls going out may not take.
    reserved: u32,
    /// Calls that may begin within any second, 0 unlimited.
    rate: u32,
    /// When the calls of the last second began, at most `rate` of them, oldest first. A log
    /// and not a bucket: a bucket would let twice the rate begin within some seconds.
    begun: VecDeque<Timestamp>,
    /// What was last reported.
    reported: Option<(u32, u32)>,
}

/// All shared counters.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    trunks: Vec<TrunkUse>,
    by_key: BTreeMap<Key, TrunkSlot>,
    dids: HashMap<E164, u32, NumberHash>,
}

impl Usage {
    /// Finds or makes the counters of a new snapshot's trunks; limits change at once.
    pub(crate) fn install(&mut self, snapshot: Arc<Snapshot>) -> Arc<Routing> {
        let slots = snapshot
            .trunks
            .iter()
            .map(|trunk| {
                let slot = self.slot_of(&trunk.key);
                let counter = &mut self.trunks[slot.0 as usize];
                counter.limit = trunk.channels;
                counter.reserved = trunk.reserved_incoming;
                counter.rate = trunk.max_calls_per_second;
                slot
            })
            .collect();
        Arc::new(Routing { snapshot, slots })
    }

    /// Takes a channel for a call that begins now.
    ///
    /// # Errors
    /// None is free for this direction, or the trunk allows no more calls this second.
    pub(crate) fn take(
        &mut self,
        slot: TrunkSlot,
        bound: Bound,
        now: Timestamp,
    ) -> Result<Channel, NoRoom> {
        let trunk = &mut self.trunks[slot.0 as usize];
        let kept = match bound {
            Bound::In => 0,
            Bound::Out => trunk.reserved,
        };
        if trunk.limit != 0 && trunk.in_use.saturating_add(kept) >= trunk.limit {
            return Err(NoRoom::Full);
        }
        if trunk.rate != 0 {
            let rate = trunk.rate as usize;
            while trunk.begun.front().is_some_and(|begun| now.since(*begun) >= SECOND) {
                trunk.begun.pop_front();
            }
            if trunk.begun.len() >= rate {
                return Err(NoRoom::TooFast);
            }
            trunk.begun.push_back(now);
        }
        trunk.in_use += 1;
        Ok(Channel(slot))
    }

    /// Takes a channel again for a call that had one before a restart, whatever the limit is
    /// now and even if the trunk is gone.
    pub(crate) fn claim(&mut self, trunk: &Key) -> Channel {
        let slot = self.slot_of(trunk);
        self.trunks[slot.0 as usize].in_use += 1;
        Channel(slot)
    }

    /// The trunk of a channel.
    pub(crate) fn trunk_of(&self, channel: &Channel) -> &Key {
        &self.trunks[channel.0.0 as usize].key
    }

    fn slot_of(&mut self, trunk: &Key) -> TrunkSlot {
        let next = TrunkSlot(self.trunks.len() as u32);
        let slot = *self.by_key.entry(trunk.clone()).or_insert(next);
        if slot == next {
            self.trunks.push(TrunkUse {
                key: trunk.clone(),
                in_use: 0,
                limit: 0,
                reserved: 0,
                rate: 0,
                begun: VecDeque::new(),
                reported: None,
            });
        }
        slot
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

    /// Enters a call to a DID again that was there before a restart, whatever the cap is now.
    pub(crate) fn enter_again(&mut self, did: E164) -> DidCall {
        *self.dids.entry(did).or_insert(0) += 1;
        DidCall(did)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{Provisioning, TrunkSpec};

    fn usage(spec: TrunkSpec) -> (Usage, TrunkSlot) {
        let sources = vec![crate::route::Source {
            network: std::net::Ipv4Addr::LOCALHOST.into(),
            prefix_len: 32,
            port: None,
        }];
        let spec = TrunkSpec { id: "t".into(), sources, ..spec };
        let office = Provisioning { trunks: vec![spec], ..Provisioning::default() };
        let mut usage = Usage::default();
        let routing = usage.install(Arc::new(Snapshot::compile(1, &office).unwrap()));
        (usage, routing.slot(TrunkIx(0)))
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_micros(millis * 1000)
    }

    #[test]
    fn no_second_has_more_beginnings_than_the_trunk_allows() {
        let (mut usage, slot) =
            usage(TrunkSpec { max_calls_per_second: 3, ..TrunkSpec::default() });
        // (when, taken): four at once, then as places of the sliding second come free.
        for (millis, taken) in [
            (0, true),
            (400, true),
            (900, true),
            (999, false),
            (1000, true),
            (1001, false),
            (1400, true),
            (1899, false),
            (1900, true),
        ] {
            let found = usage.take(slot, Bound::In, at(millis));
            assert_eq!(found.is_ok(), taken, "at {millis} ms");
            match found {
                Ok(channel) => usage.release(channel),
                Err(why) => assert_eq!(why, NoRoom::TooFast),
            }
        }
    }

    #[test]
    fn calls_going_out_leave_the_reserved_channels_to_those_coming_in() {
        let terms = TrunkSpec { channels: 3, reserved_incoming: 1, ..TrunkSpec::default() };
        let (mut usage, slot) = usage(terms);
        let mut held = Vec::new();
        for (bound, taken) in [
            (Bound::Out, true),
            (Bound::Out, true),
            (Bound::Out, false),
            (Bound::In, true),
            (Bound::In, false),
        ] {
            let found = usage.take(slot, bound, at(0));
            assert_eq!(found.is_ok(), taken, "{bound:?}");
            held.extend(found);
        }
        assert_eq!(usage.in_use().0, 3);
        held.into_iter().for_each(|channel| usage.release(channel));
        assert_eq!(usage.in_use().0, 0);
    }
}
