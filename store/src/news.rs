//! What processes on one PostgreSQL tell each other: LISTEN and NOTIFY. A word that is lost
//! costs time and nothing else: revisions are polled too.

use std::time::Duration;

use sqlx::postgres::{PgListener, PgPool};
use tensou_engine::CallId;

use crate::error::StoreError;
use crate::sql::{Database, Tx};
use crate::store::Store;

/// Between two attempts to listen.
const RETRY: Duration = Duration::from_secs(1);
/// After this long without a word the connection is made anew: one that was cut without a
/// farewell is silent for ever.
const SILENCE: Duration = Duration::from_secs(30);
/// The channel: of this schema alone, and always short enough for a name.
const CHANNEL: &str = "'tensou_' || md5(current_schema())";

/// What one node asks another for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// End a call.
    HangUp {
        /// The node whose call it is.
        node: String,
        /// The call.
        call: CallId,
    },
    /// Put somebody else in the place of a call's callee.
    Transfer {
        /// The node whose call it is.
        node: String,
        /// The call.
        call: CallId,
        /// A number in E.164, or an extension's user: a word without spaces.
        to: String,
    },
}

/// Tells every process when the transaction commits. SQLite's processes poll.
pub(crate) async fn tell(tx: &mut Tx, words: String) -> Result<(), StoreError> {
    if tx.is_sqlite() {
        return Ok(());
    }
    let sql = format!("SELECT 1 FROM pg_notify({CHANNEL}, $1)");
    tx.row(sql, &[words.into()]).await.map(|_| ())
}

/// The words for a new revision.
pub(crate) fn revision(revision: u64) -> String {
    format!("revision {revision}")
}

impl Store {
    /// Hears what other processes say, for as long as the database is open: their changes show
    /// in [`Store::changes`], their orders go to `obey`. Reconnects by itself. On SQLite nothing
    /// is heard, and it waits for ever.
    pub async fn listen(&self, obey: impl Fn(Order)) {
        let Database::Postgres(pool) = &self.database else {
            return std::future::pending().await;
        };
        while !pool.is_closed() {
            if let Err(error) = self.hear(pool, &obey).await {
                tracing::debug!("listening to other nodes: {error}: {:?}", error);
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Asks the node of a call to carry an order out.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database fails.
    pub async fn order(&self, order: &Order) -> Result<(), StoreError> {
        let words = match order {
            Order::HangUp { node, call } => format!("hang_up {call} {node}"),
            Order::Transfer { node, call, to } => format!("transfer {call} {to} {node}"),
        };
        let mut tx = self.database.write().await?;
        tell(&mut tx, words).await?;
        tx.commit().await
    }

    async fn hear(&self, pool: &PgPool, obey: &impl Fn(Order)) -> Result<(), StoreError> {
        let mut listener = PgListener::connect_with(pool).await?;
        let channel = self.database.row(format!("SELECT {CHANNEL}"), &[]).await?;
        let channel = channel.ok_or_else(|| StoreError::Corrupt("no schema".into()))?.text(0)?;
        listener.listen(&channel).await?;
        loop {
            // What was said while nobody listened.
            self.announce(self.revision().await?);
            loop {
                let heard = tokio::time::timeout(SILENCE, listener.try_recv()).await;
                let Ok(heard) = heard else { return Ok(()) };
                // None: the connection was lost and is there again.
                let Some(said) = heard? else { break };
                match understand(said.payload()) {
                    Some(Said::Revision(revision)) => self.announce(revision),
                    Some(Said::Order(order)) => obey(order),
                    None => tracing::debug!("a newer node says {:?}", said.payload()),
                }
            }
        }
    }
}

#[derive(Debug, PartialEq)]
enum Said {
    Revision(u64),
    Order(Order),
}

fn understand(words: &str) -> Option<Said> {
    match words.split_once(' ')? {
        ("revision", number) => number.parse().ok().map(Said::Revision),
        ("hang_up", rest) => {
            let (call, node) = rest.split_once(' ')?;
            let order = Order::HangUp { node: node.to_owned(), call: CallId::parse(call)? };
            Some(Said::Order(order))
        }
        ("transfer", rest) => {
            let (call, rest) = rest.split_once(' ')?;
            let (to, node) = rest.split_once(' ')?;
            let (node, to) = (node.to_owned(), to.to_owned());
            Some(Said::Order(Order::Transfer { node, call: CallId::parse(call)?, to }))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_understood_and_those_of_newer_nodes_ignored() {
        assert_eq!(understand(&revision(7)), Some(Said::Revision(7)));
        let call = CallId::new(1_795_392_000_000, 1, 2);
        let order = Order::HangUp { node: "node 2".into(), call };
        assert_eq!(understand(&format!("hang_up {call} node 2")), Some(Said::Order(order)));
        let order = Order::Transfer { node: "node 2".into(), call, to: "+818012345678".into() };
        let words = format!("transfer {call} +818012345678 node 2");
        assert_eq!(understand(&words), Some(Said::Order(order)));
        for other in ["", "revision", "revision x", "hang_up", "hang_up x y", "take_over a b"] {
            assert_eq!(understand(other), None, "{other}");
        }
    }
}
