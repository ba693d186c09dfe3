//! The whole provisioning at once: read as one document, written as one document.

use std::collections::{BTreeMap, BTreeSet};

use tensou_engine::route::Fault;

use crate::access::{Actor, Scope};
use crate::audit::{Change, log};
use crate::changes::note;
use crate::error::StoreError;
use crate::judge::judge;
use crate::model::{Customer, Destination, Did, Document, Extension, Group, Schedule, Trunk};
use crate::resource::Resource;
use crate::rows;
use crate::sql::Tx;
use crate::store::{Store, now_ms, raise_revision, revision};
use crate::write::shown;

/// What an import did, or would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Rows that did not exist.
    pub created: u64,
    /// Rows that were different.
    pub updated: u64,
    /// Rows that were the same.
    pub unchanged: u64,
}

impl Store {
    /// Writes every row of the document: new ones are created, others replaced; rows that the
    /// document does not name stay. Secrets that it leaves out stay as they were. One
    /// transaction: all or nothing, and with `dry_run` nothing, after the same judgement.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] with every fault; [`crate::locate`] finds their lines.
    pub async fn import(
        &self,
        actor: &Actor,
        document: &Document,
        dry_run: bool,
    ) -> Result<ImportReport, StoreError> {
        if actor.scope != Scope::All {
            return Err(StoreError::NotFound);
        }
        let mut tx = self.database.write().await?;
        let revision = raise_revision(&mut tx).await?;
        let mut import = Import {
            actor,
            stored: rows::load(&mut tx).await?,
            faults: Vec::new(),
            report: ImportReport::default(),
            now_ms: now_ms(),
        };
        import.all(&mut tx, document).await?;
        let Import { stored: merged, mut faults, report, .. } = import;
        match judge(&merged, revision) {
            Err(StoreError::Invalid(found)) => faults.extend(found),
            other => other?,
        }
        if !faults.is_empty() {
            return Err(StoreError::Invalid(faults));
        }
        if !dry_run && report.created + report.updated > 0 {
            note(&mut tx, revision, "*", "").await?;
            tx.commit().await?;
            self.announce(revision);
        }
        Ok(report)
    }

    /// Everything provisioned; passwords of extensions and trunks only `with_secrets`.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database fails.
    pub async fn export(&self, with_secrets: bool) -> Result<Document, StoreError> {
        let (_, mut document) = self.document().await?;
        if !with_secrets {
            let Document { trunks, extensions, .. } = &mut document;
            trunks.iter_mut().for_each(|row| *row = row.redacted());
            extensions.iter_mut().for_each(|row| *row = row.redacted());
        }
        Ok(document)
    }

    /// Everything provisioned, secrets included, as of one revision.
    pub(crate) async fn document(&self) -> Result<(u64, Document), StoreError> {
        let mut tx = self.database.read().await?;
        Ok((revision(&mut tx).await?, rows::load(&mut tx).await?))
    }
}

struct Import<'a> {
    actor: &'a Actor,
    /// What is stored, becoming what will be.
    stored: Document,
    faults: Vec<Fault>,
    report: ImportReport,
    now_ms: i64,
}

impl Import<'_> {
    async fn all(&mut self, tx: &mut Tx, document: &Document) -> Result<(), StoreError> {
        self.rows::<Customer>(tx, document).await?;
        self.rows::<Did>(tx, document).await?;
        self.rows::<Trunk>(tx, document).await?;
        self.rows::<Extension>(tx, document).await?;
        self.rows::<Destination>(tx, document).await?;
        self.rows::<Group>(tx, document).await?;
        self.rows::<Schedule>(tx, document).await
    }

    async fn rows<R: Resource>(
        &mut self,
        tx: &mut Tx,
        document: &Document,
    ) -> Result<(), StoreError> {
        let stored = std::mem::take(R::rows_mut(&mut self.stored));
        let mut merged: BTreeMap<String, R> =
            stored.into_iter().map(|row| (row.id().to_owned(), row)).collect();
        let mut seen = BTreeSet::new();
        for row in R::rows(document) {
            let mut row = row.clone().normalised();
            if !seen.insert(row.id().to_owned()) {
                self.faults.push(twice(&row));
                continue;
            }
            let before = merged.get(row.id());
            if let Some(before) = before {
                row.keep_secret_of(before);
            }
            if before == Some(&row) {
                self.report.unchanged += 1;
                continue;
            }
            // What is wrong in itself may not even fit the table; the judgement names it.
            if row.check().is_empty() {
                self.write(tx, before, &row).await?;
            }
            merged.insert(row.id().to_owned(), row);
        }
        *R::rows_mut(&mut self.stored) = merged.into_values().collect();
        Ok(())
    }

    async fn write<R: Resource>(
        &mut self,
        tx: &mut Tx,
        before: Option<&R>,
        row: &R,
    ) -> Result<(), StoreError> {
        let action = match before {
            None => {
                rows::insert(tx, row, self.now_ms).await?;
                self.report.created += 1;
                "create"
            }
            Some(_) => {
                rows::update(tx, row, self.now_ms).await?;
                self.report.updated += 1;
                "replace"
            }
        };
        let change = Change {
            action,
            resource: R::KIND,
            id: row.id(),
            before: before.map(shown).transpose()?,
            after: Some(shown(row)?),
        };
        log(tx, self.actor, change).await
    }
}

fn twice<R: Resource>(row: &R) -> Fault {
    Fault {
        kind: R::KIND,
        key: row.id().to_owned(),
        field: R::LAYOUT.fields.first().map_or("id", |field| field.name).to_owned(),
        message: format!("{} {} stands twice in the document", R::KIND, row.id()),
    }
}
