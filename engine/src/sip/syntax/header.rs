//! Header field names: one id per name that the engine treats, whatever its case or form.

/// A header field as it stands in a message.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    /// Which one; [`HeaderId::Other`] for names without an id.
    pub id: HeaderId,
    /// The name as written, without the white space that may follow it.
    pub name: &'a str,
    /// The value without white space around it. The line ends of a folded value are still inside.
    pub value: &'a [u8],
    /// Name, colon and value as written, without the line end.
    pub raw: &'a [u8],
    /// The value is on one line and the colon follows the name directly, so that `raw` may be
    /// copied as it is.
    pub(super) plain: bool,
}

macro_rules! headers {
    ($($id:ident $name:literal $($compact:literal)?;)*) => {
        /// The names that the engine treats. Compact forms map to the same id.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum HeaderId {
            $(#[doc = concat!("`", $name, "`")] $id,)*
            /// Any other name.
            Other,
        }

        /// Every id with a name, in the order of their numbers.
        const ALL: &[HeaderId] = &[$(HeaderId::$id),*];
        const NAMES: &[&str] = &[$($name),*];

        impl HeaderId {
            /// The letter of its compact form, where it has one.
            pub(super) fn compact(self) -> Option<u8> {
                match self {
                    $($(HeaderId::$id => Some($compact),)?)*
                    _ => None,
                }
            }

            fn from_compact(letter: u8) -> Self {
                match letter | 0x20 {
                    $($($compact => HeaderId::$id,)?)*
                    _ => HeaderId::Other,
                }
            }
        }
    };
}

headers! {
    Via "Via" b'v';
    From "From" b'f';
    To "To" b't';
    CallId "Call-ID" b'i';
    CSeq "CSeq";
    MaxForwards "Max-Forwards";
    Contact "Contact" b'm';
    RecordRoute "Record-Route";
    Route "Route";
    ContentLength "Content-Length" b'l';
    ContentType "Content-Type" b'c';
    ContentEncoding "Content-Encoding" b'e';
    ContentDisposition "Content-Disposition";
    MimeVersion "MIME-Version";
    Require "Require";
    ProxyRequire "Proxy-Require";
    Supported "Supported" b'k';
    Unsupported "Unsupported";
    Allow "Allow";
    AllowEvents "Allow-Events" b'u';
    Accept "Accept";
    AcceptEncoding "Accept-Encoding";
    AcceptLanguage "Accept-Language";
    AcceptContact "Accept-Contact" b'a';
    RejectContact "Reject-Contact" b'j';
    RequestDisposition "Request-Disposition" b'd';
    Expires "Expires";
    MinExpires "Min-Expires";
    Authorization "Authorization";
    ProxyAuthorization "Proxy-Authorization";
    WwwAuthenticate "WWW-Authenticate";
    ProxyAuthenticate "Proxy-Authenticate";
    AuthenticationInfo "Authentication-Info";
    PAssertedIdentity "P-Asserted-Identity";
    PPreferredIdentity "P-Preferred-Identity";
    PCalledPartyId "P-Called-Party-ID";
    PChargingVector "P-Charging-Vector";
    PAccessNetworkInfo "P-Access-Network-Info";
    PEarlyMedia "P-Early-Media";
    RemotePartyId "Remote-Party-ID";
    Privacy "Privacy";
    Diversion "Diversion";
    HistoryInfo "History-Info";
    Reason "Reason";
    SessionExpires "Session-Expires" b'x';
    MinSe "Min-SE";
    RAck "RAck";
    RSeq "RSeq";
    ReferTo "Refer-To" b'r';
    ReferredBy "Referred-By" b'b';
    Replaces "Replaces";
    Join "Join";
    Event "Event" b'o';
    SubscriptionState "Subscription-State";
    SipEtag "SIP-ETag";
    SipIfMatch "SIP-If-Match";
    RetryAfter "Retry-After";
    UserAgent "User-Agent";
    Server "Server";
    Date "Date";
    Timestamp "Timestamp";
    Subject "Subject" b's';
    Organization "Organization";
    Priority "Priority";
    Path "Path";
    ServiceRoute "Service-Route";
    Warning "Warning";
    Identity "Identity" b'y';
    SessionId "Session-ID";
    UserToUser "User-to-User";
    AlertInfo "Alert-Info";
    CallInfo "Call-Info";
    ErrorInfo "Error-Info";
    InReplyTo "In-Reply-To";
    MaxBreadth "Max-Breadth";
    Geolocation "Geolocation";
}

