use super::*;
use crate::plan::{NumberFormat, UriForm, parse_e164};
use crate::route::{PeerSpec, Provisioning, Snapshot, TrunkIx, TrunkSpec};

const TARGET: &str = "sip:0399998888@192.0.2.2:5060";

fn number(text: &str) -> Option<E164> {
    Some(parse_e164(text).unwrap())
}

fn side() -> CallerSide {
    CallerSide {
        display: Some("Suzuki \"Ken\"\r\nX-Evil: 1".into()),
        network: number("09011112222"),
        ..CallerSide::default()
    }
}

fn facts<'a>(caller: Caller, side: &'a CallerSide) -> CallFacts<'a> {
    CallFacts {
        caller,
        side,
        did: number("0311112222"),
        presented_name: "",
        forwarded: true,
        reason: DiversionReason::Unconditional,
        redirected: &[],
    }
}

fn shown() -> Caller {
    Caller { number: number("09011112222"), class: CallerClass::Number }
}

fn hidden(class: CallerClass) -> Caller {
    Caller { number: None, class }
}

/// The headers as they leave by a trunk with these terms.
fn text_by(spec: TrunkSpec, facts: &CallFacts<'_>) -> String {
    let peers = vec![PeerSpec::at("192.0.2.2:5060".parse().unwrap())];
    let spec = TrunkSpec { id: "t".into(), peers, ..spec };
    let office = Provisioning { trunks: vec![spec], ..Provisioning::default() };
    let snapshot = Snapshot::compile(1, &office).unwrap();
    let trunk = snapshot.trunk(TrunkIx(0));
    let writing = Writing::of_trunk(trunk, "pbx.example");
    let identity = Identity::decide(trunk.identity, facts, &writing);
    let mut out = b"From: ".to_vec();
    identity.write_from(&writing, &mut out);
    out.extend_from_slice(b"\r\n");
    identity.write_headers(&writing, TARGET, &mut out);
    String::from_utf8(out).unwrap()
}

fn text(policy: IdentityPolicy, facts: &CallFacts<'_>) -> String {
    text_by(TrunkSpec { identity: policy, ..TrunkSpec::default() }, facts)
}

fn bare() -> IdentityPolicy {
    IdentityPolicy { asserted: Presented::None, diversion: false, ..IdentityPolicy::default() }
}

#[test]
fn the_original_caller_is_shown_and_the_did_asserted() {
    assert_eq!(
        text(IdentityPolicy::default(), &facts(shown(), &side())),
        "From: \"Suzuki \\\"Ken\\\"X-Evil: 1\" <sip:09011112222@pbx.example>\r\n\
         P-Asserted-Identity: <sip:0311112222@pbx.example>\r\n\
         Diversion: <sip:0311112222@pbx.example>;reason=unconditional;counter=1;privacy=off\r\n"
    );
}

#[test]
fn every_header_names_whom_the_policy_says() {
    let policy = IdentityPolicy {
        from: Presented::Did,
        asserted: Presented::None,
        preferred: Presented::Did,
        remote_party_id: Presented::Caller,
        diversion: false,
        history_info: true,
        ..IdentityPolicy::default()
    };
    assert_eq!(
        text(policy, &facts(shown(), &side())),
        "From: <sip:0311112222@pbx.example>\r\n\
         P-Preferred-Identity: <sip:0311112222@pbx.example>\r\n\
         Remote-Party-ID: <sip:09011112222@pbx.example>;party=calling;screen=yes;privacy=off\r\n\
         History-Info: <sip:0311112222@pbx.example>;index=1\r\n\
         History-Info: <sip:0399998888@192.0.2.2:5060;cause=302>;index=1.1;mp=1\r\n"
    );
}

#[test]
fn a_withheld_caller_stays_withheld() {
    let policy = IdentityPolicy { asserted: Presented::Caller, ..bare() };
    assert_eq!(
        text(policy, &facts(hidden(CallerClass::Withheld), &side())),
        "From: \"Anonymous\" <sip:anonymous@anonymous.invalid>\r\nPrivacy: id\r\n"
    );
}

#[test]
fn a_trusted_trunk_is_told_who_withheld_and_asked_to_keep_it() {
    let identity = IdentityPolicy { asserted: Presented::Caller, ..bare() };
    let spec = TrunkSpec { identity, trusted: true, ..TrunkSpec::default() };
    let withheld = hidden(CallerClass::Withheld);
    assert_eq!(
        text_by(spec.clone(), &facts(withheld, &side())),
        "From: \"Anonymous\" <sip:anonymous@anonymous.invalid>\r\n\
         P-Asserted-Identity: <sip:09011112222@pbx.example>\r\nPrivacy: id\r\n"
    );
    // Where nobody asks for privacy, nothing is said.
    for identity in [
        IdentityPolicy { privacy: false, ..identity },
        IdentityPolicy { from: Presented::Did, ..identity },
    ] {
        let told = text_by(TrunkSpec { identity, ..spec.clone() }, &facts(withheld, &side()));
        assert!(!told.contains("09011112222"), "{told}");
    }
}

