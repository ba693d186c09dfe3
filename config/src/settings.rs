//! The settings of a node, by section of `tensou.toml`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::Origin;
use crate::Problem;
use crate::document::Entries;
use crate::reader::Reader;
use crate::values::{
    Advertise, DatabaseUrl, Dscp, Host, LogFilter, NodeName, PortRange, SipListener, SipTransport,
    TimeZone,
};

/// The answer to a REGISTER lists every phone of the extension, and must fit one datagram.
const MOST_CONTACTS: i64 = 32;

/// Everything that is fixed while the process runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `[node]`
    pub node: Node,
    /// `[sip]`
    pub sip: Sip,
    /// `[media]`
    pub media: Media,
    /// `[admin]`
    pub admin: Admin,
    /// `[database]`
    pub database: Database,
    /// `[journal]`
    pub journal: Journal,
    /// `[records]`
    pub records: Records,
    /// `[log]`
    pub log: Log,
    /// `[metrics]`
    pub metrics: Metrics,
}

/// `[node]`
#[derive(Clone, Debug)]
pub struct Node {
    /// Unique in a cluster; on every record. Default: the host name.
    pub name: NodeName,
    /// Journal, recordings, prompts, embedded database. Default `data`.
    pub data_dir: PathBuf,
    /// The calendar day of billing and schedules. Default `Asia/Tokyo`.
    pub time_zone: TimeZone,
    /// How long running calls may go on after the first signal to stop. Default 30 s.
    pub drain: Duration,
}

/// `[sip]`
#[derive(Clone, Debug)]
pub struct Sip {
    /// Sockets, at least one of them UDP. Default `udp:0.0.0.0:5060` and `tcp:0.0.0.0:5060`.
    pub listen: Vec<SipListener>,
    /// Host and port in Via and Contact where they differ from the socket's.
    pub advertise: Option<Advertise>,
    /// Realm and registrar domain. Default: the advertised host.
    pub domain: Option<Host>,
    /// What TLS is served with; a `tls:` listener needs it.
    pub tls: Option<SipTls>,
    /// The name server that is asked; none: those of the machine.
    pub nameserver: Option<SocketAddr>,
    /// Marking of our signalling. Default 24 (CS3).
    pub dscp: Dscp,
    /// What a request from an address that is no trunk gets. Default: nothing.
    pub unknown_peer: UnknownPeer,
    /// Digest algorithms that phones are asked for. Default: MD5, which every phone knows.
    pub digest: Digest,
    /// Phones that one extension may have registered, 1 to 32. Default 10.
    pub contacts: u8,
    /// What one phone more does. Default: it replaces the one heard of longest ago.
    pub contacts_full: ContactsFull,
}

/// `sip.contacts_full`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContactsFull {
    /// The phone heard of longest ago gives way.
    Replace,
    /// The new phone is refused with 403.
    Refuse,
}

/// A certificate with its chain, and its key, in PEM form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Ours first, then those above it.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// `[sip.tls]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SipTls {
    /// What we show, to who calls us and whom we call.
    pub own: TlsFiles,
    /// Authorities whose certificates prove who a trunk is.
    pub client_ca: Option<PathBuf>,
    /// Authorities of the peers that we call; none: those of the machine.
    pub ca: Option<PathBuf>,
}

/// `sip.digest`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// MD5 alone.
    Md5,
    /// SHA-256 alone.
    Sha256,
    /// Both, SHA-256 first (RFC 8760).
    Both,
    /// SHA-512-256, SHA-256, MD5, in this order.
    All,
}

/// `sip.unknown_peer`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownPeer {
    /// Silence: a scanner learns nothing.
    Drop,
    /// 403, for networks where silence hides mistakes of one's own.
    Forbid,
}

