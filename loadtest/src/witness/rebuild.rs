//! From sightings to calls: messages to their legs and dialogs, legs to their calls.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::Micros;
use super::calls::{Answer, Call, Ending, Fate, Leg};
use super::numbers::e164;
use super::packet::Sighting;
use super::sip::{Message, Start};

/// A callee that answers second is sent BYE at once; the one that is connected gets its BYE no
/// sooner than this before the caller's leg ends.
const SAME_MOMENT: Micros = 5_000;

/// Rebuilds every call that went through the servers that listen at these addresses.
pub fn rebuild(sightings: &[Sighting], servers: &[SocketAddr]) -> Vec<Call> {
    let mut book = Book::default();
    for seen in sightings {
        if let Some(message) = Message::read(&seen.payload) {
            book.take(seen.at, servers.contains(&seen.from), &message);
        }
    }
    book.calls()
}

/// Everything known, by Call-ID.
#[derive(Debug, Default)]
struct Book {
    legs: BTreeMap<String, Vec<Traced>>,
}

/// One leg: an INVITE and what followed.
#[derive(Debug)]
struct Traced {
    by_server: bool,
    from_tag: String,
    cseq: u32,
    caller: String,
    asserted: Option<String>,
    dialled: String,
    mark: Option<String>,
    invited_at: Micros,
    heard: bool,
    ringing_at: Option<Micros>,
    cancelled: bool,
    refused: Option<u16>,
    dialogs: Vec<TracedDialog>,
}

/// One dialog of a leg: a forked INVITE has several.
#[derive(Debug, Default)]
struct TracedDialog {
    /// The tag of who was called.
    tag: String,
    /// Every copy of the 2xx.
    answers: Vec<Micros>,
    byes: Vec<Bye>,
}

#[derive(Debug)]
struct Bye {
    by_server: bool,
    copies: Vec<Micros>,
    answered: Option<(u16, Micros)>,
}

impl Book {
    fn take(&mut self, at: Micros, by_server: bool, message: &Message) {
        match &message.start {
            Start::Request { method, user } if method == "INVITE" && message.to_tag.is_none() => {
                self.invite(at, by_server, user, message);
            }
            Start::Request { method, .. } => {
                let Some(leg) = self.leg_of(message) else { return };
                match method.as_str() {
                    "CANCEL" => leg.cancelled = true,
                    "BYE" => leg.bye(at, by_server, message),
                    _ => {}
                }
            }
            Start::Response { status } => {
                let Some(leg) = self.leg_of(message) else { return };
                match message.method.as_str() {
                    "INVITE" => leg.invite_answered(at, *status, message),
                    "BYE" => leg.bye_answered(at, *status, message),
                    _ => {}
                }
            }
        }
    }

    fn invite(&mut self, at: Micros, by_server: bool, user: &str, message: &Message) {
        let legs = self.legs.entry(message.call_id.clone()).or_default();
        let known = legs
            .iter_mut()
            .find(|leg| leg.from_tag == message.from_tag && leg.by_server == by_server);
        if let Some(leg) = known {
            // RFC 3261 22.2: the same call again, with credentials and the next number.
            if message.cseq > leg.cseq {
                leg.cseq = message.cseq;
                leg.refused = None;
            }
            return;
        }
        legs.push(Traced {
            by_server,
            from_tag: message.from_tag.clone(),
            cseq: message.cseq,
            caller: e164(&message.from_user),
            asserted: message.asserted.as_deref().map(e164),
            dialled: e164(user),
            mark: message.mark.clone(),
            invited_at: at,
            heard: false,
            ringing_at: None,
            cancelled: false,
            refused: None,
            dialogs: Vec::new(),
        });
    }

    fn leg_of(&mut self, message: &Message) -> Option<&mut Traced> {
        let legs = self.legs.get_mut(&message.call_id)?;
        legs.iter_mut().find(|leg| {
            leg.from_tag == message.from_tag || Some(&leg.from_tag) == message.to_tag.as_ref()
        })
    }

