//! Which record belongs to which call.
//!
//! Two calls of one caller to one number that begin within a millisecond look alike but for how
//! long they last and how they end, so the pairs that suit each other best are made first.

use std::collections::BTreeMap;

use super::Micros;
use super::calls::{Call, Fate};
use super::numbers::e164;
use super::record::Record;

/// A call and a record of the same two numbers belong together when they began within this time.
const TOGETHER: Micros = 3_000_000;

/// The outcome of [`pair`].
pub(super) struct Pairs<'r> {
    /// The records of each call; more than one where a record has no call of its own.
    pub(super) of_call: Vec<Vec<&'r Record>>,
    /// Records of no call.
    pub(super) left: Vec<&'r Record>,
}

/// Calls, by their place, and records of one caller to one number.
type Group<'r> = (Vec<usize>, Vec<&'r Record>);

/// Finds each call's records: those of its two numbers.
pub(super) fn pair<'r>(calls: &[&Call], records: &'r [Record]) -> Pairs<'r> {
    let mut groups: BTreeMap<(String, String), Group<'r>> = BTreeMap::new();
    for (index, call) in calls.iter().enumerate() {
        groups.entry((call.caller.clone(), call.dialled.clone())).or_default().0.push(index);
    }
    let mut left = Vec::new();
    for record in records {
        let did = record.did.clone().unwrap_or_default();
        let called = match record.direction.as_str() {
            // A phone's call: known by what it dialled, its number is another one on the wire.
            "out" => record.legs.first().map(|leg| e164(&leg.dialled)).unwrap_or(did),
            _ => did,
        };
        match groups.get_mut(&(record.caller.clone(), called.clone())) {
            Some((_, group)) => group.push(record),
            None if record.direction == "out" => {
                let group = groups.iter_mut().find(|((_, dialled), _)| *dialled == called);
                match group {
                    Some((_, (_, group))) => group.push(record),
                    None => left.push(record),
                }
            }
            None => left.push(record),
        }
    }
    let of_call = calls.iter().map(|_| Vec::new()).collect();
    let mut pairs = Pairs { of_call, left };
    for group in groups.into_values() {
        pairs.take(calls, group);
    }
    pairs
}

impl<'r> Pairs<'r> {
    /// Pairs calls and records of the same two numbers.
    fn take(&mut self, calls: &[&Call], (mut indices, group): Group<'r>) {
        let mut group: Vec<(Micros, &Record)> =
            group.into_iter().map(|record| (record.began(), record)).collect();
        group.sort_by_key(|(began, _)| *began);
        indices.sort_by_key(|index| calls[*index].invited_at);
        let mut in_order = indices.iter().zip(&group);
        let elsewhen =
            in_order.any(|(at, (began, _))| calls[*at].invited_at.abs_diff(*began) >= TOGETHER);
        if indices.len() == 1 || (indices.len() == group.len() && elsewhen) {
            // Whatever the server's clock said.
            let last = indices.len() - 1;
            for (at, (_, record)) in group.into_iter().enumerate() {
                self.of_call[indices[at.min(last)]].push(record);
            }
            return;
        }
        let mut suiting: Vec<(Micros, usize, usize)> = Vec::new();
        for (at, (began, record)) in group.iter().enumerate() {
            let first = indices.partition_point(|it| calls[*it].invited_at + TOGETHER <= *began);
            let near = indices[first..].iter();
            let near = near.take_while(|index| calls[**index].invited_at < *began + TOGETHER);
            suiting.extend(near.map(|index| (unlike(calls[*index], *began, record), *index, at)));
        }
        suiting.sort_unstable();
        let mut placed = vec![false; group.len()];
        for (_, index, at) in &suiting {
            if !placed[*at] && self.of_call[*index].is_empty() {
                placed[*at] = true;
                self.of_call[*index].push(group[*at].1);
            }
        }
        for (at, (_, record)) in group.iter().enumerate().filter(|(at, _)| !placed[*at]) {
            // The best of those that have one already.
            match suiting.iter().find(|(_, _, other)| *other == at) {
                Some((_, index, _)) => self.of_call[*index].push(record),
                None => self.left.push(record),
            }
        }
    }
}

/// How ill a record suits a call: by beginning, duration and result.
fn unlike(call: &Call, began: Micros, record: &Record) -> Micros {
    let recorded = record.duration_ms * 1000;
    let duration = call.talked().map_or(0, |(shortest, longest)| {
        // Records are cut to the millisecond.
        shortest.saturating_sub(recorded + 1000).max(recorded.saturating_sub(longest))
    });
    let result = match call.fate {
        Fate::Answered { .. } => record.result == "answered",
        Fate::Refused { .. } => record.result != "answered",
        Fate::Unheard | Fate::Challenged | Fate::Standing => false,
    };
    let result = if result { 0 } else { TOGETHER };
    call.invited_at.abs_diff(began) + duration + result
}
