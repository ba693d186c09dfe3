//! The way of call records from the engine's thread to the writer: a ring that neither side
//! waits for, and behind it, on the engine's side, as much room as it takes. No record is ever
//! dropped here.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tensou_engine::Cdr;

/// Records that fit between two looks of the writer: half a minute of 2,000 calls/s.
const RING: usize = 65_536;

/// Records waiting in both, for the alarm and for metrics.
#[derive(Clone, Debug, Default)]
pub(crate) struct Backlog(Arc<AtomicU64>);

impl Backlog {
    pub(crate) fn len(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// `count` records have been stored.
    pub(crate) fn stored(&self, count: usize) {
        self.0.fetch_sub(count as u64, Ordering::Relaxed);
    }
}

/// The engine's end.
pub(crate) struct CdrSender {
    ring: rtrb::Producer<Box<Cdr>>,
    overflow: VecDeque<Box<Cdr>>,
    backlog: Backlog,
}

/// The writer's end.
pub(crate) struct CdrReceiver {
    ring: rtrb::Consumer<Box<Cdr>>,
    backlog: Backlog,
}

/// Both ends of a new queue.
pub(crate) fn cdr_queue() -> (CdrSender, CdrReceiver) {
    queue_of(RING)
}

fn queue_of(ring: usize) -> (CdrSender, CdrReceiver) {
    let (producer, consumer) = rtrb::RingBuffer::new(ring);
    let backlog = Backlog::default();
    let sender = CdrSender { ring: producer, overflow: VecDeque::new(), backlog: backlog.clone() };
    (sender, CdrReceiver { ring: consumer, backlog })
}

impl CdrSender {
    /// Takes a record.
    pub(crate) fn push(&mut self, cdr: Box<Cdr>) {
        self.backlog.0.fetch_add(1, Ordering::Relaxed);
        self.overflow.push_back(cdr);
        self.pump();
    }

    /// Moves records that found no room into the ring, oldest first.
    pub(crate) fn pump(&mut self) {
        while let Some(cdr) = self.overflow.pop_front() {
            if let Err(rtrb::PushError::Full(cdr)) = self.ring.push(cdr) {
                self.overflow.push_front(cdr);
                return;
            }
        }
    }

    /// What never found room, at the end of the engine's thread.
    pub(crate) fn into_overflow(self) -> VecDeque<Box<Cdr>> {
        self.overflow
    }
}

impl CdrReceiver {
    /// Moves waiting records to the end of `batch` until it holds `most`.
    pub(crate) fn take(&mut self, batch: &mut Vec<Cdr>, most: usize) {
        while batch.len() < most {
            let Ok(cdr) = self.ring.pop() else { return };
            batch.push(*cdr);
        }
    }

    pub(crate) fn backlog(&self) -> &Backlog {
        &self.backlog
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_values::cdr;

    #[test]
    fn records_come_out_in_order_and_none_is_lost_when_the_ring_is_full() {
        let (mut sender, mut receiver) = queue_of(4);
        for number in 0..10 {
            sender.push(Box::new(cdr(number)));
        }
        assert_eq!(receiver.backlog().len(), 10);
        let mut got = Vec::new();
        for _ in 0..4 {
            receiver.take(&mut got, 100);
            sender.pump();
        }
        let ids: Vec<u128> = got.iter().map(|cdr| cdr.id.0).collect();
        assert_eq!(ids, (0..10).collect::<Vec<u128>>());
        receiver.backlog().stored(got.len());
        assert_eq!(receiver.backlog().len(), 0);
    }

    #[test]
    fn what_found_no_room_is_handed_over_at_the_end() {
        let (mut sender, mut receiver) = queue_of(2);
        for number in 0..5 {
            sender.push(Box::new(cdr(number)));
        }
        let mut got = Vec::new();
        receiver.take(&mut got, 100);
        got.extend(sender.into_overflow().into_iter().map(|cdr| *cdr));
        assert_eq!(got.len(), 5);
    }

    #[test]
    fn a_batch_is_no_longer_than_asked() {
        let (mut sender, mut receiver) = queue_of(8);
        for number in 0..5 {
            sender.push(Box::new(cdr(number)));
        }
        let mut got = Vec::new();
        receiver.take(&mut got, 3);
        assert_eq!(got.len(), 3);
    }
}
