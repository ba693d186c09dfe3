//! The audit log, and answers kept for repeated requests.

use std::fmt::Write as _;

use serde_json::Value as Json;

use crate::access::Actor;
use crate::error::StoreError;
use crate::listing::{Page, Paged};
use crate::sql::{Row, Tx, Value};
use crate::store::{Store, new_id, now_ms};

/// How long the answer to a request with an `Idempotency-Key` is kept.
const RESPONSE_KEPT_MS: i64 = 24 * 3600 * 1000;

/// One change that somebody made.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    /// UUIDv7.
    pub id: String,
    /// Unix milliseconds.
    pub at: i64,
    /// Who.
    pub actor: String,
    /// `create`, `replace` or `delete`.
    pub action: String,
    /// Kind of the row, `did`.
    pub resource: String,
    /// Its id.
    pub resource_id: String,
    /// The row before, secrets left out.
    pub before: Option<Json>,
    /// The row after, secrets left out.
    pub after: Option<Json>,
}

/// Which entries; every field given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Who.
    pub actor: Option<String>,
    /// `create`, `replace` or `delete`.
    pub action: Option<String>,
    /// Kind of the row.
    pub resource: Option<String>,
    /// Its id.
    pub resource_id: Option<String>,
    /// Not before, Unix milliseconds.
    pub from: Option<i64>,
    /// Before, Unix milliseconds.
    pub to: Option<i64>,
}

/// An answer given before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredResponse {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: String,
}

/// One line of the log in the making.
pub(crate) struct Change<'a> {
    pub(crate) action: &'static str,
    pub(crate) resource: &'static str,
    pub(crate) id: &'a str,
    pub(crate) before: Option<Json>,
    pub(crate) after: Option<Json>,
}

/// Writes who changed what, in the transaction of the change.
pub(crate) async fn log(tx: &mut Tx, actor: &Actor, change: Change<'_>) -> Result<(), StoreError> {
    let sql = "INSERT INTO audit (id, at, actor, action, resource, resource_id, before, after) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let text = |json: Option<Json>| Value::Text(json.map(|json| json.to_string().into()));
    let values = [
        new_id().into(),
        now_ms().into(),
        (&actor.name).into(),
        change.action.into(),
        change.resource.into(),
        change.id.into(),
        text(change.before),
        text(change.after),
    ];
    tx.execute(sql, &values).await.map(|_| ())
}

impl Store {
    /// The log, newest first.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database fails.
    pub async fn audit(
        &self,
        filter: &AuditFilter,
        page: &Page,
    ) -> Result<Paged<AuditEntry>, StoreError> {
        let mut sql = String::from(
            "SELECT id, at, actor, action, resource, resource_id, before, after FROM audit \
             WHERE 1 = 1",
        );
        let mut values: Vec<Value<'static>> = Vec::new();
        let mut and = |condition: &str, value: Option<Value<'static>>| {
            if let Some(value) = value {
                values.push(value);
                let _ = write!(sql, " AND {condition} ${}", values.len());
            }
        };
        and("actor =", filter.actor.as_ref().map(|it| it.clone().into()));
        and("action =", filter.action.as_ref().map(|it| it.clone().into()));
        and("resource =", filter.resource.as_ref().map(|it| it.clone().into()));
        and("resource_id =", filter.resource_id.as_ref().map(|it| it.clone().into()));
        and("at >=", filter.from.map(Value::from));
        and("at <", filter.to.map(Value::from));
        and("id <", page.after.as_ref().map(|it| it.clone().into()));
        let _ = write!(sql, " ORDER BY id DESC LIMIT {}", page.size() + 1);
        let rows = self.database.rows(sql, &values).await?;
        let items = rows.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        Ok(Paged::cut(items, page.size(), |entry| entry.id.clone()))
    }

    /// Keeps the answer to a request that carried an `Idempotency-Key`; the first one stays.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database fails.
    pub async fn remember_response(
        &self,
        key: &str,
        actor: &str,
        status: u16,
        body: &str,
    ) -> Result<(), StoreError> {
        let now = now_ms();
        let expired = "DELETE FROM idempotency WHERE created_at <= $1";
        self.database.execute(expired, &[(now - RESPONSE_KEPT_MS).into()]).await?;
        let sql = "INSERT INTO idempotency (actor, \"key\", status, body, created_at) \
                   VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
        let values = [actor.into(), key.into(), i64::from(status).into(), body.into(), now.into()];
        self.database.execute(sql, &values).await.map(|_| ())
    }

    /// The answer given to `actor` for this key in the last 24 hours.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database fails.
    pub async fn response_for(
        &self,
        key: &str,
        actor: &str,
    ) -> Result<Option<StoredResponse>, StoreError> {
        let sql = "SELECT status, body FROM idempotency \
                   WHERE actor = $1 AND \"key\" = $2 AND created_at > $3";
        let since = now_ms() - RESPONSE_KEPT_MS;
        let row = self.database.row(sql, &[actor.into(), key.into(), since.into()]).await?;
        let Some(row) = row else { return Ok(None) };
        let status = u16::try_from(row.int(0)?)
            .map_err(|_| StoreError::Corrupt("idempotency: status".into()))?;
        Ok(Some(StoredResponse { status, body: row.text(1)? }))
    }
}

fn entry(row: &Row) -> Result<AuditEntry, StoreError> {
    let json = |text: Option<String>| {
        text.map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|error| StoreError::Corrupt(format!("audit: {error}")))
    };
    Ok(AuditEntry {
        id: row.text(0)?,
        at: row.int(1)?,
        actor: row.text(2)?,
        action: row.text(3)?,
        resource: row.text(4)?,
        resource_id: row.text(5)?,
        before: json(row.text_or_null(6)?)?,
        after: json(row.text_or_null(7)?)?,
    })
}
