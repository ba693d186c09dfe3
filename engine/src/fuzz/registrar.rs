//! REGISTER and its credentials: what a phone, or whoever takes himself for one, may send.

use std::net::IpAddr;

use md5::{Digest, Md5};

use crate::config::{ContactLimit, DigestOffer};
use crate::id::Key;
use crate::input::{Flow, ListenerId, Transport};
use crate::register::{Account, Asked, Authenticated, Registrar, Verdict};
use crate::secret::Secret;
use crate::sip::syntax::{Credentials, MAX_DATAGRAM, Message};
use crate::time::Timestamp;

/// The password of the one phone there is.
const SECRET: &str = "long and never guessed";

fn md5(text: &str) -> String {
    Md5::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Answers a challenge with the right password.
fn logged_in(registrar: &mut Registrar, now: Timestamp, user: &Key) -> Option<Authenticated> {
    let source = IpAddr::from([192, 0, 2, 1]);
    let challenge = registrar.challenge(now, source).pop()?;
    let nonce = challenge.split("nonce=\"").nth(1)?.split('"').next()?;
    let ha1 = md5(&format!("201:pbx.example:{SECRET}"));
    let ha2 = md5("REGISTER:sip:pbx.example");
    let response = md5(&format!("{ha1}:{nonce}:{ha2}"));
    let value = format!(
        "Digest username=\"201\", realm=\"pbx.example\", nonce=\"{nonce}\", \
         uri=\"sip:pbx.example\", response=\"{response}\""
    );
    let credentials = Credentials::parse(value.as_bytes())?;
    let secret = Secret::new(SECRET);
    let account = Some(Account { user, secret: &secret });
    let asked = Asked { method: "REGISTER", uri: "sip:pbx.example", source, is_trunk: false };
    match registrar.verify(now, &asked, &credentials, account) {
        Verdict::Authenticated(proof) => Some(proof),
        Verdict::Stale | Verdict::Wrong | Verdict::Barred => None,
    }
}

/// A value of Authorization, a line feed, and the header lines of REGISTERs parted by
/// NUL. No credentials are right; no sequence of REGISTERs binds more phones than an extension
/// may have, or keeps one beyond its expiry.
pub fn registrar(data: &[u8]) {
    let limit = ContactLimit { most: 4, replace_oldest: data.len().is_multiple_of(2) };
    let mut registrar =
        Registrar::new("pbx.example", [7; 32]).offering(DigestOffer::All).with_contacts(limit);
    let user = Key::from("201");
    let source = IpAddr::from([192, 0, 2, 1]);
    let mut now = Timestamp::from_micros(1_000_000);
    let (value, rest) = data.split_at(data.iter().position(|b| *b == b'\n').unwrap_or(0));
    if let Some(credentials) = Credentials::parse(value) {
        let secret = Secret::new(SECRET);
        let account = Some(Account { user: &user, secret: &secret });
        let asked = Asked { method: "REGISTER", uri: "sip:pbx.example", source, is_trunk: false };
        let verdict = registrar.verify(now, &asked, &credentials, account);
        assert!(!matches!(verdict, Verdict::Authenticated(_)));
    }
    let Some(proof) = logged_in(&mut registrar, now, &user) else { return };
    for (number, lines) in rest.split(|b| *b == 0).take(16).enumerate() {
        let mut text = format!(
            "REGISTER sip:pbx.example SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{number}\r\n\
             From: <sip:201@pbx.example>;tag=1\r\nTo: <sip:201@pbx.example>\r\nCall-ID: 1\r\n\
             CSeq: {number} REGISTER\r\n"
        )
        .into_bytes();
        text.extend_from_slice(lines);
        text.extend_from_slice(b"\r\n\r\n");
        text.truncate(MAX_DATAGRAM);
        let Ok(msg) = Message::parse_datagram(&text) else { continue };
        if msg.check_request().is_err() {
            continue;
        }
        let remote = std::net::SocketAddr::new(source, 5060 + number as u16 % 3);
        let flow =
            Flow { listener: ListenerId(0), transport: Transport::Udp, remote, connection: 0 };
        let before = registrar.contacts("201").to_vec();
        match registrar.register(now, &proof, &msg, flow) {
            Ok(_) => {}
            Err(_) => assert_eq!(registrar.contacts("201"), before, "all or nothing"),
        }
        let bound = registrar.contacts("201");
        assert!(bound.len() <= usize::from(limit.most));
        for binding in bound {
            let line = format!("Contact: {}\r\n", binding.contact(now));
            assert!(!line.trim_end().contains(['\r', '\n']), "one line: {line:?}");
            assert!(!binding.target().contains('?'));
        }
        now = Timestamp::from_micros(now.as_micros() + 45_000_000);
        registrar.expire(now);
        assert!(registrar.contacts("201").iter().all(|binding| binding.expires > now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn any_registers_keep_the_registrars_promises() {
        const PIECES: [&str; 16] = [
            "Contact: <sip:a@b>",
            "Contact: *",
            ";expires=0",
            ";expires=60",
            "\r\n",
            "\0",
            "\n",
            ",",
            "Expires: 0",
            "Path: <sip:p;lr>",
            "Supported: path",
            "Contact: <sip:c@d?x=y>;q=\"",
            "\"",
            "Digest username=\"201\"",
            ", realm=\"pbx.example\"",
            "Contact: <sip:e@f>;x=\r\n y",
        ];
        let mut rng = Rng::new(1);
        for _ in 0..3_000 {
            let pieces = (0..rng.below(24)).map(|_| rng.below(PIECES.len() as u64) as usize);
            let text: String = pieces.collect::<Vec<_>>().iter().map(|at| PIECES[*at]).collect();
            registrar(text.as_bytes());
        }
        let user = Key::from("201");
        let mut office = Registrar::new("pbx.example", [7; 32]);
        assert!(logged_in(&mut office, Timestamp::from_micros(1), &user).is_some());
    }
}
