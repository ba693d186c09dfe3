//! The two databases behind one face. Tables hold only BIGINT and TEXT and every statement is
//! the same text for both, so the rest of the crate names neither.

use std::borrow::Cow;
use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::postgres::{PgPool, PgRow};
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{AssertSqlSafe, Postgres, Row as _, Sqlite, Transaction};

use crate::error::StoreError;

/// A statement: constant text, or composed from the constant names of tables and columns.
/// Values never stand in it; they are bound.
pub(crate) type Sql = Cow<'static, str>;

/// The longest that one statement of a page, or a batch of records, takes: above what waiting for
/// a connection and for a lock takes together.
const LONGEST: Duration = Duration::from_secs(20);

/// A bound value.
#[derive(Clone, Debug)]
pub(crate) enum Value<'a> {
    Int(Option<i64>),
    Text(Option<Cow<'a, str>>),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::Text(Some(Cow::Borrowed(text)))
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Value::Text(Some(Cow::Borrowed(text)))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Value::Text(Some(Cow::Owned(text)))
    }
}

impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(text: Option<&'a str>) -> Self {
        Value::Text(text.map(Cow::Borrowed))
    }
}

impl<'a> From<&'a Option<String>> for Value<'a> {
    fn from(text: &'a Option<String>) -> Self {
        Value::Text(text.as_deref().map(Cow::Borrowed))
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Value::Int(Some(number))
    }
}

impl From<Option<i64>> for Value<'_> {
    fn from(number: Option<i64>) -> Self {
        Value::Int(number)
    }
}

/// Both pools. SQLite takes one writer at a time, so it has a pool of one for writing: writers
/// queue here, in order, instead of colliding in the file.
#[derive(Clone, Debug)]
pub(crate) enum Database {
    Sqlite { writer: SqlitePool, readers: SqlitePool },
    Postgres(PgPool),
}

/// A transaction. Dropped without [`Tx::commit`] it rolls back.
pub(crate) enum Tx {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

/// One row of an answer; columns by position.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

macro_rules! bound {
    ($sql:expr, $values:expr) => {{
        let mut query = sqlx::query(AssertSqlSafe($sql));
        for value in $values {
            query = match value {
                Value::Int(number) => query.bind(*number),
                Value::Text(text) => query.bind(text.as_deref().map(without_nul)),
            };
        }
        query
    }};
}

/// PostgreSQL has no NUL in text, and neither a record nor a search may fail for one that a peer
/// or a browser sent: it is replaced, on both databases alike. Everything else is verbatim.
fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { text.into() }
}

/// Bounds what waits for a server that may have gone without a word: TCP alone would go on for a
/// quarter of an hour. Given up, a statement or transaction is rolled back.
///
/// # Errors
/// [`StoreError::Database`] when it takes longer than [`LONGEST`].
pub(crate) async fn within<T>(
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let given_up = |late| StoreError::Database(Box::new(late));
    tokio::time::timeout(LONGEST, work).await.map_err(given_up)?
}

