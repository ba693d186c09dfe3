//! The witness: rebuilds every call from the packets of both its legs, and from nothing else,
//! and holds the call records against it.
//!
//! It shares no code with the engine, nor with the simulated phones: it reads SIP with a reader
//! of its own, takes times from the kernel's packet stamps, and knows of the server only where
//! it listens. The two legs of a call are put together by `User-to-User`, which passes across
//! and which every simulated caller sets; without it by the caller's number.
//!
//! What it cannot see: messages inside TLS, fragments of an IP packet after the first, and
//! packets that the kernel dropped because the witness was too slow, which it counts.

mod calls;
mod capture;
mod compare;
mod numbers;
mod packet;
mod pairing;
mod rebuild;
mod record;
mod recording;
mod sip;
mod stream;
mod verdict;
mod watch;

#[cfg(test)]
mod tests;

pub use calls::{Answer, Call, Ending, Fate, Leg};
pub use capture::Capture;
pub use compare::compare;
pub use numbers::e164;
pub use packet::Sighting;
pub use rebuild::rebuild;
pub use record::{Record, RecordLeg};
pub use recording::Recording;
pub use verdict::{Finding, Kind, Verdict};
pub use watch::Watch;

/// Microseconds since 1970 by the kernel's clock.
pub type Micros = u64;
