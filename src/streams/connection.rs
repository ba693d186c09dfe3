//! One connection: what comes is framed for the engine, what goes is written.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tensou_engine::Flow;
use tensou_engine::sip::transport::framing::{Frame, Framer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::FromStream;
use super::hold::Held;
use super::limits::{FIRST_MESSAGE, PING_EVERY, SILENT, UNANSWERED, WHOLE_MESSAGE, WRITE_PATIENCE};
use crate::engine_thread::EngineHandle;

/// Bytes read at once: a few messages.
const READ: usize = 8 * 1024;
/// RFC 5626 4.4.1.
const PING: &[u8] = b"\r\n\r\n";
const PONG: &[u8] = b"\r\n";

/// Where a connection's messages go.
#[derive(Clone)]
pub(super) struct Inbox {
    pub(super) queue: mpsc::Sender<FromStream>,
    pub(super) engine: EngineHandle,
}

impl Inbox {
    /// Passes something on, waiting for room; false when the engine is gone.
    pub(super) async fn tell(&self, what: FromStream) -> bool {
        let told = self.queue.send(what).await.is_ok();
        self.engine.wake();
        told
    }
}

/// A connection that stands.
pub(super) struct Connection<S> {
    pub(super) stream: S,
    pub(super) flow: Flow,
    /// We made it: we keep it alive.
    pub(super) ours: bool,
    /// We have said something by it.
    pub(super) answered: bool,
    pub(super) outgoing: mpsc::Receiver<Arc<[u8]>>,
    pub(super) inbox: Inbox,
    /// It can go on in another process.
    pub(super) held: Option<Held>,
}

/// When a connection is ended for saying too little.
struct Patience {
    heard: Instant,
    /// Since when a message is incomplete.
    partial: Option<Instant>,
    spoken: bool,
    answered: bool,
}

impl Patience {
    fn ends(&self) -> Instant {
        let quiet = match (self.spoken, self.answered) {
            (false, false) => FIRST_MESSAGE,
            (true, false) => UNANSWERED,
            (_, true) => SILENT,
        };
        let silent = self.heard + quiet;
        self.partial.map_or(silent, |since| silent.min(since + WHOLE_MESSAGE))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Serves it until either side ends it, or until we have nothing more to say: if it is held
    /// then, it stands, and what its peer says next is unread.
    pub(super) async fn serve(mut self) -> io::Result<Option<S>> {
        let mut framer = Framer::new();
        let mut buffer = vec![0; READ];
        let now = Instant::now();
        let known = self.ours || self.answered;
        let mut patience =
            Patience { heard: now, partial: None, spoken: self.answered, answered: known };
        let mut ping = now + PING_EVERY;
        let mut held = self.held.take();
        loop {
            let asked = held.as_ref().is_some_and(Held::is_asked);
            // What has begun is read to its end.
            let reads = !asked || framer.is_within_message();
            if !reads {
                held.iter_mut().for_each(Held::quiet);
            }
            tokio::select! {
                read = self.stream.read(&mut buffer), if reads => {
                    let count = read?;
                    if count == 0 {
                        return Ok(None);
                    }
                    framer.push(buffer.get(..count).unwrap_or_default());
                    patience.heard = Instant::now();
                    if !self.take(&mut framer, &mut patience).await? {
                        return Ok(None);
                    }
                }
                () = is_held(&mut held), if !asked => {}
                message = self.outgoing.recv() => {
                    let Some(message) = message else {
                        return Ok((!reads).then_some(self.stream));
                    };
                    self.write(&message).await?;
                    patience.answered = true;
                    ping = Instant::now() + PING_EVERY;
                }
                () = tokio::time::sleep_until(ping), if self.ours => {
                    framer.expect_pong();
                    self.write(PING).await?;
                    ping = Instant::now() + PING_EVERY;
                }
                () = tokio::time::sleep_until(patience.ends()) => {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
        }
    }

    /// Takes every frame that is whole; false when the stream must end.
    async fn take(&mut self, framer: &mut Framer, patience: &mut Patience) -> io::Result<bool> {
        loop {
            let frame = framer.next_frame().map_err(|_| io::ErrorKind::InvalidData)?;
            let (bytes, last) = match frame {
                None => break,
                Some(Frame::Ping) => {
                    self.write(PONG).await?;
                    continue;
                }
                Some(Frame::Pong) => continue,
                Some(Frame::Message(bytes)) => (bytes, false),
                Some(Frame::Unframed(bytes)) => (bytes, true),
            };
            patience.spoken = true;
            if !self.inbox.tell(FromStream::Message { flow: self.flow, bytes }).await {
                return Ok(false);
            }
            if last {
                self.say_goodbye().await?;
                return Ok(false);
            }
        }
        patience.partial = match (framer.is_within_message(), patience.partial) {
            (false, _) => None,
            (true, since) => since.or(Some(patience.heard)),
        };
        Ok(true)
    }

    /// The engine's answer to what could not be framed, if it gives one.
    async fn say_goodbye(&mut self) -> io::Result<()> {
        if let Ok(Some(answer)) = timeout(LAST_WORD, self.outgoing.recv()).await {
            self.write(&answer).await?;
        }
        self.stream.shutdown().await
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        timeout(WRITE_PATIENCE, async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        })
        .await?
    }
}

/// Returns when a connection is to be held.
async fn is_held(held: &mut Option<Held>) {
    match held {
        Some(held) => held.asked().await,
        None => std::future::pending().await,
    }
}

/// The engine answers within a millisecond or not at all.
const LAST_WORD: Duration = Duration::from_millis(200);