/// `[media]`
#[derive(Clone, Debug)]
pub struct Media {
    /// The address that the relay's ports are bound to. Default `0.0.0.0`.
    pub listen: IpAddr,
    /// The address in SDP where it differs from `listen`.
    pub advertise: Option<IpAddr>,
    /// Ports of the relay. Default 20000 to 39999.
    pub ports: PortRange,
    /// Threads of the relay; 0 is one per core.
    pub workers: u16,
    /// In-kernel forwarding may be used where the machine allows it.
    pub fast_path: bool,
    /// An established call without RTP from either side for this long is hung up; zero never.
    /// Default 60 s.
    pub idle_timeout: Duration,
    /// Marking of our RTP. Default 46 (EF).
    pub dscp: Dscp,
}

/// `[admin]`
#[derive(Clone, Debug)]
pub struct Admin {
    /// REST and UI. Default `127.0.0.1:8080`.
    pub listen: SocketAddr,
    /// They are served by HTTPS with these.
    pub tls: Option<TlsFiles>,
}

/// `[database]`
#[derive(Clone, Debug)]
pub struct Database {
    /// Default: `tensou.db` in the data directory.
    pub url: DatabaseUrl,
}

/// `[journal]`
#[derive(Clone, Debug)]
pub struct Journal {
    /// Calls and phones outlive the process. Default yes; without, only call records are kept.
    pub calls: bool,
    /// The most that a power cut may lose. Default 20 ms.
    pub fsync: Duration,
}

/// `[records]`
#[derive(Clone, Copy, Debug)]
pub struct Records {
    /// Call records of so many whole months before the running one are kept; 0, the default,
    /// keeps all.
    pub keep_months: u32,
}

/// `[log]`
#[derive(Clone, Debug)]
pub struct Log {
    /// Default `info`.
    pub level: LogFilter,
    /// Default [`LogFormat::Text`].
    pub format: LogFormat,
}

/// `log.format`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// `[metrics]`
#[derive(Clone, Debug)]
pub struct Metrics {
    /// A socket of its own for `/metrics`; none: on `admin.listen`.
    pub listen: Option<SocketAddr>,
}

/// Reads every section; returns what stands in for wrong values too, so the result counts only
/// when no problem was found.
pub(crate) fn read(entries: &Entries, host_name: &str, problems: &mut Vec<Problem>) -> Settings {
    let mut reader = Reader::new(entries, problems);
    let node = node(&mut reader, host_name);
    let database = database(&mut reader, &node);
    let settings = Settings {
        sip: sip(&mut reader),
        media: media(&mut reader),
        admin: admin(&mut reader),
        journal: Journal {
            calls: reader
                .value("journal.calls", |text| match text {
                    "on" => Ok(true),
                    "off" => Ok(false),
                    _ => Err("must be on or off".into()),
                })
                .unwrap_or(true),
            fsync: millis(reader.integer("journal.fsync_ms", 0..=10_000), 20),
        },
        records: Records {
            keep_months: reader
                .integer("records.keep_months", 0..=1_200)
                .and_then(|months| u32::try_from(months).ok())
                .unwrap_or(0),
        },
        log: log(&mut reader),
        metrics: Metrics {
            listen: reader.value("metrics.listen", |text| socket(text, "127.0.0.1:9090")),
        },
        database,
        node,
    };
    reader.not_available("hep.target", "the Homer capture agent");
    settings
}

fn node(reader: &mut Reader<'_>, host_name: &str) -> Node {
    let name = match reader.value("node.name", NodeName::parse) {
        Some(name) => Ok(name),
        None => NodeName::parse(host_name).or_else(|_| NodeName::parse("node-1")),
    };
    let zone = reader.value("node.time_zone", TimeZone::parse);
    Node {
        name: name.expect("invariant: node-1 is a valid name"),
        data_dir: reader.value("node.data_dir", path).unwrap_or_else(|| "data".into()),
        time_zone: zone.unwrap_or_else(|| {
            TimeZone::parse("Asia/Tokyo").expect("invariant: the zone data holds Asia/Tokyo")
        }),
        drain: seconds(reader.integer("node.drain_seconds", 0..=86_400), 30),
    }
}

