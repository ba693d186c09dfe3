//! Messages from files, for what no well-behaved SIP stack would send.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tensou_loadtest::agents::credentials;

use crate::case_file::{RawPart, Step, Transport};
use crate::spoken::{self, Spoken};
use crate::wire::Wire;

/// How long `expect` waits.
const PATIENCE: Duration = Duration::from_secs(5);

/// A part in a scenario, played step by step.
pub(crate) struct Raw<'a> {
    wire: Wire,
    dir: &'a Path,
    part: &'a RawPart,
    /// Placeholders that stay the same throughout the part.
    fixed: Vec<(&'static str, String)>,
    /// In every Call-ID, tag and branch of this part, and of no other.
    unique: String,
    /// Call-IDs of calls that came to it.
    taken: Vec<String>,
    /// The last message that was expected and came.
    last: Spoken,
    kept: BTreeMap<String, Spoken>,
    /// Everything that came.
    seen: Vec<String>,
}

impl Raw<'_> {
    /// Plays the steps; the error is the first that did not go as expected.
    pub(crate) fn play(
        here: SocketAddr,
        server: SocketAddr,
        dir: &Path,
        part: &RawPart,
    ) -> Result<()> {
        let unique = unique();
        let transport = match part.transport {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => bail!("raw parts speak UDP and TCP"),
        };
        let mut raw = Raw {
            wire: Wire::open(part.transport, here, server)?,
            dir,
            part,
            fixed: vec![
                ("server", server.to_string()),
                ("here", here.to_string()),
                ("here_ip", here.ip().to_string()),
                ("transport", transport.to_owned()),
                ("unique", unique.clone()),
            ],
            unique,
            taken: Vec::new(),
            last: Spoken::default(),
            kept: BTreeMap::new(),
            seen: Vec::new(),
        };
        for step in &part.step {
            raw.step(step).with_context(|| format!("{step:?}; came so far: {:?}", raw.lines()))?;
        }
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Send(file) => {
                let bytes = std::fs::read(self.dir.join(file)).with_context(|| file.clone())?;
                let filled = spoken::fill(&bytes, &self.fixed, &self.last, &self.kept);
                self.wire.send(&self.authorized(filled))?;
            }
            Step::Expect(line) => self.expect(line, PATIENCE)?,
            Step::ExpectWithin { line, seconds } => self.expect(line, period(*seconds))?,
            Step::ExpectAgain { times, seconds } => {
                let deadline = Instant::now() + period(*seconds);
                let wanted = self.last.text.clone();
                for _ in 0..*times {
                    while self.receive(deadline)?.context("it did not come again")? != wanted {}
                }
            }
            Step::Contains(text) => {
                let text = spoken::fill(text.as_bytes(), &self.fixed, &self.last, &self.kept);
                let text = String::from_utf8_lossy(&text);
                if !self.last.text.contains(&*text) {
                    bail!("{text} is not in:\n{}", self.last.text);
                }
            }
            Step::Answer(status) => {
                let answer = spoken::answer(&self.last.text, *status);
                self.wire.send(answer.as_bytes())?;
            }
            Step::AnswerTo { line, status } => {
                let request = self.seen.iter().rfind(|message| message.starts_with(line));
                let answer = spoken::answer(request.context("no such request came")?, *status);
                self.wire.send(answer.as_bytes())?;
            }
            Step::SilenceSeconds(seconds) => {
                if let Some(message) = self.receive(Instant::now() + period(*seconds))? {
                    bail!("this broke the silence:\n{message}");
                }
            }
            Step::PauseSeconds(seconds) => {
                let deadline = Instant::now() + period(*seconds);
                while self.receive(deadline)?.is_some() {}
            }
            Step::Keep(name) => {
                self.kept.insert(name.clone(), self.last.clone());
            }
            Step::Connect => self.wire.connect()?,
            Step::Reset => self.wire.reset()?,
        }
        Ok(())
    }

    /// The request with the answer to the last challenge, where it asks for that.
    fn authorized(&self, request: Vec<u8>) -> Vec<u8> {
        const PLACE: &str = "[authorization]";
        let text = String::from_utf8_lossy(&request);
        let (Some(user), Some(password)) = (&self.part.user, &self.part.password) else {
            return request;
        };
        let mut first = text.split(' ');
        let (Some(method), Some(uri), true) = (first.next(), first.next(), text.contains(PLACE))
        else {
            return request;
        };
        let challenges: Vec<String> = spoken::lines(&self.last.text, "WWW-Authenticate")
            .filter_map(|line| Some(line.split_once(':')?.1.trim().to_owned()))
            .collect();
        let value = credentials(&challenges, (user, password), (method, uri), &self.unique);
        let line = value.map(|value| format!("Authorization: {value}")).unwrap_or_default();
        text.replace(PLACE, &line).into_bytes()
    }

    fn expect(&mut self, line: &str, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            let known = self.seen.len();
            let message = self.receive(deadline)?.context("it did not come")?;
            let repeated = self.seen[..known].contains(&message);
            if message.starts_with(line) && !repeated {
                let told = spoken::target(&message).map(str::to_owned);
                let target = told.unwrap_or_else(|| self.target_of(&message));
                self.last = Spoken { text: message, target };
                return Ok(());
            }
            if !repeated && !message.starts_with("SIP/2.0 1") {
                bail!("this came instead:\n{message}");
            }
        }
    }

    /// Answers to BYE have no Contact: the last one that was told in the dialog stays.
    fn target_of(&self, message: &str) -> String {
        let call = spoken::header(message, "Call-ID");
        let dialog = self.seen.iter().rev().filter(|it| spoken::header(it, "Call-ID") == call);
        dialog.filter_map(|it| spoken::target(it)).next().unwrap_or_default().to_owned()
    }

    fn lines(&self) -> Vec<&str> {
        self.seen.iter().filter_map(|message| message.lines().next()).collect()
    }

    /// The next message that belongs to this part.
    fn receive(&mut self, deadline: Instant) -> Result<Option<String>> {
        while let Some(message) = self.wire.receive(deadline)? {
            if self.is_ours(&message) {
                self.seen.push(message.clone());
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    /// Whether a message is of a call of this part, and not left over from an earlier case.
    fn is_ours(&mut self, message: &str) -> bool {
        let call = spoken::header(message, "Call-ID");
        if call.is_empty() || call.contains(&self.unique) || self.taken.iter().any(|it| it == call)
        {
            return true;
        }
        let begins =
            message.starts_with("INVITE ") && !spoken::header(message, "To").contains(";tag=");
        if begins {
            self.taken.push(call.to_owned());
        }
        begins
    }
}

/// In no other part of any run.
fn unique() -> String {
    static PARTS: AtomicU32 = AtomicU32::new(0);
    let part = PARTS.fetch_add(1, Ordering::Relaxed);
    format!("{part}x{:016x}", rand::random::<u64>())
}

fn period(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addresses::Party;

    #[test]
    fn a_late_message_of_another_call_is_passed_over() {
        let far = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let here = "127.0.0.1:0".parse().unwrap();
        let wire = Wire::open(Transport::Udp, here, far.local_addr().unwrap()).unwrap();
        let Wire::Datagrams { socket, .. } = &wire else { unreachable!("UDP was asked for") };
        let to = socket.local_addr().unwrap();
        let part = RawPart {
            at: Party::Gateway,
            user: None,
            password: None,
            transport: Transport::Udp,
            step: Vec::new(),
        };
        let mut raw = Raw {
            wire,
            dir: Path::new("."),
            part: &part,
            fixed: Vec::new(),
            unique: "7x1".into(),
            taken: Vec::new(),
            last: Spoken::default(),
            kept: BTreeMap::new(),
            seen: Vec::new(),
        };
        for call in ["6x1@h", "7x1@h"] {
            let bye =
                format!("BYE sip:a@h SIP/2.0\r\nTo: <sip:a@h>;tag=1\r\nCall-ID: {call}\r\n\r\n");
            far.send_to(bye.as_bytes(), to).unwrap();
        }
        raw.expect("BYE ", PATIENCE).unwrap();
        assert_eq!(spoken::header(&raw.last.text, "Call-ID"), "7x1@h");
        assert_eq!(raw.seen.len(), 1);
    }
}
