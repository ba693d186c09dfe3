//! The engine as the node holds it: draining and ending it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tensou_engine::OperatorCommand;
use tokio::sync::oneshot;

use crate::engine_thread::{Control, EngineThread};
use crate::gauges::Gauges;
use crate::media_link::MediaLink;

/// How often an ending node looks whether its calls are over.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Looks in a row without a call before the calls are over: the counters are copied every tenth
/// of a second.
const QUIET_LOOKS: u32 = 4;
/// How long calls that were hung up may take to be over: their BYEs are out at once, only a
/// lost one takes longer.
const HANG_UP_WAIT: Duration = Duration::from_secs(3);

/// The engine's thread and what is seen of its calls.
pub(super) struct Calls {
    pub(super) engine: EngineThread,
    pub(super) engine_ended: oneshot::Receiver<()>,
    pub(super) gauges: Arc<Gauges>,
    /// Set once no more calls are taken.
    pub(super) draining: Arc<AtomicBool>,
    /// How long running calls may go on then.
    pub(super) drain: Duration,
}

impl Calls {
    /// The voice sockets of all calls.
    pub(super) fn sockets(&self) -> usize {
        usize::try_from(self.gauges.load().media_ports_in_use * 2).unwrap_or(usize::MAX)
    }

    /// Returns when the engine's thread has ended.
    pub(super) async fn engine_ended(&mut self) {
        // Never sent, only dropped.
        let _dropped = (&mut self.engine_ended).await;
    }

    /// Takes no more calls and waits for the running ones; hangs up what is left.
    pub(super) async fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.command(OperatorCommand::Drain);
        tracing::info!("no more calls; waiting for {} to end", self.gauges.load().calls_active);
        if !self.over(self.drain).await {
            tracing::info!("hanging up the calls that are left");
            self.command(OperatorCommand::HangUpAll);
            self.over(HANG_UP_WAIT).await;
        }
    }

    /// Ends the thread; voice flows until what is returned is dropped.
    pub(super) async fn end(self) -> Option<MediaLink> {
        // A thread that has ended already needs no telling.
        let _gone = self.engine.handle.send(Control::Stop);
        let engine = self.engine;
        let joined = tokio::task::spawn_blocking(move || engine.join()).await;
        let media = joined.ok().flatten();
        if media.is_none() {
            tracing::error!("the engine's thread panicked");
        }
        media
    }

    fn command(&self, command: OperatorCommand) {
        // An engine that is gone has no calls.
        let _gone = self.engine.handle.command(command);
    }

    /// Waits until no call is left; false when some are left after `longest`.
    async fn over(&self, longest: Duration) -> bool {
        let begun = Instant::now();
        let mut looks = tokio::time::interval(LOOK_EVERY);
        let mut quiet = 0;
        while quiet < QUIET_LOOKS {
            if quiet == 0 && begun.elapsed() >= longest {
                return false;
            }
            looks.tick().await;
            quiet = if self.gauges.load().calls_active == 0 { quiet + 1 } else { 0 };
        }
        true
    }
}
