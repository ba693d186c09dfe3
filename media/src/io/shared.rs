//! What a worker shows to others: plain atomics, each with one writer, read at any time.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use crate::value::{Side, SideCounters};

/// The part of a session that its worker and its owner both see.
#[derive(Debug, Default)]
pub(super) struct SharedSession {
    /// Set by the owner: from then on no packet is relayed, even before the worker has read the
    /// order to close.
    closed: AtomicBool,
    sides: [SharedSide; 2],
}

#[derive(Debug, Default)]
struct SharedSide {
    packets: AtomicU64,
    lost: AtomicU64,
    strangers: AtomicU64,
    jitter_ms_bits: AtomicU32,
}

impl SharedSession {
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Worker only.
    pub(super) fn publish(&self, side: Side, counters: SideCounters) {
        let shared = &self.sides[side.index()];
        shared.packets.store(counters.packets, Ordering::Relaxed);
        shared.lost.store(counters.lost, Ordering::Relaxed);
        shared.strangers.store(counters.strangers, Ordering::Relaxed);
        shared.jitter_ms_bits.store(counters.jitter_ms.to_bits(), Ordering::Relaxed);
    }

    pub(super) fn read(&self, side: Side) -> SideCounters {
        let shared = &self.sides[side.index()];
        SideCounters {
            packets: shared.packets.load(Ordering::Relaxed),
            lost: shared.lost.load(Ordering::Relaxed),
            jitter_ms: f32::from_bits(shared.jitter_ms_bits.load(Ordering::Relaxed)),
            strangers: shared.strangers.load(Ordering::Relaxed),
        }
    }
}

/// What one worker has done so far.
#[derive(Debug, Default)]
pub(super) struct WorkerStats {
    pub(super) packets: Tally,
    pub(super) bytes: Tally,
    pub(super) strangers: Tally,
    pub(super) unwanted: Tally,
    pub(super) floods: Tally,
    pub(super) send_errors: Tally,
    pub(super) panics: Tally,
}

/// A count with a single writer.
#[derive(Debug, Default)]
pub(super) struct Tally(AtomicU64);

impl Tally {
    /// The one writer only: a load and a store, without the bus lock of an atomic addition.
    pub(super) fn add(&self, amount: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }

    pub(super) fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The relay's counters since it started, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelayStats {
    /// Packets relayed, RTCP and fax included.
    pub packets: u64,
    /// Their payload bytes.
    pub bytes: u64,
    /// Packets that came from elsewhere than a side's phone, dropped.
    pub strangers: u64,
    /// Packets dropped without suspicion: before a phone is known, on hold, after the call.
    pub unwanted: u64,
    /// Packets over the rate that one phone may send at, dropped.
    pub floods: u64,
    /// Packets that the system would not send.
    pub send_errors: u64,
    /// Times a worker panicked and went on. Anything but 0 is a bug.
    pub worker_panics: u64,
    /// Sessions open now.
    pub sessions: usize,
    /// Sockets bound, in use or not; bounded by the range of ports.
    pub sockets: usize,
    /// Ports that could not be bound.
    pub bind_failures: u64,
    /// Orders that had to wait because a worker's ring was full.
    pub orders_delayed: u64,
}
