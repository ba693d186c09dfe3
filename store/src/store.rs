//! The handle that the rest of the program holds.

use std::sync::Arc;

use sqlx::migrate::{Migration, Migrator};
use tokio::sync::watch;

use crate::error::StoreError;
use crate::news;
use crate::sql::{Database, Tx};

/// A database, SQLite or PostgreSQL. Clones share it.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) database: Database,
    pub(crate) changed: Arc<watch::Sender<u64>>,
}

impl Store {
    /// Opens `sqlite:PATH` (folder and file are made when missing, readable by their owner
    /// only) or `postgres://user:password@host/database`. Follow with [`Store::migrate`].
    ///
    /// # Errors
    /// [`StoreError::Url`] when the text is no such URL, [`StoreError::Database`] when the
    /// database cannot be reached.
    pub async fn connect(url: &str) -> Result<Store, StoreError> {
        Ok(Store::of(crate::connect::open(url).await?))
    }

    /// The same for a database that may be away: connections are made when they are wanted.
    /// Within a runtime of tokio.
    ///
    /// # Errors
    /// [`StoreError::Url`] as above, [`StoreError::Database`] when SQLite's file cannot be made.
    pub fn connect_later(url: &str) -> Result<Store, StoreError> {
        Ok(Store::of(crate::connect::later(url)?))
    }

    fn of(database: Database) -> Store {
        Store { database, changed: Arc::new(watch::Sender::new(0)) }
    }

    /// Brings the schema up to date; does nothing when it is.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when a newer program made the schema.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        match &self.database {
            Database::Sqlite { writer, .. } => sqlx::migrate!("./migrations").run(writer).await?,
            Database::Postgres(pool) => {
                Migrator::with_migrations(migrations()).run(pool).await?;
            }
        }
        let revision = self.revision().await?;
        self.announce(revision);
        Ok(())
    }

    /// Answers when the database does.
    ///
    /// # Errors
    /// [`StoreError::Database`] when it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.database.row("SELECT 1", &[]).await.map(|_| ())
    }

    /// A number that rises with every committed change of the provisioning, by any process.
    /// Costs one row, so it can be polled to find what others changed.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database fails.
    pub async fn revision(&self) -> Result<u64, StoreError> {
        let row = self.database.row("SELECT revision FROM meta", &[]).await?;
        let row = row.ok_or_else(|| StoreError::Corrupt("the table meta is empty".into()))?;
        Ok(row.int(0)?.unsigned_abs())
    }

    /// Follows the revision as this process changes it, and on PostgreSQL as others do while
    /// [`Store::listen`] runs. Without it their changes are seen by polling [`Store::revision`].
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Closes the connections after the statements that run.
    pub async fn close(&self) {
        match &self.database {
            Database::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Database::Postgres(pool) => pool.close().await,
        }
    }

    pub(crate) fn announce(&self, revision: u64) {
        self.changed.send_if_modified(|known| {
            let newer = *known < revision;
            *known = revision.max(*known);
            newer
        });
    }
}

/// Every step of the schema, those of PostgreSQL alone included, in their order.
pub(crate) fn migrations() -> Vec<Migration> {
    let common = sqlx::migrate!("./migrations");
    let postgres = sqlx::migrate!("./migrations/postgres");
    let mut all: Vec<Migration> = common.iter().chain(postgres.iter()).cloned().collect();
    all.sort();
    all
}

/// Raises the revision and returns it. The first statement of every change of the provisioning:
/// it locks the one row of `meta`, so changes are judged one after the other, on every node.
/// Other processes hear of it at the commit.
pub(crate) async fn raise_revision(tx: &mut Tx) -> Result<u64, StoreError> {
    let sql = "UPDATE meta SET revision = revision + 1 RETURNING revision";
    let row = tx.row(sql, &[]).await?;
    let row = row.ok_or_else(|| StoreError::Corrupt("the table meta is empty".into()))?;
    let revision = row.int(0)?.unsigned_abs();
    news::tell(tx, news::revision(revision)).await?;
    Ok(revision)
}

/// The revision that a transaction sees.
pub(crate) async fn revision(tx: &mut Tx) -> Result<u64, StoreError> {
    let row = tx.row("SELECT revision FROM meta", &[]).await?;
    let row = row.ok_or_else(|| StoreError::Corrupt("the table meta is empty".into()))?;
    Ok(row.int(0)?.unsigned_abs())
}

/// Unix milliseconds now.
pub(crate) fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// A new id that sorts by its time.
pub(crate) fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}
