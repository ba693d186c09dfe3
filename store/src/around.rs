//! The part of the provisioning that a change of one row can make wrong. Judging that part
//! instead of the whole keeps a change of one DID among a hundred thousand cheap.

use std::collections::BTreeSet;

use crate::error::StoreError;
use crate::model::{Customer, Destination, Did, Document, Extension, Group, Schedule, Trunk};
use crate::references::references;
use crate::resource::Resource;
use crate::rows;
use crate::sql::Tx;

/// Kinds that what refers to them, other than to a DID, cannot be made wrong by: a DID that rings
/// a destination asks only that it exists. A group is none of them: its overflow adds steps to
/// the routes that ring it. Nor is a trunk: its account may be the name of any extension.
const LOCAL: &[&str] = &[Customer::KIND, Did::KIND, Destination::KIND, Extension::KIND];
/// A part that grows beyond this is read faster as the whole.
const MANY: usize = 2_000;

/// The row as it is stored now, those it refers to and so on, for a DID those that refer to it,
/// and every trunk: they are few, and rules compare them with each other and with extensions.
/// For kinds whose change can make any row wrong, everything. A new rule that compares rows
/// which do not refer to each other must be heeded here; the tests compare both judgements.
pub(crate) async fn around<R: Resource>(tx: &mut Tx, id: &str) -> Result<Document, StoreError> {
    if !LOCAL.contains(&R::KIND) {
        return rows::load(tx).await;
    }
    let mut part = Document::default();
    let mut read = BTreeSet::new();
    let mut wanted = BTreeSet::from([(R::KIND, id.to_owned())]);
    for row in tx.rows("SELECT id FROM trunks", &[]).await? {
        wanted.insert((Trunk::KIND, row.text(0)?));
    }
    if R::KIND == Did::KIND {
        let sql = "SELECT \"user\" FROM extensions WHERE presented_did = $1";
        for row in tx.rows(sql, &[id.into()]).await? {
            wanted.insert((Extension::KIND, row.text(0)?));
        }
    }
    while !wanted.is_empty() {
        for (kind, id) in &wanted {
            if read.len() > MANY || !fetch(tx, kind, id, &mut part).await? {
                return rows::load(tx).await;
            }
            read.insert((*kind, id.clone()));
        }
        let next = references(&part).into_iter().map(|found| (found.to.0, found.to.1.to_owned()));
        wanted = next.filter(|row| !read.contains(row)).collect();
    }
    Ok(part)
}

/// Adds a row to `part` if it exists; false for a kind that is not known here.
async fn fetch(tx: &mut Tx, kind: &str, id: &str, part: &mut Document) -> Result<bool, StoreError> {
    match kind {
        Trunk::KIND => one::<Trunk>(tx, id, part).await?,
        Customer::KIND => one::<Customer>(tx, id, part).await?,
        Did::KIND => one::<Did>(tx, id, part).await?,
        Destination::KIND => one::<Destination>(tx, id, part).await?,
        Group::KIND => one::<Group>(tx, id, part).await?,
        Extension::KIND => one::<Extension>(tx, id, part).await?,
        Schedule::KIND => one::<Schedule>(tx, id, part).await?,
        _ => return Ok(false),
    }
    Ok(true)
}

async fn one<R: Resource>(tx: &mut Tx, id: &str, part: &mut Document) -> Result<(), StoreError> {
    R::rows_mut(part).extend(rows::find_any::<R>(tx, id).await?.map(|found| found.row));
    Ok(())
}
