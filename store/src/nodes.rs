//! Nodes on one PostgreSQL: who is alive, and the live calls of each. SQLite has one node, which
//! needs none of this: there every list is empty.

use crate::error::StoreError;
use crate::sql::{Database, Row, Tx};
use crate::store::Store;

/// A node that has not been heard of for this long counts as dead. Five beats: one slow
/// statement is no death.
pub const ALIVE_MS: i64 = 5_000;
/// A node that has been dead for this long is forgotten.
const FORGOTTEN_MS: i64 = 24 * 3600 * 1000;
/// Live calls read of all other nodes together: more than a screen or a program can use, and
/// what one statement brings in some ten milliseconds.
const CALLS_READ: usize = 10_000;
/// Rows of one statement, far below the values that it binds.
const ROWS: usize = 500;
/// The database's clock in Unix milliseconds.
const NOW: &str = "(EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::BIGINT";

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// Its name, as on every record.
    pub node: String,
    /// This process; another one under the same name is a mistake.
    pub instance: String,
    /// The program's version.
    pub version: String,
    /// When the process began, Unix milliseconds.
    pub started_at: i64,
    /// Calls that exist now.
    pub calls_active: u64,
    /// Those that are connected.
    pub calls_talking: u64,
}

/// A node as the others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSeen {
    /// What it said last.
    pub beat: Beat,
    /// How long ago, by the database's clock.
    pub silent_ms: i64,
}

impl NodeSeen {
    /// Whether it counts as running.
    pub fn alive(&self) -> bool {
        self.silent_ms < ALIVE_MS
    }
}

/// What became of a node's live calls since it told last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallNews {
    /// Forget what was told before.
    pub anew: bool,
    /// Ids and descriptions of calls that are new or different.
    pub changed: Vec<(String, String)>,
    /// Ids of calls that are over.
    pub ended: Vec<String>,
}

impl CallNews {
    /// Nothing to tell.
    pub fn is_empty(&self) -> bool {
        !self.anew && self.changed.is_empty() && self.ended.is_empty()
    }
}

impl Store {
    /// Says that a node lives, and returns all nodes by name, the node itself as it was before.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database fails.
    pub async fn beat(&self, beat: &Beat) -> Result<Vec<NodeSeen>, StoreError> {
        if !self.shared() {
            return Ok(Vec::new());
        }
        let nodes = self.nodes().await?;
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let sql = format!(
            "INSERT INTO nodes (name, instance, version, started_at, seen_at, calls_active, \
             calls_talking) VALUES ($1, $2, $3, $4, {NOW}, $5, $6) \
             ON CONFLICT (name) DO UPDATE SET instance = excluded.instance, \
             version = excluded.version, started_at = excluded.started_at, \
             seen_at = excluded.seen_at, calls_active = excluded.calls_active, \
             calls_talking = excluded.calls_talking"
        );
        let values = [
            (&beat.node).into(),
            (&beat.instance).into(),
            (&beat.version).into(),
            beat.started_at.into(),
            number(beat.calls_active).into(),
            number(beat.calls_talking).into(),
        ];
        self.database.execute(sql, &values).await?;
        for node in nodes.iter().filter(|node| node.silent_ms > FORGOTTEN_MS) {
            self.leave(&node.beat.node).await?;
        }
        Ok(nodes)
    }

    /// Every node that is known, by name.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database fails.
    pub async fn nodes(&self) -> Result<Vec<NodeSeen>, StoreError> {
        if !self.shared() {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT name, instance, version, started_at, calls_active, calls_talking, \
             {NOW} - seen_at FROM nodes ORDER BY name"
        );
        self.database.rows(sql, &[]).await?.iter().map(seen).collect()
    }

    /// A node ends in good order: the others need not wait for its silence.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database fails.
    pub async fn leave(&self, node: &str) -> Result<(), StoreError> {
        if !self.shared() {
            return Ok(());
        }
        let mut tx = self.database.write().await?;
        for sql in ["DELETE FROM live_calls WHERE node = $1", "DELETE FROM nodes WHERE name = $1"] {
            tx.execute(sql, &[node.into()]).await?;
        }
        tx.commit().await
    }

    /// Shows a node's live calls to the others.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database fails: tell anew then.
    pub async fn publish_calls(&self, node: &str, news: &CallNews) -> Result<(), StoreError> {
        if !self.shared() || news.is_empty() {
            return Ok(());
        }
        let mut tx = self.database.write().await?;
        if news.anew {
            tx.execute("DELETE FROM live_calls WHERE node = $1", &[node.into()]).await?;
        }
        for ended in news.ended.chunks(ROWS) {
            forget(&mut tx, node, ended).await?;
        }
        for changed in news.changed.chunks(ROWS) {
            show(&mut tx, node, changed).await?;
        }
        tx.commit().await
    }

    /// Node and description of the live calls of all other nodes that are alive, by id.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database fails.
    pub async fn calls_elsewhere(&self, node: &str) -> Result<Vec<(String, String)>, StoreError> {
        if !self.shared() {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT c.node, c.body FROM live_calls c JOIN nodes n ON n.name = c.node \
             WHERE c.node <> $1 AND {NOW} - n.seen_at < {ALIVE_MS} ORDER BY c.id LIMIT {CALLS_READ}"
        );
        let rows = self.database.rows(sql, &[node.into()]).await?;
        rows.iter().map(|row| Ok((row.text(0)?, row.text(1)?))).collect()
    }

    /// Whether several nodes may work on this database.
    pub fn shared(&self) -> bool {
        matches!(self.database, Database::Postgres(_))
    }
}

async fn forget(tx: &mut Tx, node: &str, ended: &[String]) -> Result<(), StoreError> {
    let holders: Vec<String> = (2..=ended.len() + 1).map(|at| format!("${at}")).collect();
    let sql = format!("DELETE FROM live_calls WHERE node = $1 AND id IN ({})", holders.join(", "));
    let mut values = vec![node.into()];
    values.extend(ended.iter().map(Into::into));
    tx.execute(sql, &values).await.map(|_| ())
}

async fn show(tx: &mut Tx, node: &str, calls: &[(String, String)]) -> Result<(), StoreError> {
    let holders: Vec<String> =
        (1..=calls.len()).map(|at| format!("($1, ${}, ${})", at * 2, at * 2 + 1)).collect();
    let sql = format!(
        "INSERT INTO live_calls (node, id, body) VALUES {} \
         ON CONFLICT (node, id) DO UPDATE SET body = excluded.body",
        holders.join(", ")
    );
    let mut values = vec![node.into()];
    values.extend(calls.iter().flat_map(|(id, body)| [id.into(), body.into()]));
    tx.execute(sql, &values).await.map(|_| ())
}

fn seen(row: &Row) -> Result<NodeSeen, StoreError> {
    let beat = Beat {
        node: row.text(0)?,
        instance: row.text(1)?,
        version: row.text(2)?,
        started_at: row.int(3)?,
        calls_active: row.int(4)?.unsigned_abs(),
        calls_talking: row.int(5)?.unsigned_abs(),
    };
    Ok(NodeSeen { beat, silent_ms: row.int(6)?.max(0) })
}
