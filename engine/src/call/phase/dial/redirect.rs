//! A callee's side that sends a call elsewhere (RFC 3261 8.1.3.4, 16.7): where it may lead, and
//! in which order its Contacts are tried.
//!
//! A redirection is a wish of somebody else, and the operator pays for it. It is followed from a
//! trunk alone whose setting says so, and by no other trunk than that one, under its channels,
//! its calls per second and its identity policy:
//!
//! - a number, to a peer of that trunk if the Contact names one, if it is one of its prefixes.
//!   A number abroad or one that is dear to call must be named by a prefix: a trunk that carries
//!   everything carries it for a destination, not for a Contact;
//! - where a URI was called, another user at the very same place.
//!
//! Everything else is no way on. When no Contact is left, the branch has failed.

use std::cmp::Reverse;
use std::net::SocketAddr;

use crate::call::leg::Place;
use crate::call::phase::admit::called_in;
use crate::call::{Call, LegState, Source};
use crate::core::Core;
use crate::id::Key;
use crate::input::Transport;
use crate::journal::image;
use crate::plan::E164;
use crate::route::{
    DiversionReason, PeerHost, PeerSpec, Redirection, Snapshot, Trunk, TrunkIx, Way,
};
use crate::sip::syntax::{HeaderId, Message, NameAddr, Scheme, Uri};

use super::Admitted;
use super::ways::Hop;

/// Redirections that one branch follows, one behind the other or of one list: as many as Japanese
/// networks let a call be forwarded.
const MAX_FOLLOWED: u8 = 5;
/// Contacts of one redirection that are tried: a caller waits for each of them.
const MAX_CONTACTS: usize = 5;

/// Where a leg goes, as far as it matters for being there twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Goal {
    /// A number that leaves by the trunk,
    number: Option<E164>,
    /// or a URI.
    uri: Box<str>,
    /// The trunk's peer, where only one is meant.
    peer: Option<u16>,
}

/// A Contact that may be called.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::call) struct Contact {
    goal: Goal,
    trunk: Key,
    /// `sips`: by TLS and by nothing else (RFC 3261 26.2.2).
    pub(super) secure: bool,
    /// Who has redirected, the last first.
    pub(super) story: Vec<Redirection>,
}

/// The redirections of one branch.
#[derive(Debug)]
pub(in crate::call) struct Redirected {
    step: u16,
    branch: u16,
    followed: u8,
    /// Where the branch has been.
    seen: Vec<Goal>,
    /// Contacts that were not tried yet, the next at the end.
    left: Vec<Contact>,
    /// Where it goes now; none before the first.
    now: Option<Contact>,
}

image!(struct Goal { number, uri, peer });
image!(struct Contact { goal, trunk, secure, story });
image!(struct Redirected { step, branch, followed, seen, left, now });

impl Goal {
    fn number(number: E164, peer: Option<u16>) -> Goal {
        Goal { number: Some(number), uri: Box::from(""), peer }
    }

    fn uri(text: impl Into<Box<str>>) -> Goal {
        Goal { number: None, uri: text.into(), peer: None }
    }

    /// Whether it may go by a peer of its trunk.
    fn means(&self, (at, peer): (u16, &PeerSpec), secure: bool) -> bool {
        let by_tls = peer.transport == Some(Transport::Tls);
        self.peer.is_none_or(|only| only == at) && (by_tls || !secure)
    }

    /// Whether who has been at `other` has been here.
    fn is_at(&self, other: &Goal) -> bool {
        let anywhere = self.peer.is_none() || other.peer.is_none();
        (self.number, &self.uri) == (other.number, &other.uri)
            && (anywhere || self.peer == other.peer)
    }
}

impl Contact {
    /// How it is reached.
    pub(super) fn way(&self, snapshot: &Snapshot) -> Way<'_> {
        match (snapshot.trunk_of_key(&self.trunk), self.goal.number) {
            (Some(trunk), Some(number)) => Way::Number(number, Some(trunk)),
            (Some(trunk), None) => Way::Uri(&self.goal.uri, Some(trunk)),
            (None, _) => Way::Gone,
        }
    }

    /// Whether a hop of its trunk is one that it means.
    pub(super) fn means(&self, hop: Hop, snapshot: &Snapshot) -> bool {
        let Hop::Peer(trunk, at) = hop else { return true };
        let peer = snapshot.trunk(trunk).peers.get(usize::from(at));
        peer.is_some_and(|peer| self.goal.means((at, peer), self.secure))
    }
}