impl Database {
    /// Begins a transaction that writes.
    pub(crate) async fn write(&self) -> Result<Tx, StoreError> {
        Ok(match self {
            // IMMEDIATE takes the write lock before the first read: a reader that turns writer
            // cannot wait for another writer, SQLite refuses it with SQLITE_BUSY at once.
            Database::Sqlite { writer, .. } => {
                Tx::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?)
            }
            Database::Postgres(pool) => Tx::Postgres(pool.begin().await?),
        })
    }

    /// Begins a transaction that reads one state of the database, whatever others commit.
    pub(crate) async fn read(&self) -> Result<Tx, StoreError> {
        Ok(match self {
            Database::Sqlite { readers, .. } => Tx::Sqlite(readers.begin().await?),
            Database::Postgres(pool) => Tx::Postgres(
                pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?,
            ),
        })
    }

    /// Reads the rows of one statement.
    pub(crate) async fn rows(
        &self,
        sql: impl Into<Sql>,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        let sql = sql.into();
        within(async {
            Ok(match self {
                Database::Sqlite { readers, .. } => {
                    let rows = bound!(sql, values).fetch_all(readers).await?;
                    rows.into_iter().map(Row::Sqlite).collect()
                }
                Database::Postgres(pool) => {
                    let rows = bound!(sql, values).fetch_all(pool).await?;
                    rows.into_iter().map(Row::Postgres).collect()
                }
            })
        })
        .await
    }

    /// Reads the first row of one statement.
    pub(crate) async fn row(
        &self,
        sql: impl Into<Sql>,
        values: &[Value<'_>],
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// One statement in a transaction of its own; returns the rows it touched.
    pub(crate) async fn execute(
        &self,
        sql: impl Into<Sql>,
        values: &[Value<'_>],
    ) -> Result<u64, StoreError> {
        let sql = sql.into();
        within(async {
            Ok(match self {
                Database::Sqlite { writer, .. } => {
                    bound!(sql, values).execute(writer).await?.rows_affected()
                }
                Database::Postgres(pool) => {
                    bound!(sql, values).execute(pool).await?.rows_affected()
                }
            })
        })
        .await
    }
}

impl Tx {
    /// Whether it is SQLite's.
    pub(crate) fn is_sqlite(&self) -> bool {
        matches!(self, Tx::Sqlite(_))
    }

    pub(crate) async fn rows(
        &mut self,
        sql: impl Into<Sql>,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        let sql = sql.into();
        Ok(match self {
            Tx::Sqlite(tx) => {
                let rows = bound!(sql, values).fetch_all(&mut **tx).await?;
                rows.into_iter().map(Row::Sqlite).collect()
            }
            Tx::Postgres(tx) => {
                let rows = bound!(sql, values).fetch_all(&mut **tx).await?;
                rows.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    pub(crate) async fn row(
        &mut self,
        sql: impl Into<Sql>,
        values: &[Value<'_>],
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// Hands over row by row, as they come, until `take` says that it is enough.
    pub(crate) async fn each(
        &mut self,
        sql: impl Into<Sql>,
        mut take: impl FnMut(Row) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let sql = AssertSqlSafe(sql.into());
        match self {
            Tx::Sqlite(tx) => {
                let mut rows = sqlx::query(sql).fetch(&mut **tx);
                while let Some(row) = rows.try_next().await? {
                    if !take(Row::Sqlite(row))? {
                        break;
                    }
                }
            }
            Tx::Postgres(tx) => {
                let mut rows = sqlx::query(sql).fetch(&mut **tx);
                while let Some(row) = rows.try_next().await? {
                    if !take(Row::Postgres(row))? {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Returns the number of rows touched.
    pub(crate) async fn execute(
        &mut self,
        sql: impl Into<Sql>,
        values: &[Value<'_>],
    ) -> Result<u64, StoreError> {
        let sql = sql.into();
        Ok(match self {
            Tx::Sqlite(tx) => bound!(sql, values).execute(&mut **tx).await?.rows_affected(),
            Tx::Postgres(tx) => bound!(sql, values).execute(&mut **tx).await?.rows_affected(),
        })
    }

    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        match self {
            Tx::Sqlite(tx) => tx.commit().await?,
            Tx::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
    }
}

macro_rules! get {
    ($row:expr, $type:ty, $at:expr) => {
        match $row {
            Row::Sqlite(row) => row.try_get::<$type, usize>($at),
            Row::Postgres(row) => row.try_get::<$type, usize>($at),
        }
    };
}

impl Row {
    pub(crate) fn int(&self, at: usize) -> Result<i64, StoreError> {
        Ok(get!(self, i64, at)?)
    }

    pub(crate) fn int_or_null(&self, at: usize) -> Result<Option<i64>, StoreError> {
        Ok(get!(self, Option<i64>, at)?)
    }

    pub(crate) fn text(&self, at: usize) -> Result<String, StoreError> {
        Ok(get!(self, String, at)?)
    }

    pub(crate) fn text_or_null(&self, at: usize) -> Result<Option<String>, StoreError> {
        Ok(get!(self, Option<String>, at)?)
    }
}
