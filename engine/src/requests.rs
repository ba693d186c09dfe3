//! Requests: to the call they belong to, or to what they begin.

use crate::call::{Answer, Ask, Begin, CallHandle, Grant, Source, allow, answer};
use crate::core::{ALLOW, SUPPORTED};
use crate::engine::Engine;
use crate::input::Flow;
use crate::journal::keep_acknowledged;
use crate::route::SessionTimerPolicy;
use crate::sip::syntax::{HeaderId, Message, Method, Start};
use crate::sip::token::Tag;
use crate::sip::transaction::Incoming;

impl Engine {
    /// A request that is whole, from anywhere.
    pub(crate) fn on_request(&mut self, flow: Flow, msg: &Message<'_>) {
        let Some(method) = msg.method() else { return };
        if let Err(error) = msg.check_request() {
            self.core.io.counters.sip_malformed += 1;
            if error.status().is_some() && method != Method::Ack && self.may_hear(flow) {
                self.refuse_malformed(flow, msg, error);
            }
            return;
        }
        // RFC 3261 18.3: without it a stream has no next message.
        if flow.is_reliable() && msg.first(HeaderId::ContentLength).is_none() {
            self.core.io.counters.sip_malformed += 1;
            if method != Method::Ack && self.may_hear(flow) {
                self.answer_stateless(flow, msg, 400, "");
            }
            return;
        }
        let incoming = self.core.transactions.on_request(&mut self.core.io, flow, msg, method);
        match incoming {
            Incoming::Absorbed => return,
            Incoming::Acknowledged(server) => return keep_acknowledged(&mut self.core, server),
            Incoming::Fresh => {}
        }
        if method == Method::Cancel {
            return self.on_cancel(flow, msg);
        }
        let to_tag = msg.to().ok().and_then(|to| to.tag());
        match (to_tag, method) {
            (Some(tag), _) => self.on_dialog_request(flow, msg, method, tag),
            (None, Method::Ack) => {}
            (None, Method::Invite) => self.on_invite(flow, msg),
            (None, Method::Register) => self.on_register(flow, msg),
            (None, Method::Options) => self.on_options(flow, msg),
            (None, _) => self.on_stray_request(flow, msg, method),
        }
    }

    fn on_cancel(&mut self, flow: Flow, msg: &Message<'_>) {
        let meant = self.core.transactions.cancelled_by(flow, msg);
        let Some(owner) = meant else {
            if self.may_hear(flow) {
                self.answer_stateless(flow, msg, 481, "");
            }
            return;
        };
        let Ok(server) = self.core.transactions.accept(msg, flow, None) else { return };
        let leg = owner.map_or(crate::call::A, |owner| owner.leg);
        let handle = owner.map(|owner| CallHandle::from_bits(owner.call));
        let call = handle.and_then(|handle| self.calls.get_mut(handle));
        let tag = call.as_ref().map(|call| call.dialog(leg).local_tag.clone());
        let tag = match tag {
            Some(tag) => tag,
            None => self.tag_outside_calls(flow, msg).into(),
        };
        // RFC 3261 9.2: the CANCEL is answered by itself, with the tag of the INVITE's answers.
        answer(&mut self.core, server, &Answer::plain(200, Some(&tag)));
        let call = handle.and_then(|handle| self.calls.get_mut(handle));
        if let (Some(call), Some(handle)) = (call, handle) {
            call.cancelled(&mut self.core, leg, msg);
            self.tidy(handle);
        }
    }

    /// A request with a To tag: one of our dialogs, or none.
    fn on_dialog_request(&mut self, flow: Flow, msg: &Message<'_>, method: Method<'_>, tag: &str) {
        let owner = self.leg_of_tag(tag).filter(|(handle, leg)| {
            let from_tag = msg.from().ok().and_then(|from| from.tag());
            let (Some(call), Ok(call_id)) = (self.calls.get(*handle), msg.call_id()) else {
                return false;
            };
            call.dialog(*leg).owns_request(call_id, tag, from_tag)
        });
        let Some((handle, leg)) = owner else {
            if method != Method::Ack && self.may_hear_or_is_challenged(flow) {
                self.answer_stateless(flow, msg, 481, "");
            }
            return;
        };
        let Some(call) = self.calls.get_mut(handle) else { return };
        match (method, msg.cseq()) {
            (Method::Ack, Ok(cseq)) => call.on_ack(&mut self.core, leg, msg, cseq.number),
            (Method::Ack, Err(_)) => {}
            _ if self.refuse_extensions(flow, msg, SUPPORTED) => {}
            (Method::Refer, _) => self.on_refer(handle, leg, flow, msg),
            _ => {
                if let Some(call) = self.calls.get_mut(handle) {
                    call.on_request(&mut self.core, leg, msg, flow);
                }
            }
        }
        self.tidy(handle);
    }

