//! What the parser makes of hostile and odd input, and what the writer lets out.

mod hostile;
mod values;
mod writing;

use super::Message;

/// A request with these extra header lines, each with its line end.
fn request(lines: &str) -> String {
    format!(
        "INVITE sip:0312345678@192.0.2.1 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKa\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:a@192.0.2.2>;tag=f\r\n\
         To: <sip:0312345678@192.0.2.1>\r\n\
         Call-ID: c1\r\n\
         CSeq: 1 INVITE\r\n{lines}\r\n"
    )
}

fn parse(bytes: &[u8]) -> Message<'_> {
    Message::parse_datagram(bytes).expect("a message")
}
