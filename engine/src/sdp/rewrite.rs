//! Turns one side's description into what the other side is told.

use std::io::Write;
use std::net::IpAddr;

use super::Sdp;
use super::parse::{Connection, Line, connection, is_hold, lines, word};

/// Where the relay listens for the side that will read the description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayAddress {
    /// As the side reaches it.
    pub ip: IpAddr,
    /// RTP, or UDPTL; RTCP is on the next port.
    pub rtp: u16,
}

/// Our `o=` numbers towards a side: RFC 3264 8 wants the id kept and the version one higher with
/// every description that differs from the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Session id.
    pub id: u64,
    /// Session version.
    pub version: u64,
}

/// Appends the description with the relay in place of its author to `out`.
///
/// Addresses in `o=` and `c=` become ours, and so do port and `a=rtcp` of the line that is
/// relayed. Other media lines are refused (port 0) and stay where they are, because offer and
/// answer have the same lines (RFC 3264 6); their `a=rtcp` goes, as it would only tell an
/// address. An unspecified `c=` address stays: it is hold. Every other line is byte-exact.
pub fn rewrite(sdp: &Sdp<'_>, relay: RelayAddress, origin: Origin, out: &mut Vec<u8>) {
    let relayed = sdp.relayed();
    let mut section = None;
    // `parse` has met every line; a malformed one cannot come up here.
    for line in lines(sdp.body()).map_while(Result::ok) {
        if line.letter == b'm' {
            section = Some(section.map_or(0, |n: usize| n + 1));
        }
        let here = section.is_some() && section == relayed;
        match line.letter {
            b'o' => write_origin(&line, relay.ip, origin, out),
            b'c' => write_connection(&line, relay.ip, out),
            b'm' => {
                write_media(&line, if here { relay.rtp } else { 0 }, out);
                if here && lacks_connection(sdp) {
                    if line.end().is_empty() {
                        out.extend_from_slice(b"\r\n");
                    }
                    write_line(out, &line, format_args!("c={}", address(relay.ip)));
                }
            }
            b'a' if line.value.starts_with(b"rtcp:") => {
                if here {
                    write_rtcp(sdp, &line, relay, out);
                }
            }
            _ => out.extend_from_slice(line.raw),
        }
    }
}

/// A relayed line with no `c=` at all, at either level, is told where the relay is.
fn lacks_connection(sdp: &Sdp<'_>) -> bool {
    sdp.relayed_media().is_some_and(|media| media.connection.is_none() && !media.connection_is_name)
}

/// Keeps the user name, if it is one word, and its session to the reader looks like ours.
fn write_origin(line: &Line<'_>, ip: IpAddr, origin: Origin, out: &mut Vec<u8>) {
    let fields = line.value.split(|b| *b == b' ').filter(|field| !field.is_empty()).count();
    let user = match word(line.value) {
        Some((user, _)) if fields == 6 => user,
        _ => "-",
    };
    let Origin { id, version } = origin;
    write_line(out, line, format_args!("o={user} {id} {version} {}", address(ip)));
}

fn write_connection(line: &Line<'_>, ip: IpAddr, out: &mut Vec<u8>) {
    match connection(line.value) {
        Some(Connection::Address(held)) if is_hold(held) => out.extend_from_slice(line.raw),
        _ => write_line(out, line, format_args!("c={}", address(ip))),
    }
}

fn write_media(line: &Line<'_>, port: u16, out: &mut Vec<u8>) {
    // `parse` has read kind and port of every media line.
    let Some((kind, rest)) = word(line.value) else { return };
    let Some((_, rest)) = word(rest) else { return };
    let _infallible = write!(out, "m={kind} {port}");
    out.extend_from_slice(rest);
    out.extend_from_slice(line.end());
}

/// Names an address only where the author did.
fn write_rtcp(sdp: &Sdp<'_>, line: &Line<'_>, relay: RelayAddress, out: &mut Vec<u8>) {
    let Some(media) = sdp.relayed_media() else { return };
    let Some((own, port)) = media.rtcp else { return };
    // RTCP on the RTP port stays there (RFC 5761 5.1.1).
    let port = if port == media.port { relay.rtp } else { relay.rtp.saturating_add(1) };
    match own {
        None => write_line(out, line, format_args!("a=rtcp:{port}")),
        Some(_) => write_line(out, line, format_args!("a=rtcp:{port} {}", address(relay.ip))),
    }
}

fn write_line(out: &mut Vec<u8>, line: &Line<'_>, text: std::fmt::Arguments<'_>) {
    let _infallible = out.write_fmt(text);
    out.extend_from_slice(line.end());
}

/// `IN IP4 192.0.2.1`
fn address(ip: IpAddr) -> impl std::fmt::Display {
    struct Address(IpAddr);
    impl std::fmt::Display for Address {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            match self.0 {
                IpAddr::V4(ip) => write!(f, "IN IP4 {ip}"),
                IpAddr::V6(ip) => write!(f, "IN IP6 {ip}"),
            }
        }
    }
    Address(ip)
}