    /// RFC 3261 8.2.2.3: what the peer requires and is not supported is refused. True if so.
    pub(crate) fn refuse_extensions(
        &mut self,
        flow: Flow,
        msg: &Message<'_>,
        supported: &str,
    ) -> bool {
        let asked = msg.tokens(HeaderId::Require).chain(msg.tokens(HeaderId::ProxyRequire));
        let known = |token: &str| supported.split(", ").any(|tag| tag.eq_ignore_ascii_case(token));
        let unsupported: Vec<&str> = asked.filter(|token| !known(token)).take(16).collect();
        if unsupported.is_empty() {
            return false;
        }
        let line = format!("Unsupported: {}\r\n", unsupported.join(", "));
        self.answer_stateless(flow, msg, 420, &line);
        true
    }

    fn on_invite(&mut self, flow: Flow, msg: &Message<'_>) {
        if self.refuse_overload(flow, msg) {
            return;
        }
        let Some(source) = self.caller_of(flow, msg) else { return };
        // RFC 3261 8.2.2.2: the same INVITE by another way must not ring twice.
        if self.core.transactions.is_merged(msg) {
            return self.answer_stateless(flow, msg, 482, "");
        }
        if self.refuse_extensions(flow, msg, SUPPORTED) || self.refuse_body(flow, msg) {
            return;
        }
        if let Some(min_se) = self.session_too_short(source, msg) {
            return self.answer_stateless(flow, msg, 422, &format!("Min-SE: {min_se}\r\n"));
        }
        if self.on_replacing(flow, msg, source) {
            return;
        }
        if self.core.refusing {
            return self.refuse_for_now(flow, msg);
        }
        let Ok(server) = self.core.transactions.accept(msg, flow, None) else {
            return self.answer_stateless(flow, msg, 400, "");
        };
        let returned = self.is_our_own(msg);
        let begin = Begin { msg, flow, source, server, returned };
        // The call's handle is in its tags, so the place is taken before the call is made.
        let core = &mut self.core;
        let handle = self.calls.try_insert_with(|handle| begin.call(core, handle));
        let Some(handle) = handle else {
            answer(&mut self.core, server, &Answer::plain(400, None));
            return;
        };
        if let Some(session) = self.calls.get(handle).and_then(|call| call.session()) {
            self.sessions.insert(session, handle);
        }
        self.tidy(handle);
    }

    /// Whether an INVITE has the From tag of a leg of ours that lives: it was sent by us and has
    /// been sent back.
    fn is_our_own(&self, msg: &Message<'_>) -> bool {
        let Some(from_tag) = msg.from().ok().and_then(|from| from.tag()) else { return false };
        let ours = Tag::parse(from_tag).filter(|tag| tag.shard == self.core.config.shard);
        ours.is_some_and(|tag| {
            let call = self.calls.get(CallHandle::from_bits(tag.call));
            let call = call.filter(|call| call.has_leg(tag.leg));
            call.is_some_and(|call| *call.dialog(tag.leg).local_tag == *from_tag)
        })
    }

    /// RFC 4028 9: the shortest session timer that we accept, when an INVITE asks for less.
    fn session_too_short(&self, source: Source, msg: &Message<'_>) -> Option<u32> {
        let policy = match source {
            Source::Trunk(at) => self.core.routing.snapshot.trunk(at).dialog.session_timer,
            Source::Extension(_) => SessionTimerPolicy::default(),
        };
        match Ask::of(msg).judge(&policy, None) {
            Grant::TooShort(min_se) => Some(min_se),
            Grant::Off | Grant::On(_) => None,
        }
    }

    fn on_options(&mut self, flow: Flow, msg: &Message<'_>) {
        if !self.may_ask(flow, msg) {
            return;
        }
        if self.refuse_extensions(flow, msg, SUPPORTED) {
            return;
        }
        let status = if self.core.draining { 503 } else { 200 };
        // RFC 3261 11.2; the version of the program is nobody's business.
        let extra =
            format!("Allow: {ALLOW}\r\nAccept: application/sdp\r\nSupported: {SUPPORTED}\r\n");
        self.answer_stateless(flow, msg, status, &extra);
    }

    fn on_stray_request(&mut self, flow: Flow, msg: &Message<'_>, method: Method<'_>) {
        if !self.may_ask(flow, msg) {
            return;
        }
        let status = match method {
            // In a dialog only.
            Method::Bye | Method::Prack | Method::Update | Method::Info | Method::Notify => 481,
            Method::Other(_) => 501,
            _ => 405,
        };
        let mut extra = Vec::new();
        allow(&mut extra);
        let extra = String::from_utf8(extra).unwrap_or_default();
        self.answer_stateless(flow, msg, status, &extra);
    }

    /// The Request-URI of a request.
    pub(crate) fn request_uri<'m>(msg: &Message<'m>) -> &'m str {
        match msg.start() {
            Start::Request { uri, .. } => uri,
            Start::Response { .. } => "",
        }
    }
}
