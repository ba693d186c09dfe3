use std::time::Duration;

use super::*;
use crate::input::{ListenerId, Transport};

const DOMAIN: &str = "sip:example.com";

fn at(seconds: u64) -> Timestamp {
    Timestamp::ZERO + Duration::from_secs(seconds)
}

fn home() -> IpAddr {
    "192.0.2.1".parse().unwrap()
}

fn elsewhere() -> IpAddr {
    "203.0.113.9".parse().unwrap()
}

/// A registrar that knows user 101, and phones that try to pass it.
struct Office {
    registrar: Registrar,
    user: Key,
    secret: Secret,
    now: Timestamp,
}

/// How a phone answers a challenge.
#[derive(Clone, Copy)]
struct Try<'a> {
    user: &'a str,
    password: &'a str,
    algorithm: Algorithm,
    nc: Option<&'a str>,
    source: IpAddr,
    method: &'a str,
    uri: &'a str,
    is_trunk: bool,
}

impl Try<'_> {
    fn right() -> Try<'static> {
        Try {
            user: "101",
            password: "s3cret",
            algorithm: Algorithm::Sha256,
            nc: Some("00000001"),
            source: home(),
            method: "REGISTER",
            uri: DOMAIN,
            is_trunk: false,
        }
    }

    fn wrong() -> Try<'static> {
        Try { password: "guess", ..Try::right() }
    }
}

impl Office {
    fn new() -> Self {
        Office {
            registrar: Registrar::new("example.com", [1; 32]),
            user: Key::from("101"),
            secret: Secret::new("s3cret"),
            now: at(10),
        }
    }

    /// A fresh nonce for `source`.
    fn nonce(&mut self, source: IpAddr) -> String {
        let [sha, _] = &self.registrar.challenge(self.now, source)[..] else { panic!() };
        let (_, rest) = sha.split_once("nonce=\"").unwrap();
        rest.split('"').next().unwrap().to_owned()
    }

    /// Asks for a nonce and answers it.
    fn attempt(&mut self, attempt: Try<'_>) -> Verdict {
        let nonce = self.nonce(attempt.source);
        self.answer(&nonce, attempt)
    }

    fn answer(&mut self, nonce: &str, attempt: Try<'_>) -> Verdict {
        let protection = attempt.nc.map(|nc| (nc, "c1ient"));
        let question = Question {
            algorithm: attempt.algorithm,
            username: attempt.user,
            realm: "example.com",
            method: "REGISTER",
            uri: DOMAIN,
            nonce,
            protection,
        };
        let response = question.answer(attempt.password);
        let mut value = format!(
            "Digest username=\"{}\", realm=\"example.com\", nonce=\"{nonce}\", uri=\"{DOMAIN}\", \
             response=\"{}\", algorithm={}",
            attempt.user,
            std::str::from_utf8(response.as_bytes()).unwrap(),
            attempt.algorithm.name(),
        );
        if let Some((nc, cnonce)) = protection {
            value += &format!(", qop=auth, nc={nc}, cnonce=\"{cnonce}\"");
        }
        self.present(&value, attempt)
    }

    /// Presents the value of an Authorization header.
    fn present(&mut self, value: &str, attempt: Try<'_>) -> Verdict {
        let credentials = Credentials::parse(value.as_bytes()).unwrap();
        let asked = Asked {
            method: attempt.method,
            uri: attempt.uri,
            source: attempt.source,
            is_trunk: attempt.is_trunk,
        };
        let account = (credentials.username == "101")
            .then_some(Account { user: &self.user, secret: &self.secret });
        self.registrar.verify(self.now, &asked, &credentials, account)
    }
}

fn is_right(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Authenticated(proof) if proof.user().as_str() == "101")
}

#[test]
fn the_challenge_offers_sha_256_before_md5_with_one_nonce() {
    let mut office = Office::new();
    let [sha, md5] = &office.registrar.challenge(at(10), home())[..] else { panic!() };
    assert!(sha.starts_with("Digest realm=\"example.com\", nonce=\""));
    assert!(sha.ends_with("algorithm=SHA-256, qop=\"auth\""));
    assert_eq!(*md5, sha.replace("SHA-256", "MD5"));
    let [stale, _] = &office.registrar.challenge_stale(at(10), home())[..] else { panic!() };
    assert!(stale.ends_with(", stale=true"));
}

