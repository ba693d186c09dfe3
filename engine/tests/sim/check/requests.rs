//! Requests are formed as RFC 3261 8.1.1 and 12.2.1.1 want them; CANCEL and the ACK to a refusal
//! are their INVITE's (9.1, 17.1.1.3) and go where it went; what is sent again is the same.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::Check;
use crate::text::Msg;

#[derive(Debug, Default)]
pub(super) struct Requests {
    /// By branch and method.
    sent: BTreeMap<(String, String), (SocketAddr, Msg)>,
    /// INVITEs, by branch, whose peer has said something provisional.
    begun: BTreeSet<String>,
    /// To of the refusals that came, by the branch of their INVITE.
    refused: BTreeMap<String, BTreeSet<String>>,
    /// The last CSeq number of a dialog: Call-ID, From tag, To tag.
    numbers: BTreeMap<(String, String, String), u32>,
    /// The engine has been killed.
    struck: bool,
}

/// RFC 3261 8.1.1.
fn is_whole(msg: &Msg) {
    let vias: Vec<&str> = msg.all("Via").collect();
    assert_eq!(vias.len(), 1, "another's Via goes on: {msg:?}");
    assert!(msg.branch().starts_with("z9hG4bK"), "{msg:?}");
    let hops: u32 = msg.header("Max-Forwards").parse().unwrap();
    assert!(hops <= 70, "{msg:?}");
    assert!(!msg.caller_tag().is_empty() && !msg.call_id().is_empty(), "{msg:?}");
    let (number, method) = msg.header("CSeq").split_once(' ').unwrap();
    assert!(number.parse::<u32>().unwrap() < 1 << 31, "{msg:?}");
    assert_eq!(method, msg.method(), "{msg:?}");
    let contact = msg.contact().is_some() || msg.get("Contact").is_some();
    let refreshes = matches!(msg.method(), "INVITE" | "UPDATE" | "REGISTER" | "OPTIONS");
    let outside = msg.to_tag().is_none();
    assert!(contact || !refreshes || (msg.method() == "OPTIONS" && !outside), "{msg:?}");
    for name in ["Record-Route", "User-Agent"] {
        assert_eq!(msg.get(name), None, "{msg:?}");
    }
}

/// RFC 3261 9.1 and 17.1.1.3: what both have of their INVITE.
fn is_of(msg: &Msg, invite: &Msg) {
    assert_eq!(msg.uri(), invite.uri(), "{msg:?}");
    for name in ["Via", "From", "Call-ID"] {
        assert_eq!(msg.get(name), invite.get(name), "{name}: {msg:?}");
    }
    let routes = |msg: &Msg| msg.all("Route").map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(routes(msg), routes(invite), "{msg:?}");
    assert_eq!(msg.cseq(), invite.cseq(), "{msg:?}");
    assert!(msg.body.is_empty() && msg.get("Content-Type").is_none(), "{msg:?}");
}

impl Requests {
    fn is_in_order(&mut self, msg: &Msg) {
        let tag = msg.to_tag().unwrap_or_default().to_owned();
        let dialog = (msg.call_id().to_owned(), msg.caller_tag().to_owned(), tag);
        let last = self.numbers.insert(dialog, msg.cseq());
        // A phone behind a fork may be told its BYE a second time by the next life of the engine.
        let again = self.struck && msg.method() == "BYE";
        let least = |last: u32| last + u32::from(!again);
        let rises = last.is_none_or(|last| msg.cseq() >= least(last));
        assert!(rises, "after CSeq {last:?}: {msg:?}");
    }
}

impl Check for Requests {
    fn engine_heard(&mut self, _now: u64, _from: SocketAddr, msg: &Msg) {
        let Some(status) = msg.status().filter(|_| msg.get("CSeq").is_some()) else { return };
        if msg.method() != "INVITE" || msg.get("Via").is_none() {
            return;
        }
        let branch = msg.branch().to_owned();
        if status < 200 {
            self.begun.insert(branch);
        } else if status >= 300 {
            let to = msg.get("To").unwrap_or_default().to_owned();
            self.refused.entry(branch).or_default().insert(to);
        }
    }

    fn died(&mut self) {
        self.struck = true;
    }

    fn engine_sent(&mut self, now: u64, to: SocketAddr, msg: &Msg) {
        if msg.status().is_some() {
            return;
        }
        is_whole(msg);
        let key = (msg.branch().to_owned(), msg.method().to_owned());
        let invite = self.sent.get(&(msg.branch().to_owned(), "INVITE".to_owned())).cloned();
        let again = self.sent.insert(key, (to, msg.clone()));
        match (msg.method(), invite) {
            ("CANCEL", invite) => {
                let (place, invite) = invite.unwrap_or_else(|| panic!("of nothing: {msg:?}"));
                is_of(msg, &invite);
                assert_eq!((to, msg.get("To")), (place, invite.get("To")), "at {now}");
                assert!(self.begun.contains(msg.branch()), "too early, at {now}: {msg:?}");
            }
            ("ACK", Some((place, invite))) => {
                is_of(msg, &invite);
                assert_eq!(to, place, "RFC 3263 4.3, at {now}");
                let refused = self.refused.get(msg.branch());
                let told = msg.header("To");
                assert!(refused.is_some_and(|to| to.contains(told)), "at {now}: {msg:?}");
            }
            ("ACK", None) => {}
            _ => match again {
                Some((_, first)) => assert_eq!(*msg, first, "changed at {now}"),
                None => self.is_in_order(msg),
            },
        }
    }
}
