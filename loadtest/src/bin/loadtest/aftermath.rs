//! What a server still says to those whose parts are over. It would reach the next case, which
//! sits at the same addresses, and be taken for a call of its own.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::addresses::{Addresses, Party};
use crate::case_file::{CaseFile, Transport};
use crate::spoken;

/// Repetitions are never further apart (T2, RFC 3261 17.1.1.1).
const QUIET: Duration = Duration::from_millis(4_200);
/// Nothing is repeated for longer (64*T1).
const LONGEST: Duration = Duration::from_secs(33);
/// How often the sockets are looked at.
const TURN: Duration = Duration::from_millis(20);

/// The datagram sockets of a case's parties, once the parties have left.
pub(crate) struct Aftermath {
    sockets: Vec<(Party, UdpSocket)>,
    server: SocketAddr,
    /// Calls whose end was answered here; their ACKs follow from that.
    answered: Vec<String>,
}

impl Aftermath {
    pub(crate) fn of(case: &CaseFile, addresses: &Addresses) -> Result<Aftermath> {
        let sipp = case.sipp.iter().map(|part| (part.at, part.transport));
        let raw = case.raw.iter().map(|part| (part.at, part.transport));
        let datagrams = sipp.chain(raw).filter(|(_, transport)| *transport == Transport::Udp);
        let mut parties: Vec<Party> = datagrams.map(|(party, _)| party).collect();
        parties.sort();
        parties.dedup();
        let sockets = parties.into_iter().map(|party| {
            let at = addresses.sip(party);
            let socket =
                UdpSocket::bind(at).with_context(|| format!("{party:?} {at} is in use"))?;
            socket.set_nonblocking(true)?;
            Ok((party, socket))
        });
        let server = addresses.sip(Party::Server);
        Ok(Aftermath { sockets: sockets.collect::<Result<_>>()?, server, answered: Vec::new() })
    }

    /// What was heard meanwhile, as faults of the case. It is answered, so that the server has
    /// nothing to repeat to the next case.
    pub(crate) fn faults(mut self) -> Result<Vec<String>> {
        let mut faults = Vec::new();
        let begun = Instant::now();
        let mut quiet_since = None;
        loop {
            let heard = self.hear(&mut faults)?;
            if heard {
                quiet_since = Some(Instant::now());
            }
            let Some(since) = quiet_since else { return Ok(faults) };
            if since.elapsed() > QUIET || begun.elapsed() > LONGEST {
                return Ok(faults);
            }
            std::thread::sleep(TURN);
        }
    }

    fn hear(&mut self, faults: &mut Vec<String>) -> Result<bool> {
        let mut buffer = [0u8; 65_536];
        let mut heard = false;
        for (party, socket) in &self.sockets {
            while let Ok((len, _)) = socket.recv_from(&mut buffer) {
                let message = String::from_utf8_lossy(&buffer[..len]).into_owned();
                heard = true;
                let call = spoken::header(&message, "Call-ID").to_owned();
                if message.starts_with("ACK ") && self.answered.contains(&call) {
                    continue;
                }
                if let Some(answer) = reply(&message) {
                    socket.send_to(answer.as_bytes(), self.server)?;
                    self.answered.push(call);
                }
                let line = message.lines().next().unwrap_or_default();
                let cseq = spoken::header(&message, "CSeq");
                faults.push(format!("{party:?} is still told: {line} (CSeq {cseq})"));
            }
        }
        Ok(heard)
    }
}

/// What ends the matter: 481 to a request, ACK to a refused INVITE.
fn reply(message: &str) -> Option<String> {
    if !spoken::is_answer(message) {
        return (!message.starts_with("ACK ")).then(|| spoken::answer(message, 481));
    }
    let refused = matches!(message.as_bytes().get(8), Some(b'3'..=b'6'));
    let invite = spoken::header(message, "CSeq").ends_with("INVITE");
    (refused && invite).then(|| spoken::acknowledge(message))
}
