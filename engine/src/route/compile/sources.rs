//! The judgement of where trunks' requests come from.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use super::super::snapshot::TrunkIx;
use super::super::sources::Sources;
use super::super::{PeerSpec, Source, TrunkSpec};
use super::{Compiler, index};

impl Compiler<'_> {
    /// Whom a certificate or an address belongs to. Several trunks may name the same if each has
    /// an account here: the user name in their credentials says which of them it is. An address
    /// that several imply by their peers alone, without accounts, is nobody's.
    pub(super) fn sources(&mut self) -> Sources {
        let from = self.from;
        let mut names: BTreeMap<&str, Vec<TrunkIx>> = BTreeMap::new();
        let mut exact: BTreeMap<SocketAddr, Vec<TrunkIx>> = BTreeMap::new();
        let mut networks: Vec<(Source, Vec<TrunkIx>)> = Vec::new();
        let mut implied: BTreeMap<_, Vec<TrunkIx>> = BTreeMap::new();
        for (at, spec) in index(&from.trunks) {
            let at = TrunkIx(at);
            if let Some(name) = spec.tls_name.as_deref() {
                let holders = names.entry(name).or_default();
                self.share((at, "tls_name"), holders, "has the same name in its certificate");
            }
            for peer in addresses(spec) {
                let holders = exact.entry(canonical(peer)).or_default();
                self.share((at, "peers"), holders, &format!("has the same peer {peer}"));
                let holders = implied.entry(peer.ip().to_canonical()).or_default();
                if !holders.contains(&at) {
                    holders.push(at);
                }
            }
            for source in &spec.sources {
                let known = networks.iter().position(|(one, _)| one == source);
                let known = known.unwrap_or_else(|| {
                    networks.push((*source, Vec::new()));
                    networks.len() - 1
                });
                let holders = &mut networks[known].1;
                self.share((at, "sources"), holders, "names the same source");
            }
        }
        networks.sort_by_key(|(one, _)| (one.port.is_none(), u8::MAX - one.prefix_len));
        let implied = implied.into_iter().filter(|(_, at)| at.len() == 1 || self.prove(at));
        networks.extend(implied.map(|(network, holders)| {
            let prefix_len = if network.is_ipv4() { 32 } else { 128 };
            (Source { network, prefix_len, port: None }, holders)
        }));
        let enabled = |holders: Vec<TrunkIx>| -> Box<[TrunkIx]> {
            holders.into_iter().filter(|at| from.trunks[at.0 as usize].enabled).collect()
        };
        Sources {
            names: names.into_iter().map(|(name, at)| (Arc::from(name), enabled(at))).collect(),
            addresses: HashMap::from_iter(exact.into_iter().map(|(one, at)| (one, enabled(at)))),
            networks: networks.into_iter().map(|(one, at)| (one, enabled(at))).collect(),
        }
    }

    /// One trunk more where requests come from.
    fn share(&mut self, own: (TrunkIx, &str), holders: &mut Vec<TrunkIx>, what: &str) {
        let (at, field) = own;
        if holders.contains(&at) {
            return;
        }
        if let Some(other) = holders.first()
            && !self.prove(&[*other, at])
        {
            let trunks = &self.from.trunks;
            let (key, other) = (&trunks[at.0 as usize].id, &trunks[other.0 as usize].id);
            let message = format!(
                "trunk {other:?} {what}; they can be told apart only if each has an account here \
                 (auth_in)"
            );
            self.fault("trunk", key, field, message);
        }
        holders.push(at);
    }

    /// Whether each of these trunks has an account here.
    fn prove(&self, trunks: &[TrunkIx]) -> bool {
        let of = |at: &TrunkIx| &self.from.trunks[at.0 as usize].relation;
        trunks.iter().all(|at| of(at).auth_in.is_some())
    }
}

/// Addresses of a trunk's peers, whose calls are its own. Where a certificate is what it is
/// known by, an address proves nothing.
pub(super) fn addresses(spec: &TrunkSpec) -> impl Iterator<Item = SocketAddr> + '_ {
    let written = spec.peers.iter().filter_map(PeerSpec::address);
    let found = spec.peer_addresses.iter().copied();
    written.chain(found).filter(|_| spec.tls_name.is_none())
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