    fn calls(self) -> Vec<Call> {
        let all = self.legs.into_values().flatten();
        let (mut made, mut placed): (Vec<Traced>, Vec<Traced>) = all.partition(|leg| leg.by_server);
        made.sort_by_key(|leg| leg.invited_at);
        placed.sort_by_key(|leg| leg.invited_at);
        let mut of_call: Vec<Vec<Traced>> = placed.iter().map(|_| Vec::new()).collect();
        let by_mark: BTreeMap<&str, usize> = (placed.iter().enumerate())
            .filter_map(|(index, leg)| Some((leg.mark.as_deref()?, index)))
            .collect();
        for leg in made {
            let index = match leg.mark.as_deref() {
                Some(mark) => by_mark.get(mark).copied(),
                None => placed.iter().rposition(|call| call.may_have_made(&leg)),
            };
            if let Some(legs) = index.and_then(|index| of_call.get_mut(index)) {
                legs.push(leg);
            }
        }
        placed.iter().zip(of_call).map(|(call, legs)| call.assemble(&legs)).collect()
    }
}

impl Traced {
    /// Without a mark: the caller's number shown or asserted, and a call still being set up.
    fn may_have_made(&self, leg: &Traced) -> bool {
        let shown = leg.caller == self.caller || leg.asserted.as_ref() == Some(&self.caller);
        let answered = self.dialogs.iter().filter_map(|dialog| dialog.answers.first()).min();
        shown
            && !self.caller.is_empty()
            && self.invited_at <= leg.invited_at
            && answered.is_none_or(|at| leg.invited_at <= *at)
    }

    fn dialog(&mut self, tag: &str) -> &mut TracedDialog {
        let index = match self.dialogs.iter().position(|dialog| dialog.tag == tag) {
            Some(index) => index,
            None => {
                self.dialogs.push(TracedDialog { tag: tag.to_owned(), ..Default::default() });
                self.dialogs.len() - 1
            }
        };
        &mut self.dialogs[index]
    }

    /// The called side's tag in a message of this leg.
    fn far_tag<'m>(&self, message: &'m Message) -> &'m str {
        let to = message.to_tag.as_deref().unwrap_or_default();
        if message.from_tag == self.from_tag { to } else { &message.from_tag }
    }

    fn invite_answered(&mut self, at: Micros, status: u16, message: &Message) {
        if message.from_tag != self.from_tag || message.cseq != self.cseq {
            // Of a re-INVITE, or of the INVITE without credentials.
            return;
        }
        self.heard = true;
        match status {
            180..=199 => {
                self.ringing_at.get_or_insert(at);
            }
            200..=299 => {
                self.dialog(message.to_tag.as_deref().unwrap_or_default()).answers.push(at)
            }
            300.. => {
                self.refused.get_or_insert(status);
            }
            _ => {}
        }
    }

    fn bye(&mut self, at: Micros, by_server: bool, message: &Message) {
        let tag = self.far_tag(message);
        let dialog = self.dialog(tag);
        match dialog.byes.iter_mut().find(|bye| bye.by_server == by_server) {
            Some(bye) => bye.copies.push(at),
            None => dialog.byes.push(Bye { by_server, copies: vec![at], answered: None }),
        }
    }

    fn bye_answered(&mut self, at: Micros, status: u16, message: &Message) {
        // From stays the sender's of the request.
        let from_caller = message.from_tag == self.from_tag;
        let by_server = from_caller == self.by_server;
        let tag = self.far_tag(message);
        let bye = self.dialog(tag).byes.iter_mut().find(|bye| bye.by_server == by_server);
        if let Some(bye) = bye.filter(|_| status >= 200) {
            bye.answered.get_or_insert((status, at));
        }
    }

    /// This leg, placed by a caller, with the legs that came of it.
    fn assemble(&self, made: &[Traced]) -> Call {
        let own = self.dialogs.iter().find(|dialog| !dialog.answers.is_empty());
        let ended = own.and_then(TracedDialog::first_bye);
        let connected = own.and_then(|own| connected(own, ended, made));
        let legs = made.iter().enumerate().map(|(index, leg)| Leg {
            dialled: leg.dialled.clone(),
            invited_at: leg.invited_at,
            ringing_at: leg.ringing_at,
            answered_at: leg.dialogs.iter().filter_map(|it| it.answers.first().copied()).min(),
            connected: connected.is_some_and(|(at, _)| at == index),
        });
        Call {
            caller: self.caller.clone(),
            dialled: self.dialled.clone(),
            mark: self.mark.clone(),
            invited_at: self.invited_at,
            ringing_at: self.ringing_at,
            fate: self.fate(own, connected.map(|(_, dialog)| dialog)),
            legs: legs.collect(),
        }
    }

    fn fate(&self, own: Option<&TracedDialog>, callee: Option<&TracedDialog>) -> Fate {
        let Some(own) = own else {
            return match self.refused {
                Some(401 | 407) => Fate::Challenged,
                Some(status) => Fate::Refused { status, cancelled: self.cancelled },
                None if self.heard => Fate::Standing,
                None => Fate::Unheard,
            };
        };
        let caller = own.answers.first().copied().unwrap_or_default();
        let before = |copies: &[Micros]| copies.iter().copied().rfind(|at| *at <= caller);
        let answer =
            Answer { caller, callee: callee.and_then(|it| before(&it.answers)).unwrap_or(caller) };
        match ending(own, callee) {
            Some(ending) => Fate::Answered { answer, ending },
            None => Fate::Standing,
        }
    }
}

