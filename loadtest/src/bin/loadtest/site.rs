//! What stands around a server: the addresses of everybody who talks to it, its certificate,
//! the name server that it asks, and tunnels by which SIPp speaks TLS.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::addresses::{Addresses, Lane, Party, TLS_PORT};
use crate::helper::{Certificate, Helper};

/// Where a tunnel takes what SIPp sends by TCP.
const TUNNEL_PORT: u16 = 5062;
/// Where the name server answers.
const NAMES_PORT: u16 = 10_053;

/// See the module.
pub(crate) struct Site {
    pub(crate) addresses: Addresses,
    /// Of the server and of all who speak TLS; none where nobody does.
    pub(crate) certificate: Option<Certificate>,
    /// The server keeps its calls.
    pub(crate) journal: bool,
    names: Option<Helper>,
}

/// Between a SIPp, which speaks TCP, and the server, which hears TLS.
pub(crate) struct Tunnels {
    /// Where a SIPp that calls connects to.
    pub(crate) entry: SocketAddr,
    _helpers: [Helper; 2],
}

impl Site {
    /// UDP alone, for load.
    pub(crate) fn plain() -> Site {
        let addresses = Addresses::of(Lane::ipv4(0));
        Site { addresses, certificate: None, journal: true, names: None }
    }

    /// Everything that cases need; files go to `work`.
    pub(crate) fn build(lane: Lane, work: &Path) -> Result<Site> {
        let addresses = Addresses::of(lane);
        if lane.is_ipv6() {
            return Ok(Site { addresses, certificate: None, journal: true, names: None });
        }
        let known = [Party::Server, Party::Tls].map(|party| addresses.ip(party).to_string());
        let certificate = Certificate::make(work, &known)?;
        let names = match addresses.outside() {
            Some(_) => Some(name_server(&addresses, work)?),
            None => None,
        };
        Ok(Site { addresses, certificate: Some(certificate), journal: true, names })
    }

    /// Lines of `[sip]` in the server's settings.
    pub(crate) fn sip_settings(&self) -> String {
        let sip = self.addresses.sip(Party::Server);
        let Some(Certificate { file, key }) = &self.certificate else {
            return format!("listen = [\"udp:{sip}\"]\n");
        };
        let tls = SocketAddr::new(sip.ip(), TLS_PORT);
        let (file, key) = (file.display(), key.display());
        let mut lines = format!(
            "listen = [\"udp:{sip}\", \"tcp:{sip}\", \"tls:{tls}\"]\n\
             tls = {{ certificate = \"{file}\", key = \"{key}\", ca = \"{file}\" }}\n"
        );
        if self.names.is_some() {
            lines.push_str(&format!("nameserver = \"{}\"\n", names_at(&self.addresses)));
        }
        lines
    }

    /// Why a case with these parties cannot be played here.
    pub(crate) fn lacks(&self, parties: &[Party]) -> Option<&'static str> {
        let wanted = parties.iter().any(|party| Party::FAR.contains(party));
        (wanted && self.names.is_none())
            .then_some("needs an address besides loopback, for what a name server says of that is not followed")
    }

    /// OpenSSL before a SIPp at `party`, in both directions.
    pub(crate) fn tunnels(&self, party: Party, logs: &Path) -> Result<Tunnels> {
        let certificate = self.certificate.as_ref().context("there is no certificate")?;
        let Certificate { file, key } = certificate;
        let (file, key) = (file.display(), key.display());
        let (ip, sipp) = (self.addresses.ip(party), self.addresses.sip(party));
        let server = SocketAddr::new(self.addresses.ip(Party::Server), TLS_PORT);
        let entry = SocketAddr::new(ip, TUNNEL_PORT);
        let socat = |from: String, to: String, name: &str| {
            let mut command = Command::new("socat");
            command.args(["-d", "-d", &from, &to]);
            Helper::start(command, logs, name)
        };
        let leaving = socat(
            format!("TCP-LISTEN:{TUNNEL_PORT},bind={ip},reuseaddr,fork"),
            format!("OPENSSL:{server},bind={ip},cafile={file},verify=1"),
            "tunnel-to-server",
        )?;
        let coming = socat(
            format!(
                "OPENSSL-LISTEN:{TLS_PORT},bind={ip},reuseaddr,fork,cert={file},key={key},verify=0"
            ),
            format!("TCP:{sipp}"),
            "tunnel-from-server",
        )?;
        Ok(Tunnels { entry, _helpers: [leaving, coming] })
    }
}

fn names_at(addresses: &Addresses) -> SocketAddr {
    SocketAddr::new(addresses.ip(Party::Server), NAMES_PORT)
}

/// dnsmasq with the names that trunks of the operator have.
fn name_server(addresses: &Addresses, work: &Path) -> Result<Helper> {
    let at = names_at(addresses);
    let mut command = Command::new("dnsmasq");
    command.args(["--keep-in-foreground", "--conf-file=/dev/null", "--pid-file", "--user=root"]);
    command.args(["--no-resolv", "--no-hosts", "--local=/test/", "--bind-interfaces"]);
    command.arg(format!("--listen-address={}", at.ip())).arg(format!("--port={}", at.port()));
    command.arg("--naptr-record=naptr.test,10,10,s,SIP+D2T,,_sip._tcp.naptr.test");
    command.arg("--naptr-record=naptr.test,20,10,s,SIP+D2U,,_sip._udp.naptr.test");
    let outside = addresses.sip(Party::FarFirst).ip();
    command.arg(format!("--host-record=carrier.test,{outside}"));
    for (service, party, priority, weight) in [
        ("_sip._tcp.naptr", Party::FarFirst, 10, 10),
        ("_sip._udp.naptr", Party::FarSecond, 10, 10),
        ("_sip._udp.dead-first", Party::FarFirst, 10, 10),
        ("_sip._udp.dead-first", Party::FarSecond, 20, 10),
        ("_sip._udp.busy-first", Party::FarThird, 10, 10),
        ("_sip._udp.busy-first", Party::FarFourth, 20, 10),
        ("_sip._udp.weighted", Party::FarThird, 10, 30),
        ("_sip._udp.weighted", Party::FarFourth, 10, 10),
    ] {
        let port = addresses.sip(party).port();
        command.arg(format!("--srv-host={service}.test,carrier.test,{port},{priority},{weight}"));
    }
    Helper::start(command, work, "dnsmasq")
}
