//! Name look-ups for the engine, off its thread (RFC 3263).

mod hop;

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::{Resolver, TokioResolver};
use tensou_engine::{Question, ResolveId};
use tokio::sync::mpsc;

use crate::engine_thread::{Control, EngineHandle};

pub(crate) use hop::next_hops;

/// Questions that may wait; one more is answered with "unknown", so that its call fails at once
/// rather than late.
const ROOM: usize = 1_024;
/// A resolver that takes longer is down for a caller who listens to silence.
const PATIENCE: Duration = Duration::from_secs(5);
/// One query of the several that a look-up may take, and how often it is sent.
const QUERY_PATIENCE: Duration = Duration::from_millis(1_500);
const ATTEMPTS: usize = 2;
/// Look-ups under way at the same time.
const AT_ONCE: usize = 64;
/// Answers kept: a site has a dozen names, each with a handful of records.
const CACHED: u64 = 4_096;
/// An answer serves at least this long, whatever its TTL says: a flood of calls is not to become
/// a flood of queries. Not longer than the longest, so that a carrier's move is seen.
const SHORTEST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(3_600);
/// That a name does not exist is believed for so long.
const LONGEST_UNKNOWN: Duration = Duration::from_secs(30);

/// A question of the engine.
#[derive(Debug)]
pub(crate) struct Asked {
    query: ResolveId,
    question: Question,
}

/// The engine's end.
pub(crate) struct QuestionSender {
    queue: mpsc::Sender<Asked>,
}

/// The resolver's end.
pub(crate) struct Questions(mpsc::Receiver<Asked>);

/// Both ends of a new queue.
pub(crate) fn questions() -> (QuestionSender, Questions) {
    let (queue, receiver) = mpsc::channel(ROOM);
    (QuestionSender { queue }, Questions(receiver))
}

impl QuestionSender {
    /// Passes a question on; false when too many wait: then nobody answers it.
    pub(crate) fn ask(&self, query: ResolveId, question: Question) -> bool {
        self.queue.try_send(Asked { query, question }).is_ok()
    }
}

/// The names of the world as this node sees them: `/etc/hosts` and a name server.
#[derive(Clone)]
pub(crate) struct Names(TokioResolver);

impl Names {
    /// Asks `server`, or those of the machine.
    pub(crate) fn of(server: Option<SocketAddr>) -> std::io::Result<Names> {
        let provider = TokioRuntimeProvider::default();
        let mut builder = match server {
            Some(server) => {
                let to = |mut connection: ConnectionConfig| {
                    connection.port = server.port();
                    connection
                };
                let connections = vec![to(ConnectionConfig::udp()), to(ConnectionConfig::tcp())];
                let server = NameServerConfig::new(server.ip(), true, connections);
                let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
                Resolver::builder_with_config(config, provider)
            }
            None => Resolver::builder(provider).map_err(std::io::Error::other)?,
        };
        tune(builder.options_mut());
        Ok(Names(builder.build().map_err(std::io::Error::other)?))
    }
}

fn tune(options: &mut ResolverOpts) {
    options.timeout = QUERY_PATIENCE;
    options.attempts = ATTEMPTS;
    options.cache_size = CACHED;
    options.positive_min_ttl = Some(SHORTEST);
    options.negative_min_ttl = Some(SHORTEST);
    options.positive_max_ttl = Some(LONGEST);
    options.negative_max_ttl = Some(LONGEST_UNKNOWN);
}

impl Questions {
    /// Answers until the engine is gone.
    pub(crate) async fn answer(mut self, names: Names, engine: EngineHandle) {
        let mut running = tokio::task::JoinSet::new();
        while let Some(Asked { query, question }) = self.0.recv().await {
            while running.len() >= AT_ONCE {
                running.join_next().await;
            }
            let (engine, names) = (engine.clone(), names.clone());
            running.spawn(async move {
                let found = tokio::time::timeout(PATIENCE, next_hops(&names, &question)).await;
                let targets = found.unwrap_or_default();
                if targets.is_empty() {
                    tracing::warn!(host = &*question.host, "no address found");
                }
                // An engine that is gone needs no answer.
                let _gone = engine.send(Control::Resolved { query, targets });
            });
        }
    }
}
