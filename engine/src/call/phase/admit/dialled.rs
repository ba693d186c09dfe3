//! What a phone of ours dialled.

use crate::sip::syntax::{Message, Start, Uri};

use super::number::{parted_user, sub_address};

/// 184 or 186 before a number: for this call, whatever the phone is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clir {
    /// 184: the number is not shown.
    Withheld,
    /// 186: it is shown.
    Shown,
}

/// The user part of the Request-URI, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dialled {
    pub(super) clir: Option<Clir>,
    /// The digits, or the user name, without parameters.
    pub(super) user: String,
    /// `;isub=7`, or nothing.
    pub(super) tail: String,
}

impl Dialled {
    /// Reads it; none without a Request-URI that has one.
    pub(super) fn of(msg: &Message<'_>) -> Option<Dialled> {
        let Start::Request { uri, .. } = msg.start() else { return None };
        Dialled::in_uri(&Uri::parse(uri).ok()?)
    }

    fn in_uri(uri: &Uri<'_>) -> Option<Dialled> {
        let user = parted_user(uri)?;
        let tail = sub_address(&user, uri.params).unwrap_or_default();
        let digits = user.split(';').next().unwrap_or_default();
        let prefixed = |prefix| {
            let rest = digits.strip_prefix(prefix)?;
            // A number follows the prefix: 0…, or + or a country code behind it.
            let dialled = rest.strip_prefix('-').unwrap_or(rest);
            dialled.starts_with(['0', '+']).then_some(dialled)
        };
        let (clir, user) = match (prefixed("184"), prefixed("186")) {
            (Some(rest), _) => (Some(Clir::Withheld), rest),
            (None, Some(rest)) => (Some(Clir::Shown), rest),
            (None, None) => (None, digits),
        };
        Some(Dialled { clir, user: user.to_owned(), tail })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caller_id_prefixes_are_cut_off_numbers_only() {
        for (uri, clir, user) in [
            ("sip:1840312345678@h", Some(Clir::Withheld), "0312345678"),
            ("sip:184-03-1234-5678@h", Some(Clir::Withheld), "03-1234-5678"),
            ("sip:1860312345678@h", Some(Clir::Shown), "0312345678"),
            ("sip:184+12025550123@h", Some(Clir::Withheld), "+12025550123"),
            ("sip:1840@h", Some(Clir::Withheld), "0"),
            ("sip:184@h", None, "184"),
            ("sip:18412@h", None, "18412"),
            ("sip:0312345678@h", None, "0312345678"),
            ("tel:0312345678;isub=7;phone-context=+81", None, "0312345678"),
        ] {
            let dialled = Dialled::in_uri(&Uri::parse(uri).unwrap()).unwrap();
            assert_eq!((dialled.clir, &*dialled.user), (clir, user), "{uri}");
        }
    }
}
