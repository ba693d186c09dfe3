//! What every layer of the engine needs of one step: the time, the outbox, timers, randomness.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::counters::Counters;
use crate::event::Event;
use crate::input::{Flow, Output};
use crate::journal::{Notes, Pen, Record};
use crate::media::MediaCommand;
use crate::rng::Rng;
use crate::time::Now;
use crate::timer::TimerKey;
use crate::wheel::{TimerId, Wheel};

/// Capacity of the buffer messages are built in: larger than any SIP datagram we send.
const SCRATCH: usize = 4096;

/// Pages of records that are kept for others: more than one batch of messages makes.
const PAGES: usize = 256;

/// The engine's connection to the outside, for the duration of one step.
pub(crate) struct Io {
    pub(crate) now: Now,
    pub(crate) outbox: VecDeque<Output>,
    /// What the relay is to do before anything else leaves.
    pub(crate) commands: VecDeque<MediaCommand>,
    /// What must be in the journal before anything in the outbox is carried out.
    pub(crate) journal: VecDeque<Record>,
    /// And after it, what needs no record of its own.
    pub(crate) notes: Notes,
    /// Pages of records that nobody needs any more.
    pages: Vec<Box<Pen>>,
    pub(crate) wheel: Wheel<TimerKey>,
    pub(crate) counters: Counters,
    pub(crate) rng: Rng,
    /// Messages are built here and leave as one copy.
    pub(crate) scratch: Vec<u8>,
}

impl Io {
    pub(crate) fn new(seed: u64) -> Io {
        Io {
            now: Now::default(),
            outbox: VecDeque::new(),
            commands: VecDeque::new(),
            journal: VecDeque::new(),
            notes: Notes::default(),
            pages: Vec::new(),
            wheel: Wheel::new(),
            counters: Counters::default(),
            rng: Rng::new(seed),
            scratch: Vec::with_capacity(SCRATCH),
        }
    }

    /// Sends a message for the first time.
    pub(crate) fn transmit(&mut self, flow: Flow, bytes: Arc<[u8]>) {
        self.counters.sip_sent += 1;
        self.outbox.push_back(Output::Transmit { flow, bytes });
    }

    /// Sends a message again.
    pub(crate) fn retransmit(&mut self, flow: Flow, bytes: Arc<[u8]>) {
        self.counters.sip_retransmitted += 1;
        self.transmit(flow, bytes);
    }

    /// A pen for the next record.
    pub(crate) fn pen(&mut self) -> Box<Pen> {
        self.pages.pop().unwrap_or_else(Pen::new)
    }

    /// What the pen has written is a record.
    pub(crate) fn keep(&mut self, pen: Box<Pen>) {
        self.journal.push_back(Record::of(pen));
    }

    /// A record is needed no more: its page is used for another one.
    pub(crate) fn reuse(&mut self, record: Record) {
        if self.pages.len() < PAGES {
            self.pages.push(record.blank());
        }
    }

    /// Builds a message in the scratch buffer and gives it out as one allocation.
    pub(crate) fn compose(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Arc<[u8]> {
        self.scratch.clear();
        write(&mut self.scratch);
        Arc::from(&*self.scratch)
    }

    pub(crate) fn arm(&mut self, after: Duration, key: TimerKey) -> TimerId {
        self.wheel.arm(self.now.mono + after, key)
    }

    pub(crate) fn disarm(&mut self, timer: Option<TimerId>) {
        if let Some(timer) = timer {
            self.wheel.cancel(timer);
        }
    }

    pub(crate) fn media(&mut self, command: MediaCommand) {
        self.commands.push_back(command);
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.outbox.push_back(Output::Event(event));
    }
}
