//! The judgement of a whole provisioning before it is committed.

use std::collections::BTreeSet;

use tensou_engine::route::{Fault, Snapshot};

use crate::error::StoreError;
use crate::model::Document;
use crate::provisioning::ProvisioningDraft;
use crate::references::{Reference, dangling, references};

/// Refuses a provisioning that has any fault: documents that are wrong in themselves, references
/// to nothing, and what the engine finds when it compiles the whole.
pub(crate) fn judge(document: &Document, revision: u64) -> Result<(), StoreError> {
    let (provisioning, mut faults) = ProvisioningDraft::of(document).unresolved();
    faults.extend(dangling(document));
    if let Err(found) = Snapshot::compile(revision, &provisioning) {
        // The engine does not see rows that could not be converted, so what it says of a
        // reference may follow from that alone; existence is judged above, for all rows.
        let references = if faults.is_empty() { Vec::new() } else { references(document) };
        let places: BTreeSet<_> = references.iter().map(Reference::place).collect();
        let follows = |it: &Fault| places.contains(&(it.kind, it.key.as_str(), it.field.as_str()));
        faults.extend(found.into_iter().filter(|it| !follows(it)));
    }
    if faults.is_empty() { Ok(()) } else { Err(StoreError::Invalid(faults)) }
}