impl Call {
    /// Where a redirection has led a branch; none while it goes where it was to go.
    pub(in crate::call::phase) fn redirected_to(&self, place: Place) -> Option<&Contact> {
        let redirected = &self.dialling()?.redirected;
        redirected.iter().find(|one| one.is_of(place))?.now.as_ref()
    }

    /// A callee's 3xx: its Contacts wait to be tried when the leg is over, if any may be.
    pub(in crate::call::phase) fn take_redirection(
        &mut self,
        core: &mut Core,
        leg: u16,
        status: u16,
        msg: &Message<'_>,
    ) {
        let routing = self.routing.clone();
        let snapshot = &routing.snapshot;
        let Some(at) = self.redirecting(snapshot, leg) else { return };
        let Some(from) = self.goal_of(snapshot, leg) else { return };
        let place = self.leg(leg).place;
        let mut story = vec![self.redirection_by(&from, (leg, status), msg)];
        story.extend(self.redirected_to(place).iter().flat_map(|now| &now.story));
        let mut wanted: Vec<(u16, Contact)> = Vec::new();
        for contact in msg.addresses(HeaderId::Contact).flatten() {
            let Some((goal, secure)) = self.goal_in(core, (at, &from), &contact) else {
                core.io.counters.redirections_refused += 1;
                continue;
            };
            let trunk = snapshot.trunk(at).key.clone();
            let next = Contact { goal, trunk, secure, story: story.clone() };
            wanted.push((quality(&contact), next));
        }
        // RFC 3261 8.1.3.4: the highest q first; equal ones as they stand.
        wanted.sort_by_key(|(quality, _)| Reverse(*quality));
        let wanted = wanted.into_iter().map(|(_, contact)| contact).collect();
        core.io.counters.redirections_refused += self.keep_contacts(place, from, wanted);
    }

    /// Puts Contacts before those of earlier redirections. How many are not to be tried, for the
    /// branch has been there, or been redirected too often.
    fn keep_contacts(&mut self, place: Place, from: Goal, wanted: Vec<Contact>) -> u64 {
        let offered = wanted.len();
        let Some(dialling) = self.dialling_mut() else { return 0 };
        if !dialling.redirected.iter().any(|one| one.is_of(place)) {
            dialling.redirected.push(Redirected::at(place));
        }
        let found = dialling.redirected.iter_mut().find(|one| one.is_of(place));
        let Some(redirected) = found else { return 0 };
        redirected.seen.push(from);
        if redirected.followed == MAX_FOLLOWED {
            return offered as u64;
        }
        redirected.followed += 1;
        let mut fresh: Vec<Contact> = Vec::new();
        for contact in wanted {
            let been = redirected.seen.iter().any(|seen| contact.goal.is_at(seen));
            if !been && fresh.len() < MAX_CONTACTS {
                redirected.seen.push(contact.goal.clone());
                fresh.push(contact);
            }
        }
        let refused = offered - fresh.len();
        redirected.left.extend(fresh.into_iter().rev());
        refused as u64
    }

    /// Goes on to the next Contact of a branch; false when none is left that can be called.
    pub(in crate::call::phase) fn follow(
        &mut self,
        core: &mut Core,
        place: Place,
        admitted: &Admitted,
    ) -> bool {
        let next = Place { attempt: place.attempt.saturating_add(1), ..place };
        loop {
            let Some(dialling) = self.dialling_mut() else { return false };
            let found = dialling.redirected.iter_mut().find(|one| one.is_of(place));
            let Some(redirected) = found else { return false };
            let Some(contact) = redirected.left.pop() else { return false };
            redirected.now = Some(contact);
            dialling.ways.retain(|one| !one.is_of(place));
            self.touch();
            if self.dial_from(core, next, admitted).is_ok() {
                core.io.counters.redirections_followed += 1;
                return true;
            }
        }
    }

    /// The trunk of a leg, if a redirection of its is followed.
    fn redirecting(&self, snapshot: &Snapshot, leg: u16) -> Option<TrunkIx> {
        let leg = self.leg(leg);
        let at = leg.trunk.filter(|at| snapshot.trunk(*at).relation.follow_redirects)?;
        let called = leg.state == LegState::Calling && leg.sent_invite().is_some();
        called.then_some(at)
    }

