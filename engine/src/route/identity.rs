//! Who the callee is told is calling: the identity headers of one leg, decided by the trunk it
//! leaves by, and written the same way by a real call and by the dry run.

use crate::cdr::{Caller, CallerClass};
use crate::plan::E164;

use super::redirection::{
    DiversionReason, MAX_ENTRIES, Redirection, write_diversion, write_history,
};
use super::writing::Writing;
use super::{IdentityPolicy, Presented, ShownName};

/// Longest display name passed on; longer ones are cut. No telephone shows more.
const MAX_DISPLAY: usize = 64;

/// The text of a caller whose number a service of its network keeps back.
pub(crate) const OTHER_SERVICE: &str = "Interaction with other service";

/// What the caller's side said of itself, besides the number shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CallerSide {
    /// Display name, unescaped; [`OTHER_SERVICE`] of a caller without a number, if that is why.
    pub(crate) display: Option<Box<str>>,
    /// The number that the network knows, also of a caller who withheld it: it leaves towards
    /// trusted trunks only.
    pub(crate) network: Option<E164>,
    /// Earlier redirections that are told on, the last first.
    pub(crate) redirections: Vec<Redirection>,
    /// The caller is one of our phones: the DID is its own number.
    pub(crate) own: bool,
}

/// What is known of a call when a leg is dialled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallFacts<'a> {
    pub(crate) caller: Caller,
    pub(crate) side: &'a CallerSide,
    /// The DID called, or presented by an extension.
    pub(crate) did: Option<E164>,
    /// The DID's own display name; empty shows the caller's.
    pub(crate) presented_name: &'a str,
    /// The call was forwarded: Diversion makes sense.
    pub(crate) forwarded: bool,
    pub(crate) reason: DiversionReason,
    /// Callees who have sent the call on to this one, the last first.
    pub(crate) redirected: &'a [Redirection],
}

/// The identity headers of one leg.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Identity {
    /// The number in From; none is anonymous.
    pub(crate) from: Option<E164>,
    display: String,
    asserted: Option<E164>,
    preferred: Option<E164>,
    remote_party: Option<E164>,
    /// The caller withheld its number.
    withheld: bool,
    privacy: bool,
    /// The last first.
    redirections: Vec<Redirection>,
    diversion: bool,
    history_info: bool,
}

impl Identity {
    /// Applies a policy to a call that leaves to a peer which is `trusted` or not.
    pub(crate) fn decide(
        policy: IdentityPolicy,
        facts: &CallFacts<'_>,
        writing: &Writing<'_>,
    ) -> Identity {
        let withheld = facts.caller.class == CallerClass::Withheld;
        let shown = facts.caller.number.filter(|_| facts.caller.class == CallerClass::Number);
        // A phone of ours that withholds its number withholds the DID, for that is its number.
        let did = facts.did.filter(|_| !(withheld && facts.side.own));
        let pick = |presented| match presented {
            Presented::None => None,
            Presented::Caller => shown,
            Presented::Did => did,
        };
        let from = pick(policy.from);
        // RFC 3323 4.2: a caller who withheld its number stays withheld behind us.
        let privacy = policy.privacy && from.is_none() && withheld;
        // RFC 3325 7: a network that is trusted may know what the callee may not, and is told so.
        let known = |presented| match presented {
            Presented::Caller if privacy && writing.trusted => facts.side.network,
            Presented::Did if privacy && writing.trusted => facts.did,
            presented => pick(presented),
        };
        let mut redirections = facts.redirected.to_vec();
        if facts.forwarded && (policy.diversion || policy.history_info) {
            redirections.extend(facts.did.map(|did| Redirection {
                number: Some(did),
                reason: facts.reason,
                counter: 1,
                private: false,
                status: 0,
            }));
        }
        redirections.extend(&facts.side.redirections);
        redirections.truncate(MAX_ENTRIES);
        Identity {
            from,
            display: display(policy, facts, from.is_some()),
            asserted: known(policy.asserted),
            preferred: known(policy.preferred),
            remote_party: known(policy.remote_party_id),
            withheld,
            privacy,
            redirections,
            diversion: policy.diversion,
            history_info: policy.history_info,
        }
    }

    /// Writes the value of From without its tag.
    pub(crate) fn write_from(&self, writing: &Writing<'_>, out: &mut Vec<u8>) {
        if !self.display.is_empty() {
            write_quoted(&self.display, out);
            out.push(b' ');
        }
        match self.from {
            Some(number) => writing.write_party(number, "", out),
            None => out.extend_from_slice(b"<sip:anonymous@anonymous.invalid>"),
        }
    }

    /// Writes the headers besides From, each as a whole line. `target` is the Request-URI.
    pub(crate) fn write_headers(&self, writing: &Writing<'_>, target: &str, out: &mut Vec<u8>) {
        let party = |name: &str, number: Option<E164>, tail: &str, out: &mut Vec<u8>| {
            let Some(number) = number else { return };
            out.extend_from_slice(name.as_bytes());
            writing.write_party(number, "", out);
            out.extend_from_slice(tail.as_bytes());
            out.extend_from_slice(b"\r\n");
        };
        party("P-Asserted-Identity: ", self.asserted, "", out);
        party("P-Preferred-Identity: ", self.preferred, "", out);
        let tail = match self.withheld {
            true => ";party=calling;screen=yes;privacy=full",
            false => ";party=calling;screen=yes;privacy=off",
        };
        party("Remote-Party-ID: ", self.remote_party, tail, out);
        if self.privacy {
            out.extend_from_slice(b"Privacy: id\r\n");
        }
        if self.diversion {
            write_diversion(&self.redirections, writing, out);
        }
        if self.history_info && !self.redirections.is_empty() {
            write_history(&self.redirections, target, writing, out);
        }
    }
}

/// The name in From.
fn display(policy: IdentityPolicy, facts: &CallFacts<'_>, numbered: bool) -> String {
    if policy.display == ShownName::None {
        return String::new();
    }
    if numbered {
        let callers = policy.display == ShownName::Caller && policy.from == Presented::Caller;
        return match (facts.presented_name, &facts.side.display) {
            ("", Some(name)) if callers => name.to_string(),
            (name, _) => name.to_owned(),
        };
    }
    // The texts by which Japanese handsets tell the classes apart.
    let other = facts.side.display.as_deref() == Some(OTHER_SERVICE);
    let text = match (policy.from, facts.caller.class) {
        (Presented::Caller, CallerClass::Payphone) => "Coin line/payphone",
        (Presented::Caller, CallerClass::Unavailable) if other => OTHER_SERVICE,
        (Presented::Caller, CallerClass::Unavailable) => "Unavailable",
        _ => "Anonymous",
    };
    text.to_owned()
}

/// RFC 3261 25.1 quoted-string: control characters are left out, quote and backslash escaped.
fn write_quoted(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut utf8 = [0u8; 4];
    for ch in text.chars().filter(|ch| !ch.is_control()).take(MAX_DISPLAY) {
        if matches!(ch, '"' | '\\') {
            out.push(b'\\');
        }
        out.extend_from_slice(ch.encode_utf8(&mut utf8).as_bytes());
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests;
