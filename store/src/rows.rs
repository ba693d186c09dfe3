//! Rows of provisioned documents: one set of statements for all of them, composed from the
//! columns that [`crate::shape`] names.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::{Map, Value as Json};
use tensou_engine::plan::parse_e164;

use crate::access::Scope;
use crate::error::StoreError;
use crate::listing::{Filter, Listing, Page, Paged, Versioned};
use crate::model::Document;
use crate::resource::{Layout, Resource};
use crate::shape::{Field, Kind, Presence};
use crate::sql::{Row, Tx, Value};
use crate::store::Store;

impl Store {
    /// A page of rows in the order of their ids.
    ///
    /// # Errors
    /// [`StoreError::Filter`] when a field cannot be filtered by.
    pub async fn list<R: Resource>(
        &self,
        filter: &Filter,
        page: &Page,
    ) -> Result<Listing<R>, StoreError> {
        let mut query = Select::<R>::within(&filter.scope);
        for (field, value) in &filter.equals {
            query.demand(field, value)?;
        }
        if let Some(after) = &page.after {
            let id = R::LAYOUT.id();
            query.and(format!("\"{id}\" > "), after.clone().into());
        }
        let rows = self.database.rows(query.sql(Some(page.size() + 1)), &query.values).await?;
        let items = rows.iter().map(read::<R>).collect::<Result<Vec<_>, _>>()?;
        let items = items.into_iter().map(Versioned::redacted).collect();
        Ok(Paged::cut(items, page.size(), |item: &Versioned<R>| item.row.id().to_owned()))
    }

    /// One row, without secrets; none when it does not exist or `scope` does not see it.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database fails.
    pub async fn get<R: Resource>(
        &self,
        id: &str,
        scope: &Scope,
    ) -> Result<Option<Versioned<R>>, StoreError> {
        let mut query = Select::<R>::within(scope);
        query.and(format!("\"{}\" = ", R::LAYOUT.id()), R::key(id).into_owned().into());
        let row = self.database.row(query.sql(None), &query.values).await?;
        row.as_ref().map(read::<R>).transpose().map(|row| row.map(Versioned::redacted))
    }
}

impl<R: Resource> Versioned<R> {
    fn redacted(self) -> Self {
        Versioned { row: self.row.redacted(), ..self }
    }
}

/// The row as stored, secrets included, when `scope` sees it.
pub(crate) async fn find<R: Resource>(
    tx: &mut Tx,
    id: &str,
    scope: &Scope,
) -> Result<Option<Versioned<R>>, StoreError> {
    let mut query = Select::<R>::within(scope);
    query.and(format!("\"{}\" = ", R::LAYOUT.id()), id.to_owned().into());
    let row = tx.row(query.sql(None), &query.values).await?;
    row.as_ref().map(read::<R>).transpose()
}

/// The row as stored, secrets included, whoever's it is.
pub(crate) async fn find_any<R: Resource>(
    tx: &mut Tx,
    id: &str,
) -> Result<Option<Versioned<R>>, StoreError> {
    find(tx, id, &Scope::All).await
}

/// Writes a new row as version 1; false when one with this id exists.
pub(crate) async fn insert<R: Resource>(
    tx: &mut Tx,
    row: &R,
    now_ms: i64,
) -> Result<bool, StoreError> {
    let Layout { table, fields, .. } = R::LAYOUT;
    let mut values = columns_of(row)?;
    values.extend([Value::from(1), Value::from(now_ms)]);
    let holders: Vec<String> = (1..=values.len()).map(|at| format!("${at}")).collect();
    let sql = format!(
        "INSERT INTO {table} ({}, version, updated_at) VALUES ({}) ON CONFLICT DO NOTHING",
        names(fields),
        holders.join(", ")
    );
    Ok(tx.execute(sql, &values).await? == 1)
}

/// Writes a changed row as its next version.
pub(crate) async fn update<R: Resource>(
    tx: &mut Tx,
    row: &R,
    now_ms: i64,
) -> Result<(), StoreError> {
    let Layout { table, fields, .. } = R::LAYOUT;
    let mut values = columns_of(row)?;
    let mut sql = format!("UPDATE {table} SET ");
    for (at, field) in fields.iter().enumerate().skip(1) {
        let _ = write!(sql, "\"{}\" = ${}, ", field.name, at + 1);
    }
    values.push(Value::from(now_ms));
    let _ = write!(
        sql,
        "version = version + 1, updated_at = ${} WHERE \"{}\" = $1",
        values.len(),
        R::LAYOUT.id()
    );
    tx.execute(sql, &values).await.map(|_| ())
}

pub(crate) async fn remove<R: Resource>(tx: &mut Tx, id: &str) -> Result<(), StoreError> {
    let sql = format!("DELETE FROM {} WHERE \"{}\" = $1", R::LAYOUT.table, R::LAYOUT.id());
    tx.execute(sql, &[id.into()]).await.map(|_| ())
}

/// Everything provisioned, secrets included, each list in the order of ids.
pub(crate) async fn load(tx: &mut Tx) -> Result<Document, StoreError> {
    Ok(Document {
        trunks: all(tx).await?,
        customers: all(tx).await?,
        dids: all(tx).await?,
        destinations: all(tx).await?,
        groups: all(tx).await?,
        extensions: all(tx).await?,
        schedules: all(tx).await?,
    })
}

async fn all<R: Resource>(tx: &mut Tx) -> Result<Vec<R>, StoreError> {
    let query = Select::<R>::within(&Scope::All);
    let rows = tx.rows(query.sql(None), &[]).await?;
    rows.iter().map(|row| read(row).map(|found| found.row)).collect()
}

