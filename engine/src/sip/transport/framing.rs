//! SIP messages in a stream (RFC 3261 7.5, 18.3) and the keep-alive between them (RFC 5626 4.4.1).
//!
//! Bytes are pushed as they come, split anywhere; whole messages are taken out. What cannot be
//! framed ends the stream: where the next message would begin is not known any more.

/// Longest start line and header fields together; what the largest honest INVITE has, three
/// times.
pub const MAX_HEAD: usize = 16 * 1024;
/// Longest message, as of a datagram (RFC 768).
pub const MAX_MESSAGE: usize = 65_535;

/// What was found in a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// One whole message.
    Message(Vec<u8>),
    /// A double line end: the peer wants a single one back (RFC 5626 4.4.1).
    Ping,
    /// A single line end where one was due: the answer to our ping.
    Pong,
    /// A message whose end cannot be told, without its body: it is answered (400), then the
    /// stream ends.
    Unframed(Vec<u8>),
}

/// The stream makes no sense: nothing can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

/// The receiving half of a stream.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: Vec<u8>,
    /// Bytes in which the end of the head was looked for in vain.
    scanned: usize,
    /// Where the message ends whose head is whole.
    end: Option<usize>,
    /// Line ends in a row before a message, less those that were taken as an answer.
    line_ends: u8,
    pongs_due: u8,
}

impl Framer {
    /// An empty stream.
    pub fn new() -> Framer {
        Framer::default()
    }

    /// Takes what has come.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// A message has begun and is not whole.
    pub fn is_within_message(&self) -> bool {
        self.kept() > 0
    }

    /// Bytes of what is not whole: at most a message's, once every frame has been taken out.
    pub fn kept(&self) -> usize {
        self.buffer.len()
    }

    /// We have sent a ping: one single line end is its answer.
    pub fn expect_pong(&mut self) {
        self.pongs_due = self.pongs_due.saturating_add(1);
    }

    /// Takes the next frame out; `None` until more bytes have come.
    ///
    /// # Errors
    /// The head is longer than [`MAX_HEAD`].
    pub fn next_frame(&mut self) -> Result<Option<Frame>, Unreadable> {
        while self.end.is_none() {
            if let Some(frame) = self.line_end() {
                return Ok(Some(frame));
            }
            match self.buffer.first() {
                None => return Ok(None),
                Some(b'\r') if self.buffer.len() < 2 => return Ok(None),
                Some(_) => {}
            }
            let Some(head) = self.head_end() else {
                return if self.buffer.len() > MAX_HEAD { Err(Unreadable) } else { Ok(None) };
            };
            if head > MAX_HEAD {
                return Err(Unreadable);
            }
            match body_length(self.buffer.get(..head).unwrap_or_default()) {
                Some(length) if head + length <= MAX_MESSAGE => self.end = Some(head + length),
                Some(_) | None => {
                    let head = self.take(head);
                    self.buffer.clear();
                    return Ok(Some(Frame::Unframed(head)));
                }
            }
        }
        match self.end {
            Some(end) if self.buffer.len() >= end => Ok(Some(Frame::Message(self.take(end)))),
            Some(_) | None => Ok(None),
        }
    }

    fn take(&mut self, end: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(end.min(self.buffer.len()));
        self.scanned = 0;
        self.end = None;
        self.line_ends = 0;
        std::mem::replace(&mut self.buffer, rest)
    }

    /// Takes line ends off the beginning of the buffer, where RFC 3261 7.5 has them ignored; a
    /// frame when they mean something.
    fn line_end(&mut self) -> Option<Frame> {
        while self.buffer.starts_with(b"\r\n") {
            self.buffer.drain(..2);
            self.scanned = 0;
            if self.pongs_due > 0 {
                self.pongs_due -= 1;
                return Some(Frame::Pong);
            }
            self.line_ends += 1;
            if self.line_ends == 2 {
                self.line_ends = 0;
                return Some(Frame::Ping);
            }
        }
        None
    }

    /// The first byte after the empty line.
    fn head_end(&mut self) -> Option<usize> {
        let from = self.scanned.saturating_sub(3);
        let found = self.buffer.get(from..)?.windows(4).position(|four| four == b"\r\n\r\n");
        self.scanned = self.buffer.len();
        found.map(|at| from + at + 4)
    }
}

