//! Who the callee is told is calling: the identity headers of one leg, decided by the trunk it
//! leaves by, and written the same way by a real call and by the dry run.

use crate::cdr::{Caller, CallerClass};
use crate::plan::{E164, NumberFormat, write_number};

use super::{IdentityPolicy, Presented};

/// Longest display name passed on; longer ones are cut. No telephone shows more.
const MAX_DISPLAY: usize = 64;

/// What is known of a call when a leg is dialled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallFacts<'a> {
    pub(crate) caller: Caller,
    /// Display name from the caller's side, unescaped.
    pub(crate) display: Option<&'a str>,
    /// The DID called, or presented by an extension.
    pub(crate) did: Option<E164>,
    /// The DID's own display name; empty shows the caller's.
    pub(crate) presented_name: &'a str,
    /// The call was forwarded: Diversion makes sense.
    pub(crate) forwarded: bool,
    pub(crate) reason: DiversionReason,
}

/// RFC 5806 4: why a call was diverted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum DiversionReason {
    #[default]
    Unconditional,
    UserBusy,
    NoAnswer,
    Unavailable,
}

impl DiversionReason {
    fn as_str(self) -> &'static str {
        match self {
            DiversionReason::Unconditional => "unconditional",
            DiversionReason::UserBusy => "user-busy",
            DiversionReason::NoAnswer => "no-answer",
            DiversionReason::Unavailable => "unavailable",
        }
    }
}

/// The identity headers of one leg.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Identity {
    /// The number in From; none is anonymous.
    pub(crate) from: Option<E164>,
    display: String,
    asserted: Option<E164>,
    privacy: bool,
    diversion: Option<(E164, DiversionReason)>,
}

impl Identity {
    /// Applies a trunk's policy.
    pub(crate) fn decide(policy: IdentityPolicy, facts: &CallFacts<'_>) -> Identity {
        let shown = facts.caller.number.filter(|_| facts.caller.class == CallerClass::Number);
        let pick = |presented| match presented {
            Presented::None => None,
            Presented::Caller => shown,
            Presented::Did => facts.did,
        };
        let from = pick(policy.from);
        let display = match (from, policy.from) {
            (Some(_), _) if !facts.presented_name.is_empty() => facts.presented_name.to_owned(),
            (Some(_), Presented::Caller) => facts.display.unwrap_or_default().to_owned(),
            (Some(_), _) => String::new(),
            // The texts by which Japanese handsets tell the classes apart.
            (None, Presented::Caller) => match facts.caller.class {
                CallerClass::Payphone => "Coin line/payphone".to_owned(),
                CallerClass::Unavailable => "Unavailable".to_owned(),
                CallerClass::Number | CallerClass::Withheld => "Anonymous".to_owned(),
            },
            (None, _) => "Anonymous".to_owned(),
        };
        Identity {
            from,
            display,
            asserted: pick(policy.asserted),
            // RFC 3323 4.2: a caller who withheld its number stays withheld behind us.
            privacy: from.is_none() && facts.caller.class == CallerClass::Withheld,
            diversion: facts
                .did
                .filter(|_| policy.diversion && facts.forwarded)
                .map(|did| (did, facts.reason)),
        }
    }

    /// Writes the value of From without its tag.
    pub(crate) fn write_from(&self, format: NumberFormat, domain: &str, out: &mut Vec<u8>) {
        if !self.display.is_empty() {
            write_quoted(&self.display, out);
            out.push(b' ');
        }
        match self.from {
            Some(number) => write_uri(number, format, domain, out),
            None => out.extend_from_slice(b"<sip:anonymous@anonymous.invalid>"),
        }
    }

    /// Writes the headers besides From, each as a whole line.
    pub(crate) fn write_headers(&self, format: NumberFormat, domain: &str, out: &mut Vec<u8>) {
        if let Some(number) = self.asserted {
            out.extend_from_slice(b"P-Asserted-Identity: ");
            write_uri(number, format, domain, out);
            out.extend_from_slice(b"\r\n");
        }
        if self.privacy {
            out.extend_from_slice(b"Privacy: id\r\n");
        }
        if let Some((did, reason)) = self.diversion {
            out.extend_from_slice(b"Diversion: ");
            write_uri(did, format, domain, out);
            out.extend_from_slice(b";reason=");
            out.extend_from_slice(reason.as_str().as_bytes());
            out.extend_from_slice(b";counter=1;privacy=off\r\n");
        }
    }
}

fn write_uri(number: E164, format: NumberFormat, domain: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"<sip:");
    write_number(number, format, out);
    out.push(b'@');
    out.extend_from_slice(domain.as_bytes());
    out.push(b'>');
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
mod tests {
    use super::*;
    use crate::plan::parse_e164;

    fn facts(caller: Caller) -> CallFacts<'static> {
        CallFacts {
            caller,
            display: Some("Suzuki \"Ken\"\r\nX-Evil: 1"),
            did: Some(parse_e164("0311112222").unwrap()),
            presented_name: "",
            forwarded: true,
            reason: DiversionReason::Unconditional,
        }
    }

    fn shown() -> Caller {
        let number = Some(parse_e164("09011112222").unwrap());
        Caller { number, class: CallerClass::Number }
    }

    fn text(policy: IdentityPolicy, facts: &CallFacts<'_>) -> String {
        let identity = Identity::decide(policy, facts);
        let mut out = b"From: ".to_vec();
        identity.write_from(NumberFormat::National, "pbx.example", &mut out);
        out.extend_from_slice(b"\r\n");
        identity.write_headers(NumberFormat::National, "pbx.example", &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_original_caller_is_shown_and_the_did_asserted() {
        let headers = text(IdentityPolicy::default(), &facts(shown()));
        assert_eq!(
            headers,
            "From: \"Suzuki \\\"Ken\\\"X-Evil: 1\" <sip:09011112222@pbx.example>\r\n\
             P-Asserted-Identity: <sip:0311112222@pbx.example>\r\n\
             Diversion: <sip:0311112222@pbx.example>;reason=unconditional;counter=1;privacy=off\r\n"
        );
    }

    #[test]
    fn a_withheld_caller_stays_withheld() {
        let withheld = Caller { number: None, class: CallerClass::Withheld };
        let policy = IdentityPolicy {
            from: Presented::Caller,
            asserted: Presented::Caller,
            diversion: false,
            ..policy()
        };
        assert_eq!(
            text(policy, &facts(withheld)),
            "From: \"Anonymous\" <sip:anonymous@anonymous.invalid>\r\nPrivacy: id\r\n"
        );
    }

    #[test]
    fn a_trunk_that_screens_numbers_sees_only_the_did() {
        let policy = IdentityPolicy {
            from: Presented::Did,
            asserted: Presented::None,
            diversion: false,
            ..policy()
        };
        assert_eq!(text(policy, &facts(shown())), "From: <sip:0311112222@pbx.example>\r\n");
    }

    #[test]
    fn the_dids_own_name_replaces_the_callers() {
        let facts = CallFacts { presented_name: "山田商事", ..facts(shown()) };
        let policy = IdentityPolicy { diversion: false, asserted: Presented::None, ..policy() };
        assert_eq!(text(policy, &facts), "From: \"山田商事\" <sip:09011112222@pbx.example>\r\n");
    }

    fn policy() -> IdentityPolicy {
        IdentityPolicy::default()
    }
}
