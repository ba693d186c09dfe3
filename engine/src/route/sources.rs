//! Where trunks' requests come from.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::Source;
use super::snapshot::TrunkIx;

/// Enabled trunks by what they are known by. Each place has one of them, or several that are told
/// apart by their passwords; none where it belongs to trunks that are disabled.
#[derive(Debug)]
pub(super) struct Sources {
    /// By the name in their certificate.
    pub(super) names: BTreeMap<Arc<str>, Box<[TrunkIx]>>,
    /// By exact address and port.
    pub(super) addresses: HashMap<SocketAddr, Box<[TrunkIx]>>,
    /// Networks in order of preference: explicit before implied, longer before shorter.
    pub(super) networks: Vec<(Source, Box<[TrunkIx]>)>,
}

impl Sources {
    /// Whose certificate holds `name`.
    pub(super) fn of_name(&self, name: &str) -> &[TrunkIx] {
        self.names.get(name).map_or(&[], |found| found)
    }

    /// Who sends from `address`: by exact address and port, else by network.
    pub(super) fn of_address(&self, address: SocketAddr) -> &[TrunkIx] {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        let holds = |source: &Source| {
            source.port.is_none_or(|port| port == address.port())
                && network_holds(source.network, source.prefix_len, address.ip())
        };
        let by_network =
            || self.networks.iter().find(|(source, _)| holds(source)).map(|(_, found)| found);
        self.addresses.get(&address).or_else(by_network).map_or(&[], |found| found)
    }
}

/// Whether `address` lies in `network`/`len`.
fn network_holds(network: IpAddr, len: u8, address: IpAddr) -> bool {
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let shift = 32u32.saturating_sub(u32::from(len));
            shift >= 32 || (u32::from(network) ^ u32::from(address)) >> shift == 0
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let shift = 128u32.saturating_sub(u32::from(len));
            shift >= 128 || (u128::from(network) ^ u128::from(address)) >> shift == 0
        }
        _ => false,
    }
}
