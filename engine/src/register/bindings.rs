//! The location service: which phone of a user is reached how (RFC 3261 10.3).

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use crate::id::Key;
use crate::input::Flow;
use crate::journal::image;
use crate::sip::syntax::{HeaderId, Message, NameAddr, Scheme, Start, Uri};
use crate::time::Timestamp;

use super::refusal::Refusal;
use super::same_uri::same_uri;
use crate::config::ContactLimit;

/// What a phone gets that asks for no expiry (RFC 3261 10.2.1.1 names the same hour).
const DEFAULT_EXPIRES: u32 = 3_600;
/// Phones behind NAT refresh every minute to keep the hole open; more often is a flood.
pub(super) const MIN_EXPIRES: u32 = 60;
/// A phone that vanished is rung for no longer than this.
const MAX_EXPIRES: u32 = 7_200;
/// The longest contact kept, parameters included, and the longest path: a URI with instance id,
/// push token and GRUU is some 500 bytes, and what is written here is written into each answer.
const LONGEST_CONTACT: usize = 1_024;
/// Hops of a path: edge proxy, its border controller, and some.
const MOST_PATHS: usize = 8;

/// One phone of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Binding {
    /// The URI of its Contact, as the phone wrote it: what a call's Request-URI is.
    pub(crate) uri: Box<str>,
    /// Its other parameters as written, each with its semicolon; all but `expires`.
    params: Box<str>,
    /// The proxies on the way to it, in the order of a Route (RFC 3327 5.3).
    pub(crate) path: Box<[Box<str>]>,
    /// The host by which it knows us: that of the REGISTER's Request-URI.
    pub(crate) registrar: Box<str>,
    /// The way the REGISTER came; calls go back by it, through whatever NAT it opened.
    pub(crate) flow: Flow,
    /// Gone from then on.
    pub(crate) expires: Timestamp,
    updated: Timestamp,
    call_id: Box<str>,
    cseq: u32,
}

impl Binding {
    /// The value of its Contact in a 200: its URI, its parameters, and the seconds left.
    pub(crate) fn contact(&self, now: Timestamp) -> String {
        let left = self.expires.since(now);
        let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        format!("<{}>{};expires={seconds}", self.uri, self.params)
    }

    /// The Request-URI of a call to it. The header fields that a URI may carry end here: a phone
    /// must not write Route or Replaces into our requests (RFC 3261 19.1.5).
    pub(crate) fn target(&self) -> &str {
        self.uri.split('?').next().unwrap_or_default()
    }

    /// Whether a REGISTER's contact is this phone. RFC 3261 compares URIs alone; behind two
    /// NATs two phones of a user can have the same private address, so the same URI from
    /// another address and in another Call-ID is another phone.
    fn is(&self, uri: &Uri<'_>, call_id: &str, flow: Flow) -> bool {
        let near = *self.call_id == *call_id || self.flow.remote.ip() == flow.remote.ip();
        near && Uri::parse(&self.uri).is_ok_and(|own| same_uri(&own, uri))
    }
}

image!(struct Binding {
    uri, params, path, registrar, flow, expires, updated, call_id, cseq,
});

/// What a REGISTER changed; the bindings that stand are [`Bindings::of`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Update {
    /// Bindings that were made or refreshed.
    pub(crate) refreshed: Vec<Binding>,
    /// Bindings that were taken away, by the phone or for want of room.
    pub(crate) removed: Vec<Binding>,
}

/// All bindings.
#[derive(Debug, Default)]
pub(super) struct Bindings {
    by_user: BTreeMap<Key, Vec<Binding>>,
    /// Each user once, at the first expiry.
    due: BTreeSet<(Timestamp, Key)>,
    /// The addresses that phones registered from, with how many did.
    by_address: BTreeMap<IpAddr, usize>,
    /// Users of each connection.
    by_connection: BTreeSet<(u32, Key)>,
    len: usize,
    limit: ContactLimit,
}

