//! SIP as text, just enough for an honest phone.

/// One message, headers in order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Msg {
    pub(crate) start: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// Some name came in its compact form (RFC 3261 7.3.3).
    pub(crate) compact: bool,
}

impl Msg {
    pub(crate) fn request(method: &str, uri: &str) -> Msg {
        Msg {
            start: format!("{method} {uri} SIP/2.0"),
            headers: Vec::new(),
            body: String::new(),
            compact: false,
        }
    }

    /// An answer with what RFC 3261 8.2.6.2 copies; `to` replaces To.
    pub(crate) fn answer(request: &Msg, status: u16, to: &str) -> Msg {
        let mut msg = Msg {
            start: format!("SIP/2.0 {status} Answer"),
            headers: Vec::new(),
            body: String::new(),
            compact: false,
        };
        for (name, value) in &request.headers {
            match name.as_str() {
                "Via" | "Record-Route" | "From" | "Call-ID" | "CSeq" => msg.add(name, value),
                "To" => msg.add("To", to),
                _ => {}
            }
        }
        msg
    }

    pub(crate) fn add(&mut self, name: &str, value: &str) {
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Msg {
        self.add(name, value);
        self
    }

    pub(crate) fn with_sdp(mut self, sdp: &str) -> Msg {
        self.add("Content-Type", "application/sdp");
        self.body = sdp.replace('\n', "\r\n");
        self
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        match self.headers.iter_mut().find(|(have, _)| have.eq_ignore_ascii_case(name)) {
            Some((_, have)) => *have = value.to_owned(),
            None => self.add(name, value),
        }
    }

    pub(crate) fn parse(bytes: &[u8]) -> Option<Msg> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let start = lines.next()?.to_owned();
        let mut compact = false;
        let headers = lines
            .map(|line| {
                let (name, value) = line.split_once(':')?;
                let name = long_name(name.trim());
                compact |= line.as_bytes().get(1) == Some(&b':');
                Some((name.to_owned(), value.trim().to_owned()))
            })
            .collect::<Option<Vec<_>>>()?;
        Some(Msg { start, headers, body: body.to_owned(), compact })
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.start);
        for (name, value) in &self.headers {
            text.push_str(name);
            text.push_str(": ");
            text.push_str(value);
            text.push_str("\r\n");
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n{}", self.body.len(), self.body));
        text.into_bytes()
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |(have, _)| have.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(have, _)| have.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// A header that must be there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.get(name).unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    pub(crate) fn status(&self) -> Option<u16> {
        self.start.strip_prefix("SIP/2.0 ")?.split(' ').next()?.parse().ok()
    }

    /// The method of a request, or of the request that is answered.
    pub(crate) fn method(&self) -> &str {
        match self.status() {
            None => self.start.split(' ').next().unwrap_or_default(),
            Some(_) => self.header("CSeq").split(' ').nth(1).unwrap_or_default(),
        }
    }

    pub(crate) fn uri(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    /// The user part of the Request-URI.
    pub(crate) fn user(&self) -> &str {
        user_of(self.uri())
    }

    pub(crate) fn cseq(&self) -> u32 {
        self.header("CSeq").split(' ').next().and_then(|n| n.parse().ok()).unwrap_or_default()
    }

    pub(crate) fn call_id(&self) -> &str {
        self.header("Call-ID")
    }

    pub(crate) fn branch(&self) -> &str {
        param(self.header("Via"), "branch").unwrap_or_default()
    }

    pub(crate) fn caller_tag(&self) -> &str {
        param(self.header("From"), "tag").unwrap_or_default()
    }

    pub(crate) fn to_tag(&self) -> Option<&str> {
        param(self.header("To"), "tag")
    }

    /// The URI of the Contact.
    pub(crate) fn contact(&self) -> Option<&str> {
        let (_, rest) = self.get("Contact")?.split_once('<')?;
        rest.split('>').next()
    }
}

fn long_name(name: &str) -> &str {
    match name {
        "v" => "Via",
        "f" => "From",
        "t" => "To",
        "i" => "Call-ID",
        "m" => "Contact",
        "l" => "Content-Length",
        "c" => "Content-Type",
        name => name,
    }
}

/// A parameter after the address of a header value.
pub(crate) fn param<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let after = value.rsplit_once('>').map_or(value, |(_, after)| after);
    after.split(';').skip(1).find_map(|one| {
        let (have, value) = one.split_once('=')?;
        have.trim().eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

/// The user part of a URI or of a header value with one.
pub(crate) fn user_of(value: &str) -> &str {
    let uri = value.split_once('<').map_or(value, |(_, rest)| rest);
    let rest = uri.strip_prefix("sip:").unwrap_or(uri);
    rest.split(['@', '>', ';']).next().unwrap_or_default()
}

/// A description with one audio line.
pub(crate) fn sdp(ip: &str, port: u16, version: u32, direction: &str) -> String {
    format!(
        "v=0\no=- 77 {version} IN IP4 {ip}\ns=-\nc=IN IP4 {ip}\nt=0 0\n\
         m=audio {port} RTP/AVP 0 101\na=rtpmap:0 PCMU/8000\n\
         a=rtpmap:101 telephone-event/8000\na={direction}\n"
    )
}
