//! The simulation: the real engine under virtual time, a network that loses, doubles and
//! reorders, and phones, trunks and a relay that share nothing with it.
//!
//! `scenario` tells single calls in fine weather, one behaviour each. `random` lets thousands of
//! calls run into bad weather; `check` watches both and knows nothing of either.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test: what cannot happen stops it, and its seed comes from the environment"
)]

mod check;
mod due;
mod guard;
mod office;
mod phone;
mod random;
mod relay;
mod rng;
mod scenario;
mod session;
mod sim;
mod streams;
mod text;
mod ua;
mod world;
