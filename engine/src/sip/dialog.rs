//! Dialogs (RFC 3261 12): what one leg and its peer remember of each other.

use std::borrow::Cow;
use std::net::SocketAddr;

use crate::input::{Flow, Transport};
use crate::journal::{Image, Names, Pen, Reader, Usual, image, sparse};

use super::syntax::{HeaderId, Message, NameAddr, Uri};
use super::token::hex;

/// Routes kept per dialog; a longer path is a loop or an attack.
const MAX_ROUTES: usize = 16;

/// One leg's dialog. Header values are kept as they are written back, tags included.
#[derive(Debug)]
pub(crate) struct Dialog {
    pub(crate) call_id: Box<str>,
    /// Our side's From (as caller) or To (as callee) value, with our tag.
    pub(crate) local: Box<[u8]>,
    pub(crate) local_tag: Box<str>,
    /// The peer's value, with its tag once known.
    pub(crate) remote: Box<[u8]>,
    /// The peer's tag; none before its first answer.
    pub(crate) remote_tag: Option<Box<str>>,
    /// CSeq number of our last request.
    pub(crate) local_seq: u32,
    /// CSeq number of the peer's last request.
    pub(crate) remote_seq: Option<u32>,
    /// Where the peer wants requests: its Contact.
    pub(crate) target: Box<str>,
    /// RFC 3261 12.1: in the order in which requests carry them.
    pub(crate) routes: Vec<Box<str>>,
    /// The way of the first message.
    pub(crate) flow: Flow,
    /// The peer is behind NAT: its Contact is not an address for us.
    pub(crate) by_flow: bool,
    pub(crate) style: Style,
    /// Grows with every change of anything but the CSeq numbers, which change all the time.
    pub(crate) edition: u32,
}

/// What the peer wants of every request of ours.
#[derive(Clone, Debug, Default)]
pub(crate) struct Style {
    /// Header names in their compact form.
    pub(crate) compact: bool,
    /// The id of the session (RFC 7989), ours first, for a peer that gets one.
    pub(crate) session: Option<SessionIds>,
}

/// RFC 7989 5: the ids of the two ends, 32 hexadecimal digits each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SessionIds {
    local: Box<str>,
    /// None until the peer has answered.
    remote: Option<Box<str>>,
}

impl SessionIds {
    /// Of an end that has none: a new one.
    pub(crate) fn made(random: [u64; 2]) -> SessionIds {
        SessionIds { local: made_id(random), remote: None }
    }

    /// Of the end that calls: its own, as it came to us, else a new one.
    pub(crate) fn of(msg: &Message<'_>, random: [u64; 2]) -> SessionIds {
        SessionIds { local: local_id(msg).unwrap_or_else(|| made_id(random)), remote: None }
    }

    fn answered(&mut self, msg: &Message<'_>) {
        if let Some(id) = local_id(msg) {
            self.remote = Some(id);
        }
    }

    /// Writes the header line.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        // RFC 7989 5: the nil id stands for an end that is not known yet.
        let remote = self.remote.as_deref().unwrap_or("00000000000000000000000000000000");
        for part in ["Session-ID: ", &*self.local, ";remote=", remote, "\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    }
}

fn made_id(random: [u64; 2]) -> Box<str> {
    let mut text = Vec::with_capacity(32);
    random.into_iter().for_each(|half| hex(half, 16, &mut text));
    String::from_utf8(text).unwrap_or_default().into()
}

/// The id of the end that sent a message.
fn local_id(msg: &Message<'_>) -> Option<Box<str>> {
    let value = std::str::from_utf8(msg.first(HeaderId::SessionId)?).ok()?;
    let id = value.split(';').next()?.trim();
    let hex = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    (hex && id.bytes().any(|byte| byte != b'0')).then(|| id.to_ascii_lowercase().into())
}

/// How a request within the dialog compares with those before it (RFC 3261 12.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Newer than everything before.
    Fresh,
    /// Older: 500.
    Old,
}

impl Dialog {
    /// Whether `msg`, a request of the peer, belongs to this dialog.
    pub(crate) fn owns_request(&self, call_id: &str, to_tag: &str, from_tag: Option<&str>) -> bool {
        *self.call_id == *call_id
            && *self.local_tag == *to_tag
            && self.remote_tag.as_deref().is_none_or(|tag| Some(tag) == from_tag)
    }

    /// Another dialog of the same INVITE: a phone behind a fork (RFC 3261 12.1.2).
    pub(crate) fn fork(&self) -> Dialog {
        Dialog {
            call_id: self.call_id.clone(),
            local: self.local.clone(),
            local_tag: self.local_tag.clone(),
            remote: self.remote.clone(),
            remote_tag: None,
            local_seq: self.local_seq,
            remote_seq: None,
            target: self.target.clone(),
            routes: Vec::new(),
            flow: self.flow,
            by_flow: self.by_flow,
            style: self.style.clone(),
            edition: 0,
        }
    }

    /// Notes the CSeq of a request of the peer.
    pub(crate) fn order(&mut self, number: u32) -> Order {
        if self.remote_seq.is_some_and(|last| number <= last) {
            return Order::Old;
        }
        self.remote_seq = Some(number);
        Order::Fresh
    }

    /// The next CSeq number of ours.
    pub(crate) fn next_seq(&mut self) -> u32 {
        self.local_seq += 1;
        self.local_seq
    }

    /// Takes the peer's Contact as the new target (RFC 3261 12.2.1.2), if it has one.
    pub(crate) fn refresh_target(&mut self, msg: &Message<'_>) {
        if let Ok(Some(contact)) = msg.contact()
            && *self.target != *contact.uri.raw
        {
            self.target = contact.uri.raw.into();
            self.edition += 1;
        }
    }

