//! The engine's one entry: inputs are told apart here and given to what they belong to.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::arena::Arena;
use crate::call::{Call, CallHandle, end_orphan};
use crate::cause::Cause;
use crate::config::EngineConfig;
use crate::core::Core;
use crate::counters::Counters;
use crate::id::CallId;
use crate::input::{Flow, Input, OperatorCommand, Output};
use crate::journal::{Record, join};
use crate::media::{MediaEvent, SessionId};
use crate::route::Snapshot;
use crate::sip::syntax::Message;
use crate::sip::transaction::{ClientHandle, Failure, Owner};
use crate::sip::transport::ResolvedTarget;
use crate::time::{Now, Timestamp};
use crate::timer::{CallTimer, TimerKey};
use crate::transfers::Moved;
use crate::trunk;
use crate::wheel::TimerId;

/// How often channel use is reported, at most.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// The call engine of one thread. See the crate's drive contract.
pub struct Engine {
    pub(crate) core: Core,
    pub(crate) calls: Arena<Call>,
    /// Calls by their relay session.
    pub(crate) sessions: std::collections::BTreeMap<SessionId, CallHandle>,
    reporting: bool,
    /// Wakes for the next binding that expires.
    pub(crate) expiry: Option<TimerId>,
    /// How many transactions calls which are over have answered: their images go with the last.
    pub(crate) lingering: usize,
    /// How many more than one a call has.
    pub(crate) lingering_more: std::collections::BTreeMap<CallId, usize>,
    /// Legs that a transfer has moved.
    pub(crate) moved: Moved,
    /// Calls that have not been written into the journal again yet.
    pub(crate) rewriting: Vec<CallHandle>,
    /// Calls that may have changed since their last images.
    changed: VecDeque<CallHandle>,
    /// What the journal knows of the calls.
    #[cfg(debug_assertions)]
    pub(crate) faithful: crate::faithful::Faithful,
}

impl Engine {
    /// An engine without calls.
    pub fn new(config: EngineConfig, snapshot: Arc<Snapshot>) -> Engine {
        Engine {
            core: Core::new(config, snapshot),
            calls: Arena::new(),
            sessions: std::collections::BTreeMap::new(),
            reporting: false,
            expiry: None,
            lingering: 0,
            lingering_more: std::collections::BTreeMap::new(),
            moved: Moved::new(),
            rewriting: Vec::new(),
            changed: VecDeque::new(),
            #[cfg(debug_assertions)]
            faithful: Default::default(),
        }
    }

