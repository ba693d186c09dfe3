//! The whole database as lines of JSON, the same from SQLite and PostgreSQL, so that one moves to
//! the other. Tables and columns are found in the database itself: what a later version adds is in
//! its backups without being named here.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use crate::error::StoreError;
use crate::news;
use crate::sql::{Row, Tx, Value};
use crate::store::{Store, migrations, raise_revision, revision};

/// What is true for the moment only, belongs to running nodes, or is made anew: sign-ins, answers
/// to repeated requests, which rows changed, the revision itself.
const PASSING: [&str; 7] =
    ["_sqlx_migrations", "changes", "idempotency", "live_calls", "meta", "nodes", "sessions"];
/// A part is not longer than this and one row more.
const PART_BYTES: usize = 4 << 20;
/// Values of one statement; SQLite binds 32,766.
const VALUES: usize = 10_000;

/// Some rows of one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// The table.
    pub table: String,
    /// A JSON array of column names, then one JSON array of values for each row, a line each.
    pub lines: Vec<u8>,
    /// Rows in it.
    pub rows: u64,
}

/// Which state of the database a dump holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dumped {
    /// Revision of the provisioning.
    pub revision: u64,
    /// Steps of the schema that had been taken.
    pub schema: Vec<i64>,
    /// `sqlite` or `postgres`.
    pub database: &'static str,
}

/// Why a database was not restored. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// There are rows already.
    #[error("the database is not empty: {} hold rows", .0.join(", "))]
    Occupied(Vec<String>),
    /// The dump's schema has steps that this program does not know.
    #[error("made by a newer version: its schema has step {0}")]
    Newer(i64),
    /// The dump cannot be read, or is none.
    #[error("the backup cannot be read")]
    Source(#[source] std::io::Error),
    /// The dump names a table, a column or a value that is not the database's.
    #[error("the backup does not fit: {0}")]
    Unfit(String),
    /// The database failed or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<std::io::Error> for RestoreError {
    fn from(error: std::io::Error) -> Self {
        RestoreError::Source(error)
    }
}

/// A table of the database.
struct Table {
    name: String,
    /// Names, and whether each is a number.
    columns: Vec<(String, bool)>,
    /// Tables that its rows refer to.
    refers: Vec<String>,
}

impl Store {
    /// Reads everything that lasts in one state of the database, whatever others write meanwhile.
    ///
    /// # Errors
    /// What `take` answers, and [`StoreError::Database`] when the database fails.
    pub async fn dump(
        &self,
        mut take: impl FnMut(Part) -> std::io::Result<()>,
    ) -> Result<Dumped, RestoreError> {
        let mut tx = self.database.read().await?;
        let schema = "SELECT version FROM _sqlx_migrations ORDER BY version";
        let schema =
            tx.rows(schema, &[]).await?.iter().map(|row| row.int(0)).collect::<Result<_, _>>()?;
        let dumped = Dumped {
            revision: revision(&mut tx).await?,
            schema,
            database: if tx.is_sqlite() { "sqlite" } else { "postgres" },
        };
        for table in tables(&mut tx).await? {
            dump_table(&mut tx, &table, &mut take).await?;
        }
        Ok(dumped)
    }

