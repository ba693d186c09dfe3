//! Reconstruction from recorded lists of messages, and what the comparison makes of records.

use std::net::SocketAddr;

use super::*;

const GATEWAY: &str = "10.0.0.2:5060";
const SERVER: &str = "10.0.0.1:5060";
const MEMBER: &str = "10.0.0.3:5060";
const OTHER: &str = "10.0.0.4:5060";
const START: Micros = 1_795_000_000_000_000;

/// A list of messages, written the way a ladder diagram reads.
#[derive(Default)]
struct Wire(Vec<Sighting>);

/// Who is in a dialog: Call-ID and From tag, To tag, mark.
#[derive(Clone, Copy)]
struct Dialog(&'static str, &'static str, &'static str);

/// The caller's leg, and the two that the server makes of it.
const A: Dialog = Dialog("a", "at", "x1");
const B: Dialog = Dialog("b", "bt", "x1");
const C: Dialog = Dialog("c", "ct", "x1");

impl Wire {
    fn put(&mut self, at_ms: u64, from: &str, to: &str, payload: String) -> &mut Self {
        let address = |text: &str| -> SocketAddr { text.parse().unwrap() };
        let at = START + at_ms * 1000;
        let (from, to) = (address(from), address(to));
        self.0.push(Sighting { at, from, to, payload: payload.into_bytes() });
        self
    }

    fn request(
        &mut self,
        at: u64,
        way: [&str; 2],
        line: &str,
        cseq: u32,
        dialog: Dialog,
    ) -> &mut Self {
        let Dialog(call, tag, mark) = dialog;
        let (method, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (user, to_tag) = rest.split_once(' ').unwrap_or((rest, ""));
        let to_tag = if to_tag.is_empty() { String::new() } else { format!(";tag={to_tag}") };
        let text = format!(
            "{method} sip:{user}@host SIP/2.0\r\nFrom: <sip:09012345678@x>;tag={tag}\r\n\
             To: <sip:y>{to_tag}\r\nCall-ID: {call}\r\nCSeq: {cseq} {method}\r\n\
             User-to-User: {mark}\r\nContent-Length: 0\r\n\r\n"
        );
        self.put(at, way[0], way[1], text)
    }

    /// `line`: status, CSeq's method, To tag.
    fn answer(&mut self, at: u64, way: [&str; 2], line: &str, dialog: Dialog) -> &mut Self {
        let Dialog(call, tag, _) = dialog;
        let words: Vec<&str> = line.split(' ').collect();
        let (status, method, to_tag) = (words[0], words[1], words[2]);
        let text = format!(
            "SIP/2.0 {status} Text\r\nFrom: <sip:09012345678@x>;tag={tag}\r\n\
             To: <sip:y>;tag={to_tag}\r\nCall-ID: {call}\r\nCSeq: 1 {method}\r\n\
             Content-Length: 0\r\n\r\n"
        );
        self.put(at, way[0], way[1], text)
    }

    /// INVITE in, INVITE out, ringing back.
    fn dials(&mut self) -> &mut Self {
        self.request(0, [GATEWAY, SERVER], "INVITE 0310001002", 1, A)
            .answer(1, [SERVER, GATEWAY], "100 INVITE s", A)
            .request(1, [SERVER, MEMBER], "INVITE 09000000001", 1, B)
            .answer(3, [MEMBER, SERVER], "180 INVITE m", B)
            .answer(4, [SERVER, GATEWAY], "180 INVITE s", A)
    }

    /// Answered after a second.
    fn answers(&mut self) -> &mut Self {
        self.answer(1000, [MEMBER, SERVER], "200 INVITE m", B)
            .answer(1001, [SERVER, GATEWAY], "200 INVITE s", A)
            .request(1002, [GATEWAY, SERVER], "ACK 0310001002 s", 1, A)
            .request(1003, [SERVER, MEMBER], "ACK 09000000001 m", 1, B)
    }

    /// The caller hangs up after five seconds of talk.
    fn ends(&mut self) -> &mut Self {
        self.request(6001, [GATEWAY, SERVER], "BYE 0310001002 s", 2, A)
            .answer(6002, [SERVER, GATEWAY], "200 BYE s", A)
            .request(6002, [SERVER, MEMBER], "BYE 09000000001 m", 2, B)
            .answer(6003, [MEMBER, SERVER], "200 BYE m", B)
    }

    fn calls(&self) -> Vec<Call> {
        rebuild(&self.0, &[SERVER.parse().unwrap()])
    }

    fn only_call(&self) -> Call {
        let [call] = self.calls().try_into().unwrap();
        call
    }
}

fn nominal() -> Wire {
    let mut wire = Wire::default();
    wire.dials().answers().ends();
    wire
}

fn record() -> Record {
    Record {
        id: "1".into(),
        node: "n".into(),
        direction: "forward".into(),
        did: Some("+81310001002".into()),
        caller: "+819012345678".into(),
        started_at: "2026-11-18T00:00:00+09:00".into(),
        ended_at: "2026-11-18T00:00:06+09:00".into(),
        duration_ms: 5001,
        result: "answered".into(),
        sip_status: 200,
        ended_by: "caller".into(),
        answered_by: Some("a".into()),
        legs: vec![RecordLeg {
            destination: "a".into(),
            dialled: "09000000001".into(),
            answered_at: Some("2026-11-18T00:00:01+09:00".into()),
        }],
    }
}

fn refused(status: u16, result: &str) -> Record {
    let legs = Vec::new();
    let result = result.to_owned();
    Record { duration_ms: 0, result, sip_status: status, answered_by: None, legs, ..record() }
}

fn kinds(wire: &Wire, records: &[Record]) -> Vec<Kind> {
    let verdict = compare(&wire.calls(), records, 0);
    verdict.findings.iter().map(|finding| finding.kind).collect()
}

#[test]
fn a_call_is_rebuilt_from_both_its_legs() {
    let call = nominal().only_call();
    assert_eq!((call.caller.as_str(), call.dialled.as_str()), ("+819012345678", "+81310001002"));
    assert_eq!(call.connected().unwrap().dialled, "+819000000001");
    assert_eq!(call.ringing_at, Some(START + 4000));
    assert_eq!(call.talked(), Some((5_000_000, 5_002_000)));
    assert_eq!(kinds(&nominal(), &[record()]), []);
}

#[test]
fn a_record_that_is_not_true_is_told_by_its_kind() {
    let wire = nominal();
    let of = |change: fn(&mut Record)| {
        let mut record = record();
        change(&mut record);
        kinds(&wire, &[record])
    };
    assert_eq!(kinds(&wire, &[]), [Kind::Missing]);
    assert_eq!(of(|it| it.duration_ms = 5022), []);
    assert_eq!(of(|it| it.duration_ms = 5023), [Kind::WrongDuration]);
    assert_eq!(of(|it| it.duration_ms = 4979), []);
    assert_eq!(of(|it| it.duration_ms = 4978), [Kind::WrongDuration]);
    assert_eq!(of(|it| it.result = "cancelled".into()), [Kind::WrongResult]);
    assert_eq!(of(|it| it.legs[0].dialled = "09000000002".into()), [Kind::WrongParty]);
    assert_eq!(of(|it| it.answered_by = None), [Kind::WrongParty]);
    assert_eq!(of(|it| it.caller = "+819099999999".into()), [Kind::Missing, Kind::Extra]);
    let again = Record { id: "2".into(), ..record() };
    assert_eq!(kinds(&wire, &[record(), again]), [Kind::Twice]);
    assert_eq!(kinds(&wire, &[record(), record()]), [Kind::Twice, Kind::Twice]);
}

#[test]
fn a_caller_that_gives_up_is_cancelled_and_nothing_else() {
    let mut wire = Wire::default();
    wire.dials()
        .request(2000, [GATEWAY, SERVER], "CANCEL 0310001002", 1, A)
        .answer(2001, [SERVER, GATEWAY], "200 CANCEL s", A)
        .request(2001, [SERVER, MEMBER], "CANCEL 09000000001", 1, B)
        .answer(2001, [SERVER, GATEWAY], "487 INVITE s", A)
        .answer(2003, [MEMBER, SERVER], "487 INVITE m", B);
    assert_eq!(wire.only_call().fate, Fate::Refused { status: 487, cancelled: true });
    assert_eq!(kinds(&wire, &[refused(487, "cancelled")]), []);
    assert_eq!(kinds(&wire, &[refused(487, "no_answer")]), [Kind::WrongResult]);
    assert_eq!(kinds(&wire, &[refused(480, "no_answer")]), [Kind::WrongResult]);
    assert_eq!(kinds(&wire, &[record()]), [Kind::WrongResult]);
}

#[test]
fn of_two_that_answer_the_one_not_turned_away_is_the_party() {
    let mut wire = Wire::default();
    wire.dials()
        .request(1, [SERVER, OTHER], "INVITE 09000000002", 1, C)
        .answer(1000, [OTHER, SERVER], "200 INVITE o", C)
        .answer(1000, [MEMBER, SERVER], "200 INVITE m", B)
        .answer(1000, [MEMBER, SERVER], "200 INVITE fork", B)
        .answer(1001, [SERVER, GATEWAY], "200 INVITE s", A)
        .request(1001, [SERVER, OTHER], "BYE 09000000002 o", 2, C)
        .request(1001, [SERVER, MEMBER], "BYE 09000000001 fork", 2, B)
        .answer(1002, [OTHER, SERVER], "200 BYE o", C)
        .ends();
    let call = wire.only_call();
    assert_eq!(call.legs.len(), 2);
    assert_eq!(call.connected().unwrap().dialled, "+819000000001");
    assert_eq!(kinds(&wire, &[record()]), []);
}

#[test]
fn a_callee_that_hangs_up_ends_the_talk_at_its_bye() {
    let mut wire = Wire::default();
    wire.dials()
        .answers()
        .put(3000, MEMBER, SERVER, callee_bye())
        .answer(3001, [SERVER, MEMBER], "200 BYE bt", Dialog("b", "m", "x1"))
        .request(3001, [SERVER, GATEWAY], "BYE 09012345678 at", 1, Dialog("a", "s", "x1"))
        .answer(3003, [GATEWAY, SERVER], "200 BYE at", Dialog("a", "s", "x1"));
    let call = wire.only_call();
    assert_eq!(call.talked(), Some((1_999_000, 2_001_000)));
    assert_eq!(kinds(&wire, &[Record { duration_ms: 2000, ..record() }]), []);
}

fn callee_bye() -> String {
    "BYE sip:s@host SIP/2.0\r\nFrom: <sip:y>;tag=m\r\nTo: <sip:x>;tag=bt\r\nCall-ID: b\r\n\
     CSeq: 1 BYE\r\nContent-Length: 0\r\n\r\n"
        .to_owned()
}

#[test]
fn repeated_doubled_and_swapped_messages_change_nothing() {
    let expected = nominal().only_call();
    let mut wire = nominal();
    let doubled: Vec<Sighting> = wire.0.iter().flat_map(|it| [it.clone(), it.clone()]).collect();
    wire.0 = doubled;
    assert_eq!(wire.only_call(), expected);
    // A 180 that the 200 overtook, and an old INVITE after everything.
    let mut wire = nominal();
    let ringing = wire.0.remove(4);
    wire.0.insert(7, ringing);
    let invite = wire.0[0].clone();
    wire.0.push(invite);
    assert_eq!(wire.only_call(), expected);
    // What the callee's network repeats before the answer passed on counts as its answer.
    let mut wire = Wire::default();
    wire.dials().answer(500, [MEMBER, SERVER], "200 INVITE m", B).answers().ends();
    assert_eq!(wire.only_call().talked(), Some((5_000_000, 5_002_000)));
}

#[test]
fn a_bye_that_found_no_server_counts_from_the_copy_that_did() {
    let mut wire = Wire::default();
    wire.dials().answers().request(5501, [GATEWAY, SERVER], "BYE 0310001002 s", 2, A).ends();
    let verdict = compare(&wire.calls(), &[record()], 0);
    assert!(verdict.is_clean(), "{verdict}");
    assert_eq!((verdict.late_ends, verdict.latest_end_ms), (1, 500.0));
    let mut wire = Wire::default();
    wire.dials().answers().request(6001, [GATEWAY, SERVER], "BYE 0310001002 s", 2, A);
    assert_eq!(kinds(&wire, &[record()]), [Kind::UnansweredBye]);
}

#[test]
fn a_call_without_a_mark_is_put_together_by_its_number() {
    let mut wire = nominal();
    for seen in &mut wire.0 {
        let text = String::from_utf8(std::mem::take(&mut seen.payload)).unwrap();
        seen.payload = text.replace("User-to-User: x1\r\n", "").into_bytes();
    }
    assert_eq!(wire.only_call().connected().unwrap().dialled, "+819000000001");
}

#[test]
fn a_challenge_a_silence_and_a_refusal_before_the_call_need_no_record() {
    let mut wire = Wire::default();
    wire.request(0, [GATEWAY, SERVER], "INVITE 0310001002", 1, A);
    assert_eq!(wire.only_call().fate, Fate::Unheard);
    assert_eq!(kinds(&wire, &[]), []);
    wire.answer(1, [SERVER, GATEWAY], "407 INVITE s", A);
    assert_eq!(wire.only_call().fate, Fate::Challenged);
    wire.request(2, [GATEWAY, SERVER], "INVITE 0310001002", 2, A);
    assert_eq!(wire.only_call().fate, Fate::Standing);
    let mut wire = Wire::default();
    wire.request(0, [GATEWAY, SERVER], "INVITE 0310001002", 1, A).answer(
        1,
        [SERVER, GATEWAY],
        "503 INVITE s",
        A,
    );
    assert_eq!(compare(&wire.calls(), &[], 0).turned_away, 1);
    assert_eq!(kinds(&wire, &[refused(503, "failed")]), []);
}

#[test]
fn equal_callers_are_told_apart_by_time_unless_the_clock_was_moved() {
    let mut wire = nominal();
    let again = Dialog("a2", "at2", "x2");
    wire.request(60_000, [GATEWAY, SERVER], "INVITE 0310001002", 1, again).answer(
        60_001,
        [SERVER, GATEWAY],
        "486 INVITE s",
        again,
    );
    let busy = Record { id: "2".into(), ..refused(486, "busy") };
    let later = |it: &Record, by: &str| Record { started_at: by.into(), ..it.clone() };
    // In order of time, an hour off.
    let shifted =
        [later(&record(), "2026-11-18T01:00:00+09:00"), later(&busy, "2026-11-18T01:01:00+09:00")];
    assert_eq!(kinds(&wire, &shifted), []);
    assert_eq!(kinds(&wire, &shifted[..1]), [Kind::Missing, Kind::Missing, Kind::Extra]);
}

#[test]
fn equal_callers_within_a_millisecond_are_told_apart_by_how_their_calls_went() {
    let mut wire = nominal();
    let again = Dialog("a2", "at2", "x2");
    wire.request(1, [GATEWAY, SERVER], "INVITE 0310001002", 1, again).answer(
        2,
        [SERVER, GATEWAY],
        "486 INVITE s",
        again,
    );
    // The server has the second one first.
    let at = |id: &str, it: Record| Record {
        id: id.into(),
        started_at: "2026-11-18T20:06:40+09:00".into(),
        ..it
    };
    let (talk, busy) = (at("1", record()), at("2", refused(486, "busy")));
    assert_eq!(kinds(&wire, &[busy.clone(), talk.clone()]), []);
    assert_eq!(kinds(&wire, std::slice::from_ref(&busy)), [Kind::Missing]);
    let third = at("3", record());
    assert_eq!(kinds(&wire, &[busy, third, talk]), [Kind::Twice]);
}

#[test]
fn what_escaped_the_witness_is_no_proof() {
    assert!(!compare(&nominal().calls(), &[record()], 1).is_clean());
}

#[test]
fn a_recording_is_read_as_it_was_written() {
    let recording = Recording { sightings: nominal().0, dropped: 0 };
    let mut file = Vec::new();
    recording.write(&mut file).unwrap();
    assert_eq!(Recording::read(file.as_slice()).unwrap(), recording);
}

#[test]
fn records_are_read_from_lines_lists_and_pages() {
    let line = serde_json::to_string(&record()).unwrap();
    for text in [
        format!("{line}\n{line}\n"),
        format!("[{line},{line}]"),
        format!("{{\"items\":[{line},{line}]}}"),
    ] {
        assert_eq!(Record::read_all(&text).unwrap(), [record(), record()], "{text}");
    }
}
