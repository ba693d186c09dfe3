//! Reliable provisional answers (RFC 3262): those that we send to a caller, and the early dialogs
//! of callees with the order of theirs.

use std::sync::Arc;
use std::time::Duration;

use crate::sip::dialog::Dialog;
use crate::wheel::TimerId;

/// Provisional answers that wait for the PRACK of the one before; a phone that rings on needs
/// none of them.
pub(crate) const MAX_QUEUED: usize = 8;
/// Early dialogs of one branch: phones behind a fork. More is an attack.
pub(crate) const MAX_EARLY: usize = 8;

/// What a caller is told before the answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Progress {
    pub(crate) status: u16,
    pub(crate) sdp: Option<Arc<[u8]>>,
    /// Header lines that pass across, whole.
    pub(crate) extra: Box<[u8]>,
}

/// Reliable answers to a caller that wants them.
#[derive(Debug)]
pub(crate) struct Reliable {
    /// RSeq of the last one (RFC 3262 3: it rises by one).
    pub(crate) rseq: u32,
    pub(crate) waiting: Option<Unacknowledged>,
    /// RFC 3262 3: the next one waits for the PRACK of the first.
    pub(crate) queue: Vec<Progress>,
    /// The description of the last one that was acknowledged and had one: the session is agreed.
    pub(crate) answered: Option<Arc<[u8]>>,
}

/// A reliable answer without its PRACK, resent until it comes.
#[derive(Debug)]
pub(crate) struct Unacknowledged {
    pub(crate) rseq: u32,
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) sdp: Option<Arc<[u8]>>,
    pub(crate) interval: Duration,
    pub(crate) resend: Option<TimerId>,
    pub(crate) over: Option<TimerId>,
}

impl Reliable {
    /// `first` is the RSeq of the first answer.
    pub(crate) fn new(first: u32) -> Reliable {
        Reliable { rseq: first.saturating_sub(1), waiting: None, queue: Vec::new(), answered: None }
    }

    /// RFC 3262 3: no 2xx may go out while a description is unacknowledged.
    pub(crate) fn holds_answer(&self) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| waiting.sdp.is_some())
    }

    /// Keeps one for later. Ringing without a description is not told twice.
    pub(crate) fn enqueue(&mut self, progress: Progress) {
        let known = progress.sdp.is_none() && self.queue.last() == Some(&progress);
        if !known && self.queue.len() < MAX_QUEUED {
            self.queue.push(progress);
        }
    }
}

/// An early dialog that a callee's provisional answer made (RFC 3261 12.1).
#[derive(Debug)]
pub(crate) struct Early {
    pub(crate) tag: Box<str>,
    pub(crate) dialog: Dialog,
    /// RSeq of its last reliable answer.
    pub(crate) rseq: Option<u32>,
    /// The answer in one of them: a 2xx of this dialog need not bring it again.
    pub(crate) answer: Option<Box<[u8]>>,
    /// That answer came reliably: the session is agreed, and may be changed by UPDATE.
    pub(crate) agreed: bool,
}

/// What a provisional answer's RSeq is to its early dialog (RFC 3262 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rank {
    /// In order: PRACK is due.
    Next,
    /// Seen before, or out of order: neither acknowledged nor looked at.
    Stray,
}

impl Early {
    /// Takes note of a reliable answer.
    pub(crate) fn rank(&mut self, rseq: u32) -> Rank {
        match self.rseq {
            Some(last) if last.checked_add(1) != Some(rseq) => Rank::Stray,
            Some(_) | None => {
                self.rseq = Some(rseq);
                Rank::Next
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ringing_is_queued_once_and_not_without_end() {
        let mut reliable = Reliable::new(7);
        assert_eq!(reliable.rseq, 6);
        let ringing = Progress { status: 180, sdp: None, extra: Box::from([]) };
        reliable.enqueue(ringing.clone());
        reliable.enqueue(ringing);
        assert_eq!(reliable.queue.len(), 1);
        for status in 181..199 {
            reliable.enqueue(Progress { status, sdp: None, extra: Box::from([]) });
        }
        assert_eq!(reliable.queue.len(), MAX_QUEUED);
    }
}
