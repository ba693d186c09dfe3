//! Where an experiment takes place: networks of its own, the addresses of everybody, a folder.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tensou_loadtest::impair::{Link, Namespace, Side};
use tensou_loadtest::witness::Watch;

/// Everybody listens where SIP belongs (RFC 3261 19.1.2).
const SIP_PORT: u16 = 5060;
/// Servers that an experiment may have.
pub(crate) const NODES: usize = 2;

/// Networks and addresses of one experiment.
pub(crate) struct Site {
    /// Where servers run.
    pub(crate) home: Namespace,
    /// Where phones and gateways are.
    pub(crate) afar: Namespace,
    /// Between the two, where they are two.
    pub(crate) link: Option<Link>,
    pub(crate) dir: PathBuf,
    interface: &'static str,
    net: [u8; 3],
}

impl Site {
    /// Everybody on one loopback.
    pub(crate) fn near(dir: &Path) -> Result<Site> {
        let home = Namespace::new()?;
        let afar = home.within(Namespace::current)?;
        let dir = dir.to_owned();
        Ok(Site { home, afar, link: None, dir, interface: "lo", net: [127, 9, 0] })
    }

    /// Servers here, phones beyond a link whose weather can change.
    pub(crate) fn apart(dir: &Path, seed: u64) -> Result<Site> {
        let (home, afar) = (Namespace::new()?, Namespace::new()?);
        let dir = dir.to_owned();
        let mut site = Site { home, afar, link: None, dir, interface: "home", net: [10, 99, 0] };
        let servers: Vec<Ipv4Addr> = (0..NODES).map(|node| site.server(node)).collect();
        let mut phones: Vec<Ipv4Addr> = (0..NODES).map(|node| site.gateway(node)).collect();
        phones.push(site.member());
        let here = Side { namespace: &site.home, device: "home", addresses: &servers };
        let there = Side { namespace: &site.afar, device: "afar", addresses: &phones };
        let link = Link::start(&here, &there, seed).context("joining two namespaces")?;
        site.link = Some(link);
        Ok(site)
    }

    fn host(&self, host: u8) -> Ipv4Addr {
        let [a, b, c] = self.net;
        Ipv4Addr::new(a, b, c, host)
    }

    pub(crate) fn server(&self, node: usize) -> Ipv4Addr {
        self.host(1 + node as u8)
    }

    pub(crate) fn gateway(&self, node: usize) -> Ipv4Addr {
        self.host(11 + node as u8)
    }

    pub(crate) fn member(&self) -> Ipv4Addr {
        self.host(21)
    }

    /// Somebody who is no party of any call; on the loopback only.
    pub(crate) fn stranger(&self) -> Ipv4Addr {
        self.host(99)
    }

    pub(crate) fn sip(address: Ipv4Addr) -> SocketAddr {
        SocketAddr::from((address, SIP_PORT))
    }

    /// Where the servers of this site speak SIP.
    pub(crate) fn servers(&self) -> Vec<SocketAddr> {
        (0..NODES).map(|node| Site::sip(self.server(node))).collect()
    }

    /// The operator's document with the addresses in their places.
    pub(crate) fn document(&self) -> String {
        let gateways: Vec<String> =
            (0..NODES).map(|node| format!("\"{}\"", self.gateway(node))).collect();
        include_str!("operator.toml")
            .replace("@GATEWAYS@", &gateways.join(", "))
            .replace("@MEMBER@", &self.member().to_string())
    }

    /// Sets the witness to work at the servers' side.
    pub(crate) fn watch(&self) -> Result<Watch> {
        let servers = self.servers();
        let start = || Watch::start(self.interface, &servers);
        self.home.within(start).context("the witness")
    }
}
