//! Opening a database.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use crate::error::StoreError;
use crate::sql::Database;

/// How long a writer waits for another process (the command line beside the server) before it is
/// told so; the writer of records tries again then.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The same on PostgreSQL, where the server counts. A transaction whose client has gone without
/// a word gives its locks back after a minute.
const POSTGRES_TIMEOUTS: [(&str, &str); 2] =
    [("lock_timeout", "5s"), ("idle_in_transaction_session_timeout", "60s")];
/// Readers of SQLite: lists, exports and screens side by side. More gains nothing on one disk.
const SQLITE_READERS: u32 = 4;
/// PostgreSQL's default limit is 100 connections, shared by all nodes.
const POSTGRES_CONNECTIONS: u32 = 10;
/// A request that waits longer for a connection is better answered with an error.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// The database of `url`, with a connection.
pub(crate) async fn open(url: &str) -> Result<Database, StoreError> {
    let database = later(url)?;
    match &database {
        Database::Sqlite { writer, readers } => {
            drop(writer.acquire().await?);
            drop(readers.acquire().await?);
        }
        Database::Postgres(pool) => drop(pool.acquire().await?),
    }
    Ok(database)
}

/// The database of `url`: connections are made when they are wanted.
pub(crate) fn later(url: &str) -> Result<Database, StoreError> {
    match url.split_once(':') {
        Some(("sqlite", rest)) => sqlite(rest.strip_prefix("//").unwrap_or(rest)),
        Some(("postgres" | "postgresql", _)) => postgres(url),
        _ => Err(StoreError::Url(
            "expected sqlite:PATH or postgres://user:password@host/database".into(),
        )),
    }
}

fn sqlite(path: &str) -> Result<Database, StoreError> {
    if path == ":memory:" {
        return Ok(memory());
    }
    let (path, most_pages) = match path.split_once("?max_page_count=") {
        Some((path, most)) => {
            let wrong = |_| StoreError::Url("max_page_count is a number of pages".into());
            (path, Some(most.parse::<u32>().map_err(wrong)?))
        }
        None => (path, None),
    };
    if path.is_empty() {
        return Err(StoreError::Url("sqlite: names no file".into()));
    }
    let path = PathBuf::from(path);
    keep_private(&path).map_err(|error| {
        StoreError::Database(format!("cannot create {}: {error}", path.display()).into())
    })?;
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .journal_mode(SqliteJournalMode::Wal)
        // With WAL, NORMAL loses no committed transaction to a killed process, and only the
        // last ones to a power cut, never the file.
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true);
    // The file takes no more than that; records wait then as for a full disk.
    let writing = match most_pages {
        Some(most) => options.clone().pragma("max_page_count", most.to_string()),
        None => options.clone(),
    };
    let writer = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy_with(writing);
    let readers = SqlitePoolOptions::new()
        .max_connections(SQLITE_READERS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy_with(options.pragma("query_only", "on"));
    Ok(Database::Sqlite { writer, readers })
}

/// A database that lives as long as the process, for trials: one connection for everything,
/// because each connection would have its own.
fn memory() -> Database {
    let options = SqliteConnectOptions::new().in_memory(true).foreign_keys(true);
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy_with(options);
    Database::Sqlite { writer: pool.clone(), readers: pool }
}

/// The file holds SIP passwords and call records: nobody but its owner reads it. SQLite gives
/// the `-wal` and `-shm` files the mode of the database.
fn keep_private(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    Ok(())
}

fn postgres(url: &str) -> Result<Database, StoreError> {
    // The parser's own message may repeat parts of the URL, and with it the password.
    let options = PgConnectOptions::from_str(url)
        .map_err(|_| StoreError::Url("expected postgres://user:password@host/database".into()))?
        .options(POSTGRES_TIMEOUTS);
    let pool = PgPoolOptions::new()
        .max_connections(POSTGRES_CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy_with(options);
    Ok(Database::Postgres(pool))
}
