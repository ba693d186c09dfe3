//! The provisioning as bytes that a node keeps for a start without the database.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::model::Document;
use crate::provisioning::{Loaded, ProvisioningDraft};
use crate::store::Store;

#[derive(Serialize, Deserialize)]
struct Copy {
    revision: u64,
    /// With every secret.
    document: Document,
    /// What the names of a trunk's peers were found to be, by the trunk's id.
    addresses: BTreeMap<String, Vec<SocketAddr>>,
}

impl Store {
    /// The provisioning as committed, passwords included, with the addresses of names that
    /// `known` has: what [`Loaded::from_copy`] reads.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database fails.
    pub async fn copy(&self, known: &Loaded) -> Result<Vec<u8>, StoreError> {
        let (revision, document) = self.document().await?;
        let trunks = &known.provisioning.trunks;
        let addresses =
            trunks.iter().map(|trunk| (trunk.id.clone(), trunk.peer_addresses.clone())).collect();
        serde_json::to_vec(&Copy { revision, document, addresses })
            .map_err(|error| StoreError::Corrupt(error.to_string()))
    }
}

impl Loaded {
    /// The provisioning of which [`Store::copy`] made `bytes`.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when it made something else, or a later version did.
    pub fn from_copy(bytes: &[u8]) -> Result<Loaded, StoreError> {
        let copy: Copy = serde_json::from_slice(bytes)
            .map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let draft = ProvisioningDraft::of(&copy.document);
        let (provisioning, faults) = draft.with_addresses(copy.addresses);
        Ok(Loaded { revision: copy.revision, provisioning, faults })
    }
}
