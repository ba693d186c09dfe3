//! SIP user agents of their own: gateways, carriers and phones that signal with `rsip`, describe
//! sessions with `sdp` and talk with `rtp`. They share no code with the engine they call.
//!
//! A [`World`] holds any number of agents on one thread. Every call placed has a
//! [`CallScript`] that says what must become of it; every leg ends in a [`Report`].

mod callee;
mod caller;
mod core;
mod dialog;
mod digest;
mod inbox;
mod latency;
mod message;
mod offer;
mod population;
mod registration;
mod script;
mod switchboard;
mod voice;
mod world;

#[cfg(test)]
mod tests;

pub use digest::credentials;
pub use latency::Delays;
pub use population::{AgentId, Gateway, Phone};
pub use script::{Behaviour, CallScript, Expectation, Outcome, Report, Ringing, Side, Then};
pub use voice::Heard;
pub use world::World;
