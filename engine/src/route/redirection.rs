//! Earlier redirections of a call, as Diversion (RFC 5806) and History-Info (RFC 7044) tell
//! them, read from either and written as either (RFC 7544).

use crate::plan::E164;
use crate::sip::syntax::{HeaderId, Message, NameAddr, Uri, put_number};

use super::writing::Writing;

/// Entries read from one message and written to another: a loop is long ended before.
pub(crate) const MAX_ENTRIES: usize = 10;

/// RFC 5806 4: why a call was diverted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum DiversionReason {
    Unknown,
    #[default]
    Unconditional,
    UserBusy,
    NoAnswer,
    Unavailable,
    Deflection,
    TimeOfDay,
    DoNotDisturb,
    FollowMe,
    OutOfService,
    Away,
}

/// Word and the `cause` of RFC 4458 that stands for it (RFC 7544 6.1).
const REASONS: [(DiversionReason, &str, u16); 11] = {
    use DiversionReason as R;
    [
        (R::Unknown, "unknown", 404),
        (R::Unconditional, "unconditional", 302),
        (R::UserBusy, "user-busy", 486),
        (R::NoAnswer, "no-answer", 408),
        (R::Unavailable, "unavailable", 503),
        (R::Deflection, "deflection", 480),
        (R::TimeOfDay, "time-of-day", 404),
        (R::DoNotDisturb, "do-not-disturb", 404),
        (R::FollowMe, "follow-me", 404),
        (R::OutOfService, "out-of-service", 404),
        (R::Away, "away", 404),
    ]
};

impl DiversionReason {
    fn row(self) -> &'static (DiversionReason, &'static str, u16) {
        &REASONS[self as usize]
    }

    pub(crate) fn of_word(word: &str) -> Self {
        let found = REASONS.iter().find(|row| row.1.eq_ignore_ascii_case(word));
        found.map_or(DiversionReason::Unknown, |row| row.0)
    }

    fn of_cause(cause: u16) -> Self {
        match cause {
            // RFC 7544 6.2: deflection before and while it rang.
            487 => DiversionReason::Deflection,
            404 => DiversionReason::Unknown,
            cause => REASONS
                .iter()
                .find(|row| row.2 == cause)
                .map_or(DiversionReason::Unknown, |row| row.0),
        }
    }
}

/// One redirection: who redirected, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Redirection {
    /// None when the redirecting party is no telephone number.
    pub(crate) number: Option<E164>,
    pub(crate) reason: DiversionReason,
    /// How many redirections it stands for, at least 1.
    pub(crate) counter: u8,
    /// It does not want to be seen.
    pub(crate) private: bool,
    /// The 3xx by which it was done; 0 where it was done without one.
    pub(crate) status: u16,
}

/// Redirections of a request, the last first, and how many there were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Redirections {
    /// At most [`MAX_ENTRIES`].
    pub(crate) list: Vec<Redirection>,
    /// Also those that the entries only count.
    pub(crate) count: u32,
}

/// Which fields are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields {
    pub(crate) diversion: bool,
    pub(crate) history_info: bool,
}

impl Redirections {
    /// Reads them from Diversion, else from History-Info; of both the longer story counts.
    /// `number` reads the number in a URI.
    pub(crate) fn of(
        msg: &Message<'_>,
        fields: Fields,
        number: impl Fn(&Uri<'_>) -> Option<E164>,
    ) -> Self {
        let diversion = match fields.diversion {
            true => of_diversion(msg, &number),
            false => Redirections::default(),
        };
        let history = match fields.history_info {
            true => of_history(msg, &number),
            false => Redirections::default(),
        };
        if history.count > diversion.count { history } else { diversion }
    }
}

fn of_diversion(msg: &Message<'_>, number: impl Fn(&Uri<'_>) -> Option<E164>) -> Redirections {
    let mut found = Redirections::default();
    for entry in msg.addresses(HeaderId::Diversion).map_while(Result::ok) {
        let param = |name| entry.params.get(name).unwrap_or_default();
        let counter = param("counter").parse::<u8>().unwrap_or(1).max(1);
        found.count = found.count.saturating_add(counter.into());
        if found.list.len() < MAX_ENTRIES {
            found.list.push(Redirection {
                number: number(&entry.uri),
                reason: DiversionReason::of_word(param("reason")),
                counter,
                private: !matches!(param("privacy"), "" | "off"),
                status: 0,
            });
        }
    }
    found
}

