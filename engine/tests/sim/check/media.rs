//! The relay is asked for each session once, in order, and gets it back.

use std::collections::BTreeMap;

use tensou_engine::media::{MediaCommand, MediaEvent, PortPair, SessionId};

use super::{Check, End};

#[derive(Debug, Default)]
pub(super) struct Media {
    open: BTreeMap<SessionId, (PortPair, PortPair)>,
    closed: BTreeMap<SessionId, u64>,
    opened: u64,
}

impl Check for Media {
    fn media(&mut self, now: u64, command: MediaCommand) {
        match command {
            MediaCommand::Open { session, a, b } => {
                let taken = |pair: &PortPair| {
                    self.open.values().any(|(one, other)| one == pair || other == pair)
                };
                assert!(a != b && !taken(&a) && !taken(&b), "a port serves twice at {now}");
                assert!(
                    self.open.insert(session, (a, b)).is_none()
                        && !self.closed.contains_key(&session)
                );
                self.opened += 1;
            }
            MediaCommand::Close { session } => {
                assert!(self.open.remove(&session).is_some(), "closed twice at {now}");
                self.closed.insert(session, now);
            }
            MediaCommand::SetRemote { session, .. }
            | MediaCommand::ClearRemote { session, .. }
            | MediaCommand::WatchIdle { session, .. } => {
                assert!(self.open.contains_key(&session), "{command:?} at {now} without a session");
            }
        }
    }

    fn media_said(&mut self, now: u64, event: MediaEvent) {
        // What could not be bound was never open; the engine may have closed it meanwhile.
        if let MediaEvent::OpenFailed { session } = event {
            self.open.remove(&session);
            self.closed.insert(session, now);
        }
    }

    fn died(&mut self) {
        // The relay forgot what it had refused or closed, too.
        self.opened -= (self.open.len() + self.closed.len()) as u64;
        self.open.clear();
        self.closed.clear();
    }

    fn finish(&mut self, _end: &End<'_>) {
        assert!(self.open.is_empty(), "never closed: {:?}", self.open);
        assert_eq!(self.opened as usize, self.closed.len());
    }
}
