//! How numbers are written for one peer: form, digits, URI and host.

use crate::plan::{DigitEdit, DigitEdits, E164, NumberFormat, UriForm, write_number};

use super::snapshot::Trunk;

/// How a peer wants numbers and headers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Writing<'a> {
    format: NumberFormat,
    edits: Option<&'a DigitEdits>,
    uri: UriForm,
    /// Host of identity headers.
    domain: &'a str,
    /// Header names in their compact form.
    pub(crate) compact: bool,
    /// What it is told of callers who withheld their number stays within its network
    /// (RFC 3325 5).
    pub(crate) trusted: bool,
}

impl<'a> Writing<'a> {
    /// For calls that leave by `trunk`; `domain` is ours.
    pub(crate) fn of_trunk(trunk: &'a Trunk, domain: &'a str) -> Self {
        Writing {
            format: trunk.format_out,
            edits: Some(&trunk.digits),
            uri: trunk.uri_out,
            domain: if trunk.domain.is_empty() { domain } else { &trunk.domain },
            compact: trunk.compact_headers,
            trusted: trunk.trusted,
        }
    }

    /// For our own phones, and URIs that leave by no trunk.
    pub(crate) fn internal(domain: &'a str) -> Self {
        Writing {
            format: NumberFormat::National,
            edits: None,
            uri: UriForm::Sip,
            domain,
            compact: false,
            trusted: false,
        }
    }

    /// The called number as dialled there.
    pub(crate) fn called(&self, number: E164) -> String {
        self.digits(number, self.edits.map(|edits| &edits.called_out))
    }

    /// The Request-URI for the called digits of [`Writing::called`]; `tail` are parameters that
    /// belong to the number (`;isub=7`), each with its semicolon.
    pub(crate) fn request_uri(&self, called: &str, tail: &str, peer: &str) -> String {
        match self.uri {
            UriForm::Sip => ["sip:", called, tail, "@", peer].concat(),
            UriForm::UserPhone => ["sip:", called, tail, "@", peer, ";user=phone"].concat(),
            UriForm::Tel => [&tel(called), tail].concat(),
        }
    }

    /// The URI of a number in an identity header, with URI parameters put behind it.
    pub(super) fn write_party(&self, number: E164, params: &str, out: &mut Vec<u8>) {
        let edit = self.edits.map(|edits| &edits.caller_out);
        let mut parts = |texts: &[&str]| {
            for text in texts {
                out.extend_from_slice(text.as_bytes());
            }
        };
        match self.uri {
            UriForm::Tel => parts(&["<", &tel(&self.digits(number, edit)), params, ">"]),
            UriForm::Sip | UriForm::UserPhone => {
                parts(&["<sip:"]);
                self.write_digits(number, edit, out);
                let phone = if self.uri == UriForm::UserPhone { ";user=phone" } else { "" };
                for text in ["@", self.domain, phone, params, ">"] {
                    out.extend_from_slice(text.as_bytes());
                }
            }
        }
    }

    fn digits(&self, number: E164, edit: Option<&DigitEdit>) -> String {
        let mut digits = Vec::with_capacity(20);
        self.write_digits(number, edit, &mut digits);
        String::from_utf8(digits).unwrap_or_default()
    }

    fn write_digits(&self, number: E164, edit: Option<&DigitEdit>, out: &mut Vec<u8>) {
        // RFC 3966 5.1.4: a global number is written with its plus.
        let format = match (self.uri, self.format) {
            (UriForm::Tel, NumberFormat::E164NoPlus) => NumberFormat::E164,
            (_, format) => format,
        };
        let start = out.len();
        write_number(number, format, out);
        if let Some(edit) = edit.filter(|edit| !edit.is_empty()) {
            let plain = out.split_off(start);
            out.extend_from_slice(edit.apply(&String::from_utf8_lossy(&plain)).as_bytes());
        }
    }
}

/// RFC 3966 5.1.5: a number without plus needs its context; ours is Japan's.
fn tel(digits: &str) -> String {
    if digits.starts_with('+') {
        format!("tel:{digits}")
    } else {
        format!("tel:{digits};phone-context=+81")
    }
}
