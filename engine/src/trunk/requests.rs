//! The requests that we send to trunks on our own account: REGISTER and OPTIONS.

use std::net::SocketAddr;
use std::time::Duration;

use crate::core::Core;
use crate::input::Flow;
use crate::route::RegisterSpec;
use crate::sip::token::hex;
use crate::sip::transaction::{ClientHandle, Owner};

/// One REGISTER (RFC 3261 10.2).
pub(super) struct Register<'a> {
    /// Host of the address-of-record and Request-URI of the registrar (RFC 3261 10.2).
    pub(super) domain: &'a str,
    /// User of the address-of-record.
    pub(super) user: &'a str,
    /// User of the Contact.
    pub(super) contact: &'a str,
    /// One Call-ID and tag for all registrations of a trunk (RFC 3261 10.2).
    pub(super) call_id: &'a str,
    pub(super) tag: &'a str,
    pub(super) seq: u32,
    /// Zero removes.
    pub(super) expires: Duration,
}

/// Sends a REGISTER.
pub(super) fn register(core: &mut Core, flow: Flow, what: &Register<'_>) -> ClientHandle {
    let Register { domain, user, contact, call_id, tag, seq, expires } = what;
    let (transactions, io, faces) = core.writer();
    transactions.request(io, flow, false, Some(Owner::TRUNKS), |out, branch| {
        out.extend_from_slice(format!("REGISTER sip:{domain} SIP/2.0\r\n").as_bytes());
        faces.via(flow, branch, out);
        let head = format!(
            "Max-Forwards: 70\r\nFrom: <sip:{user}@{domain}>;tag={tag}\r\n\
             To: <sip:{user}@{domain}>\r\nCall-ID: {call_id}\r\nCSeq: {seq} REGISTER\r\n"
        );
        out.extend_from_slice(head.as_bytes());
        faces.contact_of(contact, flow, out);
        let tail = format!("Expires: {}\r\nContent-Length: 0\r\n\r\n", expires.as_secs());
        out.extend_from_slice(tail.as_bytes());
    })
}

/// The registrar's address, or one of the peers' in turn.
pub(super) fn place_of(spec: &RegisterSpec, known: &[SocketAddr], at: usize) -> Option<SocketAddr> {
    match spec.registrar.as_ref().and_then(|registrar| registrar.address()) {
        Some(address) => Some(address),
        None => known.get(at.checked_rem(known.len())?).copied(),
    }
}

/// The URI of the Contact in a REGISTER of this user.
pub(super) fn contact_uri(core: &mut Core, user: &str, flow: Flow) -> String {
    let mut line = Vec::new();
    let (_, _, faces) = core.writer();
    faces.contact_of(user, flow, &mut line);
    let line = String::from_utf8(line).unwrap_or_default();
    let uri = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    uri.map(|(uri, _)| uri.to_owned()).unwrap_or_default()
}

/// Asks a peer whether it is there (RFC 3261 11).
pub(super) fn options(core: &mut Core, flow: Flow) -> ClientHandle {
    let (call_id, tag) = (token(core), token(core));
    let domain = core.config.domain.clone();
    let remote = flow.remote;
    let (transactions, io, faces) = core.writer();
    transactions.request(io, flow, false, Some(Owner::TRUNKS), |out, branch| {
        out.extend_from_slice(format!("OPTIONS sip:{remote} SIP/2.0\r\n").as_bytes());
        faces.via(flow, branch, out);
        let head = format!(
            "Max-Forwards: 70\r\nFrom: <sip:{domain}>;tag={tag}\r\nTo: <sip:{remote}>\r\n\
             Call-ID: {call_id}\r\nCSeq: 1 OPTIONS\r\n"
        );
        out.extend_from_slice(head.as_bytes());
        faces.contact(flow, out);
        out.extend_from_slice(b"Accept: application/sdp\r\nContent-Length: 0\r\n\r\n");
    })
}

/// 64 random bits in hexadecimal.
pub(super) fn token(core: &mut Core) -> String {
    let mut text = Vec::with_capacity(16);
    hex(core.io.rng.next_u64(), 16, &mut text);
    String::from_utf8(text).unwrap_or_default()
}
