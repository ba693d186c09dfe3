//! A restart: calls, transactions and phones take their old places again.

use std::borrow::Cow;
use std::sync::Arc;

use crate::call::{Call, CallHandle, EndNote, Record, Revived};
use crate::cause::Cause;
use crate::cdr::EndedBy;
use crate::config::EngineConfig;
use crate::engine::Engine;
use crate::id::{CallId, Key};
use crate::input::{Flow, Output};
use crate::journal::{Kind, Ledger, Names, begin_call, bring_farewell_back, finished, gone};
use crate::register::Binding;
use crate::route::Snapshot;
use crate::sip::dialog::Dialog;
use crate::sip::syntax::{HeaderId, Message, Method};
use crate::sip::transaction::timers::{H, I};
use crate::time::Now;
use crate::timer::TimerKey;

/// Calls written again in one go: some 50 µs, so that no message waits for the rewriting.
const SLICE: usize = 32;
/// The pause between two of them: 3,200 calls a second.
const SLICE_EVERY: std::time::Duration = std::time::Duration::from_millis(10);
/// How long the first transaction of a call may outlive it, and so a record that nothing
/// rewrites: the 64*T1 of timers H and L, and the T4 of timer I.
const LONGEST_LINGER: std::time::Duration = H.saturating_add(I);

