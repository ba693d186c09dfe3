//! The phases of a call, each in its file.

mod admit;
mod answer;
mod dial;
mod early;
mod exchange;
mod offer;
mod prack;
mod refresh;
mod release;
mod resume;
mod talk;

pub(crate) use admit::Begin;
pub(crate) use answer::end_orphan;