impl Bindings {
    /// None, of users who may have so many each.
    pub(super) fn new(limit: ContactLimit) -> Bindings {
        Bindings { limit, ..Bindings::default() }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Those of one user, the one refreshed last at the end.
    pub(super) fn of(&self, user: &str) -> &[Binding] {
        self.by_user.get(user).map_or(&[], Vec::as_slice)
    }

    /// Whether a phone of this user is bound at this address.
    pub(super) fn is_at(&self, user: &str, source: IpAddr) -> bool {
        self.of(user).iter().any(|binding| binding.flow.remote.ip() == source)
    }

    /// Whether a phone registered from this address. Its port does not count: routers give a
    /// phone another one when it has been silent, and a new connection has a new one.
    pub(super) fn is_from(&self, source: IpAddr) -> bool {
        self.by_address.contains_key(&source)
    }

    /// Users with phones.
    pub(super) fn users(&self) -> Vec<Key> {
        self.by_user.keys().cloned().collect()
    }

    /// RFC 3261 10.3 steps 6 to 8: all contacts of the request, or none.
    pub(super) fn register(
        &mut self,
        now: Timestamp,
        user: &Key,
        msg: &Message<'_>,
        flow: Flow,
    ) -> Result<Update, Refusal> {
        let before = self.of(user.as_str());
        let change = Change {
            now,
            flow,
            call_id: msg.call_id().map_err(Refusal::Malformed)?,
            cseq: msg.cseq().map_err(Refusal::Malformed)?.number,
            path: path_of(msg)?,
            registrar: registrar_of(msg),
            limit: self.limit,
        };
        let mut after = before.to_vec();
        let update = if msg.contact_is_star() {
            change.remove_all(msg, &mut after)?
        } else {
            change.apply_all(msg, &mut after)?
        };
        self.replace(user, after);
        Ok(update)
    }

    /// Takes away what has expired by `now`.
    pub(super) fn expire(&mut self, now: Timestamp) -> Vec<(Key, Binding)> {
        let mut gone = Vec::new();
        while let Some((at, user)) = self.due.first()
            && *at <= now
        {
            let user = user.clone();
            let (stay, expired): (Vec<_>, Vec<_>) =
                self.of(user.as_str()).iter().cloned().partition(|binding| binding.expires > now);
            gone.extend(expired.into_iter().map(|binding| (user.clone(), binding)));
            self.replace(&user, stay);
        }
        gone
    }

    /// The bindings that were made by a connection, with their users.
    pub(super) fn by_connection(&self, connection: u32) -> Vec<(Key, Binding)> {
        let from = (connection, Key::from(""));
        let users = self.by_connection.range(from..).take_while(|(one, _)| *one == connection);
        let of_user = |user: &Key| {
            let bindings = self.of(user.as_str()).iter();
            let made = bindings.filter(|binding| binding.flow.connection == connection);
            made.map(|binding| (user.clone(), binding.clone())).collect::<Vec<_>>()
        };
        users.flat_map(|(_, user)| of_user(user)).collect()
    }

    /// When to call [`Bindings::expire`] next.
    pub(super) fn next_expiry(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Puts the bindings of a user in the place of those it has.
    pub(super) fn bring_back(&mut self, user: &Key, bindings: Vec<Binding>) {
        self.replace(user, bindings);
    }

    /// Takes away every binding of a user.
    pub(super) fn forget(&mut self, user: &Key) -> Vec<Binding> {
        let gone = self.of(user.as_str()).to_vec();
        self.replace(user, Vec::new());
        gone
    }

    fn replace(&mut self, user: &Key, bindings: Vec<Binding>) {
        if let Some(before) = self.by_user.get(user) {
            self.len -= before.len();
            for binding in before {
                self.by_connection.remove(&(binding.flow.connection, user.clone()));
                if let Entry::Occupied(mut count) = self.by_address.entry(binding.flow.remote.ip())
                {
                    *count.get_mut() -= 1;
                    if *count.get() == 0 {
                        count.remove();
                    }
                }
            }
            if let Some(first) = first_expiry(before) {
                self.due.remove(&(first, user.clone()));
            }
        }
        self.len += bindings.len();
        for binding in &bindings {
            if binding.flow.connection != 0 {
                self.by_connection.insert((binding.flow.connection, user.clone()));
            }
            *self.by_address.entry(binding.flow.remote.ip()).or_insert(0) += 1;
        }
        match first_expiry(&bindings) {
            Some(first) => {
                self.due.insert((first, user.clone()));
                self.by_user.insert(user.clone(), bindings);
            }
            None => {
                self.by_user.remove(user);
            }
        }
    }
}

fn first_expiry(bindings: &[Binding]) -> Option<Timestamp> {
    bindings.iter().map(|binding| binding.expires).min()
}

/// One REGISTER at work.
struct Change<'a> {
    now: Timestamp,
    flow: Flow,
    call_id: &'a str,
    cseq: u32,
    path: Box<[Box<str>]>,
    registrar: &'a str,
    limit: ContactLimit,
}

impl Change<'_> {
    fn remove_all(&self, msg: &Message<'_>, after: &mut Vec<Binding>) -> Result<Update, Refusal> {
        let alone = !msg.is_repeated(HeaderId::Contact);
        if !alone || msg.leading_number(HeaderId::Expires) != Some(0) {
            return Err(Refusal::Star);
        }
        for binding in after.iter() {
            self.check_order(binding)?;
        }
        Ok(Update { removed: std::mem::take(after), ..Update::default() })
    }

