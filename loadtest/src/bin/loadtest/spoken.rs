//! What raw parts read in messages and write into their files.

use std::collections::BTreeMap;

/// A message as a raw part remembers it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spoken {
    pub(crate) text: String,
    /// The Contact that the peer had told last when it came.
    pub(crate) target: String,
}

/// Lines of a header, whole.
pub(crate) fn lines<'a>(message: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    let head = message.lines().take_while(|line| !line.is_empty());
    head.filter(move |line| {
        let found = line.split_once(':').map(|(found, _)| found.trim());
        found.is_some_and(|found| found.eq_ignore_ascii_case(name))
    })
}

/// The value of a header; empty when it is not there.
pub(crate) fn header<'a>(message: &'a str, name: &'a str) -> &'a str {
    let line = lines(message, name).next();
    line.and_then(|line| line.split_once(':')).map_or("", |(_, value)| value.trim())
}

pub(crate) fn is_answer(message: &str) -> bool {
    message.starts_with("SIP/2.0 ")
}

/// The address in Contact.
pub(crate) fn target(message: &str) -> Option<&str> {
    header(message, "Contact").split(['<', '>']).nth(1)
}

/// RFC 3261 8.2.6.2, by copying lines.
pub(crate) fn answer(request: &str, status: u16) -> String {
    let mut answer = format!("SIP/2.0 {status} Raw\r\n");
    for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
        for line in lines(request, name) {
            answer.push_str(line);
            answer.push_str("\r\n");
        }
    }
    answer.push_str("Content-Length: 0\r\n\r\n");
    answer
}

/// Acknowledges a refusal (RFC 3261 17.1.1.3), which the server knows again by its branch.
pub(crate) fn acknowledge(refusal: &str) -> String {
    let to = header(refusal, "To");
    let uri = to.split(['<', '>']).nth(1).unwrap_or(to);
    let mut ack = format!("ACK {uri} SIP/2.0\r\nMax-Forwards: 70\r\n");
    for name in ["Via", "From", "To", "Call-ID"] {
        for line in lines(refusal, name) {
            ack.push_str(line);
            ack.push_str("\r\n");
        }
    }
    let number = header(refusal, "CSeq").split(' ').next().unwrap_or_default();
    ack.push_str(&format!("CSeq: {number} ACK\r\nContent-Length: 0\r\n\r\n"));
    ack
}

impl Spoken {
    /// What a placeholder about this message stands for.
    fn value(&self, name: &str) -> Option<String> {
        let (theirs, ours) = if is_answer(&self.text) { ("To", "From") } else { ("From", "To") };
        let value = match name {
            "target" => self.target.clone(),
            "peer" => header(&self.text, theirs).to_owned(),
            "self" => header(&self.text, ours).to_owned(),
            "peer_tag" => tag(header(&self.text, theirs)).to_owned(),
            "self_tag" => tag(header(&self.text, ours)).to_owned(),
            "call_id" => header(&self.text, "Call-ID").to_owned(),
            "via" => header(&self.text, "Via").to_owned(),
            "cseq" => header(&self.text, "CSeq").to_owned(),
            _ => return None,
        };
        Some(value)
    }
}

fn tag(address: &str) -> &str {
    let tag = address.split(';').find_map(|part| part.trim().strip_prefix("tag="));
    tag.unwrap_or_default()
}

/// A file with its placeholders filled in: those of `fixed`; those about the last message; and,
/// as `[NAME.placeholder]`, those about a message kept under that name. Line ends become CRLF
/// (files keep them as LF, so that they can be read and compared); `[len]` is the length of what
/// follows the empty line. Bytes that are not UTF-8 stay as they are.
pub(crate) fn fill(
    file: &[u8],
    fixed: &[(&str, String)],
    last: &Spoken,
    kept: &BTreeMap<String, Spoken>,
) -> Vec<u8> {
    let value = |name: &str| {
        let known = fixed.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
        known.or_else(|| last.value(name)).or_else(|| {
            let (of, name) = name.split_once('.')?;
            kept.get(of)?.value(name)
        })
    };
    let mut out = Vec::with_capacity(file.len() + 64);
    let mut rest = file;
    while let Some((first, after)) = rest.split_first() {
        let name = placeholder(rest);
        match (name.and_then(value), first) {
            (Some(value), _) => {
                out.extend_from_slice(value.as_bytes());
                rest = &rest[name.map_or(0, str::len) + 2..];
                continue;
            }
            (None, b'\n') if out.last() != Some(&b'\r') => out.extend_from_slice(b"\r\n"),
            (None, byte) => out.push(*byte),
        }
        rest = after;
    }
    measure(out)
}

/// The name at the beginning of `[name]...`.
fn placeholder(text: &[u8]) -> Option<&str> {
    let inner = text.strip_prefix(b"[")?;
    let end = inner.iter().position(|byte| *byte == b']')?;
    std::str::from_utf8(&inner[..end]).ok()
}

fn measure(message: Vec<u8>) -> Vec<u8> {
    const LENGTH: &[u8] = b"[len]";
    let find = |what: &[u8]| message.windows(what.len()).position(|part| part == what);
    let (Some(at), Some(head)) = (find(LENGTH), find(b"\r\n\r\n")) else { return message };
    let length = (message.len() - head - 4).to_string();
    [&message[..at], length.as_bytes(), &message[at + LENGTH.len()..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoken(text: &str) -> Spoken {
        Spoken { text: text.into(), target: target(text).unwrap_or_default().to_owned() }
    }

    #[test]
    fn placeholders_are_filled_and_foreign_bytes_stay() {
        let last = spoken("SIP/2.0 200 OK\r\nTo: <sip:a@b>;tag=x\r\nContact: <sip:c@d:1>\r\n\r\n");
        let kept = [("first".to_owned(), spoken("INVITE sip:a SIP/2.0\r\nCall-ID: 7@h\r\n\r\n"))];
        let filled = fill(
            b"ACK [target] SIP/2.0\nTo: [peer]\nVia: [here] [first.call_id] [x]\xff\r\n",
            &[("here", "127.0.0.1:5070".into())],
            &last,
            &kept.into(),
        );
        assert_eq!(
            filled,
            b"ACK sip:c@d:1 SIP/2.0\r\nTo: <sip:a@b>;tag=x\r\nVia: 127.0.0.1:5070 7@h [x]\xff\r\n"
        );
    }

    #[test]
    fn the_length_of_a_body_is_counted_when_it_is_filled() {
        let filled = fill(b"A\nContent-Length: [len]\n\nab\n", &[], &Spoken::default(), &[].into());
        assert_eq!(filled, b"A\r\nContent-Length: 4\r\n\r\nab\r\n");
    }

    #[test]
    fn a_refusal_is_acknowledged_by_its_branch() {
        let refusal = "SIP/2.0 491 P\r\nVia: SIP/2.0/UDP h;branch=b\r\nTo: <sip:a@b>;tag=x\r\n\
                       From: <sip:c@d>;tag=y\r\nCall-ID: 7\r\nCSeq: 2 INVITE\r\n\r\n";
        assert_eq!(
            acknowledge(refusal),
            "ACK sip:a@b SIP/2.0\r\nMax-Forwards: 70\r\nVia: SIP/2.0/UDP h;branch=b\r\n\
             From: <sip:c@d>;tag=y\r\nTo: <sip:a@b>;tag=x\r\nCall-ID: 7\r\nCSeq: 2 ACK\r\n\
             Content-Length: 0\r\n\r\n"
        );
    }
}
