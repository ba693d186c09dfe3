//! Session timers (RFC 4028) as pure negotiation: what a peer asks, what we grant or ask, and
//! what both have agreed to. Carried out by [`super::phase`]'s `refresh`.

use std::fmt::Write;
use std::time::Duration;

use crate::journal::image;
use crate::route::{Refresher, SessionTimerPolicy};
use crate::sip::syntax::{HeaderId, Message};

/// RFC 4028 10: the side that waits hangs up this long before the end, or a third of the
/// interval before it, whichever is shorter.
const MARGIN: Duration = Duration::from_secs(32);
/// RFC 4028 5: Min-SE when nobody names one, in seconds.
const DEFAULT_MIN_SE: u32 = 90;

/// The side of the request that carries the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Uac,
    Uas,
}

/// What a request of a peer says about its session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ask {
    supports: bool,
    expires: Option<u32>,
    refresher: Option<Role>,
    min_se: Option<u32>,
}

/// What both sides of a dialog have agreed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// Seconds until the session ends when nobody renews it.
    pub(crate) expires: u32,
    /// We renew it.
    pub(crate) ours: bool,
}

/// The answer to an [`Ask`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grant {
    /// 422 with this Min-SE.
    TooShort(u32),
    /// No timer runs.
    Off,
    /// The timer runs.
    On(Terms),
}

impl Terms {
    /// When we renew: at half the interval (RFC 4028 7.2).
    pub(crate) fn half(self) -> Duration {
        Duration::from_secs(self.expires.into()) / 2
    }

    /// When the session is given up.
    pub(crate) fn over(self) -> Duration {
        let whole = Duration::from_secs(self.expires.into());
        whole.saturating_sub(MARGIN.min(whole / 3))
    }
}

impl Ask {
    /// Reads a request.
    pub(crate) fn of(msg: &Message<'_>) -> Ask {
        Ask {
            supports: lists(msg, HeaderId::Supported, "timer")
                || lists(msg, HeaderId::Require, "timer"),
            expires: msg.leading_number(HeaderId::SessionExpires),
            refresher: refresher_of(msg),
            min_se: msg.leading_number(HeaderId::MinSe),
        }
    }

    /// RFC 4028 9. `current` is what the dialog has agreed to before.
    pub(crate) fn judge(self, policy: &SessionTimerPolicy, current: Option<Terms>) -> Grant {
        if !policy.enabled || (!self.supports && self.expires.is_none()) {
            return Grant::Off;
        }
        let shortest = seconds(policy.min_se);
        let asked = self.expires.unwrap_or(u32::MAX);
        if asked < shortest {
            // Only who knows the extension can do better (RFC 4028 9).
            return if self.supports { Grant::TooShort(shortest) } else { Grant::Off };
        }
        let wanted = current.map_or(seconds(policy.session_expires), |terms| terms.expires);
        let lowest = self.min_se.unwrap_or(DEFAULT_MIN_SE).max(shortest);
        let ours = match (self.supports, self.refresher) {
            (false, _) | (true, Some(Role::Uas)) => true,
            (true, Some(Role::Uac)) => false,
            (true, None) => match (current, policy.refresher) {
                (Some(terms), _) => terms.ours,
                (None, Refresher::Us) => true,
                (None, Refresher::Negotiated | Refresher::Peer) => false,
            },
        };
        Grant::On(Terms { expires: wanted.max(lowest).min(asked), ours })
    }
}

/// The lines of a 2xx that grants `terms`: we are the UAS of this exchange.
pub(crate) fn granted(terms: Terms) -> String {
    if terms.ours {
        format!("Session-Expires: {};refresher=uas\r\n", terms.expires)
    } else {
        // RFC 4028 9: who shall renew must know how.
        format!("Require: timer\r\nSession-Expires: {};refresher=uac\r\n", terms.expires)
    }
}

/// The lines of the INVITE that opens a dialog; `min_se` is what a 422 named.
pub(crate) fn opening(policy: &SessionTimerPolicy, min_se: Option<u32>) -> String {
    if !policy.enabled {
        return String::new();
    }
    let shortest = seconds(policy.min_se).max(min_se.unwrap_or(0));
    let expires = seconds(policy.session_expires).max(shortest);
    let refresher = match policy.refresher {
        Refresher::Negotiated => "",
        Refresher::Us => ";refresher=uac",
        Refresher::Peer => ";refresher=uas",
    };
    let min = (shortest != DEFAULT_MIN_SE || min_se.is_some()).then(|| shortest.to_string());
    let min = min.as_deref().map_or(["", "", ""], |shortest| ["Min-SE: ", shortest, "\r\n"]);
    let expires = expires.to_string();
    ["Session-Expires: ", &expires, refresher, "\r\n", min[0], min[1], min[2]].concat()
}