    /// Takes one input. Never fails: what a peer does wrong is an input like any other.
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        debug_assert!(now.mono >= self.core.io.now.mono, "time never goes back");
        self.core.io.now = now;
        if !self.reporting {
            self.reporting = true;
            self.core.io.arm(REPORT_EVERY, TimerKey::Report);
            self.journal_node();
            trunk::install(&mut self.core);
        }
        match input {
            Input::Datagram { flow, bytes } => self.on_message(flow, bytes),
            Input::Unreachable { flow } => {
                self.core.unreachable(flow);
                let failed = self.core.transactions.unreachable(&mut self.core.io, flow);
                for (owner, client) in failed {
                    self.on_client_failed(owner, client, Failure::TransportError);
                }
            }
            Input::Waited(waited) => self.core.load.waited(now.mono, waited),
            Input::Closed { flow } => {
                self.core.connections.closed(flow);
                self.lose_phones(flow);
                let failed = self.core.transactions.closed(&mut self.core.io, flow);
                for (owner, client) in failed {
                    self.on_client_failed(owner, client, Failure::TransportError);
                }
            }
            Input::Identified { flow, names } => self.core.connections.identified(flow, names),
            Input::Resolved { query, targets } => self.on_resolved(query.0, targets),
            Input::Media(event) => self.on_media(event),
            Input::Command(command) => self.on_command(command),
            Input::Snapshot(snapshot) => {
                self.core.routing = self.core.usage.install(snapshot);
                trunk::install(&mut self.core);
                self.forget_disabled_phones();
            }
            Input::Rewrite => self.begin_rewriting(),
            Input::Tick => {}
        }
        self.fire_timers();
        self.let_lingering_go();
    }

    /// The next output, to be carried out before the one after it.
    pub fn poll_output(&mut self) -> Option<Output> {
        // What the relay answers at once, the counters of a call that ends above all, stands in
        // the same image as the rest.
        if let Some(command) = self.core.io.commands.pop_front() {
            return Some(Output::Media(command));
        }
        if let Some(record) = self.core.io.journal.pop_front() {
            return Some(Output::Journal(record));
        }
        if !self.changed.is_empty()
            && let Some(record) = self.next_change()
        {
            return Some(Output::Journal(record));
        }
        if !self.core.io.notes.is_empty() {
            #[cfg(debug_assertions)]
            self.noted();
            let pen = self.core.io.pen();
            return Some(Output::Journal(self.core.io.notes.record(pen)));
        }
        let next = self.core.io.outbox.pop_front();
        #[cfg(debug_assertions)]
        if next.is_none() {
            self.check_calls();
        }
        next
    }

    /// The memory of a record of the journal, once it has been written, for the next one.
    pub fn reuse(&mut self, record: Record) {
        self.core.io.reuse(record);
    }

    /// When the engine wants to be woken, if nothing comes before.
    pub fn poll_timeout(&mut self) -> Option<Timestamp> {
        if !self.reporting {
            // The first step is due at once: trunks wait for our registrations.
            return Some(self.core.io.now.mono);
        }
        self.core.io.wheel.next()
    }

    /// Figures since the start.
    pub fn counters(&mut self) -> &Counters {
        let counters = &mut self.core.io.counters;
        counters.transactions = self.core.transactions.len() as u64;
        counters.media_ports_in_use = self.core.ports.in_use() as u64;
        counters.media_ports_reused_early = self.core.ports.reused_early();
        counters.registrations = self.core.registrar.registrations() as u64;
        counters.channels_in_use = self.core.usage.in_use().0;
        counters.calls_held = self.calls.len() as u64;
        (counters.trunks_watched, counters.trunks_down) = self.core.trunks.counts();
        counters
    }

    fn on_message(&mut self, flow: Flow, bytes: &[u8]) {
        self.core.io.counters.sip_received += 1;
        self.core.connections.heard(flow);
        Message::of_datagram(bytes, |parsed| match parsed {
            Ok(msg) => match msg.status() {
                Some(status) => self.on_response(flow, msg, status),
                None => self.on_request(flow, msg),
            },
            // RFC 5626 3.5.1: nothing but line ends keeps a NAT open.
            Err(error) if error.kind == crate::sip::syntax::ParseErrorKind::Empty => {}
            Err(_) => self.core.io.counters.sip_malformed += 1,
        });
    }

    fn on_response(&mut self, flow: Flow, msg: &Message<'_>, status: u16) {
        if msg.check_response().is_err() {
            self.core.io.counters.sip_malformed += 1;
            return;
        }
        let told = self.core.transactions.on_response(&mut self.core.io, msg, status);
        let Some((owner, client)) = told else { return self.on_stray_response(flow, msg, status) };
        let challenge = matches!(status, 401 | 407);
        if challenge && self.answers_challenge(owner, client, status, msg) {
            return self.tidy(CallHandle::from_bits(owner.call));
        }
        if owner == Owner::TRUNKS {
            if status >= 200 {
                trunk::answered(&mut self.core, client, status, msg);
            }
            return;
        }
        let handle = CallHandle::from_bits(owner.call);
        let is_invite = msg.cseq().is_ok_and(|cseq| cseq.method.as_str() == "INVITE");
        let Some(call) = self.calls.get_mut(handle) else {
            if is_invite && (200..300).contains(&status) {
                end_orphan(&mut self.core, client, msg);
            }
            return;
        };
        if is_invite {
            call.on_invite_answer(&mut self.core, owner.leg, client, status, msg);
        } else if status >= 200 {
            call.on_other_answer(&mut self.core, owner.leg, client, status, msg);
        }
        self.tidy(handle);
    }

    fn on_client_failed(&mut self, owner: Owner, client: ClientHandle, failure: Failure) {
        if owner == Owner::TRUNKS {
            return trunk::unanswered(&mut self.core, client);
        }
        let handle = CallHandle::from_bits(owner.call);
        let Some(call) = self.calls.get_mut(handle) else { return };
        // RFC 3261 8.1.3.1.
        let status = match failure {
            Failure::Timeout => 408,
            Failure::TransportError => 503,
        };
        call.on_no_answer(&mut self.core, owner.leg, client, status);
        self.tidy(handle);
    }

    fn on_resolved(&mut self, query: u64, targets: &[ResolvedTarget]) {
        let Some(bits) = self.core.pending_resolves.remove(&query) else { return };
        let handle = CallHandle::from_bits(bits);
        let Some(call) = self.calls.get_mut(handle) else { return };
        call.resolved(&mut self.core, query, targets);
        self.tidy(handle);
    }

    fn on_media(&mut self, event: MediaEvent) {
        let (MediaEvent::OpenFailed { session }
        | MediaEvent::Closed { session, .. }
        | MediaEvent::Idle { session }) = event;
        let Some(handle) = self.sessions.get(&session).copied() else { return };
        if matches!(event, MediaEvent::OpenFailed { .. }) {
            self.sessions.remove(&session);
        }
        let Some(call) = self.calls.get_mut(handle) else { return };
        match event {
            MediaEvent::OpenFailed { .. } => call.media_failed(&mut self.core),
            MediaEvent::Closed { a, b, .. } => call.media_closed(&mut self.core, a, b),
            MediaEvent::Idle { .. } => call.media_idle(&mut self.core),
        }
        self.tidy(handle);
    }

    fn on_command(&mut self, command: OperatorCommand) {
        match command {
            OperatorCommand::Drain => {
                self.core.draining = true;
                trunk::leave(&mut self.core);
            }
            OperatorCommand::RefuseCalls(refusing) => self.core.refusing = refusing,
            OperatorCommand::HangUp(id) => {
                let found = self.calls.iter().find(|(_, call)| call.id == id);
                if let Some(handle) = found.map(|(handle, _)| handle) {
                    self.hang_up(handle);
                }
            }
            OperatorCommand::Transfer { call, to } => self.operator_transfer(call, &to),
            OperatorCommand::HangUpAll => {
                for handle in self.calls.handles() {
                    self.hang_up(handle);
                }
            }
        }
    }

    fn hang_up(&mut self, handle: CallHandle) {
        if let Some(call) = self.calls.get_mut(handle) {
            call.hang_up(&mut self.core, Cause::Operator);
        }
        self.tidy(handle);
    }

    /// Has the journal keep what has changed of a call before the next output, and forgets one
    /// that is over.
    pub(crate) fn tidy(&mut self, handle: CallHandle) {
        let Some(call) = self.calls.get(handle) else { return };
        if !call.is_over() {
            if self.core.config.journal {
                self.changed.push_back(handle);
            }
            return;
        }
        let noted = call.leaves_nothing_new();
        if !noted {
            self.keep(handle);
        }
        let Some(call) = self.calls.get(handle) else { return };
        let (id, session) = (call.id, call.session());
        let left = self.core.watch(id, call.servers());
        if noted && left > 0 {
            self.core.io.notes.over.push(id);
        }
        call.leave_strays(&mut self.core);
        self.calls.remove(handle);
        #[cfg(debug_assertions)]
        self.faithful.forget(handle);
        self.forget_moved(handle);
        if let Some(session) = session {
            self.sessions.remove(&session);
        }
        self.linger(id, left);
    }

    /// Images are made once for all inputs since the last output: of a call whose peers answer
    /// and acknowledge within one batch of datagrams, one.
    #[inline(never)]
    fn next_change(&mut self) -> Option<Record> {
        while let Some(handle) = self.changed.pop_front() {
            if let Some(record) = self.record_of(handle) {
                return Some(record);
            }
        }
        None
    }

    fn keep(&mut self, handle: CallHandle) {
        if let Some(record) = self.record_of(handle) {
            self.core.io.journal.push_back(record);
        }
    }

    /// Has the journal keep in one record what has changed of two calls: a leg that has gone from
    /// one to the other is in one of them, and in one alone, whenever the process is killed.
    pub(crate) fn keep_both(&mut self, one: CallHandle, other: CallHandle) {
        let (one, other) = (self.record_of(one), self.record_of(other));
        let io = &mut self.core.io;
        match (&one, &other) {
            (Some(one), Some(other)) => {
                let both = join(one, other, io.pen());
                io.journal.push_back(both);
            }
            (None, _) | (_, None) => io.journal.extend(one.into_iter().chain(other)),
        }
    }

    /// What has changed of a call, if anything has.
    fn record_of(&mut self, handle: CallHandle) -> Option<Record> {
        let call = self.calls.get_mut(handle).filter(|_| self.core.config.journal)?;
        if !call.has_changed() {
            return None;
        }
        let mut pen = self.core.io.pen();
        call.save(&self.core, &mut pen);
        if let Some(cdr) = call.take_finished() {
            self.core.io.reuse(cdr);
        }
        let record = Record::of(pen);
        #[cfg(debug_assertions)]
        self.faithful.wrote(&self.core, call, &record);
        Some(record)
    }

    fn fire_timers(&mut self) {
        while let Some((_, key)) = self.core.io.wheel.pop(self.core.io.now.mono) {
            match key {
                TimerKey::Server(bits, timer) => {
                    self.core.transactions.on_server_timer(&mut self.core.io, bits, timer);
                }
                TimerKey::Client(bits, timer) => {
                    let io = &mut self.core.io;
                    let told = self.core.transactions.on_client_timer(io, bits, timer);
                    if let Some((owner, client, failure)) = told {
                        self.on_client_failed(owner, client, failure);
                    }
                }
                TimerKey::Call(bits, timer) => self.on_call_timer(bits, timer),
                TimerKey::Trunk(slot, timer) => trunk::due(&mut self.core, slot, timer),
                TimerKey::Registrar => self.expire_phones(),
                TimerKey::Rewrite => self.rewrite(),
                TimerKey::Rewritten => self.rewritten(),
                TimerKey::Report => {
                    if !(self.calls.is_empty() && self.lingering == 0) {
                        self.journal_node();
                    }
                    let outbox: &mut VecDeque<Output> = &mut self.core.io.outbox;
                    self.core.usage.report(|event| outbox.push_back(Output::Event(event)));
                    let now = self.core.io.now.mono;
                    self.core.figures.report(now, |event| outbox.push_back(Output::Event(event)));
                    let told = self.core.registrar.failures_due(now);
                    outbox.extend(told.into_iter().map(Output::Event));
                    self.core.io.arm(REPORT_EVERY, TimerKey::Report);
                }
            }
        }
    }

    fn on_call_timer(&mut self, bits: u64, timer: CallTimer) {
        let handle = CallHandle::from_bits(bits);
        let Some(call) = self.calls.get_mut(handle) else { return };
        let core = &mut self.core;
        match timer {
            CallTimer::Launch { step, branch } => call.launch_due(core, step, branch),
            CallTimer::Unheard { leg } => call.unheard(core, leg),
            CallTimer::RingOver { leg } => call.ring_over(core, leg),
            CallTimer::CancelOver { leg } => call.cancel_over(core, leg),
            CallTimer::ResendOk { leg } => call.resend_ok(core, leg),
            CallTimer::AckOver { leg } => call.ack_over(core, leg),
            CallTimer::RepeatRinging => call.repeat_ringing(core),
            CallTimer::ResendProgress => call.resend_progress(core),
            CallTimer::PrackOver => call.prack_over(core),
            CallTimer::Rejoin { leg, both } => call.rejoin_due(core, leg, both),
            CallTimer::Renew { leg } => call.renew(core, leg),
            CallTimer::SessionOver { leg } => call.session_over(core, leg),
            CallTimer::RecordDue => call.record_due(core),
            CallTimer::Probe { leg } => call.probe(core, leg),
        }
        self.tidy(handle);
    }

    /// Calls that exist, those waiting for last answers included: none when all is quiet.
    pub fn calls_held(&self) -> usize {
        self.calls.len()
    }
}
