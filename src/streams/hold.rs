//! Connections are held: what their peers say from then on waits unread, for the next process.

use std::time::Duration;

use tokio::sync::{mpsc, watch};

/// A message of which a part has come is waited for so long.
const LONGEST: Duration = Duration::from_millis(200);

/// Who has connections held.
pub(crate) struct Hold {
    ask: watch::Sender<bool>,
    /// Ends when nobody reads any more.
    reading: mpsc::Receiver<()>,
}

/// Who holds them: the switchboard, and each connection.
#[derive(Clone)]
pub(crate) struct Held {
    asked: watch::Receiver<bool>,
    /// As long as it reads.
    reading: Option<mpsc::Sender<()>>,
}

/// Both ends.
pub(crate) fn hold() -> (Hold, Held) {
    let (ask, asked) = watch::channel(false);
    let (reader, reading) = mpsc::channel(1);
    (Hold { ask, reading }, Held { asked, reading: Some(reader) })
}

impl Hold {
    /// Returns when every message that has been read was passed on, and none is read any more.
    pub(crate) async fn begin(&mut self) {
        self.ask.send_replace(true);
        if tokio::time::timeout(LONGEST, self.reading.recv()).await.is_err() {
            tracing::warn!("connections in the middle of a message end with this process");
        }
    }
}

impl Held {
    /// Whether connections are to be held.
    pub(super) fn is_asked(&self) -> bool {
        *self.asked.borrow()
    }

    /// Returns when they are.
    pub(super) async fn asked(&mut self) {
        if self.asked.wait_for(|asked| *asked).await.is_err() {
            // Nobody is left to ask.
            std::future::pending().await
        }
    }

    /// Here nothing is read any more.
    pub(super) fn quiet(&mut self) {
        self.reading = None;
    }
}
