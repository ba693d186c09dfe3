//! A slow machine for one process: it is stopped for most of the time.
//!
//! On a machine that the callers share with the server, the callers are what gives in first. A
//! server that runs for a tenth of the time is overloaded by callers that hardly notice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// One turn: short beside the lateness that a server tolerates.
const TURN: Duration = Duration::from_millis(10);

/// Runs until it is dropped.
pub(crate) struct Throttle {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Throttle {
    /// Lets `pid` run for `percent` of the time; 100 leaves it alone.
    pub(crate) fn start(pid: u32, percent: u32) -> Result<Throttle> {
        ensure!((1..=100).contains(&percent), "a share is 1 to 100 percent");
        let pid = Pid::from_raw(i32::try_from(pid)?);
        let over = Arc::new(AtomicBool::new(percent == 100));
        let seen = Arc::clone(&over);
        let runs = TURN * percent / 100;
        let thread = std::thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                // The process may be gone: then there is nothing to slow down.
                let _ = kill(pid, Signal::SIGSTOP);
                std::thread::sleep(TURN - runs);
                let _ = kill(pid, Signal::SIGCONT);
                std::thread::sleep(runs);
            }
        });
        Ok(Throttle { over, thread: Some(thread) })
    }
}

impl Drop for Throttle {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Its last word was SIGCONT.
            let _ = thread.join();
        }
    }
}
