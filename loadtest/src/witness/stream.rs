//! SIP over TCP as the witness sees it: segments put in order and cut into messages.

use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Bytes kept of a direction that waits for a missing segment or a message's end.
const MAX_WAITING: usize = 256 * 1024;

/// One direction of every connection.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    directions: BTreeMap<(SocketAddr, SocketAddr), Direction>,
}

#[derive(Debug, Default)]
struct Direction {
    /// Sequence number of the next byte wanted.
    next: Option<u32>,
    /// Segments that came too early.
    early: BTreeMap<u32, Vec<u8>>,
    bytes: Vec<u8>,
}

impl Streams {
    /// Takes a segment; gives every message that it completes.
    pub(crate) fn take(
        &mut self,
        between: (SocketAddr, SocketAddr),
        seq: u32,
        opens: bool,
        payload: &[u8],
    ) -> Vec<Vec<u8>> {
        let direction = self.directions.entry(between).or_default();
        if opens {
            *direction = Direction { next: Some(seq.wrapping_add(1)), ..Direction::default() };
        }
        direction.take(seq.wrapping_add(u32::from(opens)), payload);
        direction.messages()
    }
}

impl Direction {
    fn take(&mut self, seq: u32, payload: &[u8]) {
        if payload.is_empty() {
            return;
        }
        // A connection that was there before the witness begins with whatever is seen first.
        let next = *self.next.get_or_insert(seq);
        let ahead = seq.wrapping_sub(next) as i32;
        if ahead > 0 {
            self.early.insert(seq, payload.to_vec());
        } else if let Some(fresh) = payload.get(ahead.unsigned_abs() as usize..) {
            self.bytes.extend_from_slice(fresh);
            self.next = Some(next.wrapping_add(fresh.len() as u32));
        }
        let next = self.next.unwrap_or(seq);
        let due = self.early.keys().copied().find(|at| at.wrapping_sub(next) as i32 <= 0);
        if let Some(segment) = due.and_then(|at| Some((at, self.early.remove(&at)?))) {
            self.take(segment.0, &segment.1);
        }
        let waiting: usize = self.early.values().map(Vec::len).sum();
        if waiting + self.bytes.len() > MAX_WAITING {
            *self = Direction::default();
        }
    }

    /// RFC 3261 18.3: messages end where Content-Length says.
    fn messages(&mut self) -> Vec<Vec<u8>> {
        let mut whole = Vec::new();
        loop {
            // RFC 3261 7.5: line ends before a start line are ignored, keep-alives among them.
            let idle = self.bytes.iter().take_while(|byte| b"\r\n".contains(byte)).count();
            self.bytes.drain(..idle);
            let Some(head) = self.bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
                return whole;
            };
            let text = String::from_utf8_lossy(self.bytes.get(..head).unwrap_or_default());
            let length = super::sip::content_length(&text).unwrap_or_default();
            let end = head + 4 + length;
            if self.bytes.len() < end {
                return whole;
            }
            whole.push(self.bytes.drain(..end).collect());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BETWEEN: [&str; 2] = ["10.0.0.1:40000", "10.0.0.2:5060"];

    #[test]
    fn messages_come_out_whole_from_repeated_and_swapped_segments() {
        let between = (BETWEEN[0].parse().unwrap(), BETWEEN[1].parse().unwrap());
        let first = b"BYE sip:a SIP/2.0\r\nContent-Length: 4\r\n\r\nbody".as_slice();
        let second = b"\r\n\r\nACK sip:a SIP/2.0\r\nl: 0\r\n\r\n".as_slice();
        let all = [first, second].concat();
        let mut streams = Streams::default();
        let start = u32::MAX - 10;
        assert!(streams.take(between, start, true, b"").is_empty());
        let seq = |at: usize| start.wrapping_add(1).wrapping_add(at as u32);
        assert!(streams.take(between, seq(0), false, &all[..10]).is_empty());
        assert!(streams.take(between, seq(30), false, &all[30..]).is_empty());
        assert!(streams.take(between, seq(0), false, &all[..10]).is_empty());
        let got = streams.take(between, seq(5), false, &all[5..30]);
        assert_eq!(got, [first.to_vec(), second[4..].to_vec()]);
    }
}
