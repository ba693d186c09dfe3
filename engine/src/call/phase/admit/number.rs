//! The number in a URI, as a trunk means it.

use crate::plan::{DigitEdit, E164, NumberFormat, read_dialled};
use crate::route::Trunk;
use crate::sip::syntax::{Params, Uri};

/// The number called in a URI's user part, in this trunk's form.
pub(in crate::call::phase) fn called_in(uri: &Uri<'_>, trunk: &Trunk) -> Option<E164> {
    read(uri, trunk.format_in, &trunk.digits.called_in)
}

/// Any other number: of the caller, of who diverted.
pub(super) fn caller_in(uri: &Uri<'_>, trunk: &Trunk) -> Option<E164> {
    read(uri, trunk.format_in, &trunk.digits.caller_in)
}

/// RFC 3966 in a `tel` URI and in the user part of a `sip` URI (RFC 3261 19.1.6): parameters of
/// the number (`isub`, `npdi`, `rn`, RFC 4694) are no part of it.
fn read(uri: &Uri<'_>, format: NumberFormat, edit: &DigitEdit) -> Option<E164> {
    let user = parted_user(uri)?;
    let (digits, params) = user.split_once(';').unwrap_or((&user, ""));
    let inner = params.split(';').find_map(|one| one.strip_prefix("phone-context="));
    let context = inner.or_else(|| uri.params.get("phone-context"));
    if !edit.is_empty() {
        return read_dialled(&edit.apply(digits), format).ok();
    }
    match context.and_then(|context| context.strip_prefix('+')) {
        // RFC 3966 5.1.5: a local number is completed by its context; one with the trunk 0 of
        // Japan is complete already.
        Some(context) if !digits.starts_with(['+', '0']) => {
            read_dialled(&format!("+{context}{digits}"), format).ok()
        }
        _ => read_dialled(digits, format).ok(),
    }
}

/// The user part without escapes; none when an escape hides a semicolon, which would part it
/// elsewhere than it is written (RFC 3261 19.1.4).
pub(super) fn parted_user<'a>(uri: &Uri<'a>) -> Option<std::borrow::Cow<'a, str>> {
    let user = uri.unescaped_user();
    if matches!(user, std::borrow::Cow::Borrowed(_)) {
        return Some(user);
    }
    let parts = |text: &str| text.matches(';').count();
    (parts(&user) == parts(uri.user.unwrap_or_default())).then_some(user)
}

/// The sub-address behind a called number (`;isub=7`), which belongs to it on the way on
/// (RFC 3966 5.2). Nothing that could end a header line passes.
pub(super) fn sub_address(user: &str, params: Params<'_>) -> Option<String> {
    let inner = user.split(';').skip(1).find_map(|one| one.strip_prefix("isub="));
    let found = inner.or_else(|| params.get("isub"))?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte);
    (!found.is_empty() && found.len() <= MAX_SUB_ADDRESS && found.bytes().all(plain))
        .then(|| format!(";isub={found}"))
}

/// ITU-T I.330: a sub-address has at most 40 digits.
const MAX_SUB_ADDRESS: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    /// `uri | format | strip | add | number`
    const FORMS: &str = include_str!("number.txt");

    fn format(word: &str) -> NumberFormat {
        match word {
            "auto" => NumberFormat::Auto,
            "national" => NumberFormat::National,
            "e164" => NumberFormat::E164,
            "e164_no_plus" => NumberFormat::E164NoPlus,
            other => panic!("{other} is no format"),
        }
    }

    #[test]
    fn every_form_of_a_called_number_is_read_as_the_number_it_means() {
        let mut read_lines = 0;
        for line in FORMS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let fields: Vec<&str> = line.split('|').map(str::trim).collect();
            let [uri, word, strip, add, number] = fields[..] else { panic!("{line}") };
            let edit = DigitEdit { strip: strip.into(), add: add.into() };
            let found = Uri::parse(uri).ok().and_then(|uri| read(&uri, format(word), &edit));
            let found = found.map_or("none".to_owned(), |found| found.to_string());
            assert_eq!(found, number, "{line}");
            read_lines += 1;
        }
        assert!(read_lines > 30, "{read_lines}");
    }

    #[test]
    fn a_sub_address_passes_only_if_it_is_plain() {
        for (uri, passed) in [
            ("tel:+81312345678;isub=7", Some(";isub=7")),
            ("sip:0312345678;isub=12@h", Some(";isub=12")),
            ("sip:0312345678@h;isub=12", Some(";isub=12")),
            ("sip:0312345678@h", None),
            ("sip:0312345678;isub=a%0d%0aX@h", None),
        ] {
            let uri = Uri::parse(uri).unwrap();
            let found = sub_address(&uri.unescaped_user(), uri.params);
            assert_eq!(found.as_deref(), passed, "{}", uri.raw);
        }
    }
}
