//! Small changes of many calls in one record. By themselves they would cost as much as the image of
//! a leg, which is a hundred times as long as what they say.

use crate::id::CallId;

use super::{Kind, Names, Pen, Record, image};

/// The ACK to a 2xx of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Confirmed {
    pub(crate) call: CallId,
    pub(crate) leg: u16,
    /// Its CSeq number.
    pub(crate) seq: u32,
}

image!(struct Confirmed { call, leg, seq });

/// What the next record of this kind says.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// 2xx of ours that are not resent any more.
    pub(crate) confirmed: Vec<Confirmed>,
    /// Calls all of whose legs have ended, and of which the journal has all else.
    pub(crate) over: Vec<CallId>,
}

impl Notes {
    pub(crate) fn is_empty(&self) -> bool {
        self.confirmed.is_empty() && self.over.is_empty()
    }

    /// All of it, and none is left.
    pub(crate) fn record(&mut self, mut pen: Box<Pen>) -> Record {
        let names = &Names::default();
        Kind::Notes.begin(&mut pen);
        pen.put(&self.confirmed, names);
        pen.put(&self.over, names);
        self.confirmed.clear();
        self.over.clear();
        Record::of(pen)
    }
}
