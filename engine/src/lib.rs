//! The call engine: a function of (state, time, input).
//!
//! # Drive contract
//!
//! Give it [`Engine::handle`]`(now, input)`, one input or all that have gathered, drain
//! [`Engine::poll_output`] until it returns `None`, carry the outputs out in order, then sleep
//! until [`Engine::poll_timeout`] or the next input. Spurious wake-ups are no-ops; `now.mono` never goes back. Nothing else enters or
//! leaves, so a recorded list of inputs replays bit for bit.
#![forbid(unsafe_code)]

pub mod arena;
mod call;
mod cause;
mod cdr;
mod claims;
mod config;
mod connections;
mod core;
mod counters;
mod engine;
mod event;
#[cfg(debug_assertions)]
mod faithful;
#[doc(hidden)]
pub mod fuzz;
mod hunt;
mod id;
mod input;
mod io;
pub mod journal;
mod load;
pub mod media;
mod phones;
pub mod plan;
mod refusals;
mod register;
mod requests;
mod restore;
pub mod rng;
pub mod route;
pub mod sdp;
mod secret;
pub mod sip;
mod time;
mod timer;
mod transfers;
mod trunk;
mod trunks;
mod usage;
pub mod wheel;

pub use cdr::{
    CallResult, Caller, CallerClass, Cdr, CdrLeg, Direction, EndedBy, LegMedia, MediaDirection,
};
pub use config::{
    ContactLimit, DigestOffer, EngineConfig, Limits, Listener, MediaConfig, UnknownPeer,
};
pub use counters::Counters;
pub use engine::Engine;
pub use event::{CallStarted, Event, TrunkFigures, TrunkState};
pub use id::{CallId, Key, LegNumber};
pub use input::{Flow, Input, ListenerId, OperatorCommand, Output, ResolveId, Transport};
pub use secret::Secret;
pub use sip::transport::{Question, ResolvedTarget};
pub use time::{Now, Timestamp, WallTime};
