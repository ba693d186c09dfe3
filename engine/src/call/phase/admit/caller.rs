//! Who calls.

use crate::call::Source;
use crate::cdr::{Caller, CallerClass};
use crate::core::Core;
use crate::plan::{E164, parse_e164};
use crate::route::{
    CallerSide, ExtensionIx, OTHER_SERVICE, RedirectionFields, Redirections, Snapshot, Trunk,
};
use crate::sip::syntax::{HeaderId, NameAddr};

use super::Begin;
use super::dialled::{Clir, Dialled};
use super::number::caller_in;

/// Who calls, and how often the call was redirected before it came to us.
pub(super) struct Calling {
    pub(super) caller: Caller,
    pub(super) side: CallerSide,
    /// All redirections, also those that are not told on.
    pub(super) before: Redirections,
    /// The DID that a phone of ours presents.
    pub(super) presented: Option<E164>,
}

impl Begin<'_, '_> {
    /// Who calls, from a trunk as far as it is trusted, from a phone as far as it may say.
    pub(super) fn caller(&self, core: &Core) -> Calling {
        let snapshot = &core.routing.snapshot;
        match self.source {
            Source::Extension(at) => self.own_caller(snapshot, at),
            Source::Trunk(at) => self.outside_caller(snapshot.trunk(at)),
        }
    }

    fn outside_caller(&self, trunk: &Trunk) -> Calling {
        let believed = trunk.identity_in;
        let both = RedirectionFields { diversion: true, history_info: true };
        let before = Redirections::of(self.msg, both, |uri| caller_in(uri, trunk));
        let told = RedirectionFields {
            diversion: believed.diversion,
            history_info: believed.history_info,
        };
        // Who is not trusted could make up a story that a callee believes.
        let redirections = match trunk.trusted {
            true => Redirections::of(self.msg, told, |uri| caller_in(uri, trunk)).list,
            false => Vec::new(),
        };
        let from = self.msg.from().ok();
        let network = self.network_number(trunk);
        let anonymous = from.as_ref().is_some_and(is_anonymous);
        let privacy = self.privacy().filter(|_| believed.privacy);
        let withheld = match privacy {
            Some(Privacy::Withheld) => true,
            // RFC 3323 4.2: "none" asks that what is asserted be shown.
            Some(Privacy::Shown) => anonymous && network.is_none(),
            None => anonymous,
        };
        let display = from.and_then(|from| from.display);
        if withheld {
            let class = class_of_display(display);
            let known = network.or_else(|| from.and_then(|from| caller_in(&from.uri, trunk)));
            let display = is_of_another_service(display).then(|| OTHER_SERVICE.into());
            let side = CallerSide { display, network: known, redirections, own: false };
            let caller = Caller { number: None, class };
            return Calling { caller, side, before, presented: None };
        }
        let number = network.or_else(|| from.and_then(|from| caller_in(&from.uri, trunk)));
        let class = number.map_or(CallerClass::Unavailable, |_| CallerClass::Number);
        let display = display.filter(|_| believed.display).map(unescaped);
        let side = CallerSide { display, network: number, redirections, own: false };
        Calling { caller: Caller { number, class }, side, before, presented: None }
    }

    /// What a trusted network says of the caller: of P-Asserted-Identity the first number (RFC
    /// 3325 9.1 has at most two values, a sip and a tel one), else the older headers.
    fn network_number(&self, trunk: &Trunk) -> Option<E164> {
        if !trunk.trusted {
            return None;
        }
        let first = |id, wanted: bool| {
            let mut values = self.msg.addresses(id).flatten().take(2);
            values.find_map(|one| caller_in(&one.uri, trunk)).filter(|_| wanted)
        };
        let believed = trunk.identity_in;
        first(HeaderId::PAssertedIdentity, believed.asserted)
            .or_else(|| first(HeaderId::RemotePartyId, believed.remote_party_id))
            .or_else(|| first(HeaderId::PPreferredIdentity, believed.preferred))
    }

    /// A phone of ours: it may choose among the DIDs that its customer holds, and nothing else.
    fn own_caller(&self, snapshot: &Snapshot, at: ExtensionIx) -> Calling {
        let extension = snapshot.extension(at);
        let from = self.msg.from().ok();
        let preferred = self.msg.addresses(HeaderId::PPreferredIdentity).flatten();
        let held = |address: &NameAddr<'_>| {
            let number = parse_e164(&address.uri.unescaped_user()).ok()?;
            let did = snapshot.did(number)?;
            let owner = did.customer.as_ref()?;
            (Some(owner) == extension.customer.as_ref()).then_some(number)
        };
        let chosen = preferred.take(2).chain(from).find_map(|address| held(&address));
        let presented = extension.presented.map(|usual| chosen.unwrap_or(usual));
        let withheld = match Dialled::of(self.msg).and_then(|dialled| dialled.clir) {
            Some(clir) => clir == Clir::Withheld,
            None => {
                self.privacy() == Some(Privacy::Withheld) || from.as_ref().is_some_and(is_anonymous)
            }
        };
        let class = match presented {
            _ if withheld => CallerClass::Withheld,
            Some(_) => CallerClass::Number,
            None => CallerClass::Unavailable,
        };
        let number = presented.filter(|_| !withheld);
        let side = CallerSide { network: presented, own: true, ..CallerSide::default() };
        let before = Redirections::default();
        Calling { caller: Caller { number, class }, side, before, presented }
    }

    fn privacy(&self) -> Option<Privacy> {
        // RFC 3323 4.2 and RFC 3325 9.3. RFC 3323 separates values by semicolons.
        let values = self.msg.all(HeaderId::Privacy);
        let words = values.flat_map(|value| value.split(|byte| matches!(byte, b';' | b',')));
        let mut found = None;
        for word in words.map(<[u8]>::trim_ascii) {
            if [&b"id"[..], b"user", b"header"].iter().any(|one| word.eq_ignore_ascii_case(one)) {
                return Some(Privacy::Withheld);
            }
            if word.eq_ignore_ascii_case(b"none") {
                found = Some(Privacy::Shown);
            }
        }
        found
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Privacy {
    Withheld,
    Shown,
}

/// RFC 3261 25.1: what stands in a quoted string without its escapes.
fn unescaped(text: &str) -> Box<str> {
    let mut plain = String::with_capacity(text.len());
    let mut escaped = false;
    for ch in text.chars() {
        escaped = ch == '\\' && !escaped;
        if !escaped {
            plain.push(ch);
        }
    }
    plain.into()
}

fn is_anonymous(from: &NameAddr<'_>) -> bool {
    let user = from.uri.user.unwrap_or_default();
    user.eq_ignore_ascii_case("anonymous")
        || from.uri.host.eq_ignore_ascii_case("anonymous.invalid")
        || user.eq_ignore_ascii_case("unavailable")
}

/// A service of the network stands against the number; a handset shows 表示圏外 for that and for
/// a number that could not be passed, by different texts.
fn is_of_another_service(display: Option<&str>) -> bool {
    let text = display.unwrap_or_default().trim().to_ascii_lowercase();
    text.starts_with("interaction with other")
}

/// The texts by which Japanese networks tell why there is no number.
fn class_of_display(display: Option<&str>) -> CallerClass {
    let text = display.unwrap_or_default().trim().to_ascii_lowercase();
    if text.starts_with("coin line") {
        CallerClass::Payphone
    } else if text.starts_with("unavailable") || is_of_another_service(display) {
        CallerClass::Unavailable
    } else {
        CallerClass::Withheld
    }
}