/// The lines of a request of ours within a dialog that has `terms`.
pub(crate) fn renewing(terms: Terms, min_se: Option<u32>) -> String {
    let refresher = if terms.ours { "uac" } else { "uas" };
    let expires = terms.expires.max(min_se.unwrap_or(0));
    let mut lines =
        format!("Supported: timer\r\nSession-Expires: {expires};refresher={refresher}\r\n");
    if let Some(min_se) = min_se {
        let _ = write!(lines, "Min-SE: {min_se}\r\n");
    }
    lines
}

/// What a 2xx to a request of ours agrees to; none when the peer knows no session timers
/// (RFC 4028 7.2).
pub(crate) fn agreed(msg: &Message<'_>) -> Option<Terms> {
    let expires = msg.leading_number(HeaderId::SessionExpires).filter(|seconds| *seconds > 0)?;
    // A shorter interval than any allowed would make a storm of refreshes.
    let expires = expires.max(DEFAULT_MIN_SE);
    Some(Terms { expires, ours: refresher_of(msg) != Some(Role::Uas) })
}

/// Whether a comma list names `token`.
pub(crate) fn lists(msg: &Message<'_>, id: HeaderId, token: &str) -> bool {
    msg.all(id).any(|value| {
        let mut elements = value.split(|byte| *byte == b',');
        elements.any(|element| {
            let element = element.split(|byte| *byte == b';').next().unwrap_or_default();
            element.trim_ascii().eq_ignore_ascii_case(token.as_bytes())
        })
    })
}

fn refresher_of(msg: &Message<'_>) -> Option<Role> {
    let value = msg.text(HeaderId::SessionExpires)?;
    let named = value.split(';').skip(1).find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("refresher").then_some(value.trim())
    })?;
    match named {
        _ if named.eq_ignore_ascii_case("uac") => Some(Role::Uac),
        _ if named.eq_ignore_ascii_case("uas") => Some(Role::Uas),
        _ => None,
    }
}

fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

image!(enum Role { 0 = Uac, 1 = Uas });
image!(struct Ask { supports, expires, refresher, min_se });

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(lines: &str) -> Ask {
        let text = format!("INVITE sip:a@h SIP/2.0\r\nVia: SIP/2.0/UDP h\r\n{lines}\r\n");
        Ask::of(&Message::parse_datagram(text.as_bytes()).expect("a message"))
    }

    fn on(expires: u32, ours: bool) -> Grant {
        Grant::On(Terms { expires, ours })
    }

    #[test]
    fn an_interval_is_granted_within_both_sides_bounds() {
        let policy = SessionTimerPolicy::default();
        for (lines, current, grant) in [
            ("", None, Grant::Off),
            ("Supported: timer\r\n", None, on(1800, false)),
            ("k: timer\r\nx: 300\r\n", None, on(300, false)),
            ("Supported: timer\r\nSession-Expires: 300;refresher=uas\r\n", None, on(300, true)),
            ("Supported: timer\r\nSession-Expires: 7200\r\n", None, on(1800, false)),
            ("Supported: timer\r\nSession-Expires: 60\r\n", None, Grant::TooShort(90)),
            // Put in by a proxy on behalf of a phone that knows nothing of it: we renew.
            ("Session-Expires: 600\r\n", None, on(600, true)),
            ("Session-Expires: 60\r\n", None, Grant::Off),
            (
                "Supported: timer\r\nSession-Expires: 9000\r\nMin-SE: 3600\r\n",
                None,
                on(3600, false),
            ),
            ("Supported: timer\r\n", Some(Terms { expires: 240, ours: true }), on(240, true)),
        ] {
            assert_eq!(ask(lines).judge(&policy, current), grant, "{lines}");
        }
        let off = SessionTimerPolicy { enabled: false, ..policy };
        assert_eq!(ask("Supported: timer\r\nx: 300\r\n").judge(&off, None), Grant::Off);
        let us = SessionTimerPolicy { refresher: Refresher::Us, ..policy };
        assert_eq!(ask("Supported: timer\r\nx: 300\r\n").judge(&us, None), on(300, true));
    }

    #[test]
    fn the_one_who_waits_hangs_up_before_the_end() {
        let terms = |expires| Terms { expires, ours: false };
        assert_eq!(terms(1800).over(), Duration::from_secs(1768));
        assert_eq!(terms(90).over(), Duration::from_secs(60));
        assert_eq!(terms(1800).half(), Duration::from_secs(900));
    }
}
