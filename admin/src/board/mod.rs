//! What goes on right now, for screens and programs: live calls, channels, registrations.
//!
//! One task of the shell feeds it the engine's events; everybody else reads copies. Nothing here
//! is the truth about a call: the engine is, and its CDR. Events may be dropped under overload,
//! so every table is bounded and forgets its oldest rows first.

mod elsewhere;
mod notice;
mod standing;
mod state;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use tensou_engine::{CallId, Event, Key};
use tensou_store::NodeSeen;
use tokio::sync::broadcast;

pub use elsewhere::{describe, understand};
pub use notice::{Notice, NoticeBody};
pub use standing::TrunkStanding;
pub use state::{CallState, EndedCall, LegState, LiveCall, LiveLeg, Registration, TrunkUse};

use elsewhere::Elsewhere;
use state::State;

/// Notices that a slow subscriber may be behind before it is told that it lost some: about one
/// second of the busiest node.
const NOTICES_HELD: usize = 16_384;

/// The live board of one node.
pub struct Board {
    // lock: many screens read while one task writes; each side holds it for microseconds and the
    // engine's thread never touches it
    state: RwLock<State>,
    // lock: as above; the writer is the task that follows the other nodes
    elsewhere: RwLock<Elsewhere>,
    notices: broadcast::Sender<Notice>,
}

impl Default for Board {
    fn default() -> Self {
        Self::new()
    }
}

impl Board {
    /// An empty board.
    pub fn new() -> Self {
        Board {
            state: RwLock::new(State::default()),
            elsewhere: RwLock::new(Elsewhere::default()),
            notices: broadcast::Sender::new(NOTICES_HELD),
        }
    }

    /// Takes in one event. Events of one call must come in their order.
    pub fn apply(&self, event: &Event) {
        self.apply_all(std::iter::once(event));
    }

    /// Takes in a batch under one lock.
    pub fn apply_all<'a>(&self, events: impl IntoIterator<Item = &'a Event>) {
        let watched = self.notices.receiver_count() > 0;
        let mut state = self.write();
        for event in events {
            let notice = state.apply(event, watched);
            if let Some(notice) = notice {
                // The last subscriber may have left since: nobody misses the notice then.
                let _ = self.notices.send(notice);
            }
        }
    }

    /// Everything that happens from now on. A subscriber that falls behind gets
    /// [`broadcast::error::RecvError::Lagged`] and should read the board again.
    pub fn subscribe(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    /// Takes in what was read of the other nodes.
    pub fn set_elsewhere(&self, nodes: Vec<NodeSeen>, calls: Vec<LiveCall>) {
        let calls: BTreeMap<CallId, LiveCall> =
            calls.into_iter().map(|call| (call.id, call)).collect();
        let mut elsewhere = self.elsewhere.write().unwrap_or_else(PoisonError::into_inner);
        elsewhere.nodes = nodes;
        if elsewhere.calls == calls {
            return;
        }
        let body = Arc::new(NoticeBody::Elsewhere { calls: calls.len() });
        elsewhere.calls = calls;
        drop(elsewhere);
        // Nobody may watch.
        let _ = self.notices.send(Notice { name: "calls.elsewhere", customer: None, body });
    }

    /// The nodes on this database as they were seen last, by name; none where there is one node.
    pub fn nodes(&self) -> Vec<NodeSeen> {
        self.other().nodes.clone()
    }

    /// This node's live calls alone.
    pub fn own_calls(&self) -> Vec<LiveCall> {
        self.read().calls(None).cloned().collect()
    }

    /// Live calls of every node, oldest first, of which `wanted` says yes; at most `limit`, after
    /// the call `after`.
    pub fn calls(
        &self,
        after: Option<CallId>,
        limit: usize,
        wanted: impl Fn(&LiveCall) -> bool,
    ) -> Vec<LiveCall> {
        let of_here = self.read();
        let of_here = of_here.calls(after).filter(|call| wanted(call)).take(limit).cloned();
        let mut calls: Vec<LiveCall> = of_here.collect();
        let elsewhere = self.other();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let others = elsewhere.calls.range((from, Bound::Unbounded)).map(|(_, call)| call);
        calls.extend(others.filter(|call| wanted(call)).take(limit).cloned());
        calls.sort_by_key(|call| call.id);
        calls.truncate(limit);
        calls
    }

    /// The newest live calls of every node of which `mine` says yes, newest first, at most
    /// `limit`; and the counts of all of them.
    pub fn newest(
        &self,
        limit: usize,
        mine: impl Fn(&LiveCall) -> bool,
    ) -> (Vec<LiveCall>, CallCounts) {
        let mut counts = CallCounts::default();
        let mut newest = Vec::new();
        let mut take = |calls: &mut dyn Iterator<Item = &LiveCall>| {
            let mut room = limit;
            for call in calls.filter(|call| mine(call)) {
                counts.active += 1;
                counts.talking += usize::from(call.state == CallState::Talking);
                if room > 0 {
                    room -= 1;
                    newest.push(call.clone());
                }
            }
        };
        take(&mut self.read().calls(None).rev());
        take(&mut self.other().calls.values().rev());
        newest.sort_by_key(|call| std::cmp::Reverse(call.id));
        newest.truncate(limit);
        (newest, counts)
    }

    /// One live call, of whatever node.
    pub fn call(&self, id: CallId) -> Option<LiveCall> {
        let of_here = self.read().call(id).cloned();
        of_here.or_else(|| self.other().calls.get(&id).cloned())
    }

    /// Live calls of this node in number, and how many of them talk.
    pub fn call_counts(&self) -> CallCounts {
        self.read().counts()
    }

    /// Calls that ended lately, newest first.
    pub fn recent(&self, limit: usize, wanted: impl Fn(&LiveCall) -> bool) -> Vec<EndedCall> {
        self.read().recent().filter(|ended| wanted(&ended.call)).take(limit).cloned().collect()
    }

    /// Channels of every trunk that has reported, by trunk.
    pub fn trunks(&self) -> Vec<TrunkUse> {
        self.read().trunks().cloned().collect()
    }

    /// Channels of one trunk; none while it has never been used.
    pub fn trunk(&self, trunk: &str) -> Option<TrunkUse> {
        self.read().trunk(&Key::from(trunk)).cloned()
    }

    /// How a trunk stands; as nothing were known while nothing was told.
    pub fn standing(&self, trunk: &str) -> TrunkStanding {
        self.read().standing(&Key::from(trunk)).cloned().unwrap_or_default()
    }

    /// Bindings of extensions, by user name.
    pub fn registrations(&self) -> Vec<Registration> {
        self.read().registrations().cloned().collect()
    }

    /// Bindings of one extension.
    pub fn registrations_of(&self, user: &str) -> Vec<Registration> {
        self.read().registrations_of(&Key::from(user)).cloned().collect()
    }

    fn other(&self) -> RwLockReadGuard<'_, Elsewhere> {
        self.elsewhere.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        // A writer that panicked leaves rows that are at worst stale: go on with them.
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many calls there are now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallCounts {
    /// All live calls.
    pub active: usize,
    /// Those that are connected.
    pub talking: usize,
}

#[cfg(test)]
mod tests;
