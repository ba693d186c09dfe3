//! The signals that end a process, or have it read its settings again.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Registered signal handlers.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    hand_over: Signal,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Ctrl-C or SIGTERM.
    Stop,
    /// SIGHUP.
    Reload,
    /// SIGUSR2.
    HandOver,
}

impl Signals {
    /// From now on the signals come here and do not end the process by themselves.
    pub(crate) fn register() -> io::Result<Self> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            hand_over: signal(SignalKind::user_defined2())?,
        })
    }

    /// The next signal.
    pub(crate) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.hangup.recv() => Asked::Reload,
            _ = self.hand_over.recv() => Asked::HandOver,
        }
    }

    /// The next signal that asks to stop.
    pub(crate) async fn stop(&mut self) {
        while self.next().await != Asked::Stop {}
    }
}