    fn apply_all(&self, msg: &Message<'_>, after: &mut Vec<Binding>) -> Result<Update, Refusal> {
        let mut update = Update::default();
        for (at, contact) in msg.addresses(HeaderId::Contact).enumerate() {
            if at >= usize::from(self.limit.most) {
                return Err(Refusal::TooManyContacts);
            }
            let contact = contact.map_err(Refusal::Malformed)?;
            let expires = expiry_of(&contact, msg)?;
            self.apply(&contact, expires, after, &mut update)?;
        }
        while after.len() > usize::from(self.limit.most) {
            if !self.limit.replace_oldest {
                return Err(Refusal::TooManyContacts);
            }
            let oldest = after.iter().zip(0..).min_by_key(|(binding, at)| (binding.updated, *at));
            let Some((_, oldest)) = oldest else { break };
            update.removed.push(after.remove(oldest));
        }
        Ok(update)
    }

    /// One contact; `expires` seconds, 0 to remove it.
    fn apply(
        &self,
        contact: &NameAddr<'_>,
        expires: u32,
        after: &mut Vec<Binding>,
        update: &mut Update,
    ) -> Result<(), Refusal> {
        let uri = &contact.uri;
        if contact.raw.len() > LONGEST_CONTACT {
            return Err(Refusal::TooLong);
        }
        if !matches!(uri.scheme, Scheme::Sip | Scheme::Sips) {
            return Err(Refusal::NoSipContact);
        }
        let known = after.iter().position(|binding| binding.is(uri, self.call_id, self.flow));
        if let Some(known) = known {
            let old = after.remove(known);
            // A contact that stands twice in one request is that request's own.
            if !update.refreshed.contains(&old) {
                self.check_order(&old)?;
            }
            update.refreshed.retain(|binding| *binding != old);
            if expires == 0 {
                update.removed.push(old);
            }
        }
        if expires > 0 {
            let binding = Binding {
                uri: uri.raw.into(),
                params: params_of(contact),
                path: self.path.clone(),
                registrar: self.registrar.into(),
                flow: self.flow,
                expires: self.now + Duration::from_secs(expires.into()),
                updated: self.now,
                call_id: self.call_id.into(),
                cseq: self.cseq,
            };
            after.push(binding.clone());
            update.refreshed.push(binding);
        }
        Ok(())
    }

    /// 10.3: within one Call-ID a request must be later than the one that made the binding.
    fn check_order(&self, binding: &Binding) -> Result<(), Refusal> {
        if *binding.call_id == *self.call_id && self.cseq <= binding.cseq {
            return Err(Refusal::OutOfOrder);
        }
        Ok(())
    }
}

/// All parameters of a contact but its expiry, as they will be written back.
fn params_of(contact: &NameAddr<'_>) -> Box<str> {
    let mut kept = String::new();
    for (name, written) in contact.params.iter_written() {
        if !name.eq_ignore_ascii_case("expires") {
            kept.push(';');
            // A value may have been folded.
            kept.extend(written.chars().map(|ch| if ch.is_control() { ' ' } else { ch }));
        }
    }
    kept.into()
}

/// The path of a request, in the order of a Route (RFC 3327 5.3), whether or not the phone knows
/// of paths: a proxy that adds itself for one that does not means to be gone by. Calls go by the
/// way that the REGISTER came, so that no Path can make us send anything elsewhere.
fn path_of(msg: &Message<'_>) -> Result<Box<[Box<str>]>, Refusal> {
    let mut path = Vec::new();
    let mut length = 0;
    for hop in msg.addresses(HeaderId::Path) {
        let hop = hop.map_err(Refusal::Malformed)?;
        let text = format!("<{}>", hop.uri.raw);
        length += text.len();
        if path.len() == MOST_PATHS || length > LONGEST_CONTACT {
            return Err(Refusal::TooLong);
        }
        path.push(text.into_boxed_str());
    }
    Ok(path.into())
}

fn registrar_of<'m>(msg: &Message<'m>) -> &'m str {
    match msg.start() {
        Start::Request { uri, .. } => Uri::parse(uri).map_or("", |uri| uri.host),
        Start::Response { .. } => "",
    }
}

/// The seconds that a contact asks for, capped; 0 to remove it. An expiry that is no number
/// counts as none (10.2.1.1).
fn expiry_of(contact: &NameAddr<'_>, msg: &Message<'_>) -> Result<u32, Refusal> {
    let own = contact.params.get("expires").map(|text| text.parse().ok());
    let asked = own.unwrap_or_else(|| msg.leading_number(HeaderId::Expires));
    match asked.unwrap_or(DEFAULT_EXPIRES) {
        0 => Ok(0),
        1..MIN_EXPIRES => Err(Refusal::TooBrief),
        seconds => Ok(seconds.min(MAX_EXPIRES)),
    }
}

#[cfg(test)]
mod tests;
