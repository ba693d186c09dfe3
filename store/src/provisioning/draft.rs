//! A provisioning whose trunks still name hosts, and how it is loaded.

use std::collections::BTreeMap;
use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use futures_util::future::join_all;
use tensou_engine::route::{Fault, Provisioning};

use super::convert;
use crate::error::StoreError;
use crate::model::Document;
use crate::resource::Resource;
use crate::store::Store;

/// A slow name server must not hold back a change for the trunks that need none.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);

/// Where a peer is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostPort {
    /// Written as an address.
    Address(SocketAddr),
    /// A name to be looked up.
    Name {
        /// Host name.
        host: String,
        /// UDP port.
        port: u16,
    },
}

/// The provisioning with host names not yet looked up.
#[derive(Clone, Debug, Default)]
pub struct ProvisioningDraft {
    /// Trunks without their peers, and everything else complete. Rows that could not be
    /// converted are missing and stand in the faults.
    provisioning: Provisioning,
    /// Peers of each trunk, in the order of `provisioning.trunks`.
    peers: Vec<Vec<HostPort>>,
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
        for row in &document.trunks {
            let converted = convert::trunk(row);
            draft.faults.extend(converted.faults);
            if let Some((spec, peers)) = converted.spec {
                draft.provisioning.trunks.push(spec);
                draft.peers.push(peers);
            }
        }
        let faults = &mut draft.faults;
        let to = &mut draft.provisioning;
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

    /// The host names to be looked up, each once.
    pub fn names(&self) -> Vec<(&str, u16)> {
        let names = self.peers.iter().flatten().filter_map(|peer| match peer {
            HostPort::Name { host, port } => Some((host.as_str(), *port)),
            HostPort::Address(_) => None,
        });
        let mut names: Vec<(&str, u16)> = names.collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Puts addresses in the place of names: `lookup` returns those of a name, in order of
    /// preference. A name without any is a fault of its trunk; its other peers stay.
    pub fn resolve(
        self,
        mut lookup: impl FnMut(&str, u16) -> Vec<SocketAddr>,
    ) -> (Provisioning, Vec<Fault>) {
        let ProvisioningDraft { mut provisioning, peers, mut faults } = self;
        for (trunk, peers) in provisioning.trunks.iter_mut().zip(peers) {
            for (at, peer) in peers.into_iter().enumerate() {
                let found = match peer {
                    HostPort::Address(address) => vec![address],
                    HostPort::Name { host, port } => {
                        let found = lookup(&host, port);
                        if found.is_empty() {
                            faults.push(Fault {
                                kind: "trunk",
                                key: trunk.id.clone(),
                                field: format!("peers[{at}]"),
                                message: format!("the host name {host} has no address now"),
                            });
                        }
                        found
                    }
                };
                let new = found.into_iter().filter(|address| !trunk.peers.contains(address));
                let new: Vec<SocketAddr> = new.collect();
                trunk.peers.extend(new);
            }
        }
        (provisioning, faults)
    }

    /// For judging a change: whether a name is found now is no matter of its correctness, so
    /// each stands as an address of its own from the discard-only block (RFC 6666), which no
    /// peer has.
    pub(crate) fn with_stand_ins(self) -> (Provisioning, Vec<Fault>) {
        let names = self.names().into_iter().enumerate();
        let names: BTreeMap<(String, u16), u16> = names
            .map(|(at, (host, port))| ((host.to_owned(), port), at.try_into().unwrap_or(u16::MAX)))
            .collect();
        self.resolve(|host, port| {
            let at = names.get(&(host.to_owned(), port)).copied().unwrap_or(u16::MAX);
            vec![SocketAddr::from((Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, at), port))]
        })
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
        let names: Vec<(String, u16)> =
            draft.names().into_iter().map(|(host, port)| (host.to_owned(), port)).collect();
        let lookups = names.iter().map(|(host, port)| look_up(host, *port));
        let found: BTreeMap<_, _> = names.iter().zip(join_all(lookups).await).collect();
        let (provisioning, faults) = draft
            .resolve(|host, port| found.get(&(host.to_owned(), port)).cloned().unwrap_or_default());
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
