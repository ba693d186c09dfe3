//! A bad network between two network namespaces: loss in bursts, copies, wrong order, delay,
//! jitter, damage and outages, for any IP traffic. The kernel's own emulator is not on every
//! machine; this one needs only TUN devices, and root.
//!
//! [`Weather`] says how bad it is and may change while packets are under way; the seed makes the
//! same packets in the same order meet the same fate. What is under way is bounded, and the link
//! goes with its owner.

mod fate;
mod link;
mod netns;
mod tun;

pub use fate::Weather;
pub use link::{Counts, Link, Side, Statistics};
pub use netns::{Namespace, isolate};
