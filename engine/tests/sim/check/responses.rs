//! Answers are formed as RFC 3261 8.2.6 wants them, and one request is answered under one tag.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::Check;
use crate::text::Msg;

#[derive(Debug, Default)]
pub(super) struct Responses {
    requests: BTreeMap<(SocketAddr, String, String), Msg>,
    tags: BTreeMap<(SocketAddr, String, String), String>,
}

fn key(peer: SocketAddr, msg: &Msg) -> (SocketAddr, String, String) {
    (peer, msg.method().to_owned(), msg.branch().to_owned())
}

/// Where the answer to a request goes: by UDP without `rport` to the port in its Via (RFC 3261
/// 18.2.2), otherwise back to where it came from.
fn answered_at(from: SocketAddr, request: &Msg) -> SocketAddr {
    let via = request.header("Via");
    match via.strip_prefix("SIP/2.0/UDP ") {
        Some(rest) if !via.contains(";rport") => {
            let place = rest.split(';').next().unwrap_or_default();
            let port = place.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
            SocketAddr::new(from.ip(), port.unwrap_or(5060))
        }
        Some(_) | None => from,
    }
}

/// RFC 3261 18.2.1 and RFC 3581 4: only `received` and `rport` may be added to the top Via.
fn without_source(via: &str) -> String {
    let kept = via.split(';').filter(|part| {
        let name = part.split('=').next().unwrap_or_default().trim().to_lowercase();
        name != "received" && name != "rport"
    });
    kept.collect::<Vec<_>>().join(";")
}

impl Check for Responses {
    fn died(&mut self) {
        // Only what makes a dialog outlives the process; another request that comes again is
        // answered by who has not seen it.
        self.tags.retain(|(_, method, _), _| method == "INVITE");
    }

    fn engine_heard(&mut self, _now: u64, from: SocketAddr, msg: &Msg) {
        if msg.status().is_none() && msg.get("Via").is_some() && msg.get("CSeq").is_some() {
            let from = answered_at(from, msg);
            self.requests.entry(key(from, msg)).or_insert_with(|| msg.clone());
        }
    }

    fn engine_sent(&mut self, now: u64, to: SocketAddr, msg: &Msg) {
        let Some(status) = msg.status() else {
            assert!(msg.get("Max-Forwards").is_some(), "{msg:?}");
            return;
        };
        let key = key(to, msg);
        let Some(request) = self.requests.get(&key) else {
            panic!("an answer to nothing for {to} at {now}: {msg:?}")
        };
        for name in ["From", "Call-ID", "CSeq"] {
            assert_eq!(msg.get(name), request.get(name), "{name} at {now}");
        }
        let vias = |msg: &Msg| msg.all("Via").map(without_source).collect::<Vec<_>>();
        assert_eq!(vias(msg), vias(request), "Via at {now}");
        match (msg.to_tag(), request.to_tag()) {
            (got, Some(had)) => assert_eq!(got, Some(had), "the tag of a request is kept"),
            (None, None) => assert_eq!(status, 100, "RFC 3261 8.2.6.2: a tag is due: {msg:?}"),
            (Some(got), None) => {
                let first = self.tags.entry(key).or_insert_with(|| got.to_owned());
                assert_eq!(first, got, "To tag changed for {} at {now}", msg.call_id());
            }
        }
        let dialog = msg.method() == "INVITE" && (200..300).contains(&status);
        assert!(!dialog || msg.contact().is_some(), "RFC 3261 12.1.1: Contact: {msg:?}");
    }
}
