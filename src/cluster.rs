//! Other nodes on the same PostgreSQL: this node says that it lives, shows them its live calls,
//! reads theirs for its own screens, and hears what they ask for. Nothing here is on a call's
//! way, and a database that is away costs the view and nothing else.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tensou_admin::board::{Board, LiveCall, describe, understand};
use tensou_engine::{CallId, OperatorCommand};
use tensou_store::{Beat, CallNews, NodeSeen, Order, Store, StoreError};

use crate::engine_thread::EngineHandle;

/// Between two looks: a call is on every node's screen within a second.
const LOOK_EVERY: Duration = Duration::from_millis(400);
/// Between two signs of life; a node counts as dead after five of them.
const BEAT_EVERY: Duration = Duration::from_secs(1);
/// Everything is shown anew so often: the table is empty after a crash of the database.
const ANEW_EVERY: Duration = Duration::from_secs(30);

/// The node among the others.
pub(crate) struct Cluster {
    store: Store,
    board: Arc<Board>,
    beat: Beat,
    nodes: Vec<NodeSeen>,
    beaten_at: Option<Instant>,
    shown: HashMap<CallId, LiveCall>,
    shown_anew_at: Option<Instant>,
    warned: bool,
}

impl Cluster {
    pub(crate) fn new(store: Store, board: Arc<Board>, node: &str) -> Self {
        let beat = Beat {
            node: node.to_owned(),
            instance: format!("{:016x}", rand::random::<u64>()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: jiff::Timestamp::now().as_millisecond(),
            calls_active: 0,
            calls_talking: 0,
        };
        Cluster {
            store,
            board,
            beat,
            nodes: Vec::new(),
            beaten_at: None,
            shown: HashMap::new(),
            shown_anew_at: None,
            warned: false,
        }
    }

    /// Runs until it is aborted; at once over where there is one node.
    pub(crate) async fn run(mut self) {
        if !self.store.shared() {
            return;
        }
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            if let Err(error) = self.look().await {
                tracing::debug!("other nodes: {:#}", anyhow::Error::from(error));
                // What others were shown is unknown now.
                self.shown_anew_at = None;
                self.age();
            }
        }
    }

    async fn look(&mut self) -> Result<(), StoreError> {
        if self.beaten_at.is_none_or(|at| at.elapsed() >= BEAT_EVERY) {
            self.say_alive().await?;
        }
        let alone = !self.nodes.iter().any(|node| node.alive() && !self.is_me(node));
        if alone {
            // Nobody looks: what is shown is only brought up to date once somebody does.
            self.shown_anew_at = None;
            self.board.set_elsewhere(self.nodes.clone(), Vec::new());
            return Ok(());
        }
        let news = self.news();
        self.store.publish_calls(&self.beat.node, &news).await?;
        let said = self.store.calls_elsewhere(&self.beat.node).await?;
        let calls = said.iter().filter_map(|(node, body)| understand(node, body)).collect();
        self.board.set_elsewhere(self.nodes.clone(), calls);
        Ok(())
    }

    async fn say_alive(&mut self) -> Result<(), StoreError> {
        let counts = self.board.call_counts();
        self.beat.calls_active = counts.active as u64;
        self.beat.calls_talking = counts.talking as u64;
        self.nodes = self.store.beat(&self.beat).await?;
        let me = self.nodes.iter().find(|node| self.is_me(node));
        // The first beat may find what an earlier process of this node left.
        let other = me.is_some_and(|me| me.beat.instance != self.beat.instance);
        if other && self.beaten_at.is_some() && !self.warned {
            self.warned = true;
            let name = &self.beat.node;
            tracing::error!(name, "another process has the same node.name: give each its own");
        }
        self.beaten_at = Some(Instant::now());
        Ok(())
    }

    fn is_me(&self, node: &NodeSeen) -> bool {
        node.beat.node == self.beat.node
    }

    /// How this node's calls differ from what the others were shown.
    fn news(&mut self) -> CallNews {
        let anew = self.shown_anew_at.is_none_or(|at| at.elapsed() >= ANEW_EVERY);
        if anew {
            self.shown.clear();
            self.shown_anew_at = Some(Instant::now());
        }
        let now: HashMap<CallId, LiveCall> =
            self.board.own_calls().into_iter().map(|call| (call.id, call)).collect();
        let mut ended: Vec<CallId> =
            self.shown.keys().filter(|id| !now.contains_key(id)).copied().collect();
        let mut changed: Vec<&LiveCall> =
            now.values().filter(|call| self.shown.get(&call.id) != Some(call)).collect();
        ended.sort_unstable();
        changed.sort_unstable_by_key(|call| call.id);
        let news = CallNews {
            anew,
            changed: changed.iter().map(|call| (call.id.to_string(), describe(call))).collect(),
            ended: ended.iter().map(CallId::to_string).collect(),
        };
        self.shown = now;
        news
    }

    /// While the database is away the others grow silent.
    fn age(&mut self) {
        let step = i64::try_from(LOOK_EVERY.as_millis()).unwrap_or(0);
        for node in &mut self.nodes {
            node.silent_ms += step;
        }
        let alone = !self.nodes.iter().any(NodeSeen::alive);
        if alone {
            self.board.set_elsewhere(self.nodes.clone(), Vec::new());
        }
    }
}

/// Hears what other nodes change and ask for, until it is aborted.
pub(crate) async fn listen(store: Store, node: String, engine: EngineHandle) {
    store
        .listen(|order| match order {
            Order::HangUp { node: whose, call } if whose == node => {
                // An engine that is gone has no calls.
                let _gone = engine.command(OperatorCommand::HangUp(call));
            }
            Order::Transfer { node: whose, call, to } if whose == node => {
                let _gone = engine.command(OperatorCommand::Transfer { call, to: to.into() });
            }
            Order::HangUp { .. } | Order::Transfer { .. } => {}
        })
        .await;
}
