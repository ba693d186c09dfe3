//! The way of events from the engine's thread to the live board. Events are news, not records:
//! when nobody keeps up they are dropped, and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tensou_admin::board::Board;
use tensou_engine::Event;

/// Events that fit between two looks: over a second of 4,000 calls/s with ten events each.
const RING: usize = 65_536;
/// Between two looks. A person sees no delay below this, and a thousand events cost one lock.
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// Events taken to the board under one lock.
const BATCH: usize = 4_096;

/// The engine's end.
pub(crate) struct EventSender {
    ring: rtrb::Producer<Event>,
    dropped: Arc<AtomicU64>,
}

/// The board's end.
pub(crate) struct EventReceiver {
    ring: rtrb::Consumer<Event>,
    dropped: Arc<AtomicU64>,
}

/// Both ends of a new queue.
pub(crate) fn event_queue() -> (EventSender, EventReceiver) {
    queue_of(RING)
}

fn queue_of(ring: usize) -> (EventSender, EventReceiver) {
    let (producer, consumer) = rtrb::RingBuffer::new(ring);
    let dropped = Arc::new(AtomicU64::new(0));
    let sender = EventSender { ring: producer, dropped: Arc::clone(&dropped) };
    (sender, EventReceiver { ring: consumer, dropped })
}

impl EventSender {
    /// Passes an event on, if there is room.
    pub(crate) fn push(&mut self, event: Event) {
        if self.ring.push(event).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl EventReceiver {
    /// How many were dropped since the start.
    pub(crate) fn dropped(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.dropped)
    }

    /// Feeds `board` until the engine's end is gone and everything has been seen.
    pub(crate) async fn feed(mut self, board: Arc<Board>) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            looks.tick().await;
            let last = self.ring.is_abandoned();
            while self.take(&mut batch) {
                board.apply_all(&batch);
                batch.clear();
                tokio::task::yield_now().await;
            }
            if last {
                return;
            }
        }
    }

    fn take(&mut self, batch: &mut Vec<Event>) -> bool {
        while batch.len() < BATCH {
            let Ok(event) = self.ring.pop() else { break };
            batch.push(event);
        }
        !batch.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_values::event;

    #[test]
    fn events_beyond_the_ring_are_dropped_and_counted() {
        let (mut sender, mut receiver) = queue_of(3);
        for number in 0..5 {
            sender.push(event(number));
        }
        let mut got = Vec::new();
        assert!(receiver.take(&mut got));
        assert_eq!(got, [event(0), event(1), event(2)]);
        assert_eq!(receiver.dropped().load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn the_board_has_seen_everything_when_the_engine_is_gone() {
        let (mut sender, receiver) = queue_of(64);
        for number in 0..5 {
            sender.push(event(number));
        }
        drop(sender);
        let board = Arc::new(Board::new());
        receiver.feed(Arc::clone(&board)).await;
        assert_eq!(board.trunk("t").map(|trunk| trunk.in_use), Some(4));
    }
}
