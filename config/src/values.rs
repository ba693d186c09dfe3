//! Newtypes of single settings: each is built by `parse`, so a value that exists is valid.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// The name of this node in the cluster and on every record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeName(String);

impl NodeName {
    /// Letters, digits, `.`, `-` and `_`, at most 64: it stands in file names and metrics labels.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fits = |ch: char| ch.is_ascii_alphanumeric() || matches!(ch, '.' | '-' | '_');
        if text.is_empty() || text.len() > 64 || !text.chars().all(fits) {
            return Err("must be 1 to 64 letters, digits, '.', '-' or '_'".into());
        }
        Ok(NodeName(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A time zone of the IANA database, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeZone(jiff::tz::TimeZone);

impl TimeZone {
    /// A name as in `Asia/Tokyo`.
    pub fn parse(text: &str) -> Result<Self, String> {
        jiff::tz::TimeZone::get(text)
            .map(TimeZone)
            .map_err(|_| "no such time zone; write it as in Asia/Tokyo".to_owned())
    }

    /// Its rules.
    pub fn rules(&self) -> &jiff::tz::TimeZone {
        &self.0
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }
}

/// A transport in `sip.listen`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SipTransport {
    /// `udp:`
    Udp,
    /// `tcp:`
    Tcp,
    /// `tls:`
    Tls,
}

/// One entry of `sip.listen`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SipListener {
    /// The transport.
    pub transport: SipTransport,
    /// The address to bind; port 0 takes a free one.
    pub address: SocketAddr,
}

impl std::fmt::Display for SipListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let transport = match self.transport {
            SipTransport::Udp => "udp",
            SipTransport::Tcp => "tcp",
            SipTransport::Tls => "tls",
        };
        write!(f, "{transport}:{}", self.address)
    }
}

impl SipListener {
    /// `udp:0.0.0.0:5060`, `udp:[::]:5060`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wanted = || format!("\"{text}\" is no listener; write it as in udp:0.0.0.0:5060");
        let (scheme, address) = text.split_once(':').ok_or_else(wanted)?;
        let transport = match scheme {
            "udp" => SipTransport::Udp,
            "tcp" => SipTransport::Tcp,
            "tls" => SipTransport::Tls,
            _ => return Err(wanted()),
        };
        let address = address.parse().map_err(|_| wanted())?;
        Ok(SipListener { transport, address })
    }
}

/// A host name or address as it stands in SIP: IPv6 in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host(String);

impl Host {
    /// An IPv4 address, an IPv6 address with or without brackets, or a name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Ok(Host::from(address));
        }
        let label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && label.chars().all(|ch| ch.is_ascii_alphanumeric() || ch == '-')
        };
        if text.len() <= 253 && text.split('.').all(label) {
            return Ok(Host(text.to_ascii_lowercase()));
        }
        Err(format!("\"{text}\" is neither an address nor a host name"))
    }

    /// The text, fit for a URI.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Host(v4.to_string()),
            IpAddr::V6(v6) => Host(format!("[{v6}]")),
        }
    }
}

/// What Via and Contact say where it differs from the socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertise {
    /// The host.
    pub host: Host,
    /// The port; none takes the socket's.
    pub port: Option<u16>,
}

impl Advertise {
    /// `host`, `host:port`, `[v6]` or `[v6]:port`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let plain = text.parse::<IpAddr>().is_ok();
        let split = text.rsplit_once(':').filter(|(_, port)| !plain && !port.contains(']'));
        let Some((host, port)) = split else {
            return Ok(Advertise { host: Host::parse(text)?, port: None });
        };
        match port.parse() {
            Ok(port @ 1..) => Ok(Advertise { host: Host::parse(host)?, port: Some(port) }),
            _ => Err(format!("\"{port}\" is no port")),
        }
    }
}

/// A differentiated services code point (RFC 2474).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dscp(u8);

impl Dscp {
    /// The six bits.
    pub const fn new(bits: u8) -> Self {
        Dscp(bits & 0x3f)
    }

    /// The six bits.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The byte for `IP_TOS` and `IPV6_TCLASS`.
    pub const fn traffic_class(self) -> u8 {
        self.0 << 2
    }
}

/// The ports of the relay: even ones for RTP, the next for RTCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// First even port.
    pub first: u16,
    /// Last odd port.
    pub last: u16,
}

impl PortRange {
    /// `20000-39999`. An odd first or an even last port has no partner and is left out; at least
    /// four ports must remain, because a call takes two pairs.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wanted = || "must be two ports as in 20000-39999".to_owned();
        let (first, last) = text.split_once('-').ok_or_else(wanted)?;
        let first: u16 = first.trim().parse().map_err(|_| wanted())?;
        let last: u16 = last.trim().parse().map_err(|_| wanted())?;
        if first < 1024 {
            return Err("must begin at 1024 or above".into());
        }
        let first = first.checked_next_multiple_of(2).ok_or_else(wanted)?;
        let last = if last.is_multiple_of(2) { last.saturating_sub(1) } else { last };
        if last < first.saturating_add(3) {
            return Err(
                "must hold at least four ports from an even one: a call takes two pairs".into()
            );
        }
        Ok(PortRange { first, last })
    }
}

/// `database.url`; prints without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// `sqlite:PATH` or `postgres://user:password@host/db`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let sqlite = text.strip_prefix("sqlite:").is_some_and(|path| !path.is_empty());
        let postgres = ["postgres://", "postgresql://"]
            .iter()
            .any(|scheme| text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()));
        if sqlite || postgres {
            return Ok(DatabaseUrl(text.to_owned()));
        }
        Err("must be sqlite:PATH or postgres://user:password@host/db".into())
    }

    /// The embedded database at `path`.
    pub fn sqlite(path: &std::path::Path) -> Self {
        DatabaseUrl(format!("sqlite:{}", path.display()))
    }

    /// The whole URL, for the connection only.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The file of an embedded database.
    pub fn file(&self) -> Option<PathBuf> {
        self.0.strip_prefix("sqlite:").map(PathBuf::from)
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((scheme, rest)) = self.0.split_once("://") else { return f.write_str(&self.0) };
        match rest.rsplit_once('@') {
            Some((_, place)) => write!(f, "{scheme}://***@{place}"),
            None => f.write_str(&self.0),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `log.level`: directives of a tracing filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    /// `info`, or a list as in `info,tensou::cdr=debug`. Every directive ends in a level, so that
    /// a mistyped level is not taken for a target.
    pub fn parse(text: &str) -> Result<Self, String> {
        const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
        for directive in text.split(',').map(str::trim) {
            let level = directive.rsplit_once('=').map_or(directive, |(_, level)| level);
            if !LEVELS.contains(&level.to_ascii_lowercase().as_str()) {
                return Err(format!(
                    "\"{directive}\" must be a level ({}) or target=level",
                    LEVELS.join(", ")
                ));
            }
        }
        Ok(LogFilter(text.to_owned()))
    }

    /// The directives.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
#[path = "values_tests.rs"]
mod tests;