impl Layout {
    /// The first field is the id.
    fn id(&self) -> &'static str {
        self.fields.first().map_or("id", |field| field.name)
    }
}

/// A SELECT being composed: conditions from constant names, values bound.
struct Select<R> {
    conditions: String,
    values: Vec<Value<'static>>,
    of: std::marker::PhantomData<R>,
}

impl<R: Resource> Select<R> {
    fn within(scope: &Scope) -> Self {
        let mut query = Select {
            conditions: String::from("1 = 1"),
            values: Vec::new(),
            of: std::marker::PhantomData,
        };
        match (scope, R::LAYOUT.customer) {
            (Scope::All, _) => {}
            (_, None) => query.conditions.push_str(" AND 1 = 0"),
            (Scope::Customer(id), Some(column)) => {
                query.and(format!("\"{column}\" = "), id.clone().into());
            }
            (Scope::Reseller(id), Some(column)) => {
                let _ = write!(
                    query.conditions,
                    " AND \"{column}\" IN (SELECT id FROM customers WHERE reseller = ${})",
                    query.values.len() + 1
                );
                query.values.push(id.clone().into());
            }
        }
        query
    }

    fn and(&mut self, condition: String, value: Value<'static>) {
        self.values.push(value);
        let _ = write!(self.conditions, " AND {condition}${}", self.values.len());
    }

    fn demand(&mut self, name: &str, value: &str) -> Result<(), StoreError> {
        let wrong = |message: String| StoreError::Filter { field: name.to_owned(), message };
        let field = R::LAYOUT.fields.iter().find(|field| field.name == name);
        let Some(field) = field.filter(|field| filterable(field)) else {
            let fields = R::LAYOUT.fields.iter().filter(|field| filterable(field));
            let known: Vec<&str> = fields.map(|field| field.name).collect();
            return Err(wrong(format!("possible fields are {}", known.join(", "))));
        };
        if value.is_empty() && field.nullable() {
            let _ = write!(self.conditions, " AND \"{name}\" IS NULL");
            return Ok(());
        }
        let value = match field.kind {
            Kind::Flag => match value {
                "true" => Value::from(1),
                "false" => Value::from(0),
                _ => return Err(wrong("expected true or false".into())),
            },
            Kind::Integer(_) => {
                let number = value.parse::<i64>();
                Value::from(number.map_err(|_| wrong("expected a whole number".into()))?)
            }
            Kind::Number => {
                parse_e164(value).map_or_else(|_| value.to_owned(), |it| it.to_string()).into()
            }
            Kind::Text | Kind::List(_) | Kind::Table(_) | Kind::TextOrTable(_) => {
                value.to_owned().into()
            }
        };
        self.and(format!("\"{name}\" = "), value);
        Ok(())
    }

    fn sql(&self, limit: Option<usize>) -> String {
        let Layout { table, fields, .. } = R::LAYOUT;
        let mut sql = format!(
            "SELECT {}, version, updated_at FROM {table} WHERE {} ORDER BY \"{}\"",
            names(fields),
            self.conditions,
            R::LAYOUT.id()
        );
        if let Some(limit) = limit {
            let _ = write!(sql, " LIMIT {limit}");
        }
        sql
    }
}

fn filterable(field: &Field) -> bool {
    field.presence != Presence::Secret
        && !matches!(field.kind, Kind::List(_) | Kind::Table(_) | Kind::TextOrTable(_))
}

fn names(fields: &[Field]) -> String {
    let quoted: Vec<String> = fields.iter().map(|field| format!("\"{}\"", field.name)).collect();
    quoted.join(", ")
}

fn columns_of<R: Resource>(row: &R) -> Result<Vec<Value<'static>>, StoreError> {
    let json = serde_json::to_value(row).map_err(unreadable::<R>)?;
    let Json::Object(mut object) = json else { return Ok(Vec::new()) };
    let column = |field: &Field| {
        let value = object.remove(field.name).unwrap_or(Json::Null);
        match (field.kind, value) {
            (Kind::Integer(_), value) => Value::Int(value.as_i64()),
            (Kind::Flag, value) => Value::Int(value.as_bool().map(i64::from)),
            (_, Json::Null) => Value::Text(None),
            (_, Json::String(text)) => Value::Text(Some(Cow::Owned(text))),
            (_, value) => Value::from(value.to_string()),
        }
    };
    Ok(R::LAYOUT.fields.iter().map(column).collect())
}

fn read<R: Resource>(row: &Row) -> Result<Versioned<R>, StoreError> {
    let fields = R::LAYOUT.fields;
    let mut object = Map::with_capacity(fields.len());
    for (at, field) in fields.iter().enumerate() {
        let value = match field.kind {
            Kind::Integer(_) => row.int_or_null(at)?.map_or(Json::Null, Json::from),
            Kind::Flag => row.int_or_null(at)?.map_or(Json::Null, |flag| Json::from(flag != 0)),
            Kind::Text | Kind::Number => row.text_or_null(at)?.map_or(Json::Null, Json::from),
            Kind::List(_) | Kind::Table(_) | Kind::TextOrTable(_) => match row.text_or_null(at)? {
                Some(text) => serde_json::from_str(&text).map_err(unreadable::<R>)?,
                None => Json::Null,
            },
        };
        object.insert(field.name.to_owned(), value);
    }
    Ok(Versioned {
        row: serde_json::from_value(Json::Object(object)).map_err(unreadable::<R>)?,
        version: row.int(fields.len())?,
        updated_at: row.int(fields.len() + 1)?,
    })
}

fn unreadable<R: Resource>(error: serde_json::Error) -> StoreError {
    StoreError::Corrupt(format!("table {}: {error}", R::LAYOUT.table))
}
