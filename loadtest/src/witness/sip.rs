//! A reader of SIP that wants little: what identifies a message and who is meant by it. It
//! refuses nothing that can be understood.

/// Start line of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// A request and the user part of its Request-URI.
    Request { method: String, user: String },
    /// A response.
    Response { status: u16 },
}

/// What the witness keeps of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) start: Start,
    pub(crate) call_id: String,
    pub(crate) from_user: String,
    pub(crate) from_tag: String,
    pub(crate) to_tag: Option<String>,
    pub(crate) cseq: u32,
    /// Method in CSeq.
    pub(crate) method: String,
    /// User part of P-Asserted-Identity.
    pub(crate) asserted: Option<String>,
    /// `User-to-User`.
    pub(crate) mark: Option<String>,
}

impl Message {
    /// Reads a message; none for what is no SIP.
    pub(crate) fn read(bytes: &[u8]) -> Option<Message> {
        let text = String::from_utf8_lossy(bytes);
        let head = text.split("\r\n\r\n").next()?;
        let (first, headers) = head.split_once("\r\n")?;
        let start = start(first)?;
        let headers: Vec<(String, String)> = unfold(headers);
        let value = |name: &str| {
            headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
        };
        let from = value("from")?;
        let (cseq, method) = value("cseq")?.trim().split_once(char::is_whitespace)?;
        Some(Message {
            start,
            call_id: value("call-id")?.to_owned(),
            from_user: user(from).to_owned(),
            from_tag: tag(from).unwrap_or_default().to_owned(),
            to_tag: tag(value("to")?).map(str::to_owned),
            cseq: cseq.parse().ok()?,
            method: method.trim().to_owned(),
            asserted: value("p-asserted-identity").map(|one| user(one).to_owned()),
            mark: value("user-to-user").map(str::to_owned),
        })
    }
}

/// The value of Content-Length in a head.
pub(crate) fn content_length(head: &str) -> Option<usize> {
    let headers = unfold(head.split_once("\r\n")?.1);
    let (_, value) = headers.into_iter().find(|(name, _)| name == "content-length")?;
    value.parse().ok()
}

fn start(line: &str) -> Option<Start> {
    if let Some(rest) = line.strip_prefix("SIP/2.0 ") {
        return Some(Start::Response { status: rest.get(..3)?.parse().ok()? });
    }
    let mut words = line.split(' ');
    let (method, uri) = (words.next()?, words.next()?);
    (words.next()? == "SIP/2.0")
        .then(|| Start::Request { method: method.to_owned(), user: user(uri).to_owned() })
}

/// Header lines with folded ones joined (RFC 3261 7.3.1), names in lower case and written out.
fn unfold(lines: &str) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> = Vec::new();
    for line in lines.split("\r\n") {
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = headers.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            let name = name.trim().to_ascii_lowercase();
            let name = match name.as_str() {
                "f" => "from".to_owned(),
                "t" => "to".to_owned(),
                "i" => "call-id".to_owned(),
                "l" => "content-length".to_owned(),
                _ => name,
            };
            headers.push((name, value.trim().to_owned()));
        }
    }
    headers
}

/// User part of the first SIP or tel URI in a text.
fn user(text: &str) -> &str {
    // A display name may hold a bracket too.
    let bracketed = ["<sip:", "<sips:", "<tel:"].iter().find_map(|open| text.find(open));
    let uri = bracketed.and_then(|at| text.get(at + 1..)).unwrap_or(text);
    if let Some(number) = uri.strip_prefix("tel:") {
        return number.split(['>', ';']).next().unwrap_or_default();
    }
    let rest = uri.strip_prefix("sip:").or_else(|| uri.strip_prefix("sips:")).unwrap_or_default();
    rest.split_once('@').map_or("", |(user, _)| user)
}

/// The tag behind the address.
fn tag(text: &str) -> Option<&str> {
    let parameters = text.rsplit_once('>').map_or(text, |(_, rest)| rest);
    parameters.split(';').find_map(|one| one.trim().strip_prefix("tag="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compact_and_folded_headers_are_read() {
        let text = "INVITE sip:0310001002;npdi@10.0.0.1:5060 SIP/2.0\r\nf: \"A \\<b\" \
                    <sip:0900@x;tag=no>;tag=yes\r\nT: <sip:031@y>\r\ni: abc\r\nCSeq: 7\r\n \
                    INVITE\r\nUser-to-User: 01;encoding=hex\r\n\r\n";
        let message = Message::read(text.as_bytes()).unwrap();
        assert_eq!(message.from_tag, "yes");
        assert_eq!(message.to_tag, None);
        assert_eq!((message.cseq, message.method.as_str()), (7, "INVITE"));
        assert_eq!(message.mark.as_deref(), Some("01;encoding=hex"));
        let user = "0310001002;npdi".to_owned();
        assert_eq!(message.start, Start::Request { method: "INVITE".to_owned(), user });
    }

    #[test]
    fn what_is_no_sip_is_nothing() {
        for text in ["", "SIP/2.0 ", "HELLO\r\n\r\n", "INVITE sip:a SIP/2.0\r\nFrom: x\r\n\r\n"] {
            assert_eq!(Message::read(text.as_bytes()), None, "{text:?}");
        }
    }
}
