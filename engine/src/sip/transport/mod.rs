//! Rules of transports: how messages stand in a stream, and which address a request goes to.

mod dead;
pub mod framing;
mod target;

pub(crate) use dead::DeadTargets;
pub use target::{Question, ResolvedTarget};
pub(crate) use target::{Target, in_order, is_internal, ordered};

/// RFC 3261 18.1.1: a request within 200 bytes of the path's MTU goes by a transport with
/// congestion control; where the MTU is not known, a larger one than this.
pub(crate) const LARGEST_DATAGRAM: usize = 1_300;
