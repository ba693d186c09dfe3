//! Call records: written once each, read newest first.

use std::fmt::Write as _;
use std::sync::LazyLock;

use tensou_engine::Cdr;

use crate::access::Scope;
use crate::error::StoreError;
use crate::listing::{Page, Paged};
use crate::model::CdrRecord;
use crate::sql::{Row, Value, within};
use crate::store::Store;

const COLUMNS: &str = "id, node, direction, did, customer_id, caller, caller_class, trunk_in, \
     started_at, ringing_at, answered_at, ended_at, duration_ms, result, sip_status, q850_cause, \
     ended_by, answered_by, recording_id, price, cost, legs";
const COLUMN_COUNT: usize = 22;
/// Rows per statement. Few sizes, so that each is prepared once and then found in the
/// connection's cache; the largest stays far below the 32,766 values that SQLite binds.
const STATEMENT_ROWS: [usize; 3] = [64, 8, 1];

/// Which records; every field given must hold.
#[derive(Clone, Debug)]
pub struct CdrFilter {
    /// Whose records.
    pub scope: Scope,
    /// Started not before, Unix milliseconds.
    pub from: Option<i64>,
    /// Started before, Unix milliseconds.
    pub to: Option<i64>,
    /// DID, as stored.
    pub did: Option<String>,
    /// Customer id.
    pub customer: Option<String>,
    /// Caller's number, as stored.
    pub caller: Option<String>,
    /// Trunk it came by.
    pub trunk_in: Option<String>,
    /// Outcome.
    pub result: Option<String>,
    /// `in`, `out` or `forward`.
    pub direction: Option<String>,
    /// Stands somewhere in the DID, caller, customer, answering destination or id; case of
    /// letters does not matter.
    pub text: Option<String>,
}

impl CdrFilter {
    /// Every record that `scope` sees.
    pub fn within(scope: Scope) -> Self {
        CdrFilter {
            scope,
            from: None,
            to: None,
            did: None,
            customer: None,
            caller: None,
            trunk_in: None,
            result: None,
            direction: None,
            text: None,
        }
    }
}

/// A page of records.
pub type CdrPage = Paged<CdrRecord>;

impl Store {
    /// Writes records made on `node`, all or none, and returns how many were new. A record whose
    /// id is stored already is left as it is, so delivering again is harmless.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database fails: nothing was written, deliver again.
    pub async fn insert_cdrs(&self, node: &str, cdrs: &[Cdr]) -> Result<u64, StoreError> {
        if cdrs.is_empty() {
            return Ok(0);
        }
        within(self.insert_all(node, cdrs)).await
    }

    async fn insert_all(&self, node: &str, cdrs: &[Cdr]) -> Result<u64, StoreError> {
        let mut tx = self.database.write().await?;
        let mut new = 0;
        let mut rest = cdrs;
        while !rest.is_empty() {
            let statements = if tx.is_sqlite() { &*INSERT_SQLITE } else { &*INSERT_POSTGRES };
            let mut sizes = STATEMENT_ROWS.into_iter().zip(statements.iter());
            let fitting = sizes.find(|(size, _)| *size <= rest.len());
            let (size, sql) = fitting.unwrap_or((1, &statements[2]));
            let (batch, later) = rest.split_at(size);
            let mut values = Vec::with_capacity(size * COLUMN_COUNT);
            for cdr in batch {
                bind(CdrRecord::of(node, cdr), &mut values)?;
            }
            new += tx.execute(sql.as_str(), &values).await?;
            rest = later;
        }
        tx.commit().await?;
        Ok(new)
    }

    /// A page of records, newest first.
    ///
    /// # Errors
    /// [`StoreError::Cursor`] when `page.after` is no cursor of this list.
    pub async fn cdrs(&self, filter: &CdrFilter, page: &Page) -> Result<CdrPage, StoreError> {
        let mut query = Conditions::of(filter);
        if let Some(after) = &page.after {
            let (started_at, id) = cursor(after).ok_or(StoreError::Cursor)?;
            query.values.push(started_at.into());
            query.values.push(id.into());
            let at = query.values.len();
            // The first condition alone tells PostgreSQL which months to look into.
            let _ = write!(
                query.sql,
                " AND started_at <= ${0} AND (started_at, id) < (${0}, ${at})",
                at - 1
            );
        }
        let sql = format!(
            "SELECT {COLUMNS} FROM cdrs WHERE {} ORDER BY started_at DESC, id DESC LIMIT {}",
            query.sql,
            page.size() + 1
        );
        let rows = self.database.rows(sql, &query.values).await?;
        let items = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        Ok(Paged::cut(items, page.size(), |record| format!("{}.{}", record.started_at, record.id)))
    }

    /// One record; none when it does not exist or `scope` does not see it.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database fails.
    pub async fn cdr(&self, id: &str, scope: &Scope) -> Result<Option<CdrRecord>, StoreError> {
        let mut query = Conditions::of(&CdrFilter::within(scope.clone()));
        query.and("id =", Some(id.to_owned().into()));
        let sql = format!("SELECT {COLUMNS} FROM cdrs WHERE {}", query.sql);
        let row = self.database.row(sql, &query.values).await?;
        row.as_ref().map(read).transpose()
    }
}

struct Conditions {
    sql: String,
    values: Vec<Value<'static>>,
}

