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
                batch.iter().for_each(log);
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

/// What an operator's log watchers look for. A user name is whatever a stranger wrote: it stands
/// quoted and escaped, so that it neither begins a line nor moves the cursor.
fn log(event: &Event) {
    if let Event::AuthenticationFailed { user, source, tries, users, sources } = event {
        tracing::warn!(%source, ?user, tries, users, sources, "wrong SIP passwords");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::Mutex;

    /// A log in memory.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_a_guesser_writes_is_one_line_of_the_log_in_either_format() {
        for json in [false, true] {
            let lines = Lines::default();
            let writer = lines.clone();
            let log =
                tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone());
            let user = "101\r\nWARN forged: line \u{1b}[2J\u{7f}\u{85}\u{2028}".to_owned();
            let source = "203.0.113.66:5060".parse().unwrap();
            let event =
                Event::AuthenticationFailed { user, source, tries: 7, users: 1, sources: 1 };
            let run = || super::log(&event);
            match json {
                true => tracing::subscriber::with_default(log.json().finish(), run),
                false => tracing::subscriber::with_default(log.finish(), run),
            }
            let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
            assert_eq!(text.lines().count(), 1, "{text}");
            let moves = |ch: char| ch.is_control() || matches!(ch, '\u{2028}' | '\u{2029}');
            assert!(!text.trim_end().contains(moves), "{text:?}");
            assert!(text.contains("203.0.113.66:5060") && text.contains('7'), "{text}");
        }
    }
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