#[test]
fn the_right_password_passes_by_every_offered_way() {
    for (algorithm, nc) in [
        (Algorithm::Sha512T256, Some("00000001")),
        (Algorithm::Sha256, Some("00000001")),
        (Algorithm::Md5, Some("0000000a")),
        (Algorithm::Md5, None),
    ] {
        let attempt = Try { algorithm, nc, ..Try::right() };
        assert!(is_right(&Office::new().attempt(attempt)), "{algorithm:?} {nc:?}");
    }
}

#[test]
fn sha_256_without_qop_and_a_count_that_is_none_are_wrong() {
    for nc in [None, Some("1"), Some("+0000001"), Some("00000000001")] {
        assert_eq!(Office::new().attempt(Try { nc, ..Try::right() }), Verdict::Wrong, "{nc:?}");
    }
    let zero = Try { nc: Some("00000000"), ..Try::right() };
    assert_eq!(Office::new().attempt(zero), Verdict::Stale);
}

#[test]
fn a_wrong_password_and_an_unknown_user_are_answered_alike() {
    let mut office = Office::new();
    let unknown = Try { user: "999", password: NOBODY, ..Try::right() };
    for _ in 0..FORGIVEN {
        assert_eq!(office.attempt(Try::wrong()), Verdict::Wrong);
    }
    assert_eq!(office.attempt(Try::wrong()), Verdict::Barred);
    let mut office = Office::new();
    for _ in 0..FORGIVEN {
        assert_eq!(office.attempt(unknown), Verdict::Wrong);
    }
    assert_eq!(office.attempt(unknown), Verdict::Barred);
}

/// As many wrong passwords are looked at before the bar falls.
const FORGIVEN: usize = 10;

#[test]
fn after_ten_wrong_passwords_the_right_one_waits_a_minute() {
    let mut office = Office::new();
    for _ in 0..FORGIVEN {
        office.attempt(Try::wrong());
    }
    assert_eq!(office.attempt(Try::right()), Verdict::Barred);
    office.now = office.now + Duration::from_secs(60);
    assert!(is_right(&office.attempt(Try::right())));
}

#[test]
fn a_trunk_is_never_barred() {
    let mut office = Office::new();
    for _ in 0..50 {
        let guess = Try { is_trunk: true, ..Try::wrong() };
        assert_eq!(office.attempt(guess), Verdict::Wrong);
    }
    assert!(is_right(&office.attempt(Try { is_trunk: true, ..Try::right() })));
}

#[test]
fn letters_in_somebody_elses_name_bar_nobody() {
    let mut office = Office::new();
    let foreign = office.nonce(elsewhere());
    for _ in 0..50 {
        // A forged source address: the nonce was never sent there.
        assert_eq!(office.answer(&foreign, Try::wrong()), Verdict::Stale);
    }
    assert!(is_right(&office.attempt(Try::right())));
}

#[test]
fn guesses_from_elsewhere_do_not_shut_a_registered_phone_out() {
    let mut office = Office::new();
    let Verdict::Authenticated(proof) = office.attempt(Try::right()) else { panic!("let in") };
    register(&mut office, &proof, "101").unwrap();
    for _ in 0..FORGIVEN {
        office.attempt(Try { source: elsewhere(), ..Try::wrong() });
    }
    assert_eq!(office.attempt(Try { source: elsewhere(), ..Try::right() }), Verdict::Barred);
    assert!(is_right(&office.attempt(Try::right())));
}

#[test]
fn an_account_that_was_deleted_is_shut_out_as_any_when_its_name_is_given_again() {
    for deleted in [false, true] {
        let mut office = Office::new();
        assert!(is_right(&office.attempt(Try::right())));
        office.registrar.forget_proofs(|user| !deleted || user.as_str() != "101");
        for _ in 0..FORGIVEN {
            office.attempt(Try { source: elsewhere(), ..Try::wrong() });
        }
        assert_eq!(office.attempt(Try::right()) == Verdict::Barred, deleted);
    }
}