    /// Puts what was dumped in the place of what is here: all of it or nothing. Nodes that run
    /// take the provisioning over as any other change. Returns the number of rows.
    ///
    /// # Errors
    /// Any [`RestoreError`]; with `replace`, rows that are there already are none.
    pub async fn restore(
        &self,
        dumped: &Dumped,
        parts: impl Iterator<Item = std::io::Result<Part>>,
        replace: bool,
    ) -> Result<u64, RestoreError> {
        let known: BTreeSet<i64> = migrations().iter().map(|step| step.version).collect();
        if let Some(newer) = dumped.schema.iter().find(|step| !known.contains(step)) {
            return Err(RestoreError::Newer(*newer));
        }
        let mut tx = self.database.write().await?;
        let raised = raise_revision(&mut tx).await?;
        let tables = tables(&mut tx).await?;
        let occupied = occupied(&mut tx, &tables).await?;
        if !replace && !occupied.is_empty() {
            return Err(RestoreError::Occupied(occupied));
        }
        tx.execute("DELETE FROM sessions", &[]).await?;
        for table in tables.iter().rev() {
            tx.execute(format!("DELETE FROM {}", quoted(&table.name)), &[]).await?;
        }
        let mut rows = 0;
        for part in parts {
            let part = part?;
            let Some(table) = tables.iter().find(|table| table.name == part.table) else {
                return Err(RestoreError::Unfit(format!("there is no table {}", part.table)));
            };
            rows += fill(&mut tx, table, &part).await?;
        }
        let revision = raised.max(dumped.revision.saturating_add(1));
        let number = i64::try_from(revision).unwrap_or(i64::MAX);
        tx.execute("UPDATE meta SET revision = $1", &[number.into()]).await?;
        tx.execute("DELETE FROM changes", &[]).await?;
        news::tell(&mut tx, news::revision(revision)).await?;
        tx.commit().await?;
        self.announce(revision);
        Ok(rows)
    }
}

/// The tables that last, each after those that it refers to.
async fn tables(tx: &mut Tx) -> Result<Vec<Table>, StoreError> {
    let (names, columns, refers) = if tx.is_sqlite() { SQLITE } else { POSTGRES };
    let mut found = Vec::new();
    for row in tx.rows(names, &[]).await? {
        let name = row.text(0)?;
        if PASSING.contains(&name.as_str()) {
            continue;
        }
        let mut table = Table { columns: Vec::new(), refers: Vec::new(), name };
        for row in tx.rows(columns, &[(&table.name).into()]).await? {
            let (column, kind) = (row.text(0)?, row.text(1)?);
            let number = match kind.to_lowercase().as_str() {
                "bigint" => true,
                "text" => false,
                other => {
                    let what = format!("{}.{column} is of type {other}", table.name);
                    return Err(StoreError::Corrupt(what));
                }
            };
            table.columns.push((column, number));
        }
        for row in tx.rows(refers, &[(&table.name).into()]).await? {
            table.refers.push(row.text(0)?);
        }
        found.push(table);
    }
    Ok(in_order(found))
}