    /// Completes a dialog that we opened by the peer's answer (RFC 3261 12.1.2).
    pub(crate) fn complete(&mut self, msg: &Message<'_>) {
        if let Some(to) = msg.first(HeaderId::To) {
            self.remote = to.into();
        }
        self.remote_tag = msg.to().ok().and_then(|to| to.tag()).map(Box::from);
        self.routes = routes_of(msg, HeaderId::RecordRoute);
        self.routes.reverse();
        if let Some(session) = &mut self.style.session {
            session.answered(msg);
        }
        self.edition += 1;
        self.refresh_target(msg);
    }

    /// The Request-URI and the Route headers of a request (RFC 3261 12.2.1.1): a strict router
    /// first in the route set takes the Request-URI, and the target goes last.
    pub(crate) fn request_line(&self) -> (&str, Vec<Cow<'_, str>>) {
        let strict = self.routes.first().and_then(|first| {
            let uri = NameAddr::parse(&**first).ok()?.uri;
            (!uri.params.has("lr")).then_some(uri.raw)
        });
        let routes = self.routes.iter().skip(usize::from(strict.is_some()));
        let mut routes: Vec<Cow<'_, str>> = routes.map(|route| Cow::from(&**route)).collect();
        match strict {
            Some(uri) => {
                routes.push(Cow::from(format!("<{}>", self.target)));
                (uri, routes)
            }
            None => (&self.target, routes),
        }
    }

    /// The address and transport of the first hop: the topmost route or the target. None when it
    /// is a name.
    pub(crate) fn first_hop(&self) -> Option<(SocketAddr, Option<Transport>)> {
        match self.routes.first() {
            Some(route) => address_of(&NameAddr::parse(&**route).ok()?.uri),
            None => address_of(&Uri::parse(&self.target).ok()?),
        }
    }
}

/// The Record-Route values of a message, in order, or those of another such header.
pub(crate) fn routes_of(msg: &Message<'_>, id: HeaderId) -> Vec<Box<str>> {
    (msg.addresses(id))
        .filter_map(Result::ok)
        .take(MAX_ROUTES)
        .map(|route| {
            let mut text = format!("<{}>", route.uri.raw);
            for (name, value) in route.params.iter() {
                text.push(';');
                text.push_str(name);
                if let Some(value) = value {
                    text.push('=');
                    text.push_str(value);
                }
            }
            text.into_boxed_str()
        })
        .collect()
}

/// The address of a URI whose host is an IP literal, and the transport it names.
fn address_of(uri: &Uri<'_>) -> Option<(SocketAddr, Option<Transport>)> {
    let transport = uri.transport();
    let port = uri.port.unwrap_or(transport.unwrap_or(Transport::Udp).default_port());
    Some((SocketAddr::new(uri.ip()?, port), transport))
}

/// What an image of a former release begins with that leaves all but the CSeq numbers to a part of
/// its own: no whole dialog has as few fields.
const BRIEF: u8 = 0;

/// A dialog in the journal: what is ours, what the peer says, and, with the leg, the CSeq numbers.
impl Dialog {
    pub(crate) fn put_ours(&self, pen: &mut Pen, names: &Names<'_>) {
        pen.put(&self.call_id, names);
        pen.put(&self.local, names);
        pen.put(&self.local_tag, names);
        pen.put(&self.flow, names);
        pen.put(&self.by_flow, names);
    }

    pub(crate) fn get_ours(from: &mut Reader<'_>) -> Option<Dialog> {
        Some(Dialog {
            call_id: from.get()?,
            local: from.get()?,
            local_tag: from.get()?,
            flow: from.get()?,
            by_flow: from.get()?,
            remote: Box::from([]),
            remote_tag: None,
            local_seq: 0,
            remote_seq: None,
            target: Box::from(""),
            routes: Vec::new(),
            style: Style::default(),
            edition: 0,
        })
    }

    pub(crate) fn put_peer(&self, pen: &mut Pen, names: &Names<'_>) {
        pen.put(&self.remote, names);
        pen.put(&self.target, names);
        self.put_rare(pen, names);
    }

    pub(crate) fn get_peer(&mut self, from: &mut Reader<'_>) -> Option<()> {
        self.remote = from.get()?;
        self.target = from.get()?;
        self.get_rare(from)
    }
}

/// As one, CSeq numbers included: former releases have it so.
impl Image for Dialog {
    fn write(&self, pen: &mut Pen, names: &Names<'_>) {
        self.put_ours(pen, names);
        self.put_peer(pen, names);
        pen.put(&self.local_seq, names);
        pen.put(&self.remote_seq, names);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        if from.former && from.peek()? != BRIEF {
            return Dialog::read_whole(from);
        }
        let mut dialog = match from.former {
            true => {
                from.byte()?;
                Dialog::read_whole(&mut from.alike(from.dialog))?
            }
            false => {
                let mut dialog = Dialog::get_ours(from)?;
                dialog.get_peer(from)?;
                dialog
            }
        };
        dialog.local_seq = from.get()?;
        dialog.remote_seq = from.get()?;
        Some(dialog)
    }
}

impl Usual for Style {
    fn is_usual(&self) -> bool {
        !self.compact && self.session.is_none()
    }
}

sparse!(Dialog as put_rare, get_rare { 0 = remote_tag, 1 = routes, 2 = style } not {
    call_id, local, local_tag, remote, local_seq, remote_seq, target, flow, by_flow, edition,
});
image!(former Dialog as read_whole {
    call_id, local, local_tag, remote, remote_tag, local_seq, remote_seq, target, routes, flow,
    by_flow,
} later { style } not { edition = 0 });
image!(struct Style { compact, session });
image!(struct SessionIds { local, remote });