#[test]
fn a_phone_of_ours_that_withholds_its_number_shows_no_did() {
    let own = CallerSide { own: true, network: number("0311112222"), ..CallerSide::default() };
    let calling = CallFacts { forwarded: false, ..facts(hidden(CallerClass::Withheld), &own) };
    let policy = IdentityPolicy { from: Presented::Did, preferred: Presented::Did, ..bare() };
    assert_eq!(
        text(policy, &calling),
        "From: \"Anonymous\" <sip:anonymous@anonymous.invalid>\r\nPrivacy: id\r\n"
    );
    let spec = TrunkSpec { identity: policy, trusted: true, ..TrunkSpec::default() };
    let told = text_by(spec, &calling);
    assert!(told.contains("P-Preferred-Identity: <sip:0311112222@pbx.example>\r\nPrivacy: id"));
}

#[test]
fn a_caller_without_a_number_is_told_by_its_japanese_text() {
    for (class, name) in [
        (CallerClass::Withheld, "Anonymous"),
        (CallerClass::Payphone, "Coin line/payphone"),
        (CallerClass::Unavailable, "Unavailable"),
    ] {
        let told = text(bare(), &facts(hidden(class), &side()));
        let privacy = if class == CallerClass::Withheld { "Privacy: id\r\n" } else { "" };
        let from = format!("From: \"{name}\" <sip:anonymous@anonymous.invalid>\r\n{privacy}");
        assert_eq!(told, from);
    }
}

#[test]
fn a_trunk_that_screens_numbers_sees_only_the_did() {
    let policy = IdentityPolicy { from: Presented::Did, ..bare() };
    let told = text(policy, &facts(shown(), &side()));
    assert_eq!(told, "From: <sip:0311112222@pbx.example>\r\n");
}

#[test]
fn the_dids_own_name_replaces_the_callers_unless_no_name_is_wanted() {
    let side = side();
    let named = CallFacts { presented_name: "山田商事", ..facts(shown(), &side) };
    for (display, name) in [
        (ShownName::Caller, "\"山田商事\" "),
        (ShownName::Did, "\"山田商事\" "),
        (ShownName::None, ""),
    ] {
        let policy = IdentityPolicy { display, ..bare() };
        assert_eq!(text(policy, &named), format!("From: {name}<sip:09011112222@pbx.example>\r\n"));
    }
    let policy = IdentityPolicy { display: ShownName::Did, ..bare() };
    let nameless = text(policy, &facts(shown(), &side));
    assert_eq!(nameless, "From: <sip:09011112222@pbx.example>\r\n");
}

#[test]
fn our_redirection_stands_on_top_of_the_earlier_ones() {
    let earlier = Redirection {
        number: number("0344445555"),
        reason: DiversionReason::UserBusy,
        counter: 2,
        private: true,
        status: 0,
    };
    let side = CallerSide { redirections: vec![earlier], ..CallerSide::default() };
    let calling = CallFacts { reason: DiversionReason::NoAnswer, ..facts(shown(), &side) };
    let policy = IdentityPolicy { asserted: Presented::None, ..IdentityPolicy::default() };
    let told = |trusted| {
        let spec = TrunkSpec { identity: policy, trusted, ..TrunkSpec::default() };
        text_by(spec, &calling).lines().skip(1).collect::<Vec<_>>().join("\n")
    };
    let ours = "Diversion: <sip:0311112222@pbx.example>;reason=no-answer;counter=1;privacy=off\n\
                Diversion: ";
    let theirs = ";reason=user-busy;counter=2;privacy=full";
    assert_eq!(told(true), format!("{ours}<sip:0344445555@pbx.example>{theirs}"));
    assert_eq!(told(false), format!("{ours}<sip:anonymous@anonymous.invalid>{theirs}"));
}

#[test]
fn numbers_are_written_in_the_peers_uri() {
    let spec = |format_out, uri_out| TrunkSpec {
        format_out,
        uri_out,
        identity: bare(),
        ..TrunkSpec::default()
    };
    let side = CallerSide::default();
    for (format, uri, written) in [
        (NumberFormat::National, UriForm::Sip, "sip:09011112222@pbx.example"),
        (NumberFormat::E164, UriForm::UserPhone, "sip:+819011112222@pbx.example;user=phone"),
        (NumberFormat::E164NoPlus, UriForm::Sip, "sip:819011112222@pbx.example"),
        (NumberFormat::E164, UriForm::Tel, "tel:+819011112222"),
        (NumberFormat::E164NoPlus, UriForm::Tel, "tel:+819011112222"),
        (NumberFormat::National, UriForm::Tel, "tel:09011112222;phone-context=+81"),
    ] {
        let told = text_by(spec(format, uri), &facts(shown(), &side));
        assert_eq!(told, format!("From: <{written}>\r\n"));
    }
    let own_host =
        TrunkSpec { domain: "ntt-east.ne.jp".into(), ..spec(NumberFormat::National, UriForm::Sip) };
    let told = text_by(own_host, &facts(shown(), &side));
    assert_eq!(told, "From: <sip:09011112222@ntt-east.ne.jp>\r\n");
}
