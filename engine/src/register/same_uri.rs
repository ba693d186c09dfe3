//! Whether two SIP URIs are the same (RFC 3261 19.1.4).

use crate::sip::syntax::{Scheme, Uri};

/// Parameters that must be the same in both, absent or present.
const DECISIVE: [&str; 5] = ["user", "ttl", "method", "maddr", "transport"];

/// RFC 3261 19.1.4, except that header fields after `?` are compared as text.
pub(crate) fn same_uri(a: &Uri<'_>, b: &Uri<'_>) -> bool {
    if a.raw == b.raw {
        return true;
    }
    let sip = matches!(a.scheme, Scheme::Sip | Scheme::Sips);
    sip && a.scheme == b.scheme
        && a.unescaped_user() == b.unescaped_user()
        && a.user.is_some() == b.user.is_some()
        && a.password == b.password
        && a.host.eq_ignore_ascii_case(b.host)
        && a.port == b.port
        && a.headers == b.headers
        && same_params(a, b)
        && same_params(b, a)
}

fn same_params(a: &Uri<'_>, b: &Uri<'_>) -> bool {
    a.params.iter().all(|(name, value)| match b.params.get(name) {
        Some(other) => other.eq_ignore_ascii_case(value.unwrap_or_default()),
        None => !DECISIVE.iter().any(|decisive| decisive.eq_ignore_ascii_case(name)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &str, b: &str) -> bool {
        let (a, b) = (Uri::parse(a).unwrap(), Uri::parse(b).unwrap());
        assert_eq!(same_uri(&a, &b), same_uri(&b, &a));
        same_uri(&a, &b)
    }

    #[test]
    fn the_equal_pairs_of_the_rfc_are_the_same() {
        for (a, b) in [
            ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
        ] {
            assert!(same(a, b), "{a} {b}");
        }
    }

    #[test]
    fn the_different_pairs_of_the_rfc_are_different() {
        for (a, b) in [
            ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
            ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
            ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
            ("sip:carol@chicago.com", "sips:carol@chicago.com"),
        ] {
            assert!(!same(a, b), "{a} {b}");
        }
    }
}
