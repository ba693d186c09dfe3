//! Where a world's calls begin: calls placed by script, and datagrams handed to the leg they
//! belong to or taken as new calls.

use std::net::SocketAddr;
use std::time::Instant;

use rsip::Method;

use super::callee::Callee;
use super::caller::{Caller, Credentials};
use super::core::Core;
use super::dialog::Dialog;
use super::message::{Parsed, Start, other};
use super::population::{Agent, AgentId};
use super::registration::Account;
use super::script::{Behaviour, CallScript};
use super::world::{AnyLeg, Slot, World};

impl World {
    /// Places a call.
    pub fn call(&mut self, agent: AgentId, script: CallScript) -> std::io::Result<()> {
        let now = Instant::now();
        let tag = self.tag();
        let Agent { address, engine, name, registration, .. } = &self.agents[agent.0];
        let (near, engine) = (*address, *engine);
        let (local, domain, identity, credentials) = match (registration, &script.shows) {
            (Some(phone), _) => {
                let Account { user, password, domain } = phone.account();
                let credentials = Credentials { user: user.clone(), password: password.clone() };
                let local = format!("<sip:{user}@{domain}>");
                (local, domain.clone(), Vec::new(), Some(credentials))
            }
            (None, Some(number)) => {
                (format!("<sip:{number}@{near}>"), engine.to_string(), Vec::new(), None)
            }
            // RFC 3323 4.1: how a gateway says that the caller withheld the number.
            (None, None) => (
                "\"Anonymous\" <sip:anonymous@anonymous.invalid>".to_owned(),
                engine.to_string(),
                vec![other("Privacy", "id")],
                None,
            ),
        };
        let mut identity = identity;
        // RFC 7433: passes across the server, so that both legs of a call can be recognised.
        identity.push(other("User-to-User", format!("{tag};encoding=hex")));
        let target = format!("sip:{}@{domain}", script.dials);
        let dialog = Dialog {
            call_id: format!("{tag}@{}", near.ip()),
            local,
            local_tag: tag.clone(),
            remote: format!("<{target}>"),
            remote_tag: None,
            target,
            near,
            cseq: 0,
            branches: 0,
        };
        let shown = script.shows.clone().unwrap_or_default();
        let name = if shown.is_empty() { name.clone() } else { shown.clone() };
        let (voice, ssrc) = self.voice(near)?;
        let core = Core::new(dialog, voice.address()?, u64::from(ssrc), now);
        let dialled = script.dials.clone();
        let mut out = Vec::new();
        let mut caller = Caller::new(core, script, identity, credentials);
        caller.start(&mut out);
        let leg = AnyLeg::Caller(Box::new(caller));
        let slot = Slot {
            agent: agent.0,
            peer: engine,
            leg,
            voice: Some(voice),
            speaking: false,
            name,
            dialled,
            shown,
            ssrc,
            opened_by: None,
        };
        let id = self.insert(slot, tag);
        self.act(now, id, out);
        Ok(())
    }

    pub(super) fn read_sip(&mut self, index: usize) {
        let mut buffer = vec![0u8; 65_536];
        loop {
            let Ok((len, from)) = self.agents[index].socket.recv_from(&mut buffer) else { return };
            let datagram = &buffer[..len];
            match Parsed::read(datagram) {
                Ok(message) => self.take(index, from, message),
                Err(why) => {
                    let text = String::from_utf8_lossy(datagram).into_owned();
                    let name = &self.agents[index].name;
                    self.faults.push(format!("{name} cannot read: {why}\n{text}"));
                }
            }
        }
    }

