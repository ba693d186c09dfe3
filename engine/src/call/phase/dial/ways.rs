//! What is left to be tried for one branch, in order: trunks, their peers, the addresses of each.

use std::collections::VecDeque;

use crate::call::leg::Place;
use crate::core::Core;
use crate::route::{Snapshot, TrunkIx, Way};
use crate::sip::transport::{Target, in_order};

/// A way to a callee.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) hop: Hop,
    /// Where that is; none for a name that was not looked up for this call yet.
    pub(crate) target: Option<Target>,
    /// It has failed lately and waits until the others were tried.
    postponed: bool,
}

/// Whom a way leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hop {
    /// A peer of a trunk, by its place.
    Peer(TrunkIx, u16),
    /// The URI of the destination, under a trunk's policy if one is named.
    Uri(Option<TrunkIx>),
}

/// The ways of one branch that were not tried yet.
#[derive(Debug)]
pub(crate) struct Ways {
    step: u16,
    branch: u16,
    left: VecDeque<Candidate>,
    /// The hop whose name is being looked up, and for which attempt.
    pub(super) asked: Option<(Hop, u16)>,
}

impl Ways {
    /// All ways of a branch. Peers of one priority are drawn by their weights.
    pub(super) fn of(
        core: &mut Core,
        (step, branch): (u16, u16),
        snapshot: &Snapshot,
        way: &Way<'_>,
    ) -> Ways {
        let mut left = VecDeque::new();
        match way {
            Way::Number(_, Some(forced)) => push_peers(core, snapshot, *forced, &mut left),
            Way::Number(number, None) => {
                for at in snapshot.carriers_of(*number) {
                    push_peers(core, snapshot, at, &mut left);
                }
            }
            Way::Uri(_, trunk) => left.push_back(Candidate::new(Hop::Uri(*trunk), None)),
            Way::Extension(_) | Way::Gone => {}
        }
        Ways { step, branch, left, asked: None }
    }

    /// Those of them that are meant.
    pub(super) fn only(mut self, means: impl Fn(Hop) -> bool) -> Ways {
        self.left.retain(|candidate| means(candidate.hop));
        self
    }

    /// Whether these are the ways of the branch at `place`.
    pub(super) fn is_of(&self, place: Place) -> bool {
        (self.step, self.branch) == (place.step, place.branch)
    }

    /// The next way. One that failed lately waits until all others were tried.
    pub(super) fn next(&mut self, core: &Core) -> Option<Candidate> {
        let now = core.io.now.mono;
        loop {
            let mut candidate = self.left.pop_front()?;
            let dead = candidate.target.is_some_and(|target| {
                core.dead.holds(now, target) || core.trunks.is_down(target.address)
            });
            if !dead || candidate.postponed {
                return Some(candidate);
            }
            candidate.postponed = true;
            self.left.push_back(candidate);
        }
    }

    /// Whether another way is left.
    pub(super) fn has_more(&self) -> bool {
        !self.left.is_empty()
    }

    /// Puts the addresses of a hop first.
    pub(super) fn put_first(&mut self, hop: Hop, targets: &[Target]) {
        for target in targets.iter().rev() {
            self.left.push_front(Candidate::new(hop, Some(*target)));
        }
    }
}

impl Candidate {
    fn new(hop: Hop, target: Option<Target>) -> Candidate {
        Candidate { hop, target, postponed: false }
    }
}

fn push_peers(core: &mut Core, snapshot: &Snapshot, at: TrunkIx, left: &mut VecDeque<Candidate>) {
    let trunk = snapshot.trunk(at);
    let peers: Vec<(u16, u32, u16)> = (0..)
        .zip(&trunk.peers)
        .map(|(place, peer)| (place, u32::from(peer.priority), peer.weight))
        .collect();
    for (place, ..) in in_order(peers, &mut core.io.rng, |(_, rank, weight)| (*rank, *weight)) {
        let target = trunk.peers.get(usize::from(place)).and_then(|peer| peer.target());
        left.push_back(Candidate::new(Hop::Peer(at, place), target));
    }
}
