//! Promises, each watched from outside by its own checker. None of them knows what scenario is
//! played.

mod connected;
mod finals;
mod media;
mod outlive;
mod quiet;
mod records;
mod requests;
mod responses;
mod tape;
mod trace;
mod views;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tensou_engine::media::{MediaCommand, MediaEvent};
use tensou_engine::{Cdr, Counters, Event};

use crate::text::Msg;
use crate::ua::Ua;

pub(crate) use tape::{Sent, Tape};

/// The world when everything should be over.
pub(crate) struct End<'a> {
    pub(crate) now: u64,
    pub(crate) calls_held: usize,
    pub(crate) next_wake: Option<u64>,
    pub(crate) counters: Counters,
    pub(crate) uas: &'a BTreeMap<String, Ua>,
    pub(crate) cdrs: &'a [Cdr],
    /// How often the engine died: its counters are those of its last life.
    pub(crate) deaths: u64,
}

/// One promise. A broken one panics.
pub(crate) trait Check {
    fn engine_heard(&mut self, _now: u64, _from: SocketAddr, _msg: &Msg) {}
    fn engine_sent(&mut self, _now: u64, _to: SocketAddr, _msg: &Msg) {}
    fn media(&mut self, _now: u64, _command: MediaCommand) {}
    fn media_said(&mut self, _now: u64, _event: MediaEvent) {}
    fn event(&mut self, _now: u64, _event: &Event) {}
    fn record(&mut self, _now: u64, _cdr: &Cdr) {}
    /// The engine has said all that it had to say.
    fn silent(&mut self) {}
    /// The engine and the relay were killed and started anew.
    fn died(&mut self) {}
    fn finish(&mut self, _end: &End<'_>) {}
}

pub(crate) fn all() -> Vec<Box<dyn Check>> {
    vec![
        // First, so that it tells what the others will not have.
        Box::new(trace::Trace::wanted()),
        Box::new(connected::Connected::default()),
        Box::new(finals::Finals::default()),
        Box::new(media::Media::default()),
        Box::new(outlive::Outlive::default()),
        Box::new(quiet::Quiet),
        Box::new(records::Records::default()),
        Box::new(requests::Requests::default()),
        Box::new(responses::Responses::default()),
        Box::new(views::Views),
    ]
}
