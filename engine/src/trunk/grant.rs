//! What a registrar's 2xx says: how long it knows us, and by which route it wants our calls.

use std::time::Duration;

use crate::register::same_uri;
use crate::sip::dialog::routes_of;
use crate::sip::syntax::{HeaderId, Message, NameAddr, Uri};

/// Longest registration that is believed, and longest wait that a registrar may ask of us: beyond
/// a day something else is wrong.
pub(super) const LONGEST: Duration = Duration::from_secs(86_400);

/// How long our Contact was granted: its own parameter, the header, or what we asked for (RFC
/// 3261 10.2.4). Others may have registered for the same number, and are listed as well; a single
/// Contact is ours also where the registrar writes it in another way.
pub(super) fn granted(msg: &Message<'_>, ours: &str, asked: Duration) -> Duration {
    let listed: Vec<NameAddr<'_>> = msg.addresses(HeaderId::Contact).flatten().collect();
    let ours = Uri::parse(ours).ok();
    let own = listed.iter().find(|one| ours.is_some_and(|ours| same_uri(&one.uri, &ours)));
    let own = match (own, &listed[..]) {
        (None, [one]) => Some(one),
        (own, _) => own,
    };
    let own = own.and_then(|one| one.params.get("expires")?.parse::<u64>().ok());
    let header = msg.leading_number(HeaderId::Expires).map(u64::from);
    own.or(header).map_or(asked, Duration::from_secs).min(LONGEST).max(Duration::from_secs(1))
}

/// RFC 3608 6.1: what requests that begin something carry as their Route, for as long as the
/// registration lasts. Every hop of it routes loosely.
pub(super) fn service_route(msg: &Message<'_>) -> Vec<Box<str>> {
    let mut routes = routes_of(msg, HeaderId::ServiceRoute);
    routes.retain(|route| {
        NameAddr::parse(&**route).is_ok_and(|address| address.uri.params.has("lr"))
    });
    routes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(lines: &str) -> Vec<u8> {
        format!("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h\r\n{lines}\r\n").into_bytes()
    }

    #[test]
    fn our_own_contact_says_how_long_whoever_else_is_listed() {
        const OURS: &str = "sip:line7@192.0.2.10:5060";
        for (lines, seconds) in [
            ("Contact: <sip:x@192.0.2.99>;expires=7, <sip:line7@192.0.2.10:5060>;expires=300", 300),
            ("Contact: <sip:line7@192.0.2.10:5060;ob>;expires=300\r\nContact: <sip:x@h>", 300),
            ("Contact: <sip:line7@203.0.113.7:1024>;expires=120", 120),
            ("Contact: <sip:x@h>;expires=7, <sip:y@h>;expires=9\r\nExpires: 200", 200),
            ("Contact: <sip:x@h>;expires=7, <sip:y@h>;expires=9", 600),
            ("Expires: 0", 1),
            ("Expires: 4294967295", 86_400),
        ] {
            let bytes = ok(&format!("{lines}\r\n"));
            let msg = Message::parse_datagram(&bytes).unwrap();
            let granted = granted(&msg, OURS, Duration::from_secs(600));
            assert_eq!(granted.as_secs(), seconds, "{lines}");
        }
    }

    #[test]
    fn a_service_route_is_taken_in_its_order_and_without_strict_routers() {
        let bytes = ok("Service-Route: <sip:a.example;lr>, <sip:strict.example>\r\n\
                        Service-Route: <sip:orig@b.example:5070;LR>;x=1\r\n");
        let msg = Message::parse_datagram(&bytes).unwrap();
        let routes = service_route(&msg);
        assert_eq!(
            routes.iter().map(|one| &**one).collect::<Vec<_>>(),
            ["<sip:a.example;lr>", "<sip:orig@b.example:5070;LR>;x=1"]
        );
    }
}