/// The ACK to a failure (RFC 3261 17.1.1.3), as far as the answer tells its INVITE: to `uri` by
/// `routes`.
fn ack_of(msg: &Message<'_>, uri: &str, routes: &[Cow<'_, str>]) -> Option<Arc<[u8]>> {
    let mut out = format!("ACK {uri} SIP/2.0\r\n").into_bytes();
    for route in routes {
        out.extend_from_slice(format!("Route: {route}\r\n").as_bytes());
    }
    for id in [HeaderId::Via, HeaderId::From, HeaderId::To, HeaderId::CallId] {
        for part in [id.name().as_bytes(), b": ", msg.first(id)?, b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
    let seq = msg.cseq().ok()?.number;
    out.extend_from_slice(
        format!("CSeq: {seq} ACK\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n").as_bytes(),
    );
    Some(out.into())
}

impl Engine {
    /// An engine that goes on where another left off: with the calls, transactions and phones of
    /// `ledger`. `now` continues the clock of the process before; the provisioning is that of
    /// now. Media come first in what leaves.
    ///
    /// Ports of running sessions are the same; what cannot be had again ends its call with BYE
    /// and record.
    pub fn restore(
        config: EngineConfig,
        snapshot: Arc<Snapshot>,
        now: Now,
        ledger: &Ledger,
    ) -> Engine {
        let mut engine = Engine::new(config, snapshot);
        engine.core.io.now = now;
        engine.core.connections.inherit(&ledger.left);
        engine.core.count_on_from(now.mono.as_micros());
        if let Some(secret) = ledger.secret {
            engine.core.transactions.keep_secret(secret);
        }
        let (mut revived, mut over) = (Vec::new(), Vec::new());
        for (id, parts) in &ledger.calls {
            if parts.over {
                over.push((*id, Call::revive_answers(&mut engine.core, parts)));
                continue;
            }
            match Call::revive(&mut engine.core, *id, parts) {
                Revived::Call(call, _) if call.is_over() => {
                    over.push((call.id, call.servers().collect::<Vec<_>>()));
                }
                Revived::Call(call, lost) => {
                    revived.extend(engine.put_back(*call).map(|handle| (handle, lost)));
                }
                Revived::Record(record) => {
                    engine.end_record(*id, *record, ledger.latest());
                    engine.gone(*id);
                }
                Revived::Unreadable => {
                    engine.core.io.counters.journal_unreadable += 1;
                    engine.gone(*id);
                }
            }
        }
        for bye in ledger.farewells(now.mono) {
            if !bring_farewell_back(&mut engine.core, bye) {
                engine.core.io.counters.journal_unreadable += 1;
            }
        }
        for refusal in ledger.acknowledged() {
            engine.core.transactions.was_acknowledged(&mut engine.core.io, refusal);
        }
        // Only now: a transaction of a later call may have taken the place of one that had ended.
        for (call, servers) in over {
            let left = engine.core.watch(call, servers);
            engine.linger(call, left);
        }
        let first = engine.core.newest.saturating_add(1);
        engine.calls.relink(first);
        engine.core.transactions.relink(first);
        engine.core.restored = Some((now.mono, first));
        engine.find_moved();
        engine.resume(&revived, ledger.latest());
        engine.bring_phones_back(ledger);
        engine.core.connections.settle();
        engine
    }

    /// An answer to no transaction: after a restart it may be the failure of an INVITE whose leg
    /// was over when the process before died, or one within a call that goes on, and which still
    /// waits for its ACK. That is made of the answer, and of the dialog where there is one: it is
    /// known by its branch (RFC 3261 17.2.3), and no longer waited for than for timer H.
    pub(crate) fn on_stray_response(&mut self, flow: Flow, msg: &Message<'_>, status: u16) {
        let Some((restored, first)) = self.core.restored else { return };
        let late = self.core.io.now.mono.since(restored) > H;
        let invite = msg.cseq().is_ok_and(|cseq| cseq.method == Method::Invite);
        if late || status < 300 || !invite || !self.is_known(flow) {
            return;
        }
        if !self.core.transactions.is_of_another_life(msg, first) {
            return;
        }
        let Ok(to) = msg.to() else { return };
        let (uri, routes) = match self.dialog_of_answer(msg) {
            Some(dialog) => dialog.request_line(),
            None => (to.uri.raw, Vec::new()),
        };
        if let Some(ack) = ack_of(msg, uri, &routes) {
            self.core.io.transmit(flow, ack);
        }
    }

    /// The dialog in which we have sent what `msg` answers, if it still lives.
    fn dialog_of_answer(&self, msg: &Message<'_>) -> Option<&Dialog> {
        let (handle, leg) = self.leg_of_tag(msg.from().ok()?.tag()?)?;
        let dialog = self.calls.get(handle)?.dialog(leg);
        let (peer, call_id) = (msg.to().ok()?.tag()?, msg.call_id().ok()?);
        (*dialog.call_id == *call_id && dialog.remote_tag.as_deref() == Some(peer))
            .then_some(dialog)
    }

    /// A revived call takes its place.
    fn put_back(&mut self, call: Call) -> Option<CallHandle> {
        let (handle, session) = (call.handle, call.session());
        // The place is free: every image has its own.
        if !self.calls.insert_at(handle, call) {
            self.core.io.counters.journal_unreadable += 1;
            return None;
        }
        if let Some(session) = session {
            self.sessions.insert(session, handle);
        }
        Some(handle)
    }

    fn resume(&mut self, revived: &[(CallHandle, bool)], alive: Now) {
        for (handle, _) in revived {
            if let Some(call) = self.calls.get_mut(*handle) {
                call.reopen_media(&mut self.core);
            }
        }
        self.core.transactions.take_up(&mut self.core.io);
        for (handle, lost) in revived {
            if let Some(call) = self.calls.get_mut(*handle) {
                self.core.io.counters.calls_restored += 1;
                call.resume(&mut self.core, alive, *lost);
            }
            self.tidy(*handle);
        }
    }

    /// A call that cannot be had again has its record all the same: it ended when the node was
    /// last known to be alive.
    fn end_record(&mut self, id: CallId, mut record: Record, alive: Now) {
        if record.written {
            return;
        }
        let (cause, by) = (Cause::Overload, EndedBy::System);
        let note = EndNote { cause, status: cause.status(), q850: cause.q850(), by };
        let end = record.end.unwrap_or_else(|| record.end_at(alive, note));
        let cdr = Box::new(record.cdr(id, end));
        if self.core.config.journal {
            let image = finished(&cdr, self.core.io.pen());
            let mut pen = self.core.io.pen();
            begin_call(&mut pen, id, self.core.io.now, &image);
            self.core.io.keep(pen);
        }
        self.core.io.outbox.push_back(Output::Cdr(cdr));
    }

    fn bring_phones_back(&mut self, ledger: &Ledger) {
        for (user, phones) in &ledger.phones {
            let bindings: Option<Vec<Binding>> = phones.reader(Some(&mut self.core)).get();
            match bindings {
                Some(bindings) => {
                    for binding in &bindings {
                        self.tell_registered(user, binding);
                    }
                    self.core.registrar.bring_back(user, bindings);
                }
                None => self.core.io.counters.journal_unreadable += 1,
            }
        }
        self.expire_phones();
        self.forget_disabled_phones();
    }

    /// A call is over: its record goes when the last of the answers it has given does, so that
    /// no INVITE that comes again is answered in another way. So many are `left`.
    pub(crate) fn linger(&mut self, call: CallId, left: usize) {
        if !self.core.config.journal {
            return;
        }
        self.lingering += left;
        match left {
            0 => self.gone(call),
            1 => {}
            more => {
                self.lingering_more.insert(call, more - 1);
            }
        }
    }

    /// Calls whose last transaction has ended after them.
    pub(crate) fn let_lingering_go(&mut self) {
        for call in self.core.transactions.take_ended() {
            self.lingering -= 1;
            match self.lingering_more.get_mut(&call) {
                None => self.gone(call),
                Some(1) => {
                    self.lingering_more.remove(&call);
                }
                Some(more) => *more -= 1,
            }
        }
    }

    fn gone(&mut self, call: CallId) {
        if self.core.config.journal {
            let mut pen = self.core.io.pen();
            gone(call, &mut pen);
            self.core.io.keep(pen);
        }
    }

    /// What all calls share, and that the node is alive.
    pub(crate) fn journal_node(&mut self) {
        if !self.core.config.journal {
            return;
        }
        let mut pen = self.core.io.pen();
        Kind::Node.begin(&mut pen);
        pen.put(&self.core.io.now, &Names::default());
        pen.put(&self.core.transactions.secret(), &Names::default());
        self.core.io.keep(pen);
    }

    /// The phones of a user have changed.
    pub(crate) fn journal_phones(&mut self, user: &Key) {
        if !self.core.config.journal {
            return;
        }
        let mut pen = self.core.io.pen();
        Kind::Phones.begin(&mut pen);
        pen.put(user, &Names::default());
        let bindings = self.core.registrar.contacts(user.as_str()).to_vec();
        pen.framed(|pen| {
            if !bindings.is_empty() {
                pen.put(&bindings, &Names::default());
            }
        });
        self.core.io.keep(pen);
    }

    /// Begins to write everything again.
    pub(crate) fn begin_rewriting(&mut self) {
        self.journal_node();
        for user in self.core.registrar.users() {
            self.journal_phones(&user);
        }
        self.rewriting = self.calls.handles();
        self.rewrite();
    }

    /// Writes the next few calls again.
    pub(crate) fn rewrite(&mut self) {
        for _ in 0..SLICE {
            let Some(handle) = self.rewriting.pop() else { break };
            if let Some(call) = self.calls.get_mut(handle) {
                call.forget_saved();
            }
            self.tidy(handle);
        }
        let (after, next) = match self.rewriting.is_empty() {
            true => (LONGEST_LINGER, TimerKey::Rewritten),
            false => (SLICE_EVERY, TimerKey::Rewrite),
        };
        self.core.io.arm(after, next);
    }

    /// What lingered when the last call had been written is gone by now.
    pub(crate) fn rewritten(&mut self) {
        self.core.io.outbox.push_back(Output::Rewritten);
    }
}
