//! Name look-ups for the engine, off its thread.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tensou_engine::ResolveId;
use tokio::sync::mpsc;

use crate::engine_thread::{Control, EngineHandle};

/// Questions that may wait; one more is answered with "unknown", so that its call fails at once
/// rather than late.
const ROOM: usize = 1_024;
/// A resolver that takes longer is down for a caller who listens to silence.
const PATIENCE: Duration = Duration::from_secs(5);
/// Look-ups under way at the same time.
const AT_ONCE: usize = 32;

/// A question of the engine.
#[derive(Debug)]
pub(crate) struct Question {
    query: ResolveId,
    host: Arc<str>,
}

/// The engine's end.
pub(crate) struct QuestionSender {
    queue: mpsc::Sender<Question>,
}

/// The resolver's end.
pub(crate) struct Questions(mpsc::Receiver<Question>);

/// Both ends of a new queue.
pub(crate) fn questions() -> (QuestionSender, Questions) {
    let (queue, receiver) = mpsc::channel(ROOM);
    (QuestionSender { queue }, Questions(receiver))
}

impl QuestionSender {
    /// Passes a question on. A lost one is covered by the engine's own timer.
    pub(crate) fn ask(&self, query: ResolveId, host: Arc<str>) {
        if self.queue.try_send(Question { query, host }).is_err() {
            tracing::warn!("too many names wait for the resolver; one was given up");
        }
    }
}

impl Questions {
    /// Answers until the engine is gone.
    pub(crate) async fn answer(mut self, engine: EngineHandle) {
        let mut running = tokio::task::JoinSet::new();
        while let Some(question) = self.0.recv().await {
            while running.len() >= AT_ONCE {
                running.join_next().await;
            }
            let engine = engine.clone();
            running.spawn(async move {
                let addresses = look_up(&question.host).await;
                let answer = Control::Resolved { query: question.query, addresses };
                // An engine that is gone needs no answer.
                let _gone = engine.send(answer);
            });
        }
    }
}

async fn look_up(host: &str) -> Vec<IpAddr> {
    let looked = tokio::time::timeout(PATIENCE, tokio::net::lookup_host((host, 0))).await;
    match looked {
        Ok(Ok(found)) => {
            let mut addresses: Vec<IpAddr> = Vec::new();
            for address in found {
                if !addresses.contains(&address.ip()) {
                    addresses.push(address.ip());
                }
            }
            addresses
        }
        Ok(Err(error)) => {
            tracing::warn!(host, %error, "name not found");
            Vec::new()
        }
        Err(_) => {
            tracing::warn!(host, "the resolver did not answer in time");
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_is_its_own_answer() {
        assert_eq!(look_up("127.0.0.1").await, [IpAddr::from([127, 0, 0, 1])]);
    }

    #[tokio::test]
    async fn a_name_that_cannot_exist_has_no_address() {
        assert!(look_up("no such name").await.is_empty());
    }
}