impl HeaderId {
    /// How many ids have a name; also the number of [`HeaderId::Other`].
    pub(super) const COUNT: usize = ALL.len();

    /// The id with number 0.
    pub(super) const FIRST: HeaderId = HeaderId::Via;

    /// The name in its long form; empty for [`HeaderId::Other`].
    pub fn name(self) -> &'static str {
        NAMES.get(self as usize).copied().unwrap_or_default()
    }

    /// The id of a name, in any case, long or compact.
    pub fn of(name: &str) -> Self {
        Self::of_bytes(name.as_bytes())
    }

    pub(super) fn of_bytes(name: &[u8]) -> Self {
        let (first, last) = match name {
            [] => return HeaderId::Other,
            [letter] => return Self::from_compact(*letter),
            [first, .., last] => (*first, *last),
        };
        let mut slot = hash(name.len(), first, last);
        // The table is less than half full, so a run of taken slots ends soon.
        while let Some(id) = TABLE[slot as usize].and_then(|n| ALL.get(n as usize)) {
            // Nearly all peers write the names as the RFCs do, which is cheaper to compare.
            let known = id.name().as_bytes();
            if known == name || known.eq_ignore_ascii_case(name) {
                return *id;
            }
            slot = slot.wrapping_add(1);
        }
        HeaderId::Other
    }
}

/// Slots of the name table: a `u8` wraps around in it by itself.
const SLOTS: usize = 256;
static TABLE: [Option<u8>; SLOTS] = table();

/// Length, first and last letter tell nearly all names apart.
const fn hash(len: usize, first: u8, last: u8) -> u8 {
    ((len & 0xff) as u8)
        .wrapping_mul(29)
        .wrapping_add((first | 0x20).wrapping_mul(7))
        .wrapping_add((last | 0x20).wrapping_mul(3))
}

const fn table() -> [Option<u8>; SLOTS] {
    let mut table = [None; SLOTS];
    let mut number = 0;
    while number < NAMES.len() {
        let name = NAMES[number].as_bytes();
        let mut slot = hash(name.len(), name[0], name[name.len() - 1]);
        while table[slot as usize].is_some() {
            slot = slot.wrapping_add(1);
        }
        table[slot as usize] = Some(number as u8);
        number += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::{ALL, HeaderId};

    #[test]
    fn every_name_is_found_in_any_case() {
        for id in ALL {
            assert_eq!(HeaderId::of(id.name()), *id);
            assert_eq!(HeaderId::of(&id.name().to_ascii_uppercase()), *id);
            assert_eq!(HeaderId::of(&id.name().to_ascii_lowercase()), *id);
        }
    }

    #[test]
    fn compact_forms_name_the_same_header() {
        for (letter, id) in [
            ("v", HeaderId::Via),
            ("F", HeaderId::From),
            ("t", HeaderId::To),
            ("i", HeaderId::CallId),
            ("M", HeaderId::Contact),
            ("l", HeaderId::ContentLength),
            ("c", HeaderId::ContentType),
            ("k", HeaderId::Supported),
            ("x", HeaderId::SessionExpires),
            ("r", HeaderId::ReferTo),
            ("y", HeaderId::Identity),
        ] {
            assert_eq!(HeaderId::of(letter), id, "{letter}");
        }
    }

    #[test]
    fn unknown_names_have_no_id() {
        for name in ["", "z", "X-Tensou", "Vi", "Viaa", "From ", "Fr\u{f6}m"] {
            assert_eq!(HeaderId::of(name), HeaderId::Other, "{name:?}");
        }
    }
}
