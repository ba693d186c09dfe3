//! Following changes: only what changed is read and converted again.

use tensou_engine::route::Fault;

use super::convert::{self, Converted};
use super::draft::Loaded;
use crate::changes::{Since, since};
use crate::error::StoreError;
use crate::model::{Customer, Destination, Did, Extension, Group};
use crate::resource::Resource;
use crate::rows;
use crate::sql::Tx;
use crate::store::Store;

impl Store {
    /// The provisioning as committed now, made from what was `known` before when only few rows
    /// changed since. The order of its rows is then another than [`Store::provisioning`]'s.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database fails.
    pub async fn refreshed(&self, known: &Loaded) -> Result<Loaded, StoreError> {
        let mut tx = self.database.read().await?;
        let (revision, since) = since(&mut tx, known.revision).await?;
        let Since::Rows(changed) = since else {
            drop(tx);
            return self.provisioning().await;
        };
        let mut loaded = Loaded { revision, ..known.clone() };
        for (kind, id) in &changed {
            if !follow(&mut tx, kind, id, &mut loaded).await? {
                drop(tx);
                return self.provisioning().await;
            }
        }
        Ok(loaded)
    }
}

/// Takes one changed row over; false for a kind that is not followed row by row: a trunk, whose
/// host names are to be looked up, and what is not known here.
async fn follow(
    tx: &mut Tx,
    kind: &str,
    id: &str,
    loaded: &mut Loaded,
) -> Result<bool, StoreError> {
    let Loaded { provisioning: to, faults, .. } = loaded;
    faults.retain(|fault| (fault.kind, fault.key.as_str()) != (kind, id));
    match kind {
        Customer::KIND => {
            let change = changed(tx, id, convert::customer, faults).await?;
            put(&mut to.customers, |spec| spec.id == id, change);
        }
        Did::KIND => {
            let change = changed(tx, id, convert::did, faults).await?;
            let number = tensou_engine::plan::parse_e164(id).ok();
            put(&mut to.dids, |spec| Some(spec.number) == number, change);
        }
        Destination::KIND => {
            let change = changed(tx, id, convert::destination, faults).await?;
            put(&mut to.destinations, |spec| spec.id == id, change);
        }
        Group::KIND => {
            let change = changed(tx, id, convert::group, faults).await?;
            put(&mut to.groups, |spec| spec.id == id, change);
        }
        Extension::KIND => {
            let change = changed(tx, id, convert::extension, faults).await?;
            put(&mut to.extensions, |spec| spec.user == id, change);
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// The row as it is now; none when it is gone or cannot be converted.
async fn changed<R: Resource, S>(
    tx: &mut Tx,
    id: &str,
    convert: impl Fn(&R) -> Converted<S>,
    faults: &mut Vec<Fault>,
) -> Result<Option<S>, StoreError> {
    let Some(found) = rows::find_any::<R>(tx, id).await? else { return Ok(None) };
    let converted = convert(&found.row);
    faults.extend(converted.faults);
    Ok(converted.spec)
}

fn put<S>(specs: &mut Vec<S>, is: impl Fn(&S) -> bool, change: Option<S>) {
    match (specs.iter().position(is), change) {
        (Some(at), Some(spec)) => specs[at] = spec,
        (Some(at), None) => {
            specs.swap_remove(at);
        }
        (None, Some(spec)) => specs.push(spec),
        (None, None) => {}
    }
}
