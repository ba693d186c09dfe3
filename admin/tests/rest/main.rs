//! REST driven in the test's own process.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test may fail loudly, and nobody links to it"
)]

mod access;
mod calls;
mod documents;
mod people;
mod records;
mod serve;
mod world;