impl Conditions {
    fn of(filter: &CdrFilter) -> Self {
        let mut query = Conditions { sql: String::from("1 = 1"), values: Vec::new() };
        let text = |field: &Option<String>| field.clone().map(Value::from);
        match &filter.scope {
            Scope::All => {}
            Scope::Customer(id) => query.and("customer_id =", Some(id.clone().into())),
            Scope::Reseller(id) => {
                query.values.push(id.clone().into());
                query
                    .sql
                    .push_str(" AND customer_id IN (SELECT id FROM customers WHERE reseller = $1)");
            }
        }
        query.and("started_at >=", filter.from.map(Value::from));
        query.and("started_at <", filter.to.map(Value::from));
        query.and("did =", text(&filter.did));
        query.and("customer_id =", text(&filter.customer));
        query.and("caller =", text(&filter.caller));
        query.and("trunk_in =", text(&filter.trunk_in));
        query.and("result =", text(&filter.result));
        query.and("direction =", text(&filter.direction));
        if let Some(wanted) = &filter.text {
            query.values.push(containing(wanted).into());
            let at = query.values.len();
            let _ = write!(
                query.sql,
                " AND LOWER(COALESCE(did, '') || ' ' || caller || ' ' || \
                 COALESCE(customer_id, '') || ' ' || COALESCE(answered_by, '') || ' ' || id) \
                 LIKE ${at} ESCAPE '!'"
            );
        }
        query
    }

    fn and(&mut self, condition: &str, value: Option<Value<'static>>) {
        if let Some(value) = value {
            self.values.push(value);
            let _ = write!(self.sql, " AND {condition} ${}", self.values.len());
        }
    }
}

/// A LIKE pattern for `text` anywhere, its own wildcards taken literally.
fn containing(text: &str) -> String {
    let mut pattern = String::from("%");
    for ch in text.to_lowercase().chars() {
        if matches!(ch, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(ch);
    }
    pattern.push('%');
    pattern
}

fn cursor(text: &str) -> Option<(i64, String)> {
    let (started_at, id) = text.split_once('.')?;
    Some((started_at.parse().ok()?, id.to_owned()))
}

/// One statement per size, made once: its text is longer than the rows. SQLite gets `?`: it looks
/// a named parameter (`$1`) up by walking all names, which for a large statement costs more than
/// the insert.
static INSERT_SQLITE: LazyLock<[String; 3]> =
    LazyLock::new(|| STATEMENT_ROWS.map(|rows| insert_statement(rows, |_| "?".to_owned())));
static INSERT_POSTGRES: LazyLock<[String; 3]> =
    LazyLock::new(|| STATEMENT_ROWS.map(|rows| insert_statement(rows, |at| format!("${at}"))));

fn insert_statement(rows: usize, parameter: impl Fn(usize) -> String) -> String {
    let mut sql = format!("INSERT INTO cdrs ({COLUMNS}) VALUES ");
    for row in 0..rows {
        sql.push_str(if row == 0 { "(" } else { ", (" });
        for column in 1..=COLUMN_COUNT {
            let comma = if column == 1 { "" } else { ", " };
            sql.push_str(comma);
            sql.push_str(&parameter(row * COLUMN_COUNT + column));
        }
        sql.push(')');
    }
    sql.push_str(" ON CONFLICT DO NOTHING");
    sql
}

/// Appends the values of one row in the order of [`COLUMNS`].
fn bind(record: CdrRecord, values: &mut Vec<Value<'static>>) -> Result<(), StoreError> {
    let legs = serde_json::to_string(&record.legs).map_err(unreadable)?;
    let optional = |text: Option<String>| Value::Text(text.map(Into::into));
    values.extend([
        record.id.into(),
        record.node.into(),
        record.direction.into(),
        optional(record.did),
        optional(record.customer_id),
        record.caller.into(),
        record.caller_class.into(),
        optional(record.trunk_in),
        record.started_at.into(),
        record.ringing_at.into(),
        record.answered_at.into(),
        record.ended_at.into(),
        record.duration_ms.into(),
        record.result.into(),
        i64::from(record.sip_status).into(),
        i64::from(record.q850_cause).into(),
        record.ended_by.into(),
        optional(record.answered_by),
        optional(record.recording_id),
        optional(record.price),
        optional(record.cost),
        legs.into(),
    ]);
    Ok(())
}

fn read(row: &Row) -> Result<CdrRecord, StoreError> {
    let out_of_range = |_| StoreError::Corrupt("cdrs: a status or cause".into());
    Ok(CdrRecord {
        id: row.text(0)?,
        node: row.text(1)?,
        direction: row.text(2)?,
        did: row.text_or_null(3)?,
        customer_id: row.text_or_null(4)?,
        caller: row.text(5)?,
        caller_class: row.text(6)?,
        trunk_in: row.text_or_null(7)?,
        started_at: row.int(8)?,
        ringing_at: row.int_or_null(9)?,
        answered_at: row.int_or_null(10)?,
        ended_at: row.int(11)?,
        duration_ms: row.int(12)?,
        result: row.text(13)?,
        sip_status: row.int(14)?.try_into().map_err(out_of_range)?,
        q850_cause: row.int(15)?.try_into().map_err(out_of_range)?,
        ended_by: row.text(16)?,
        answered_by: row.text_or_null(17)?,
        recording_id: row.text_or_null(18)?,
        price: row.text_or_null(19)?,
        cost: row.text_or_null(20)?,
        legs: serde_json::from_str(&row.text(21)?).map_err(unreadable)?,
    })
}

fn unreadable(error: serde_json::Error) -> StoreError {
    StoreError::Corrupt(format!("cdrs: {error}"))
}