type Catalogue = (&'static str, &'static str, &'static str);
const SQLITE: Catalogue = (
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' \
     ORDER BY name",
    "SELECT name, type FROM pragma_table_info($1) ORDER BY cid",
    "SELECT DISTINCT \"table\" FROM pragma_foreign_key_list($1)",
);
const POSTGRES: Catalogue = (
    "SELECT c.relname::TEXT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p') AND NOT c.relispartition \
     ORDER BY c.relname::TEXT COLLATE \"C\"",
    "SELECT column_name::TEXT, data_type::TEXT FROM information_schema.columns \
     WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position",
    "SELECT DISTINCT t.relname::TEXT FROM pg_constraint f JOIN pg_class t ON t.oid = f.confrelid \
     JOIN pg_class c ON c.oid = f.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE f.contype = 'f' AND n.nspname = current_schema() AND c.relname = $1",
);

/// By name, but none before a table that it refers to, unless they refer to each other.
fn in_order(mut tables: Vec<Table>) -> Vec<Table> {
    let mut ordered: Vec<Table> = Vec::new();
    while !tables.is_empty() {
        let free = tables.iter().position(|table| {
            let waits =
                |other: &Table| other.name != table.name && table.refers.contains(&other.name);
            !tables.iter().any(waits)
        });
        ordered.push(tables.remove(free.unwrap_or(0)));
    }
    ordered
}

async fn occupied(tx: &mut Tx, tables: &[Table]) -> Result<Vec<String>, StoreError> {
    let mut occupied = Vec::new();
    for table in tables {
        let sql = format!("SELECT 1 FROM {} LIMIT 1", quoted(&table.name));
        if tx.row(sql, &[]).await?.is_some() {
            occupied.push(table.name.clone());
        }
    }
    Ok(occupied)
}

/// Names come from the database's own catalogue or were found there.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

async fn dump_table(
    tx: &mut Tx,
    table: &Table,
    take: &mut impl FnMut(Part) -> std::io::Result<()>,
) -> Result<(), RestoreError> {
    let names: Vec<&str> = table.columns.iter().map(|(name, _)| name.as_str()).collect();
    let mut head = serde_json::to_vec(&names).map_err(std::io::Error::from)?;
    head.push(b'\n');
    let new = || Part { table: table.name.clone(), lines: head.clone(), rows: 0 };
    let mut part = new();
    let mut failed = None;
    let columns: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    let sql = format!("SELECT {} FROM {}", columns.join(", "), quoted(&table.name));
    let each = |row: Row| {
        let line = line(&row, table)?;
        part.lines.extend_from_slice(line.as_bytes());
        part.lines.push(b'\n');
        part.rows += 1;
        if part.lines.len() >= PART_BYTES {
            let full = std::mem::replace(&mut part, new());
            if let Err(error) = take(full) {
                failed = Some(error);
                return Ok(false);
            }
        }
        Ok(true)
    };
    tx.each(sql, each).await?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    // An empty table is a part too: that it was empty is known.
    Ok(take(part)?)
}

fn line(row: &Row, table: &Table) -> Result<String, StoreError> {
    let mut values = Vec::with_capacity(table.columns.len());
    for (at, (_, number)) in table.columns.iter().enumerate() {
        values.push(match number {
            true => row.int_or_null(at)?.map_or(Json::Null, Json::from),
            false => row.text_or_null(at)?.map_or(Json::Null, Json::from),
        });
    }
    Ok(Json::Array(values).to_string())
}

/// Writes the rows of a part.
async fn fill(tx: &mut Tx, table: &Table, part: &Part) -> Result<u64, RestoreError> {
    let unfit = |what: &str| RestoreError::Unfit(format!("{}: {what}", table.name));
    let mut lines = part.lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let head = lines.next().ok_or_else(|| unfit("a part without columns"))?;
    let names: Vec<String> = serde_json::from_slice(head).map_err(|_| unfit("its columns"))?;
    let mut kinds = Vec::with_capacity(names.len());
    for name in &names {
        let known = table.columns.iter().find(|(column, _)| column == name);
        kinds.push(known.ok_or_else(|| unfit(&format!("there is no column {name}")))?.1);
    }
    let rows_at_once = (VALUES / names.len().max(1)).clamp(1, 200);
    let mut values = Vec::new();
    let mut rows = 0;
    for line in lines {
        let row: Vec<Json> = serde_json::from_slice(line).map_err(|_| unfit("a row"))?;
        if row.len() != kinds.len() {
            return Err(unfit("a row of another length"));
        }
        for (value, number) in row.into_iter().zip(&kinds) {
            values.push(match (value, number) {
                (Json::Null, true) => Value::Int(None),
                (Json::Null, false) => Value::Text(None),
                (Json::Number(value), true) => {
                    Value::from(value.as_i64().ok_or_else(|| unfit("a number"))?)
                }
                (Json::String(text), false) => Value::from(text),
                _ => return Err(unfit("a value of another type")),
            });
        }
        rows += 1;
        if values.len() == rows_at_once * kinds.len() {
            insert(tx, table, &names, &values).await?;
            values.clear();
        }
    }
    if !values.is_empty() {
        insert(tx, table, &names, &values).await?;
    }
    Ok(rows)
}

async fn insert(
    tx: &mut Tx,
    table: &Table,
    names: &[String],
    values: &[Value<'_>],
) -> Result<(), StoreError> {
    let columns: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    let mut at = 0;
    let mut holder = || {
        at += 1;
        if tx.is_sqlite() { "?".to_owned() } else { format!("${at}") }
    };
    let rows: Vec<String> = (0..values.len() / names.len().max(1))
        .map(|_| {
            let row: Vec<String> = names.iter().map(|_| holder()).collect();
            format!("({})", row.join(", "))
        })
        .collect();
    let sql = format!(
        "INSERT INTO {} ({}) VALUES {}",
        quoted(&table.name),
        columns.join(", "),
        rows.join(", ")
    );
    tx.execute(sql, values).await.map(|_| ())
}
