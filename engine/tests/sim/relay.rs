//! The relay as the engine sees it: it answers `Close`, refuses an `Open` now and then, and
//! tells when a watched session has gone silent.

use std::collections::BTreeMap;
use std::time::Duration;

use tensou_engine::media::{MediaCommand, MediaEvent, Remote, SessionId, SideCounters};

/// A session of the relay.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    pub(crate) watched: bool,
    pub(crate) failed: bool,
    pub(crate) closed: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Relay {
    pub(crate) sessions: BTreeMap<SessionId, Opened>,
    /// Where it was told to send, in order.
    pub(crate) remotes: Vec<Remote>,
    /// Of a hundred ports, so many cannot be bound.
    pub(crate) refuses: u64,
    /// Milliseconds that the last counters take.
    pub(crate) slow: Duration,
}

/// What a phone sent, in every session: recognisable in the record.
pub(crate) fn counters(packets: u64) -> SideCounters {
    SideCounters { packets, ..SideCounters::default() }
}

impl Relay {
    /// Carries a command out; `dice` are below 100. Gives what it will say, and when.
    pub(crate) fn obey(
        &mut self,
        command: MediaCommand,
        dice: u64,
    ) -> Option<(Duration, MediaEvent)> {
        match command {
            MediaCommand::Open { session, .. } => {
                let failed = dice < self.refuses;
                self.sessions.insert(session, Opened { failed, ..Opened::default() });
                failed.then_some((self.slow, MediaEvent::OpenFailed { session }))
            }
            MediaCommand::Close { session } => {
                let opened = self.sessions.get_mut(&session)?;
                opened.closed = true;
                let said = MediaEvent::Closed { session, a: counters(11), b: counters(22) };
                (!opened.failed).then_some((self.slow, said))
            }
            MediaCommand::WatchIdle { session, on } => {
                if let Some(opened) = self.sessions.get_mut(&session) {
                    opened.watched = on;
                }
                None
            }
            MediaCommand::SetRemote { remote, .. } => {
                self.remotes.push(remote);
                None
            }
            MediaCommand::ClearRemote { .. } => None,
        }
    }

    /// Sessions that would notice silence.
    pub(crate) fn watched(&self) -> Vec<SessionId> {
        let open = self.sessions.iter().filter(|(_, one)| one.watched && !one.closed);
        open.map(|(session, _)| *session).collect()
    }
}