impl TracedDialog {
    fn first_bye(&self) -> Option<Micros> {
        self.byes.iter().filter_map(|bye| bye.copies.first().copied()).min()
    }
}

/// Which of the legs made was connected: the first to answer that the server did not hang up on
/// while the caller's leg went on.
fn connected<'a>(
    own: &TracedDialog,
    ended: Option<Micros>,
    made: &'a [Traced],
) -> Option<(usize, &'a TracedDialog)> {
    let turned_away = |dialog: &TracedDialog| {
        let bye = dialog.byes.iter().find(|bye| bye.by_server);
        let at = bye.and_then(|bye| bye.copies.first().copied());
        let hung_up_first = dialog.first_bye() != at;
        let before = ended.is_none_or(|ended| at.is_some_and(|at| at + SAME_MOMENT < ended));
        at.is_some() && before && !hung_up_first
    };
    let answered = own.answers.first().copied().unwrap_or_default();
    made.iter()
        .enumerate()
        .flat_map(|(index, leg)| leg.dialogs.iter().map(move |dialog| (index, dialog)))
        .filter(|(_, dialog)| dialog.answers.first().is_some_and(|at| *at <= answered))
        .filter(|(_, dialog)| !turned_away(dialog))
        .min_by_key(|(_, dialog)| dialog.answers.first().copied())
}

/// How a talk between two dialogs ended.
fn ending(own: &TracedDialog, callee: Option<&TracedDialog>) -> Option<Ending> {
    let byes: Vec<&Bye> = own.byes.iter().chain(callee.iter().flat_map(|it| &it.byes)).collect();
    let first = |bye: &&Bye| bye.copies.first().copied().unwrap_or(Micros::MAX);
    let opening = byes.iter().copied().min_by_key(first)?;
    let hung_up = first(&opening);
    if opening.by_server {
        let status = None;
        let by_server = true;
        return Some(Ending { hung_up, noticed: hung_up, served: hung_up, by_server, status });
    }
    let answer = opening.answered.map(|(_, at)| at);
    let passed_on = byes.iter().filter(|bye| bye.by_server).map(first).min();
    let last = opening.copies.last().copied().unwrap_or(hung_up);
    let served = [answer, passed_on].into_iter().flatten().min().unwrap_or(last).max(hung_up);
    let noticed = opening.copies.iter().copied().rfind(|at| *at <= served).unwrap_or(hung_up);
    let status = opening.answered.map(|(status, _)| status);
    Some(Ending { hung_up, noticed, served, by_server: false, status })
}