/// RFC 7544 5: an entry has redirected when the entry that follows it says by a cause that it is
/// the target of a redirection.
fn of_history(msg: &Message<'_>, number: impl Fn(&Uri<'_>) -> Option<E164>) -> Redirections {
    let entries: Vec<NameAddr<'_>> =
        msg.addresses(HeaderId::HistoryInfo).map_while(Result::ok).collect();
    let mut found = Redirections::default();
    for pair in entries.windows(2).rev() {
        let [from, to] = pair else { continue };
        let Some(cause) = cause_of(from, to) else { continue };
        found.count += 1;
        if found.list.len() < MAX_ENTRIES {
            let headers = from.uri.headers.unwrap_or_default().to_ascii_lowercase();
            found.list.push(Redirection {
                number: number(&from.uri),
                reason: DiversionReason::of_cause(cause),
                counter: 1,
                private: headers.contains("privacy=history"),
                status: 0,
            });
        }
    }
    found
}

/// The `cause` of the new target (RFC 4458), else the Reason that stands with the old one
/// (RFC 7044 10.1.2).
fn cause_of(from: &NameAddr<'_>, to: &NameAddr<'_>) -> Option<u16> {
    if let Some(cause) = to.uri.params.get("cause") {
        return cause.parse().ok();
    }
    let headers = from.uri.headers?.to_ascii_lowercase();
    let reason = headers.split('&').find_map(|one| one.strip_prefix("reason=sip"))?;
    let (_, cause) = reason.split_once("cause%3d").or_else(|| reason.split_once("cause="))?;
    cause.get(..3)?.parse().ok()
}