    fn take(&mut self, index: usize, from: SocketAddr, message: Parsed) {
        let now = Instant::now();
        let mut out = Vec::new();
        let Start::Request { method, user } = &message.start else {
            match self.by_tag.get(&message.from_tag).copied() {
                Some(id) => {
                    if let Some(slot) = self.legs.get_mut(&id) {
                        slot.leg.get().on_response(now, &message, &mut out);
                    }
                    self.act(now, id, out);
                }
                None => self.take_registration_answer(index, &message),
            }
            return;
        };
        let opened = (index, message.branch.clone());
        let known = match (&message.to_tag, method) {
            (Some(tag), _) => self.by_tag.get(tag).copied(),
            (None, Method::Invite | Method::Cancel) => self.by_branch.get(&opened).copied(),
            (None, _) => None,
        };
        match (known, method) {
            (Some(id), Method::Invite) if message.to_tag.is_none() => {
                if let Some(slot) = self.legs.get_mut(&id) {
                    slot.leg.get().on_repeated(&mut out);
                }
                self.act(now, id, out);
            }
            (Some(id), method) => {
                if let Some(slot) = self.legs.get_mut(&id) {
                    slot.leg.get().on_request(now, *method, &message, &mut out);
                }
                self.act(now, id, out);
            }
            (None, Method::Invite) if message.to_tag.is_none() => {
                let user = user.clone();
                if let Err(error) = self.ring(index, from, &user, message) {
                    self.faults.push(format!("{}: {error}", self.agents[index].name));
                }
            }
            (None, Method::Ack) => {}
            (None, method) => {
                let status = if *method == Method::Options { 200 } else { 481 };
                if status == 481 {
                    let name = &self.agents[index].name;
                    self.faults.push(format!("{name} got {method} of no call"));
                }
                let tag = self.tag();
                let answer = message.answer(status, &tag, Vec::new()).bytes();
                // As above: repeated when lost.
                let _ = self.agents[index].socket.send_to(&answer, from);
            }
        }
    }

    fn take_registration_answer(&mut self, index: usize, message: &Parsed) {
        let mut out = Vec::new();
        match &mut self.agents[index].registration {
            Some(registration) if registration.tag() == message.from_tag => {
                registration.on_response(message, &mut out);
            }
            _ => {
                let name = &self.agents[index].name;
                self.faults.push(format!("{name} got {} of no call", message.status()));
            }
        }
        self.act_for_agent(index, out);
    }

    fn ring(
        &mut self,
        index: usize,
        from: SocketAddr,
        user: &str,
        invite: Parsed,
    ) -> std::io::Result<()> {
        let now = Instant::now();
        let dialled = national(user);
        let agent = &self.agents[index];
        let near = agent.address;
        let (behaviour, name) = match &agent.always {
            Some(behaviour) => (behaviour.clone(), agent.name.clone()),
            None => {
                let behaviour = agent.takes.get(&dialled).cloned();
                (behaviour.unwrap_or_else(|| Behaviour::refuses(404)), dialled.clone())
            }
        };
        let tag = self.tag();
        let (voice, ssrc) = self.voice(near)?;
        let dialog = Dialog::of_callee(&invite, tag.clone(), near);
        let core = Core::new(dialog, voice.address()?, u64::from(ssrc), now);
        let shown = national(caller_number(&invite).unwrap_or_default().as_str());
        let branch = invite.branch.clone();
        let mut out = Vec::new();
        let mut callee = Callee::new(core, behaviour, invite);
        callee.start(now, &mut out);
        let leg = AnyLeg::Callee(Box::new(callee));
        let voice = Some(voice);
        let slot = Slot {
            agent: index,
            peer: from,
            leg,
            voice,
            speaking: false,
            name,
            dialled,
            shown,
            ssrc,
            opened_by: Some((index, branch)),
        };
        let id = self.insert(slot, tag);
        self.act(now, id, out);
        Ok(())
    }
}
/// User part of From; none for a withheld number.
fn caller_number(invite: &Parsed) -> Option<String> {
    let from = invite.header("From")?;
    let user = from.split("sip:").nth(1)?.split('@').next()?.to_owned();
    (!user.eq_ignore_ascii_case("anonymous")).then_some(user)
}

/// A number as people in Japan write it, from any form a trunk may use.
fn national(number: &str) -> String {
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    match (number.starts_with('+'), digits.strip_prefix("81")) {
        (true, Some(rest)) => format!("0{rest}"),
        (false, Some(rest)) if digits.len() >= 11 => format!("0{rest}"),
        _ => digits,
    }
}
