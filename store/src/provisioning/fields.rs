//! Field by field: text into values, with a fault for each that is none.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tensou_engine::plan::{E164, parse_e164};
use tensou_engine::route::{Fault, Source, TargetRef};

use super::peers::is_host_name;
use crate::nearest::nearest;

/// Longest id.
const MAX_ID: usize = 64;
/// Longest free text, a note; names fit well below.
const MAX_TEXT: usize = 4000;

/// Collects the faults of one document.
pub(crate) struct Faults {
    kind: &'static str,
    key: String,
    pub(crate) list: Vec<Fault>,
}

impl Faults {
    pub(crate) fn of(kind: &'static str, key: &str) -> Self {
        Faults { kind, key: key.to_owned(), list: Vec::new() }
    }

    pub(crate) fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.list.push(Fault {
            kind: self.kind,
            key: self.key.clone(),
            field: field.into(),
            message: message.into(),
        });
    }

    /// An id may stand in URLs, file names and SIP user parts without quoting.
    pub(crate) fn id(&mut self, field: &str, id: &str) {
        let allowed = |ch: char| ch.is_ascii_alphanumeric() || ch == '-' || ch == '_';
        if id.is_empty() || id.len() > MAX_ID || !id.chars().all(allowed) {
            self.add(field, "use 1 to 64 letters, digits, - and _");
        }
    }

    /// Free text: any script, no control characters (they would end a header or a log line).
    pub(crate) fn text(&mut self, field: &str, text: &str) {
        if text.len() > MAX_TEXT {
            self.add(field, format!("at most {MAX_TEXT} bytes"));
        }
        let control = |ch: char| ch.is_control() && ch != '\n' && ch != '\t';
        if text.chars().any(control) {
            self.add(field, "control characters are not allowed");
        }
    }

    /// Text that leaves in a header or stands on one line.
    pub(crate) fn line(&mut self, field: &str, text: &str) {
        self.text(field, text);
        if text.contains(['\n', '\t']) {
            self.add(field, "one line without tabs");
        }
    }

    pub(crate) fn number(&mut self, field: &str, text: &str) -> Option<E164> {
        parse_e164(text).map_err(|error| self.add(field, error.to_string())).ok()
    }

    pub(crate) fn number_if(&mut self, field: &str, text: Option<&str>) -> Option<E164> {
        text.and_then(|text| self.number(field, text))
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(
        &mut self,
        field: &str,
        text: &str,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.add(field, unknown_word(text, &names));
        }
        found
    }

    /// One of a few words, where one is given.
    pub(crate) fn word_if<T: Copy>(
        &mut self,
        field: &str,
        text: &Option<String>,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        text.as_deref().and_then(|text| self.word(field, text, words))
    }

    /// A host name or address as it stands in a URI, where one is given.
    pub(crate) fn host_if(&mut self, field: &str, text: Option<&str>) {
        let Some(text) = text else { return };
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let address =
            bare.map_or(text.parse::<Ipv4Addr>().is_ok(), |it| it.parse::<Ipv6Addr>().is_ok());
        if !address && !is_host_name(text) {
            self.add(field, format!("\"{text}\" is no host name or address (ntt-east.ne.jp)"));
        }
    }

    pub(crate) fn range(&mut self, field: &str, value: u32, range: std::ops::RangeInclusive<u32>) {
        if !range.contains(&value) {
            self.add(field, format!("{} to {}, not {value}", range.start(), range.end()));
        }
    }

    /// `destination:ID`, `group:ID` or `extension:USER`.
    pub(crate) fn target(&mut self, field: &str, text: &str) -> Option<TargetRef> {
        let target = TargetRef::parse(text);
        if target.is_none() {
            let known = ["destination:ID", "group:ID", "extension:USER"].join(", ");
            let kind = text.split(':').next().unwrap_or_default();
            let guess = nearest(kind, &["destination", "group", "extension"]);
            let hint = guess.map(|word| format!("; did you mean {word}:?")).unwrap_or_default();
            self.add(field, format!("\"{text}\" is none of {known}{hint}"));
        }
        target
    }

    /// An address, an address with port, or a network.
    pub(crate) fn source(&mut self, field: &str, text: &str) -> Option<Source> {
        let source = source(text);
        if source.is_none() {
            self.add(
                field,
                format!(
                    "\"{text}\" is no address (192.0.2.7), address:port or network (192.0.2.0/24)"
                ),
            );
        }
        source
    }
}

/// "x is none of a, b, c; did you mean b?"
pub(crate) fn unknown_word(text: &str, known: &[&str]) -> String {
    let hint = nearest(text, known).map(|word| format!("; did you mean {word}?"));
    format!("\"{text}\" is none of {}{}", known.join(", "), hint.unwrap_or_default())
}

fn source(text: &str) -> Option<Source> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        let port = Some(address.port()).filter(|port| *port != 0)?;
        return Some(whole(address.ip(), Some(port)));
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(whole(address, None));
    }
    let (network, length) = text.split_once('/')?;
    let network: IpAddr = network.parse().ok()?;
    let digits = length.chars().all(|ch| ch.is_ascii_digit());
    let prefix_len: u8 = length.parse().ok().filter(|_| digits)?;
    (prefix_len <= width(network)).then_some(Source { network, prefix_len, port: None })
}

fn whole(address: IpAddr, port: Option<u16>) -> Source {
    Source { network: address, prefix_len: width(address), port }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_an_address_with_or_without_port_or_a_network() {
        let is = |network: &str, prefix_len, port| {
            Some(Source { network: network.parse().unwrap(), prefix_len, port })
        };
        assert_eq!(source("192.0.2.7"), is("192.0.2.7", 32, None));
        assert_eq!(source("192.0.2.7:5062"), is("192.0.2.7", 32, Some(5062)));
        assert_eq!(source("192.0.2.0/24"), is("192.0.2.0", 24, None));
        assert_eq!(source("2001:db8::/32"), is("2001:db8::", 32, None));
        for wrong in ["", "192.0.2.0/33", "192.0.2.0/", "/24", "host", "192.0.2.0/+4", "1.2.3.4:0"]
        {
            assert_eq!(source(wrong), None, "{wrong}");
        }
    }
}