    /// Where a leg was sent.
    fn goal_of(&self, snapshot: &Snapshot, leg: u16) -> Option<Goal> {
        let leg = self.leg(leg);
        let hunt = &self.dialling()?.hunt;
        let branch = hunt.branch(usize::from(leg.place.branch))?;
        let way = match self.redirected_to(leg.place) {
            Some(contact) => contact.way(snapshot),
            None => snapshot.way_of(&branch.target),
        };
        let peer = match leg.hop {
            Some(Hop::Peer(_, peer)) => Some(peer),
            Some(Hop::Uri(_)) | None => None,
        };
        match way {
            _ if hunt.step() != usize::from(leg.place.step) => None,
            Way::Number(number, _) => Some(Goal::number(number, peer)),
            Way::Uri(text, _) => Some(Goal::uri(text)),
            Way::Extension(_) | Way::Gone => None,
        }
    }

    /// How the redirection is told to who is called next (RFC 5806 6.2, RFC 7544 5).
    fn redirection_by(
        &self,
        from: &Goal,
        (leg, status): (u16, u16),
        msg: &Message<'_>,
    ) -> Redirection {
        let told = msg.addresses(HeaderId::Diversion).find_map(Result::ok);
        let word = told.and_then(|top| top.params.get("reason"));
        let reason = match word {
            Some(word) => DiversionReason::of_word(word),
            None if self.leg(leg).ringing => DiversionReason::Deflection,
            None => DiversionReason::Unconditional,
        };
        Redirection { number: from.number, reason, counter: 1, private: false, status }
    }

    /// Where a Contact leads, and whether by TLS alone; none where it may not lead.
    fn goal_in(
        &self,
        core: &Core,
        (at, from): (TrunkIx, &Goal),
        contact: &NameAddr<'_>,
    ) -> Option<(Goal, bool)> {
        let snapshot = &self.routing.snapshot;
        let (trunk, uri) = (snapshot.trunk(at), &contact.uri);
        let secure = uri.scheme == Scheme::Sips;
        if from.number.is_none() {
            return Some((Goal::uri(beside(&from.uri, uri)?), secure));
        }
        let peer = match uri.scheme {
            Scheme::Tel => None,
            Scheme::Sip | Scheme::Sips => peer_of(core, trunk, uri)?,
            Scheme::Other => return None,
        };
        let number = called_in(uri, trunk)?;
        // A DID that is sent back to itself.
        let own = self.record.did == Some(number) && matches!(self.source, Source::Trunk(_));
        let goal = Goal::number(number, peer);
        let way = (0..).zip(&trunk.peers).any(|(at, one)| goal.means((at, one), secure));
        (way && !own && snapshot.may_be_led(at, number)).then_some((goal, secure))
    }
}

impl Redirected {
    fn at(place: Place) -> Redirected {
        let Place { step, branch, .. } = place;
        Redirected { step, branch, followed: 0, seen: Vec::new(), left: Vec::new(), now: None }
    }

    fn is_of(&self, place: Place) -> bool {
        (self.step, self.branch) == (place.step, place.branch)
    }
}

/// Which peer of the trunk a Contact names: one, or any where it names the trunk or us. None
/// where it names somebody else.
fn peer_of(core: &Core, trunk: &Trunk, uri: &Uri<'_>) -> Option<Option<u16>> {
    let ip = uri.ip().map(|ip| ip.to_canonical());
    let port = || {
        let transport = uri.transport().unwrap_or(Transport::Udp);
        uri.port.unwrap_or(transport.default_port())
    };
    let here =
        |address: SocketAddr| ip == Some(address.ip().to_canonical()) && port() == address.port();
    let named = trunk.peers.iter().position(|peer| match &peer.host {
        PeerHost::Address(_) => peer.address().is_some_and(here),
        PeerHost::Name(name) => name.eq_ignore_ascii_case(uri.host) && peer.port == uri.port,
    });
    if let Some(at) = named {
        return u16::try_from(at).ok().map(Some);
    }
    let known = trunk.known.iter().any(|address| here(*address));
    let domain = !uri.host.is_empty() && trunk.domain.eq_ignore_ascii_case(uri.host);
    (known || domain || core.is_ours(uri.host, "")).then_some(None)
}

