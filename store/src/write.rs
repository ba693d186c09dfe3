//! Changes of single rows: each one transaction, judged as a whole before it commits.

use serde_json::Value as Json;
use tensou_engine::route::Fault;

use crate::access::{Actor, Scope};
use crate::around::around;
use crate::audit::{Change, log};
use crate::changes::note;
use crate::error::StoreError;
use crate::judge::judge;
use crate::listing::Versioned;
use crate::model::{Customer, Did};
use crate::references::users_of;
use crate::resource::Resource;
use crate::rows;
use crate::sql::Tx;
use crate::store::{Store, now_ms, raise_revision};

impl Store {
    /// Creates a row and returns it without its secrets.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the id is taken, [`StoreError::Invalid`] with every fault,
    /// [`StoreError::NotFound`] when the actor would not see the row.
    pub async fn create<R: Resource>(
        &self,
        actor: &Actor,
        row: &R,
    ) -> Result<Versioned<R>, StoreError> {
        let row = checked(row.clone())?;
        let mut tx = self.database.write().await?;
        let revision = raise_revision(&mut tx).await?;
        let now = now_ms();
        if !rows::insert(&mut tx, &row, now).await? {
            return Err(StoreError::Conflict(format!("{} {}", R::KIND, row.id())));
        }
        visible(&mut tx, &row, actor).await?;
        judge(&around::<R>(&mut tx, row.id()).await?, revision)?;
        note(&mut tx, revision, R::KIND, row.id()).await?;
        let after = Some(shown(&row)?);
        let change =
            Change { action: "create", resource: R::KIND, id: row.id(), before: None, after };
        log(&mut tx, actor, change).await?;
        tx.commit().await?;
        self.announce(revision);
        Ok(Versioned { row: row.redacted(), version: 1, updated_at: now })
    }

    /// Puts a row in the place of the one with this id and returns it without its secrets. A
    /// secret that `row` leaves out stays as it was.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the actor sees no such row, [`StoreError::Version`] when it
    /// is not at `if_version`, [`StoreError::Invalid`] with every fault.
    pub async fn replace<R: Resource>(
        &self,
        actor: &Actor,
        id: &str,
        row: &R,
        if_version: Option<i64>,
    ) -> Result<Versioned<R>, StoreError> {
        let mut row = row.clone().normalised();
        let id = R::key(id);
        let mut tx = self.database.write().await?;
        let revision = raise_revision(&mut tx).await?;
        let stored = current::<R>(&mut tx, &id, &actor.scope, if_version).await?;
        row.keep_secret_of(&stored.row);
        let row = checked(row)?;
        if row.id() != id {
            return Err(StoreError::Invalid(vec![renamed::<R>(&id)]));
        }
        if row == stored.row {
            return Ok(Versioned { row: row.redacted(), ..stored });
        }
        let (version, now) = (stored.version + 1, now_ms());
        rows::update(&mut tx, &row, now).await?;
        visible(&mut tx, &row, actor).await?;
        judge(&around::<R>(&mut tx, &id).await?, revision)?;
        note(&mut tx, revision, R::KIND, &id).await?;
        let (before, after) = (Some(shown(&stored.row)?), Some(shown(&row)?));
        let change = Change { action: "replace", resource: R::KIND, id: &id, before, after };
        log(&mut tx, actor, change).await?;
        tx.commit().await?;
        self.announce(revision);
        Ok(Versioned { row: row.redacted(), version, updated_at: now })
    }

    /// Deletes a row that nothing refers to.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the actor sees no such row, [`StoreError::Version`] when it
    /// is not at `if_version`, [`StoreError::InUse`] with the names of those who refer to it.
    pub async fn delete<R: Resource>(
        &self,
        actor: &Actor,
        id: &str,
        if_version: Option<i64>,
    ) -> Result<(), StoreError> {
        let id = R::key(id);
        let mut tx = self.database.write().await?;
        let revision = raise_revision(&mut tx).await?;
        let stored = current::<R>(&mut tx, &id, &actor.scope, if_version).await?;
        // Any row may refer to it; only of a DID it is known which.
        let mut document = match R::KIND {
            Did::KIND => around::<R>(&mut tx, &id).await?,
            _ => rows::load(&mut tx).await?,
        };
        let mut by = users_of(&document, R::KIND, &id);
        if R::KIND == Customer::KIND {
            by.extend(accounts_of(&mut tx, &id).await?);
        }
        if !by.is_empty() {
            return Err(StoreError::InUse { kind: R::KIND, id: id.into_owned(), by });
        }
        rows::remove::<R>(&mut tx, &id).await?;
        R::rows_mut(&mut document).retain(|row| row.id() != id);
        judge(&document, revision)?;
        note(&mut tx, revision, R::KIND, &id).await?;
        let before = Some(shown(&stored.row)?);
        let change = Change { action: "delete", resource: R::KIND, id: &id, before, after: None };
        log(&mut tx, actor, change).await?;
        tx.commit().await?;
        self.announce(revision);
        Ok(())
    }
}

async fn current<R: Resource>(
    tx: &mut Tx,
    id: &str,
    scope: &Scope,
    if_version: Option<i64>,
) -> Result<Versioned<R>, StoreError> {
    let stored = rows::find::<R>(tx, id, scope).await?.ok_or(StoreError::NotFound)?;
    match if_version {
        Some(version) if version != stored.version => Err(StoreError::Version),
        _ => Ok(stored),
    }
}

/// A confined actor cannot put a row where they would not see it.
async fn visible<R: Resource>(tx: &mut Tx, row: &R, actor: &Actor) -> Result<(), StoreError> {
    if actor.scope == Scope::All {
        return Ok(());
    }
    let seen = rows::find::<R>(tx, row.id(), &actor.scope).await?;
    seen.map(|_| ()).ok_or(StoreError::NotFound)
}

/// Users and tokens that see this customer's rows.
async fn accounts_of(tx: &mut Tx, customer: &str) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT 'user ' || name FROM users WHERE customer = $1 \
               UNION ALL SELECT 'token ' || name FROM tokens WHERE customer = $1 ORDER BY 1";
    tx.rows(sql, &[customer.into()]).await?.iter().map(|row| row.text(0)).collect()
}

fn checked<R: Resource>(row: R) -> Result<R, StoreError> {
    let row = row.normalised();
    let faults = row.check();
    if faults.is_empty() { Ok(row) } else { Err(StoreError::Invalid(faults)) }
}

fn renamed<R: Resource>(id: &str) -> Fault {
    let field = R::LAYOUT.fields.first().map_or("id", |field| field.name);
    Fault {
        kind: R::KIND,
        key: id.to_owned(),
        field: field.to_owned(),
        message: "an id stays as it is; create a new row and delete this one".into(),
    }
}

/// A row as the audit log shows it.
pub(crate) fn shown<R: Resource>(row: &R) -> Result<Json, StoreError> {
    serde_json::to_value(row.redacted())
        .map_err(|error| StoreError::Corrupt(format!("{}: {error}", R::KIND)))
}