/// Writes `Diversion` lines, the last redirection on top (RFC 5806 5.1).
pub(super) fn write_diversion(list: &[Redirection], writing: &Writing<'_>, out: &mut Vec<u8>) {
    for one in list {
        out.extend_from_slice(b"Diversion: ");
        write_party(one, writing, "", out);
        let privacy = if one.private { "full" } else { "off" };
        out.extend_from_slice(b";reason=");
        out.extend_from_slice(one.reason.row().1.as_bytes());
        out.extend_from_slice(b";counter=");
        put_number(out, one.counter.into());
        out.extend_from_slice(b";privacy=");
        out.extend_from_slice(privacy.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// Writes `History-Info`, the first number called first and `target`, the Request-URI, last. Each
/// target but the first names its cause and the entry that it came from (RFC 7044 5, 10.3).
pub(super) fn write_history(
    list: &[Redirection],
    target: &str,
    writing: &Writing<'_>,
    out: &mut Vec<u8>,
) {
    let mut index = String::from("1");
    let mut before: Option<(DiversionReason, String)> = None;
    let line = |before: &Option<(DiversionReason, String)>| match before {
        Some((reason, of)) => (format!(";cause={}", reason.row().2), format!(";mp={of}")),
        None => (String::new(), String::new()),
    };
    for one in list.iter().rev() {
        let (cause, came_from) = line(&before);
        out.extend_from_slice(b"History-Info: ");
        // RFC 7044 10.1.2: an entry that was answered says by what.
        let answered = format!("Reason=SIP%3Bcause%3D{}", one.status);
        let headers = match (one.private, one.status) {
            (false, 0) => String::new(),
            (true, 0) => "?Privacy=history".to_owned(),
            (false, _) => format!("?{answered}"),
            (true, _) => format!("?Privacy=history&{answered}"),
        };
        write_party(one, writing, &format!("{cause}{headers}"), out);
        out.extend_from_slice(format!(";index={index}{came_from}\r\n").as_bytes());
        before = Some((one.reason, index.clone()));
        index = next_index(&index, one.status != 0);
    }
    let (cause, came_from) = line(&before);
    let last = format!("History-Info: <{target}{cause}>;index={index}{came_from}\r\n");
    out.extend_from_slice(last.as_bytes());
}

/// RFC 7044 10.3: who sent the call on itself has what comes below its entry; whose answer had
/// somebody else send it on has it beside.
fn next_index(index: &str, by_answer: bool) -> String {
    let (above, last) = index.rsplit_once('.').unwrap_or(("", index));
    match last.parse::<u32>() {
        Ok(number) if by_answer && !above.is_empty() => format!("{above}.{}", number + 1),
        Ok(number) if by_answer => (number + 1).to_string(),
        _ => format!("{index}.1"),
    }
}

/// Who does not want to be seen is named within a trusted network only.
fn write_party(one: &Redirection, writing: &Writing<'_>, params: &str, out: &mut Vec<u8>) {
    match one.number.filter(|_| !one.private || writing.trusted) {
        Some(number) => writing.write_party(number, params, out),
        None => {
            out.extend_from_slice(format!("<sip:anonymous@anonymous.invalid{params}>").as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::parse_e164;

    const BOTH: Fields = Fields { diversion: true, history_info: true };

    fn read(headers: &str, fields: Fields) -> Redirections {
        let text = format!("INVITE sip:a@h SIP/2.0\r\nVia: SIP/2.0/UDP h\r\n{headers}\r\n");
        let msg = Message::parse_datagram(text.as_bytes()).unwrap();
        Redirections::of(&msg, fields, |uri| parse_e164(&uri.unescaped_user()).ok())
    }

    fn redirection(number: &str, reason: DiversionReason) -> Redirection {
        let number = parse_e164(number).ok();
        Redirection { number, reason, counter: 1, private: false, status: 0 }
    }

    fn written(list: &[Redirection], history: bool) -> String {
        let mut out = Vec::new();
        let writing = Writing::internal("pbx.example");
        match history {
            true => write_history(list, "sip:0399@192.0.2.2:5060", &writing, &mut out),
            false => write_diversion(list, &writing, &mut out),
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_reason_stands_at_its_own_row() {
        for (at, row) in REASONS.iter().enumerate() {
            assert_eq!(row.0 as usize, at);
            assert_eq!(DiversionReason::of_word(&row.1.to_uppercase()), row.0);
        }
    }

    #[test]
    fn diversions_are_read_from_the_top_with_their_counters() {
        let found = read(
            "Diversion: <sip:0311112222@a>;reason=user-busy;counter=2;privacy=full,\r\n \
             <tel:+81344445555>;reason=\"follow-me\"\r\nDiversion: sip:sales@b;reason=odd\r\n",
            BOTH,
        );
        let first = redirection("0311112222", DiversionReason::UserBusy);
        assert_eq!(found.list[0], Redirection { counter: 2, private: true, ..first });
        assert_eq!(found.list[1], redirection("0344445555", DiversionReason::FollowMe));
        assert_eq!(found.list[2], redirection("", DiversionReason::Unknown));
        assert_eq!((found.list.len(), found.count), (3, 4));
    }

    #[test]
    fn history_entries_with_a_cause_are_redirections() {
        let headers = "History-Info: <sip:0311112222@a?Privacy=history>;index=1,\
                       <sip:0344445555@a;cause=486>;index=1.1;mp=1,\
                       <sip:0344445555@b>;index=1.1.1,\
                       <sip:0366667777@b;cause=408>;index=1.1.2;mp=1.1\r\n";
        let found = read(headers, BOTH);
        let first = redirection("0311112222", DiversionReason::UserBusy);
        let second = redirection("0344445555", DiversionReason::NoAnswer);
        assert_eq!(found.list, [second, Redirection { private: true, ..first }]);
        assert_eq!(read(headers, Fields { history_info: false, ..BOTH }).count, 0);
        let old = "History-Info: <sip:0311112222@a?Reason=SIP%3Bcause%3D302>;index=1,\
                   <sip:0344445555@a>;index=1.1\r\n";
        assert_eq!(
            read(old, BOTH).list,
            [redirection("0311112222", DiversionReason::Unconditional)]
        );
    }

    #[test]
    fn what_is_written_in_one_form_reads_back_from_the_other() {
        let list = [
            redirection("0311112222", DiversionReason::NoAnswer),
            redirection("0344445555", DiversionReason::UserBusy),
        ];
        assert_eq!(
            written(&list, false),
            "Diversion: <sip:0311112222@pbx.example>;reason=no-answer;counter=1;privacy=off\r\n\
             Diversion: <sip:0344445555@pbx.example>;reason=user-busy;counter=1;privacy=off\r\n"
        );
        assert_eq!(
            written(&list, true),
            "History-Info: <sip:0344445555@pbx.example>;index=1\r\n\
             History-Info: <sip:0311112222@pbx.example;cause=486>;index=1.1;mp=1\r\n\
             History-Info: <sip:0399@192.0.2.2:5060;cause=408>;index=1.1.1;mp=1.1\r\n"
        );
        for history in [false, true] {
            assert_eq!(read(&written(&list, history), BOTH).list, list);
        }
    }

    #[test]
    fn a_private_redirection_is_not_named_to_untrusted_peers() {
        let list = [Redirection {
            private: true,
            ..redirection("0311112222", DiversionReason::Unconditional)
        }];
        for history in [false, true] {
            let text = written(&list, history);
            assert!(!text.contains("0311112222") && text.contains("anonymous.invalid"), "{text}");
        }
    }

    #[test]
    fn a_long_story_is_cut_but_counted() {
        let one = "Diversion: <sip:0311112222@a>;reason=unknown;counter=255\r\n";
        let found = read(&one.repeat(40), BOTH);
        assert_eq!((found.list.len(), found.count), (MAX_ENTRIES, 40 * 255));
    }
}
