//! A phone's registration (RFC 3261 10.2): signed when challenged, renewed at half time,
//! taken back at the end.
//!
//! ```text
//!  Out ──REGISTER──▶ Asking ──200──▶ In ──half time──▶ Asking
//!                      │  ▲401, once
//!                      └──other──▶ Failed         leave: Asking with Expires 0 ──▶ Out
//! ```

use std::net::SocketAddr;
use std::time::Duration;

use rsip::headers::untyped::UntypedHeader;
use rsip::{Header, Method};

use super::dialog::{Action, Alarm, Dialog, Resender, Resent};
use super::digest::{Challenge, Signed};
use super::message::{Parsed, other};

/// What is asked for; a registrar may grant less or ask for more (423).
const EXPIRES_SECS: u32 = 300;

/// Account of a phone.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) domain: String,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Out,
    Asking,
    In,
    Failed(String),
}

/// The registration of one phone.
pub(crate) struct Registration {
    account: Account,
    dialog: Dialog,
    resender: Resender,
    state: State,
    challenge: Option<Challenge>,
    uses: u32,
    expires: u32,
    leaving: bool,
    /// The request under way already answers the newest challenge.
    signed: bool,
}

impl Registration {
    pub(crate) fn new(account: Account, near: SocketAddr, tag: String) -> Registration {
        let address = format!("<sip:{}@{}>", account.user, account.domain);
        let dialog = Dialog {
            call_id: format!("register-{tag}"),
            local: address.clone(),
            local_tag: tag,
            remote: address,
            remote_tag: None,
            target: format!("sip:{}", account.domain),
            near,
            cseq: 0,
            branches: 0,
        };
        Registration {
            account,
            dialog,
            resender: Resender::default(),
            state: State::Out,
            challenge: None,
            uses: 0,
            expires: EXPIRES_SECS,
            leaving: false,
            signed: false,
        }
    }

    pub(crate) fn tag(&self) -> &str {
        &self.dialog.local_tag
    }

    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    /// Calls can come in.
    pub(crate) fn is_in(&self) -> bool {
        self.state == State::In
    }

    /// The registrar has forgotten us, as asked, or never knew us.
    pub(crate) fn is_out(&self) -> bool {
        matches!(self.state, State::Out | State::Failed(_))
    }

    pub(crate) fn failure(&self) -> Option<&str> {
        match &self.state {
            State::Failed(why) => Some(why),
            _ => None,
        }
    }

    pub(crate) fn register(&mut self, out: &mut Vec<Action>) {
        let mut headers: Vec<Header> = vec![
            rsip::headers::Contact::new(format!(
                "<sip:{}@{}>",
                self.account.user, self.dialog.near
            ))
            .into(),
            rsip::headers::Expires::new(if self.leaving { 0 } else { self.expires }.to_string())
                .into(),
        ];
        self.signed = self.challenge.is_some();
        if let Some(challenge) = &self.challenge {
            self.uses += 1;
            let cnonce = format!("{}{}", self.dialog.local_tag, self.uses);
            let value = challenge.sign(&Signed {
                user: &self.account.user,
                password: &self.account.password,
                method: "REGISTER",
                uri: &self.dialog.target,
                cnonce: &cnonce,
                count: self.uses,
            });
            headers.push(other("Authorization", value));
        }
        let (draft, _) = self.dialog.request(Method::Register, headers);
        self.resender.send(draft.bytes(), true, out);
        self.state = State::Asking;
    }

    /// Takes the registration back.
    pub(crate) fn leave(&mut self, out: &mut Vec<Action>) {
        if self.state == State::In {
            self.leaving = true;
            self.register(out);
        }
    }

    pub(crate) fn on_response(&mut self, response: &Parsed, out: &mut Vec<Action>) {
        if response.cseq != self.dialog.cseq || self.state != State::Asking {
            return;
        }
        let status = response.status();
        if status < 200 {
            return;
        }
        self.resender.stop();
        match status {
            200 if self.leaving => self.state = State::Out,
            200 => {
                let granted = granted(response, self.dialog.near).unwrap_or(self.expires);
                self.state = State::In;
                let half = Duration::from_secs(u64::from(granted.max(2)) / 2);
                out.push(Action::After(half, Alarm::Refresh));
            }
            401 | 407 => {
                let asks = if status == 401 { "WWW-Authenticate" } else { "Proxy-Authenticate" };
                match Challenge::choose(&response.all(asks)) {
                    Some(challenge) if !self.signed || challenge.is_stale() => {
                        self.challenge = Some(challenge);
                        self.uses = 0;
                        self.register(out);
                    }
                    Some(_) => self.fail("the password was refused"),
                    None => self.fail("no challenge that we understand"),
                }
            }
            423 => match response.header("Min-Expires").and_then(|value| value.parse().ok()) {
                Some(least) if least > self.expires => {
                    self.expires = least;
                    self.register(out);
                }
                _ => self.fail("423 without a longer Min-Expires"),
            },
            _ => self.fail(&format!("status {status}")),
        }
    }

