//! A provisioning whose trunks still name hosts, and how it is loaded.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use tensou_engine::Transport;
use tensou_engine::route::{Fault, PeerHost, PeerSpec, Provisioning};

use super::convert;
use crate::error::StoreError;
use crate::model::Document;
use crate::resource::Resource;
use crate::store::Store;

/// A slow name server must not hold back a change for the trunks that need none.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);

/// A peer that is a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PeerName {
    /// Host name.
    pub host: String,
    /// Its port, when one is written.
    pub port: Option<u16>,
    /// Its transport, when one is written.
    pub transport: Option<Transport>,
}

impl PeerName {
    /// The port to use when DNS names none.
    pub fn port_or_default(&self) -> u16 {
        let transport = self.transport.unwrap_or(Transport::Udp);
        self.port.unwrap_or(transport.default_port())
    }
}

/// The provisioning with host names not yet looked up.
#[derive(Clone, Debug, Default)]
pub struct ProvisioningDraft {
    /// Complete but for the addresses of trunks' peers that are names. Rows that could not be
    /// converted are missing and stand in the faults.
    provisioning: Provisioning,
    faults: Vec<Fault>,
}

/// The provisioning as loaded from the database.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The revision it stands for.
    pub revision: u64,
    /// Ready to be compiled.
    pub provisioning: Provisioning,
    /// What could not be taken over: names that were not found, rows that a newer rule refuses.
    /// Everything else is in the provisioning all the same.
    pub faults: Vec<Fault>,
}

impl ProvisioningDraft {
    /// Converts a document. Rows that cannot be converted are left out and named by
    /// [`ProvisioningDraft::faults`].
    pub fn of(document: &Document) -> Self {
        let mut draft = ProvisioningDraft::default();
        let faults = &mut draft.faults;
        let to = &mut draft.provisioning;
        take(&document.trunks, convert::trunk, &mut to.trunks, faults);
        take(&document.customers, convert::customer, &mut to.customers, faults);
        take(&document.dids, convert::did, &mut to.dids, faults);
        take(&document.destinations, convert::destination, &mut to.destinations, faults);
        take(&document.groups, convert::group, &mut to.groups, faults);
        take(&document.extensions, convert::extension, &mut to.extensions, faults);
        faults.extend(document.schedules.iter().flat_map(Resource::check));
        draft
    }

    /// What could not be converted.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// The peers to be looked up, each once.
    pub fn names(&self) -> Vec<PeerName> {
        let peers = self.provisioning.trunks.iter().flat_map(|trunk| &trunk.peers);
        let mut names: Vec<PeerName> = peers.filter_map(PeerName::of).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Notes the addresses of names, so that calls from there are known: `lookup` returns those
    /// of a name. A name without any is a fault of its trunk; its other peers stay.
    pub fn resolve(
        self,
        mut lookup: impl FnMut(&PeerName) -> Vec<SocketAddr>,
    ) -> (Provisioning, Vec<Fault>) {
        let ProvisioningDraft { mut provisioning, mut faults } = self;
        for trunk in &mut provisioning.trunks {
            for (at, peer) in trunk.peers.iter().enumerate() {
                let Some(name) = PeerName::of(peer) else { continue };
                let found = lookup(&name);
                if found.is_empty() {
                    faults.push(Fault {
                        kind: "trunk",
                        key: trunk.id.clone(),
                        field: format!("peers[{at}]"),
                        message: format!("the host name {} has no address now", name.host),
                    });
                }
                for address in found {
                    if !trunk.peer_addresses.contains(&address) {
                        trunk.peer_addresses.push(address);
                    }
                }
            }
        }
        (provisioning, faults)
    }

    /// As [`ProvisioningDraft::resolve`] with what was found once before, by the trunk's id:
    /// names are not looked up, and so none is missing.
    pub(crate) fn with_addresses(
        self,
        mut found: BTreeMap<String, Vec<SocketAddr>>,
    ) -> (Provisioning, Vec<Fault>) {
        let ProvisioningDraft { mut provisioning, faults } = self;
        for trunk in &mut provisioning.trunks {
            if let Some(addresses) = found.remove(&trunk.id) {
                trunk.peer_addresses = addresses;
            }
        }
        (provisioning, faults)
    }

    /// For judging a change: whether a name is found now is no matter of its correctness.
    pub(crate) fn unresolved(self) -> (Provisioning, Vec<Fault>) {
        (self.provisioning, self.faults)
    }
}

impl PeerName {
    fn of(peer: &PeerSpec) -> Option<PeerName> {
        match &peer.host {
            PeerHost::Name(host) => {
                Some(PeerName { host: host.clone(), port: peer.port, transport: peer.transport })
            }
            PeerHost::Address(_) => None,
        }
    }
}

impl Store {
    /// The provisioning as committed, host names looked up. A name that is not found is a fault
    /// in [`Loaded::faults`] and costs its trunk that peer, nothing else.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database fails.
    pub async fn provisioning(&self) -> Result<Loaded, StoreError> {
        let (revision, draft) = self.draft().await?;
        let names = draft.names();
        let lookups = names.iter().map(|name| look_up(&name.host, name.port_or_default()));
        let found: BTreeMap<_, _> = names.iter().zip(join_all(lookups).await).collect();
        let (provisioning, faults) =
            draft.resolve(|name| found.get(name).cloned().unwrap_or_default());
        Ok(Loaded { revision, provisioning, faults })
    }

    /// The provisioning as committed with host names as they are, for a caller with a resolver
    /// of its own, and the revision that it stands for.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database fails.
    pub async fn draft(&self) -> Result<(u64, ProvisioningDraft), StoreError> {
        let (revision, document) = self.document().await?;
        Ok((revision, ProvisioningDraft::of(&document)))
    }
}

async fn look_up(host: &str, port: u16) -> Vec<SocketAddr> {
    match tokio::time::timeout(LOOKUP_TIMEOUT, tokio::net::lookup_host((host, port))).await {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(error)) => {
            tracing::warn!(host, %error, "host name of a trunk not found");
            Vec::new()
        }
        Err(_) => {
            tracing::warn!(host, "no answer from the name server for the host name of a trunk");
            Vec::new()
        }
    }
}

fn take<R, S>(
    rows: &[R],
    convert: impl Fn(&R) -> convert::Converted<S>,
    specs: &mut Vec<S>,
    faults: &mut Vec<Fault>,
) {
    for row in rows {
        let converted = convert(row);
        specs.extend(converted.spec);
        faults.extend(converted.faults);
    }
}
