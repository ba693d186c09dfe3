//! How the rest of the process reaches the engine's thread.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use tensou_engine::route::Snapshot;
use tensou_engine::{OperatorCommand, ResolveId, ResolvedTarget};

use crate::sys::Waker;

/// Messages that may wait; the engine looks at least every millisecond under load, so this many
/// are only reached when it hangs.
const ROOM: usize = 1_024;

/// What the engine's thread is told.
#[derive(Debug)]
pub(crate) enum Control {
    /// An operator's command.
    Command(OperatorCommand),
    /// New provisioning.
    Snapshot(Arc<Snapshot>),
    /// A name was looked up.
    Resolved {
        /// The question.
        query: ResolveId,
        /// The answer.
        targets: Vec<ResolvedTarget>,
    },
    /// Send what is waiting and end.
    Stop,
}

/// The engine's thread has ended, or does not read any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EngineGone;

impl std::fmt::Display for EngineGone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the engine does not take commands")
    }
}

impl std::error::Error for EngineGone {}

/// A handle to the engine's thread.
#[derive(Clone, Debug)]
pub(crate) struct EngineHandle {
    queue: SyncSender<Control>,
    waker: Arc<Waker>,
}

/// A new control queue and its reading end.
pub(super) fn control_queue(waker: Arc<Waker>) -> (EngineHandle, Receiver<Control>) {
    let (queue, receiver) = sync_channel(ROOM);
    (EngineHandle { queue, waker }, receiver)
}

impl EngineHandle {
    /// Passes `control` on and wakes the thread. Never waits.
    pub(crate) fn send(&self, control: Control) -> Result<(), EngineGone> {
        let sent = self.queue.try_send(control);
        self.waker.wake();
        sent.map_err(|error| {
            if matches!(error, TrySendError::Full(_)) {
                tracing::error!("the engine has not read its {ROOM} last commands");
            }
            EngineGone
        })
    }

    /// Makes the thread look at its queues.
    pub(crate) fn wake(&self) {
        self.waker.wake();
    }

    /// An operator's command.
    pub(crate) fn command(&self, command: OperatorCommand) -> Result<(), EngineGone> {
        self.send(Control::Command(command))
    }
}
