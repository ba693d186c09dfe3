//! The compact form of a message (RFC 3261 7.3.3).

use super::HeaderId;

/// Writes the names of a message's header fields in their compact form, where they have one.
/// Nothing else is changed.
pub(crate) fn compact_names(message: &mut Vec<u8>) {
    let mut at = 0;
    let mut kept = 0;
    while let Some(end) = message.get(at..).and_then(|rest| memchr::memchr(b'\n', rest)) {
        let line = at..at + end + 1;
        let name = message.get(line.clone()).and_then(|line| memchr::memchr(b':', line));
        let letter = name.and_then(|len| {
            let name = std::str::from_utf8(message.get(at..at + len)?).ok()?;
            Some((len, HeaderId::of(name).compact()?))
        });
        let blank = end <= 1;
        let from = match letter {
            Some((len, letter)) => {
                message[kept] = letter;
                kept += 1;
                at + len
            }
            None => at,
        };
        // The text only shrinks, so what is moved is never overwritten before.
        message.copy_within(from..line.end, kept);
        kept += line.end - from;
        at = line.end;
        if blank {
            break;
        }
    }
    message.copy_within(at.., kept);
    let rest = message.len() - at;
    message.truncate(kept + rest);
}

#[cfg(test)]
mod tests {
    use super::compact_names;
    use crate::sip::syntax::Message;

    #[test]
    fn names_become_letters_and_values_and_body_stay() {
        let mut bytes = b"INVITE sip:a@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n\
                          From: <sip:b@h>;tag=1\r\nTo: <sip:a@h>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\
                          X-To: To: x\r\nContact: <sip:b@h>\r\nContent-Type: application/sdp\r\n\
                          Content-Length: 11\r\n\r\nVia: To: x\r\n"
            .to_vec();
        compact_names(&mut bytes);
        assert_eq!(
            String::from_utf8(bytes.clone()).unwrap(),
            "INVITE sip:a@h SIP/2.0\r\nv: SIP/2.0/UDP h;branch=z9hG4bK1\r\n\
             f: <sip:b@h>;tag=1\r\nt: <sip:a@h>\r\ni: 1\r\nCSeq: 1 INVITE\r\n\
             X-To: To: x\r\nm: <sip:b@h>\r\nc: application/sdp\r\n\
             l: 11\r\n\r\nVia: To: x\r\n"
        );
        assert!(Message::parse_datagram(&bytes).is_ok());
        let once = bytes.clone();
        compact_names(&mut bytes);
        assert_eq!(bytes, once, "a compact message stays as it is");
    }

    #[test]
    fn what_is_no_message_is_not_made_worse() {
        for text in ["", "\n", "x", "\r\n\r\n", "Via", "Via:", ":\n:", "To: a\nTo"] {
            let mut bytes = text.as_bytes().to_vec();
            compact_names(&mut bytes);
            assert!(bytes.len() <= text.len());
        }
    }
}
