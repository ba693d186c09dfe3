//! The service manager's watchdog (`WatchdogSec=`): it hears of us while the engine's thread works.

use std::sync::Arc;

use sd_notify::NotifyState;

use crate::gauges::Gauges;
use crate::handover::tell;

/// Runs until it is aborted; at once over when the service manager wants to hear nothing.
pub(crate) async fn keep_alive(gauges: Arc<Gauges>) {
    let Some(patience) = sd_notify::watchdog_enabled() else { return };
    let mut looks = tokio::time::interval(patience / 3);
    let mut seen = None;
    loop {
        looks.tick().await;
        let copies = Some(gauges.copies());
        if std::mem::replace(&mut seen, copies) != copies {
            tell(NotifyState::Watchdog);
        }
    }
}
