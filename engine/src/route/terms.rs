//! The judgement of what a trunk is provisioned with besides its places and references.

use crate::sip::syntax::HeaderId;

use super::TrunkSpec;

/// A sliding second remembers this many beginnings per trunk.
const MAX_CALLS_PER_SECOND: u32 = 10_000;
/// Max-Forwards would end a longer chain anyway (RFC 3261 8.1.1.6).
const MAX_HOPS: u8 = 70;
/// Longest run of digits put before or cut off a number.
const MAX_DIGITS: usize = 16;
/// Headers and encodings named by one trunk.
const MAX_NAMES: usize = 32;

/// Everything wrong with it: the field and a message.
pub(super) fn faults(spec: &TrunkSpec) -> Vec<(String, String)> {
    let mut faults = Vec::new();
    let mut add = |field: &str, message: String| faults.push((field.to_owned(), message));
    if spec.channels != 0 && spec.reserved_incoming > spec.channels {
        let message = format!("at most its {} channels can be reserved", spec.channels);
        add("reserved_incoming", message);
    } else if spec.channels == 0 && spec.reserved_incoming != 0 {
        let message = "a trunk with unlimited channels has none to reserve";
        add("reserved_incoming", message.to_owned());
    }
    if spec.max_calls_per_second > MAX_CALLS_PER_SECOND {
        add("max_calls_per_second", format!("at most {MAX_CALLS_PER_SECOND}"));
    }
    if spec.max_redirections > MAX_HOPS {
        add("max_redirections", format!("at most {MAX_HOPS}"));
    }
    let edits = &spec.digits;
    for (field, edit) in [
        ("digits.called_in", &edits.called_in),
        ("digits.caller_in", &edits.caller_in),
        ("digits.called_out", &edits.called_out),
        ("digits.caller_out", &edits.caller_out),
    ] {
        for (part, text) in [("strip", &edit.strip), ("add", &edit.add)] {
            let dialled = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'*' | b'#');
            if text.len() > MAX_DIGITS || !text.bytes().all(dialled) {
                let message = format!("up to {MAX_DIGITS} of 0 to 9, +, * and #, not {text:?}");
                add(&format!("{field}.{part}"), message);
            }
        }
    }
    if spec.passed_headers.len() > MAX_NAMES {
        add("passed_headers", format!("at most {MAX_NAMES}"));
    }
    for (at, name) in spec.passed_headers.iter().enumerate() {
        if let Some(message) = passed_header(name, spec.trusted) {
            add(&format!("passed_headers[{at}]"), message);
        }
    }
    if spec.codecs.len() > MAX_NAMES {
        add("codecs", format!("at most {MAX_NAMES}"));
    }
    for (at, name) in spec.codecs.iter().enumerate() {
        if !is_token(name) {
            add(&format!("codecs[{at}]"), format!("{name:?} is no encoding name (PCMU)"));
        }
    }
    faults
}

fn passed_header(name: &str, trusted: bool) -> Option<String> {
    let private = |prefix: &str| {
        name.get(..2).is_some_and(|start| start.eq_ignore_ascii_case(prefix)) && !trusted
    };
    if !is_token(name) {
        return Some(format!("{name:?} is no header name"));
    }
    if name.len() == 1 {
        return Some("write the header's long name".to_owned());
    }
    match HeaderId::of(name) {
        // Passing what says who may, where to or how long would let a caller say it for us.
        id if !is_passable(id) => {
            Some(format!("{name} is written by this system itself and cannot be passed"))
        }
        // Networks give X- and P- headers meanings of their own, billing among them.
        _ if private("x-") || private("p-") => {
            Some(format!("{name} passes from a trusted trunk only: set trusted, or leave it out"))
        }
        _ => None,
    }
}

/// Headers that say something about the call and nothing about its way, dialog or body.
fn is_passable(id: HeaderId) -> bool {
    use HeaderId as H;
    matches!(
        id,
        H::Other
            | H::AcceptLanguage
            | H::PChargingVector
            | H::PAccessNetworkInfo
            | H::PEarlyMedia
            | H::UserAgent
            | H::Date
            | H::Subject
            | H::Organization
            | H::Priority
            | H::Identity
            | H::UserToUser
            | H::AlertInfo
            | H::CallInfo
            | H::InReplyTo
            | H::Geolocation
    )
}

/// RFC 3261 25.1 token.
fn is_token(text: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte);
    !text.is_empty() && text.len() <= 64 && text.bytes().all(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::DigitEdit;

    fn fields(spec: &TrunkSpec) -> Vec<String> {
        faults(spec).into_iter().map(|(field, _)| field).collect()
    }

    #[test]
    fn terms_that_no_call_could_keep_are_named() {
        assert_eq!(fields(&TrunkSpec::default()), Vec::<String>::new());
        let mut spec = TrunkSpec {
            channels: 2,
            reserved_incoming: 3,
            max_calls_per_second: 20_000,
            max_redirections: 71,
            codecs: vec!["PCMU".into(), "PC MU".into()],
            ..TrunkSpec::default()
        };
        spec.digits.called_out = DigitEdit { strip: "0".into(), add: "00x".into() };
        assert_eq!(
            fields(&spec),
            [
                "reserved_incoming",
                "max_calls_per_second",
                "max_redirections",
                "digits.called_out.add",
                "codecs[1]"
            ]
        );
    }

    #[test]
    fn headers_of_a_dialog_never_pass_and_private_ones_from_trusted_trunks_only() {
        let names =
            ["Route", "P-Asserted-Identity", "X-Account", "p-Early-Media", "Call-Info", "v"];
        let names: Vec<String> = names.map(String::from).into();
        let mut spec = TrunkSpec { passed_headers: names, ..TrunkSpec::default() };
        let refused = |spec: &TrunkSpec| -> Vec<String> {
            fields(spec).iter().map(|field| field["passed_headers".len()..].to_owned()).collect()
        };
        assert_eq!(refused(&spec), ["[0]", "[1]", "[2]", "[3]", "[5]"]);
        spec.trusted = true;
        assert_eq!(refused(&spec), ["[0]", "[1]", "[5]"]);
    }
}
