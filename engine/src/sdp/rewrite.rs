//! Turns one side's description into what the other side is told.

use std::io::Write;
use std::net::IpAddr;

use super::parse::{Connection, Line, connection, lines, word};
use super::{Media, Sdp};
use crate::sip::syntax::{put_ipv4, put_number};

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
    let mut sections = 0..;
    let mut here = None;
    // `parse` has met every line; a malformed one cannot come up here.
    for line in lines(sdp.body()).map_while(Result::ok) {
        match line.letter {
            b'o' => write_origin(&line, relay.ip, origin, out),
            b'c' => write_connection(&line, relay.ip, out),
            b'm' => {
                let section = sections.next().filter(|section| Some(*section) == relayed);
                here = section.and_then(|section| sdp.media().get(section));
                write_media(&line, here.map_or(0, |_| relay.rtp), out);
                let placed = |m: &Media<'_>| m.connection.is_some() || m.connection_is_name;
                if here.is_some_and(|media| !placed(media)) {
                    insert_connection(&line, relay.ip, out);
                }
            }
            b'a' if line.value.starts_with(b"rtcp:") => {
                if let Some(media) = here {
                    write_rtcp(media, &line, relay, out);
                }
            }
            _ => out.extend_from_slice(line.raw),
        }
    }
}

/// The body without its directions: `sendrecv` (RFC 4566 6).
pub(crate) fn without_direction(body: &[u8]) -> Vec<u8> {
    let directions: [&[u8]; 4] = [b"sendrecv", b"sendonly", b"recvonly", b"inactive"];
    let kept = lines(body).map_while(Result::ok);
    let kept = kept.filter(|line| line.letter != b'a' || !directions.contains(&line.value));
    kept.fold(Vec::with_capacity(body.len()), |mut out, line| {
        out.extend_from_slice(line.raw);
        out
    })
}

/// Keeps the user name, if it is one word, and its session to the reader looks like ours.
fn write_origin(line: &Line<'_>, ip: IpAddr, origin: Origin, out: &mut Vec<u8>) {
    let fields = line.value.split(|b| *b == b' ').filter(|field| !field.is_empty()).count();
    let user = match word(line.value) {
        Some((user, _)) if fields == ORIGIN_FIELDS => user,
        _ => "-",
    };
    out.extend_from_slice(b"o=");
    out.extend_from_slice(user.as_bytes());
    out.push(b' ');
    put_number(out, origin.id);
    out.push(b' ');
    put_number(out, origin.version);
    out.push(b' ');
    put_address(out, ip);
    out.extend_from_slice(line.end());
}

/// RFC 4566 5.2: user, id, version, network, family, address.
const ORIGIN_FIELDS: usize = 6;

fn write_connection(line: &Line<'_>, ip: IpAddr, out: &mut Vec<u8>) {
    match connection(line.value) {
        Some(Connection::Address(held)) if held.is_unspecified() => {
            out.extend_from_slice(line.raw);
        }
        _ => {
            out.extend_from_slice(b"c=");
            put_address(out, ip);
            out.extend_from_slice(line.end());
        }
    }
}

fn write_media(line: &Line<'_>, port: u16, out: &mut Vec<u8>) {
    // `parse` has read kind and port of every media line.
    let Some((kind, rest)) = word(line.value) else { return };
    let Some((_, rest)) = word(rest) else { return };
    out.extend_from_slice(b"m=");
    out.extend_from_slice(kind.as_bytes());
    out.push(b' ');
    put_number(out, port.into());
    out.extend_from_slice(rest);
    out.extend_from_slice(line.end());
}

/// For a relayed line with no `c=` at all, at either level.
fn insert_connection(line: &Line<'_>, ip: IpAddr, out: &mut Vec<u8>) {
    if line.end().is_empty() {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"c=");
    put_address(out, ip);
    out.extend_from_slice(line.end());
}

/// Names an address only where the author did.
fn write_rtcp(media: &Media<'_>, line: &Line<'_>, relay: RelayAddress, out: &mut Vec<u8>) {
    let Some((named, port)) = media.rtcp else { return };
    // RTCP on the RTP port stays there (RFC 5761 5.1.1).
    let port = if port == media.port { relay.rtp } else { relay.rtp.saturating_add(1) };
    out.extend_from_slice(b"a=rtcp:");
    put_number(out, port.into());
    if named.is_some() {
        out.push(b' ');
        put_address(out, relay.ip);
    }
    out.extend_from_slice(line.end());
}

/// `IN IP4 192.0.2.1`
fn put_address(out: &mut Vec<u8>, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => {
            out.extend_from_slice(b"IN IP4 ");
            put_ipv4(out, ip);
        }
        // Writing into a Vec cannot fail.
        IpAddr::V6(ip) => drop(write!(out, "IN IP6 {ip}")),
    }
}