/// The URI to call for a Contact of somebody who was called as `asked`: another user at the same
/// place, without header fields and parameters that would do something (RFC 3261 19.1.5). One
/// that was called by `sips` stays with it (8.1.3.4).
fn beside(asked: &str, contact: &Uri<'_>) -> Option<String> {
    let asked = Uri::parse(asked).ok()?;
    let scheme = match contact.scheme {
        Scheme::Sips => "sips",
        Scheme::Sip if asked.scheme == Scheme::Sip => "sip",
        Scheme::Sip | Scheme::Tel | Scheme::Other => return None,
    };
    let secured = contact.scheme != asked.scheme;
    let same = contact.host.eq_ignore_ascii_case(asked.host)
        && contact.port == asked.port
        && (secured || contact.transport() == asked.transport());
    let mut text = format!("{scheme}:{}@", contact.user.filter(|_| same)?);
    match contact.host.contains(':') {
        true => text.push_str(&format!("[{}]", contact.host)),
        false => text.push_str(contact.host),
    }
    if let Some(port) = contact.port {
        text.push_str(&format!(":{port}"));
    }
    match (contact.scheme, contact.transport()) {
        (Scheme::Sip, Some(Transport::Tcp)) => text.push_str(";transport=tcp"),
        (Scheme::Sip, Some(Transport::Tls)) => text.push_str(";transport=tls"),
        _ => {}
    }
    Some(text)
}

/// The `q` of a Contact in thousandths (RFC 3261 25.1 qvalue); 1 where there is none.
fn quality(contact: &NameAddr<'_>) -> u16 {
    let Some(text) = contact.params.get("q") else { return 1_000 };
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = part.bytes().chain(std::iter::repeat(b'0')).take(3);
    let part = digits.fold(0, |sum, digit| sum * 10 + u16::from(digit.wrapping_sub(b'0').min(9)));
    if whole == "0" { part } else { 1_000 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quality_is_read_in_thousandths() {
        for (value, thousandths) in [
            ("<sip:a@h>", 1_000),
            ("<sip:a@h>;q=1", 1_000),
            ("<sip:a@h>;q=1.0", 1_000),
            ("<sip:a@h>;q=0.5", 500),
            ("<sip:a@h>;q=0.125", 125),
            ("<sip:a@h>;q=0", 0),
            ("<sip:a@h>;q=0.", 0),
        ] {
            assert_eq!(quality(&NameAddr::parse(value).unwrap()), thousandths, "{value}");
        }
    }

    #[test]
    fn a_uri_leads_to_another_user_of_the_same_place_and_nowhere_else() {
        for (asked, contact, leads) in [
            ("sip:a@pbx.example", "sip:b@PBX.example", Some("sip:b@PBX.example")),
            ("sip:a@pbx.example", "sip:b@pbx.example;maddr=203.0.113.1", Some("sip:b@pbx.example")),
            ("sip:a@pbx.example", "sip:b@pbx.example?Replaces=1", Some("sip:b@pbx.example")),
            ("sip:a@h:5070", "sip:b@h:5070", Some("sip:b@h:5070")),
            ("sip:a@h:5070", "sip:b@h", None),
            ("sip:a@h;transport=tcp", "sip:b@h;transport=tcp", Some("sip:b@h;transport=tcp")),
            ("sip:a@h;transport=tcp", "sip:b@h", None),
            ("sip:a@[2001:db8::1]", "sip:b@[2001:db8::1]", Some("sip:b@[2001:db8::1]")),
            ("sip:a@pbx.example", "sip:b@evil.example", None),
            ("sip:a@pbx.example", "tel:+81312345678", None),
            ("sip:a@pbx.example", "sips:b@pbx.example", Some("sips:b@pbx.example")),
            ("sips:a@pbx.example", "sips:b@pbx.example", Some("sips:b@pbx.example")),
            ("sips:a@pbx.example", "sip:b@pbx.example", None),
            ("sip:a@pbx.example", "sip:pbx.example", None),
        ] {
            let found = beside(asked, &Uri::parse(contact).unwrap());
            assert_eq!(found.as_deref(), leads, "{asked} to {contact}");
        }
    }
}
