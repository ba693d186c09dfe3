//! The phases of a call, each in its file.

mod admit;
mod answer;
mod challenged;
mod dial;
mod early;
mod exchange;
mod offer;
mod prack;
mod refer;
mod refresh;
mod release;
mod resume;
mod talk;
mod transfer;

pub(crate) use admit::Begin;
pub(crate) use answer::end_orphan;
pub(in crate::call) use dial::{Hop, Redirected, Ways};
pub(crate) use refer::{Referred, Replaced};