/// What Content-Length says (RFC 3261 20.14; compact form `l`). None when it is missing, is no
/// number, or stands there twice with two meanings: a stream then has no next message.
fn body_length(head: &[u8]) -> Option<usize> {
    let mut found: Option<usize> = None;
    for line in head.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = line.split_at(colon);
        let name = name.trim_ascii_end();
        if !name.eq_ignore_ascii_case(b"content-length") && !name.eq_ignore_ascii_case(b"l") {
            continue;
        }
        let digits = value.get(1..)?.trim_ascii();
        if digits.is_empty() || digits.len() > 10 || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let length: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
        if found.is_some_and(|other| other != length) {
            return None;
        }
        found = Some(length);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    fn invite(body: &str) -> Vec<u8> {
        format!(
            "INVITE sip:0312345678@h SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nSubject: {}\r\n\
             l : {}\r\n\r\n{body}",
            "x".repeat(700),
            body.len()
        )
        .into_bytes()
    }

    fn frames(framer: &mut Framer) -> Vec<Frame> {
        let mut found = Vec::new();
        while let Some(frame) = framer.next_frame().expect("readable") {
            found.push(frame);
        }
        found
    }

    #[test]
    fn messages_are_the_same_wherever_the_stream_is_split() {
        let (first, second) = (invite(&"b".repeat(200)), invite(""));
        let mut stream = b"\r\n".to_vec();
        stream.extend_from_slice(&first);
        stream.extend_from_slice(b"\r\n\r\n");
        stream.extend_from_slice(&second);
        let expected = [Frame::Message(first), Frame::Ping, Frame::Message(second)];
        for at in 0..=stream.len() {
            let mut framer = Framer::new();
            let mut found = Vec::new();
            for part in [&stream[..at], &stream[at..]] {
                framer.push(part);
                found.extend(frames(&mut framer));
            }
            assert_eq!(found, expected, "split at {at}");
        }
        let mut rng = Rng::new(19);
        for _ in 0..2_000 {
            let mut framer = Framer::new();
            let mut found = Vec::new();
            let mut rest = stream.as_slice();
            while !rest.is_empty() {
                let most = if rng.below(2) == 0 { 3 } else { 400 };
                let (part, tail) = rest.split_at((1 + rng.below(most) as usize).min(rest.len()));
                framer.push(part);
                found.extend(frames(&mut framer));
                rest = tail;
            }
            assert_eq!(found, expected);
            assert!(!framer.is_within_message());
        }
        let mut framer = Framer::new();
        let mut found = Vec::new();
        for byte in &stream {
            framer.push(&[*byte]);
            found.extend(frames(&mut framer));
        }
        assert_eq!(found, expected);
    }

    #[test]
    fn a_single_line_end_answers_our_ping_and_a_double_one_asks_for_ours() {
        let mut framer = Framer::new();
        framer.expect_pong();
        framer.push(b"\r\n\r\n\r\n");
        assert_eq!(frames(&mut framer), [Frame::Pong, Frame::Ping]);
        framer.push(b"\r");
        assert_eq!(frames(&mut framer), []);
        framer.push(b"\n\r\n");
        assert_eq!(frames(&mut framer), [Frame::Ping]);
    }

    #[test]
    fn a_message_without_a_usable_content_length_ends_the_stream() {
        for field in [
            "",
            "Content-Length: -1\r\n",
            "Content-Length: 4294967295\r\n",
            "Content-Length: 99999999999999999999\r\n",
            "Content-Length: 4\r\nl: 5\r\n",
            "Content-Length: \r\n",
        ] {
            let head = format!("OPTIONS sip:h SIP/2.0\r\nCall-ID: a\r\n{field}\r\n");
            let mut framer = Framer::new();
            framer.push(head.as_bytes());
            framer.push(b"trailing");
            assert_eq!(frames(&mut framer), [Frame::Unframed(head.into_bytes())], "{field}");
        }
    }

    #[test]
    fn a_head_without_end_is_given_up_at_its_limit() {
        let mut framer = Framer::new();
        framer.push(b"OPTIONS sip:h SIP/2.0\r\n");
        while framer.buffer.len() <= MAX_HEAD {
            assert_eq!(framer.next_frame(), Ok(None));
            framer.push(b"Subject: and so on for ever\r\n");
        }
        assert_eq!(framer.next_frame(), Err(Unreadable));
    }
}