fn database(reader: &mut Reader<'_>, node: &Node) -> Database {
    let url = reader.value("database.url", DatabaseUrl::parse);
    Database { url: url.unwrap_or_else(|| DatabaseUrl::sqlite(&node.data_dir.join("tensou.db"))) }
}

fn sip(reader: &mut Reader<'_>) -> Sip {
    let anywhere = SocketAddr::from(([0, 0, 0, 0], 5060));
    let listen = reader.list("sip.listen", SipListener::parse).unwrap_or_else(|| {
        let listener = |transport| SipListener { transport, address: anywhere };
        vec![listener(SipTransport::Udp), listener(SipTransport::Tcp)]
    });
    if !listen.iter().any(|listener| listener.transport == SipTransport::Udp) {
        reader.problem("sip.listen", "must hold at least one udp: listener");
    }
    for (at, listener) in listen.iter().enumerate() {
        let twice = listener.address.port() != 0
            && listen.iter().take(at).any(|earlier| earlier == listener);
        if twice {
            reader.problem("sip.listen", format!("{} stands twice", listener.address));
        }
    }
    let tls = sip_tls(reader);
    if tls.is_none() && listen.iter().any(|listener| listener.transport == SipTransport::Tls) {
        let message = "a tls: listener needs sip.tls.certificate and sip.tls.key";
        reader.problem("sip.listen", message);
    }
    Sip {
        listen,
        advertise: reader.value("sip.advertise", Advertise::parse),
        domain: reader.value("sip.domain", Host::parse),
        tls,
        nameserver: reader.value("sip.nameserver", name_server),
        dscp: dscp(reader, "sip.dscp", 24),
        unknown_peer: reader
            .value("sip.unknown_peer", |text| match text {
                "drop" => Ok(UnknownPeer::Drop),
                "forbid" => Ok(UnknownPeer::Forbid),
                _ => Err("must be drop or forbid".into()),
            })
            .unwrap_or(UnknownPeer::Drop),
        digest: reader
            .value("sip.digest", |text| match text {
                "md5" => Ok(Digest::Md5),
                "sha-256" => Ok(Digest::Sha256),
                "both" => Ok(Digest::Both),
                "all" => Ok(Digest::All),
                _ => Err("must be md5, sha-256, both or all".into()),
            })
            .unwrap_or(Digest::Md5),
        contacts: (reader.integer("sip.contacts", 1..=MOST_CONTACTS))
            .and_then(|most| u8::try_from(most).ok())
            .unwrap_or(10),
        contacts_full: reader
            .value("sip.contacts_full", |text| match text {
                "replace" => Ok(ContactsFull::Replace),
                "refuse" => Ok(ContactsFull::Refuse),
                _ => Err("must be replace or refuse".into()),
            })
            .unwrap_or(ContactsFull::Replace),
    }
}

/// Certificates of SIP; none when nothing is said of them.
fn sip_tls(reader: &mut Reader<'_>) -> Option<SipTls> {
    let own = tls_files(reader, "sip.tls.certificate", "sip.tls.key");
    let client_ca = reader.value("sip.tls.client_ca", readable_file);
    let ca = reader.value("sip.tls.ca", readable_file);
    if own.is_none() && (client_ca.is_some() || ca.is_some()) {
        let message = "has no effect without sip.tls.certificate and sip.tls.key";
        let key = if client_ca.is_some() { "sip.tls.client_ca" } else { "sip.tls.ca" };
        reader.problem(key, message);
    }
    Some(SipTls { own: own?, client_ca, ca })
}

