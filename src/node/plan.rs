//! From settings to what the parts of a node are built with.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use rand::Rng;
use tensou_admin::NodeInfo;
use tensou_config::{ContactsFull, Digest, Host, Settings, Sip, UnknownPeer};
use tensou_engine::{
    ContactLimit, DigestOffer, EngineConfig, Limits, Listener, ListenerId, MediaConfig,
};
use tensou_media::io::RelayConfig;

use crate::failure::Failure;
use crate::sockets::{Bound, Socket, reachable};
use crate::streams::StreamSocket;

/// Realm and registrar domain: as configured, else the host that the first listener advertises.
pub(crate) fn domain(sip: &Sip) -> String {
    if let Some(domain) = &sip.domain {
        return domain.as_str().to_owned();
    }
    if let Some(advertise) = &sip.advertise {
        return advertise.host.as_str().to_owned();
    }
    let first = sip.listen.first().map(|listener| listener.address.ip());
    Host::from(reachable(first.unwrap_or(Ipv4Addr::UNSPECIFIED.into()))).as_str().to_owned()
}

pub(super) fn first_address(bound: &[Bound]) -> Result<SocketAddr, Failure> {
    let first = bound.first().map(|bound| bound.listener.address);
    first.ok_or_else(|| Failure::input(anyhow::anyhow!("sip.listen has no udp: listener")))
}

pub(super) fn relay_config(settings: &Settings) -> RelayConfig {
    let media = &settings.media;
    RelayConfig {
        listen: media.listen,
        ports: media.ports.first..=media.ports.last,
        workers: media.workers.into(),
        dscp: media.dscp.bits(),
        idle_timeout: media.idle_timeout,
    }
}

pub(super) fn engine_config(
    settings: &Settings,
    domain: &str,
    listeners: Vec<Listener>,
    ports: std::ops::RangeInclusive<u16>,
) -> EngineConfig {
    let media = &settings.media;
    if *ports.end() < media.ports.last {
        tracing::warn!(
            configured = media.ports.last,
            usable = *ports.end(),
            "media.ports is cut: raise the limit of open files (LimitNOFILE) to use all of it"
        );
    }
    let not_sip = [Some(settings.admin.listen), settings.metrics.listen];
    EngineConfig {
        node: settings.node.name.as_str().to_owned(),
        shard: 0,
        seed: rand::rng().random(),
        listeners,
        not_sip: not_sip.into_iter().flatten().collect(),
        domain: domain.to_owned(),
        media: MediaConfig {
            address: media.advertise.unwrap_or_else(|| reachable(media.listen)),
            first_port: *ports.start(),
            last_port: *ports.end(),
        },
        unknown_peer: match settings.sip.unknown_peer {
            UnknownPeer::Drop => tensou_engine::UnknownPeer::Drop,
            UnknownPeer::Forbid => tensou_engine::UnknownPeer::Forbid,
        },
        journal: settings.journal.calls,
        digest: match settings.sip.digest {
            Digest::Md5 => DigestOffer::Md5,
            Digest::Sha256 => DigestOffer::Sha256,
            Digest::Both => DigestOffer::Both,
            Digest::All => DigestOffer::All,
        },
        contacts: ContactLimit {
            most: settings.sip.contacts,
            replace_oldest: settings.sip.contacts_full == ContactsFull::Replace,
        },
        limits: Limits::default(),
    }
}

/// Bound sockets by who serves them.
pub(super) struct Sorted {
    /// All, as the engine numbers them.
    pub(super) listeners: Vec<Listener>,
    /// Of the engine's thread.
    pub(super) datagrams: Vec<UdpSocket>,
    /// Of the switchboard.
    pub(super) streams: Vec<StreamSocket>,
}

/// The bound sockets by who serves them, and all their listeners.
pub(super) fn sort_sockets(bound: Vec<Bound>) -> Result<Sorted, Failure> {
    let (mut listeners, mut datagrams, mut streams) = (Vec::new(), Vec::new(), Vec::new());
    for (place, Bound { socket, listener }) in (0..).zip(bound) {
        match socket {
            Socket::Udp(socket) => datagrams.push(socket),
            Socket::Stream(socket) => {
                let socket = tokio::net::TcpListener::from_std(socket).map_err(Failure::missing)?;
                let transport = listener.transport;
                streams.push(StreamSocket { listener: ListenerId(place), transport, socket });
            }
        }
        listeners.push(listener);
    }
    Ok(Sorted { listeners, datagrams, streams })
}

pub(super) fn node_info(settings: &Settings, domain: &str) -> NodeInfo {
    NodeInfo {
        name: settings.node.name.as_str().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        domain: domain.to_owned(),
        time_zone: settings.node.time_zone.name().to_owned(),
        started_at: jiff::Timestamp::now(),
    }
}
