//! Datagrams from files, for what no well-behaved SIP stack would send.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::case_file::Step;

/// How long `expect` waits.
const PATIENCE: Duration = Duration::from_secs(5);

/// A part in a scenario, played step by step.
pub(crate) struct Raw<'a> {
    socket: UdpSocket,
    here: SocketAddr,
    server: SocketAddr,
    dir: &'a Path,
    unique: String,
    /// The last message that was expected and came.
    last: String,
    /// Everything that came.
    seen: Vec<String>,
}

impl Raw<'_> {
    /// Plays the steps; the error is the first that did not go as expected.
    pub(crate) fn play(
        here: SocketAddr,
        server: SocketAddr,
        dir: &Path,
        steps: &[Step],
    ) -> Result<()> {
        let mut raw = Raw {
            socket: UdpSocket::bind(here).with_context(|| here.to_string())?,
            here,
            server,
            dir,
            unique: format!("{}x{}", std::process::id(), here.ip().to_string().replace('.', "x")),
            last: String::new(),
            seen: Vec::new(),
        };
        for step in steps {
            raw.step(step).with_context(|| format!("{step:?}; came so far: {:?}", raw.lines()))?;
        }
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Send(file) => {
                let bytes = std::fs::read(self.dir.join(file)).with_context(|| file.clone())?;
                let filled = self.fill(&bytes);
                self.socket.send_to(&filled, self.server)?;
            }
            Step::Expect(line) => self.expect(line, PATIENCE)?,
            Step::ExpectWithin { line, seconds } => {
                self.expect(line, Duration::from_secs_f64(*seconds))?;
            }
            Step::ExpectAgain { times, seconds } => {
                let deadline = Instant::now() + Duration::from_secs_f64(*seconds);
                let wanted = self.last.clone();
                for _ in 0..*times {
                    while self.receive(deadline)?.context("it did not come again")? != wanted {}
                }
            }
            Step::Answer(status) => {
                let answer = self.answer(*status);
                self.socket.send_to(answer.as_bytes(), self.server)?;
            }
            Step::SilenceSeconds(seconds) => {
                let deadline = Instant::now() + Duration::from_secs_f64(*seconds);
                if let Some(message) = self.receive(deadline)? {
                    bail!("this broke the silence:\n{message}");
                }
            }
            Step::PauseSeconds(seconds) => {
                let deadline = Instant::now() + Duration::from_secs_f64(*seconds);
                while self.receive(deadline)?.is_some() {}
            }
        }
        Ok(())
    }

    fn expect(&mut self, line: &str, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            let known = self.seen.len();
            let message = self.receive(deadline)?.context("it did not come")?;
            let repeated = self.seen[..known].contains(&message);
            if message.starts_with(line) && !repeated {
                self.last = message;
                return Ok(());
            }
            if !repeated && !message.starts_with("SIP/2.0 1") {
                bail!("this came instead:\n{message}");
            }
        }
    }

    fn lines(&self) -> Vec<&str> {
        self.seen.iter().filter_map(|message| message.lines().next()).collect()
    }

    fn receive(&mut self, deadline: Instant) -> Result<Option<String>> {
        let mut buffer = [0u8; 65_536];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.socket.set_read_timeout(Some(left))?;
            match self.socket.recv_from(&mut buffer) {
                Ok((len, _)) => {
                    let text = String::from_utf8_lossy(&buffer[..len]).into_owned();
                    self.seen.push(text.clone());
                    return Ok(Some(text));
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Line ends become CRLF (files keep them as LF, so that they can be read and compared),
    /// placeholders their values. Bytes that are not UTF-8 stay as they are.
    fn fill(&self, file: &[u8]) -> Vec<u8> {
        let header = |name: &str| {
            let found = self.last.lines().find_map(|line| line.strip_prefix(name));
            found.map(str::trim).unwrap_or_default().to_owned()
        };
        let contact = header("Contact:");
        let target = contact.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
        let values = [
            ("[server]", self.server.to_string()),
            ("[here]", self.here.to_string()),
            ("[here_ip]", self.here.ip().to_string()),
            ("[unique]", self.unique.clone()),
            ("[to]", header("To:")),
            ("[target]", target),
        ];
        let mut out = Vec::with_capacity(file.len() + 64);
        let mut rest = file;
        while let Some((first, after)) = rest.split_first() {
            let known = values.iter().find(|(name, _)| rest.starts_with(name.as_bytes()));
            match (known, first) {
                (Some((name, value)), _) => {
                    out.extend_from_slice(value.as_bytes());
                    rest = &rest[name.len()..];
                    continue;
                }
                (None, b'\n') if out.last() != Some(&b'\r') => out.extend_from_slice(b"\r\n"),
                (None, byte) => out.push(*byte),
            }
            rest = after;
        }
        out
    }

    /// RFC 3261 8.2.6.2, by copying lines.
    fn answer(&self, status: u16) -> String {
        let copied = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"];
        let mut answer = format!("SIP/2.0 {status} Raw\r\n");
        for line in self.last.lines().take_while(|line| !line.is_empty()) {
            if copied.iter().any(|name| line.starts_with(name)) {
                answer.push_str(line);
                answer.push_str("\r\n");
            }
        }
        answer.push_str("Content-Length: 0\r\n\r\n");
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_and_foreign_bytes_stay() {
        let raw = Raw {
            socket: UdpSocket::bind("127.0.0.1:0").unwrap(),
            here: "127.0.0.1:5070".parse().unwrap(),
            server: "127.0.0.1:5060".parse().unwrap(),
            dir: Path::new("."),
            unique: "u1".into(),
            last: "SIP/2.0 200 OK\r\nTo: <sip:a@b>;tag=x\r\nContact: <sip:c@d:1>\r\n\r\n".into(),
            seen: Vec::new(),
        };
        let filled = raw.fill(b"ACK [target] SIP/2.0\nTo: [to]\nVia: [here] [unique]\xff\r\n");
        assert_eq!(
            filled,
            b"ACK sip:c@d:1 SIP/2.0\r\nTo: <sip:a@b>;tag=x\r\nVia: 127.0.0.1:5070 u1\xff\r\n"
        );
    }
}