/// A certificate and its key: both or none.
fn tls_files(
    reader: &mut Reader<'_>,
    certificate: &'static str,
    key: &'static str,
) -> Option<TlsFiles> {
    let given = |reader: &Reader<'_>, name| reader.origin(name) != Origin::Default;
    let both = (reader.value(certificate, readable_file), reader.value(key, readable_file));
    match both {
        (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
        (Some(_), None) if !given(reader, key) => {
            reader.problem(certificate, format!("needs {key} too"));
            None
        }
        (None, Some(_)) if !given(reader, certificate) => {
            reader.problem(key, format!("needs {certificate} too"));
            None
        }
        _ => None,
    }
}

fn readable_file(text: &str) -> Result<PathBuf, String> {
    match std::fs::File::open(text) {
        Ok(_) => Ok(PathBuf::from(text)),
        Err(error) => Err(format!("{text} cannot be read: {error}")),
    }
}

fn name_server(text: &str) -> Result<SocketAddr, String> {
    let port = |ip: IpAddr| SocketAddr::new(ip, 53);
    let found = text.parse().or_else(|_| text.parse().map(port));
    found.map_err(|_| {
        format!("\"{text}\" is no address; write it as in 192.0.2.53 or 192.0.2.53:53")
    })
}

fn media(reader: &mut Reader<'_>) -> Media {
    let address = |text: &str| text.parse().map_err(|_| format!("\"{text}\" is no IP address"));
    let listen = reader.list("media.listen", address).unwrap_or_default();
    if listen.len() > 1 {
        reader.problem("media.listen", "a second address is not available yet; give one");
    }
    let listen = listen.first().copied().unwrap_or_else(|| IpAddr::from([0, 0, 0, 0]));
    let advertise: Option<IpAddr> = reader.value("media.advertise", address);
    if advertise.is_some_and(|advertise| advertise.is_ipv4() != listen.is_ipv4()) {
        reader.problem("media.advertise", "must be of the same family as media.listen");
    }
    Media {
        listen,
        advertise,
        ports: reader
            .value("media.ports", PortRange::parse)
            .unwrap_or(PortRange { first: 20_000, last: 39_999 }),
        workers: small(reader.integer("media.workers", 0..=256), 0),
        fast_path: reader
            .value("media.fast_path", |text| match text {
                "auto" => Ok(true),
                "off" => Ok(false),
                _ => Err("must be auto or off".into()),
            })
            .unwrap_or(true),
        idle_timeout: seconds(reader.integer("media.idle_timeout_seconds", 0..=86_400), 60),
        dscp: dscp(reader, "media.dscp", 46),
    }
}

fn admin(reader: &mut Reader<'_>) -> Admin {
    let tls = tls_files(reader, "admin.tls.certificate", "admin.tls.key");
    let listen = reader.value("admin.listen", |text| socket(text, "127.0.0.1:8080"));
    Admin { listen: listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080))), tls }
}

fn log(reader: &mut Reader<'_>) -> Log {
    let info = || LogFilter::parse("info").expect("invariant: info is a level");
    Log {
        level: reader.value("log.level", LogFilter::parse).unwrap_or_else(info),
        format: reader
            .value("log.format", |text| match text {
                "text" => Ok(LogFormat::Text),
                "json" => Ok(LogFormat::Json),
                _ => Err("must be text or json".into()),
            })
            .unwrap_or(LogFormat::Text),
    }
}

fn path(text: &str) -> Result<PathBuf, String> {
    Ok(PathBuf::from(text))
}

fn socket(text: &str, example: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| format!("\"{text}\" is no address with port; write it as in {example}"))
}

fn dscp(reader: &mut Reader<'_>, key: &'static str, default: u8) -> Dscp {
    let bits = reader.integer(key, 0..=63).and_then(|bits| u8::try_from(bits).ok());
    Dscp::new(bits.unwrap_or(default))
}

fn seconds(given: Option<i64>, default: u64) -> Duration {
    Duration::from_secs(given.and_then(|value| u64::try_from(value).ok()).unwrap_or(default))
}

fn millis(given: Option<i64>, default: u64) -> Duration {
    Duration::from_millis(given.and_then(|value| u64::try_from(value).ok()).unwrap_or(default))
}

fn small(given: Option<i64>, default: u16) -> u16 {
    given.and_then(|value| u16::try_from(value).ok()).unwrap_or(default)
}
