//! Records of the journal.

use std::fmt;
use std::ops::Deref;

use super::Pen;

/// A record: the page that it was written on.
pub struct Record(Box<Pen>);

impl Record {
    /// What a pen has written.
    pub(crate) fn of(mut pen: Box<Pen>) -> Record {
        pen.finish();
        Record(pen)
    }

    /// The page for another one.
    pub(crate) fn blank(self) -> Box<Pen> {
        let Record(mut pen) = self;
        pen.clear();
        pen
    }
}

impl Deref for Record {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.written()
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a record of {} bytes", self.len())
    }
}