#[test]
fn a_captured_authorization_is_worth_nothing_again() {
    let mut office = Office::new();
    let nonce = office.nonce(home());
    assert!(is_right(&office.answer(&nonce, Try::right())));
    assert_eq!(office.answer(&nonce, Try::right()), Verdict::Stale, "again");
    let next = Try { nc: Some("00000002"), ..Try::right() };
    for (what, attempt, verdict) in [
        ("another address", Try { source: elsewhere(), ..next }, Verdict::Stale),
        ("another method", Try { method: "INVITE", ..next }, Verdict::Wrong),
        ("another URI", Try { uri: "sip:0990123456@example.com", ..next }, Verdict::Wrong),
    ] {
        assert_eq!(office.answer(&nonce, attempt), verdict, "{what}");
    }
    assert!(is_right(&office.answer(&nonce, next)), "its own next request is");
    office.now = at(10 + 300);
    let late = Try { nc: Some("00000003"), ..Try::right() };
    assert_eq!(office.answer(&nonce, late), Verdict::Stale, "later");
}

#[test]
fn an_old_phone_may_use_its_nonce_once() {
    let mut office = Office::new();
    let nonce = office.nonce(home());
    let old = Try { algorithm: Algorithm::Md5, nc: None, ..Try::right() };
    assert!(is_right(&office.answer(&nonce, old)));
    assert_eq!(office.answer(&nonce, old), Verdict::Stale);
}

#[test]
fn a_port_or_transport_in_one_of_the_uris_is_the_same_request() {
    for uri in ["sip:example.com:5060", "sip:EXAMPLE.com;transport=udp"] {
        assert!(is_right(&Office::new().attempt(Try { uri, ..Try::right() })), "{uri}");
    }
}

#[test]
fn another_realm_another_protection_and_hashed_names_are_wrong() {
    let mut office = Office::new();
    let nonce = office.nonce(home());
    let rest =
        format!("nonce=\"{nonce}\", uri=\"{DOMAIN}\", response=\"00\", nc=00000001, cnonce=\"x\"");
    for head in [
        "Digest username=\"101\", realm=\"other\", qop=auth",
        "Digest username=\"101\", realm=\"example.com\", qop=auth-int",
        "Digest username=\"101\", realm=\"example.com\", qop=auth, algorithm=SHA-512",
        "Digest username=\"101\", realm=\"example.com\", qop=auth, userhash=true",
    ] {
        let verdict = office.present(&format!("{head}, {rest}"), Try::right());
        assert_eq!(verdict, Verdict::Wrong, "{head}");
    }
}

#[test]
fn only_ones_own_address_can_be_registered() {
    let mut office = Office::new();
    let Verdict::Authenticated(proof) = office.attempt(Try::right()) else { panic!("let in") };
    assert_eq!(register(&mut office, &proof, "102").unwrap_err().status(), 403);
    assert_eq!(office.registrar.registrations(), 0);
    register(&mut office, &proof, "%3101").unwrap();
    assert_eq!(office.registrar.contacts("101").len(), 1);
    assert_eq!(office.registrar.next_expiry(), Some(office.now + Duration::from_secs(3_600)));
}

fn register(office: &mut Office, proof: &Authenticated, to: &str) -> Result<Update, Refusal> {
    let text = format!(
        "REGISTER sip:example.com SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
         From: <sip:101@example.com>;tag=1\r\n\
         To: <sip:{to}@example.com>\r\n\
         Call-ID: 1\r\n\
         CSeq: 1 REGISTER\r\n\
         Contact: <sip:101@192.0.2.1>\r\n\r\n"
    );
    let flow = Flow {
        listener: ListenerId(0),
        transport: Transport::Udp,
        remote: "192.0.2.1:5060".parse().unwrap(),
        connection: 0,
    };
    let msg = Message::parse_datagram(text.as_bytes()).unwrap();
    office.registrar.register(office.now, proof, &msg, flow)
}

#[test]
fn a_realm_with_quotes_stays_inside_its_quotes() {
    let mut registrar = Registrar::new("a\"b\\c", [1; 32]);
    let [sha, _] = &registrar.challenge(at(1), home())[..] else { panic!() };
    assert!(sha.starts_with("Digest realm=\"a\\\"b\\\\c\", nonce="));
}

#[test]
fn a_phone_that_knows_only_md5_is_asked_for_nothing_else() {
    let source = home();
    let asked = |offer| {
        let mut registrar = Registrar::new("pbx.example", [7; 32]).offering(offer);
        let values = registrar.challenge(at(1), source);
        values.iter().map(|value| value.contains("algorithm=MD5")).collect::<Vec<_>>()
    };
    assert_eq!(asked(DigestOffer::Md5), [true]);
    assert_eq!(asked(DigestOffer::Sha256), [false]);
    assert_eq!(asked(DigestOffer::Both), [false, true]);
    assert_eq!(asked(DigestOffer::All), [false, false, true]);
}
