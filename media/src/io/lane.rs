//! The owner's end of a worker: its ring, its slots, its epoll instance.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use rtrb::{Consumer, Producer, RingBuffer};

use super::RelayConfig;
use super::shared::WorkerStats;
use super::sys::{Epoll, Wake};
use super::worker::{Order, Table, WAKE_TOKEN, Worker, spawn};
use crate::value::Event;

/// Orders in flight to one worker: 600 calls set up or ended at once. A packet wakes the worker
/// anyway; only a relay of silent calls lets orders pile up.
const RING: usize = 4096;

/// After so many orders the worker is woken even if no packet does: a quarter of the ring, so
/// that it never fills while the worker gets to run at all.
const WAKE_EVERY: usize = RING / 4;

/// Reports of one worker in flight; more wait for the next scan.
const EVENT_RING: usize = 1024;

/// What all workers are given alike.
pub(super) struct Common {
    pub(super) owner: Arc<Wake>,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) epoch: Instant,
}

pub(super) struct Lane {
    pub(super) epoll: Arc<Epoll>,
    pub(super) stats: Arc<WorkerStats>,
    pub(super) events: Consumer<Event>,
    /// Sessions open now.
    pub(super) sessions: usize,
    wake: Arc<Wake>,
    orders: Producer<Order>,
    /// Orders that found the ring full, oldest in front. The owner never waits for a worker.
    backlog: VecDeque<Order>,
    backlogged: Arc<AtomicBool>,
    since_wake: usize,
    free_slots: Vec<u32>,
    next_slot: u32,
    thread: Option<JoinHandle<()>>,
}

impl Lane {
    pub(super) fn start(number: usize, config: &RelayConfig, common: &Common) -> io::Result<Lane> {
        let epoll = Arc::new(Epoll::new()?);
        let wake = Arc::new(Wake::new()?);
        epoll.add(wake.as_raw_fd(), WAKE_TOKEN)?;
        let (orders, orders_out) = RingBuffer::new(RING);
        let (events_in, events) = RingBuffer::new(EVENT_RING);
        let stats = Arc::new(WorkerStats::default());
        let backlogged = Arc::new(AtomicBool::new(false));
        let pairs = config.pairs();
        let worker = Worker {
            epoll: Arc::clone(&epoll),
            wake: Arc::clone(&wake),
            orders: orders_out,
            backlogged: Arc::clone(&backlogged),
            events: events_in,
            owner: Arc::clone(&common.owner),
            stats: Arc::clone(&stats),
            stop: Arc::clone(&common.stop),
            table: Table::new(pairs * 2, pairs / 2, config.listen.is_ipv6()),
            idle_timeout: config.idle_timeout,
            epoch: common.epoch,
        };
        Ok(Lane {
            epoll,
            stats,
            events,
            sessions: 0,
            wake,
            orders,
            backlog: VecDeque::new(),
            backlogged,
            since_wake: 0,
            free_slots: Vec::new(),
            next_slot: 0,
            thread: Some(spawn(number, worker)?),
        })
    }

    /// A slot for a new session. Orders to a slot keep their sequence, so one that was just
    /// freed may be used again at once.
    pub(super) fn take_slot(&mut self) -> u32 {
        self.sessions += 1;
        self.free_slots.pop().unwrap_or_else(|| {
            self.next_slot += 1;
            self.next_slot - 1
        })
    }

    /// The slot's session is closed.
    pub(super) fn free_slot(&mut self, slot: u32) {
        self.sessions -= 1;
        self.free_slots.push(slot);
    }

    /// Hands an order to the worker. Returns false if it has to wait for room in the ring.
    pub(super) fn send(&mut self, order: Order) -> bool {
        self.backlog.push_back(order);
        let delayed = !self.flush();
        self.since_wake += 1;
        if delayed || self.since_wake >= WAKE_EVERY {
            self.since_wake = 0;
            self.wake.wake();
        }
        !delayed
    }

    /// Moves waiting orders into the ring; true when none is left.
    pub(super) fn flush(&mut self) -> bool {
        while let Some(order) = self.backlog.pop_front() {
            if let Err(rtrb::PushError::Full(order)) = self.orders.push(order) {
                self.backlog.push_front(order);
                // The worker tells when it has made room.
                self.backlogged.store(true, Ordering::Release);
                return false;
            }
        }
        true
    }

    /// Wakes the worker, which has been told to stop, and waits for its end.
    pub(super) fn join(&mut self) {
        self.wake.wake();
        if let Some(thread) = self.thread.take() {
            // A worker survives its panics, so the result says nothing that is not counted.
            let _ = thread.join();
        }
    }
}
