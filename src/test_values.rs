//! Values for the tests of this crate.

use tensou_engine::{Event, Key};

/// An event that tells itself apart by `in_use`.
pub(crate) fn event(in_use: u32) -> Event {
    Event::TrunkChannels { trunk: Key::from("t"), in_use, limit: 23 }
}
