//! The engine's counters as others read them: copied into atomics by the engine's thread.

use std::sync::atomic::{AtomicU64, Ordering};

use tensou_engine::Counters;

/// Whether a figure only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
}

/// One figure of the engine: its name after `tensou_`, what it is, and where it is read.
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) help: &'static str,
    read: fn(&Counters) -> u64,
    write: fn(&mut Counters, u64),
}

macro_rules! figures {
    ($($field:ident, $name:literal, $kind:ident, $help:literal;)+) => {
        /// Every figure, in the order in which `/metrics` shows them.
        pub(crate) const FIGURES: &[Figure] = &[$(Figure {
            name: $name,
            kind: Kind::$kind,
            help: $help,
            read: |counters| counters.$field,
            write: |counters, value| counters.$field = value,
        }),+];
    };
}

figures! {
    sip_received, "sip_received_total", Counter, "SIP messages received";
    sip_sent, "sip_sent_total", Counter, "SIP messages sent, retransmissions included";
    sip_retransmitted, "sip_retransmitted_total", Counter, "SIP retransmissions sent";
    sip_malformed, "sip_malformed_total", Counter, "messages that were no SIP or not understood";
    sip_unknown_peer, "sip_unknown_peer_total", Counter, "requests from addresses that are no trunk";
    sip_stray_responses, "sip_stray_responses_total", Counter, "responses without transaction";
    calls_started, "calls_started_total", Counter, "call attempts";
    calls_answered, "calls_answered_total", Counter, "call attempts that were answered";
    calls_ended, "calls_ended_total", Counter, "call attempts that have ended";
    talk_millis, "talk_milliseconds_total", Counter, "talking time of ended calls";
    calls_active, "calls_active", Gauge, "calls that exist now";
    refused_trunk_full, "refused_trunk_full_total", Counter, "calls refused by a full trunk";
    refused_did_busy, "refused_did_busy_total", Counter, "calls refused by a DID's cap";
    refused_overload, "refused_overload_total", Counter, "calls refused draining or overloaded";
    redirections_followed, "redirections_followed_total", Counter,
        "contacts of redirections that were called";
    redirections_refused, "redirections_refused_total", Counter,
        "contacts of redirections that nobody may be led to";
    auth_failures, "auth_failures_total", Counter, "wrong credentials";
    registrations, "registrations", Gauge, "bindings of extensions now";
    media_ports_in_use, "media_ports_in_use", Gauge, "port pairs in use now";
    media_ports_reused_early, "media_ports_reused_early_total", Counter,
        "port pairs reused before their quiet time";
    media_ports_exhausted, "media_ports_exhausted_total", Counter, "calls refused for want of a port";
    channels_in_use, "channels_in_use", Gauge, "trunk channels in use now, over all trunks";
    trunks_watched, "trunks_watched", Gauge, "trunks registered at or asked whether they are alive";
    trunks_down, "trunks_down", Gauge, "trunks of these that are down now";
    calls_held, "calls_held", Gauge, "calls in memory now, those that wait for last answers too";
    calls_restored, "calls_restored_total", Counter, "calls that went on after a restart";
    journal_unreadable, "journal_unreadable_total", Counter, "journal images that could not be read";
    transactions, "transactions", Gauge, "SIP transactions now";
}

/// The last copy of the engine's counters.
#[derive(Debug)]
pub(crate) struct Gauges {
    values: Box<[AtomicU64]>,
    copies: AtomicU64,
}

impl Gauges {
    pub(crate) fn new() -> Self {
        let values = FIGURES.iter().map(|_| AtomicU64::new(0)).collect();
        Gauges { values, copies: AtomicU64::new(0) }
    }

    /// Takes a copy; called by the engine's thread alone.
    pub(crate) fn store(&self, counters: &Counters) {
        for (value, figure) in self.values.iter().zip(FIGURES) {
            value.store((figure.read)(counters), Ordering::Relaxed);
        }
        self.copies.fetch_add(1, Ordering::Relaxed);
    }

    /// How many copies were taken: it grows while the engine's thread works.
    pub(crate) fn copies(&self) -> u64 {
        self.copies.load(Ordering::Relaxed)
    }

    /// The last copy.
    pub(crate) fn load(&self) -> Counters {
        let mut counters = Counters::default();
        for (value, figure) in self.values.iter().zip(FIGURES) {
            (figure.write)(&mut counters, value.load(Ordering::Relaxed));
        }
        counters
    }

    /// Name, kind, help and value of each figure.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&'static Figure, u64)> {
        FIGURES
            .iter()
            .zip(&self.values)
            .map(|(figure, value)| (figure, value.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_of_the_engine_is_a_figure() {
        let fields = std::mem::size_of::<Counters>() / std::mem::size_of::<u64>();
        assert_eq!(FIGURES.len(), fields);
    }

    #[test]
    fn what_is_stored_is_loaded() {
        let mut counters = Counters::default();
        for (value, figure) in (1..).zip(FIGURES) {
            (figure.write)(&mut counters, value);
        }
        let gauges = Gauges::new();
        gauges.store(&counters);
        assert_eq!(gauges.load(), counters);
        assert!(gauges.rows().map(|(_, value)| value).eq(1..=FIGURES.len() as u64));
    }
}