    pub(crate) fn on_alarm(&mut self, alarm: Alarm, out: &mut Vec<Action>) {
        match alarm {
            Alarm::Resend(serial) => {
                if self.resender.on_alarm(serial, out) == Resent::GaveUp {
                    self.fail("no answer for 32 s");
                }
            }
            Alarm::Refresh if self.state == State::In => self.register(out),
            Alarm::Refresh
            | Alarm::Decide
            | Alarm::HangUp
            | Alarm::GiveUpRinging
            | Alarm::Overdue => {}
        }
    }

    fn fail(&mut self, why: &str) {
        self.state = State::Failed(why.to_owned());
    }
}

/// Seconds granted to our own binding (RFC 3261 10.2.4): `expires` beside our Contact, else the
/// header.
fn granted(response: &Parsed, near: SocketAddr) -> Option<u32> {
    let ours = near.to_string();
    let beside = response
        .all("Contact")
        .iter()
        .flat_map(|value| value.split(','))
        .find(|contact| contact.contains(&ours))
        .and_then(|contact| contact.split(";expires=").nth(1))
        .and_then(|rest| rest.split(';').next())
        .and_then(|seconds| seconds.trim().parse().ok());
    beside.or_else(|| response.header("Expires").and_then(|value| value.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::message::Start;

    fn phone() -> Registration {
        let account = Account {
            user: "201".into(),
            password: "sakura".into(),
            domain: "tensou.example".into(),
        };
        Registration::new(account, "127.0.0.1:5071".parse().unwrap(), "t".into())
    }

    fn sent(out: &mut Vec<Action>) -> Parsed {
        let bytes = out.drain(..).find_map(|action| match action {
            Action::Send(bytes) => Some(bytes),
            _ => None,
        });
        Parsed::read(&bytes.expect("nothing was sent")).unwrap()
    }

    fn answer(request: &Parsed, status: u16, extra: Vec<Header>) -> Parsed {
        Parsed::read(&request.answer(status, "r", extra).bytes()).unwrap()
    }

    fn challenge(request: &Parsed) -> Parsed {
        let value = "Digest realm=\"tensou\", nonce=\"n\", qop=\"auth\", algorithm=SHA-256";
        answer(request, 401, vec![other("WWW-Authenticate", value)])
    }

    #[test]
    fn a_challenge_is_signed_once_and_the_grant_is_renewed_at_half_time() {
        let (mut phone, mut out) = (phone(), Vec::new());
        phone.register(&mut out);
        let first = sent(&mut out);
        assert!(matches!(first.start, Start::Request { method: Method::Register, .. }));
        assert_eq!(first.header("Authorization"), None);
        phone.on_response(&challenge(&first), &mut out);
        let second = sent(&mut out);
        assert_eq!(second.cseq, 2);
        assert!(second.header("Authorization").unwrap().contains("username=\"201\""));
        let contact = "<sip:201@127.0.0.1:5071>;expires=60";
        phone.on_response(&answer(&second, 200, vec![other("Contact", contact)]), &mut out);
        assert!(phone.is_in());
        assert!(out.iter().any(|action| matches!(
            action,
            Action::After(pause, Alarm::Refresh) if *pause == Duration::from_secs(30)
        )));
    }

    #[test]
    fn a_refused_password_is_not_tried_again() {
        let (mut phone, mut out) = (phone(), Vec::new());
        phone.register(&mut out);
        let first = sent(&mut out);
        phone.on_response(&challenge(&first), &mut out);
        let second = sent(&mut out);
        phone.on_response(&challenge(&second), &mut out);
        assert!(out.is_empty());
        assert_eq!(phone.failure(), Some("the password was refused"));
    }
}
