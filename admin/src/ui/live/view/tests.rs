//! Rows of the board.

use std::time::Duration;

use tensou_engine::plan::parse_e164;
use tensou_engine::{CallId, Direction, EndedBy, Key, LegNumber, WallTime};

use super::*;
use crate::ui::texts::Language;

const HOSTILE: &str = "<img src=x onerror=alert(1)>\"'";

fn call(state: CallState, destination: &str) -> LiveCall {
    LiveCall {
        id: CallId::new(1_795_442_891_000, 1, 2),
        node: None,
        state,
        direction: Direction::Forward,
        did: parse_e164("0312345678").ok(),
        customer: Some(Key::from("acme")),
        caller: Caller { number: parse_e164("09012345678").ok(), class: CallerClass::Number },
        trunk_in: Some(Key::from("pri")),
        started_at: WallTime::from_unix_micros(1_795_442_891_000_000),
        ringing_at: None,
        answered_at: None,
        answered_by: None,
        legs: vec![LiveLeg {
            number: LegNumber(1),
            destination: Key::from(destination),
            trunk_out: None,
            state: LegState::Ended(486),
            ringing_at: None,
        }],
    }
}

fn html(row: impl Template) -> String {
    row.render().unwrap()
}

fn with<'a>(names: &'a NameTable, clock: &'a Clock, may_hang_up: bool) -> Context<'a> {
    Context { t: Language::English.texts(), clock, names, may_hang_up }
}

fn tokyo() -> Clock {
    Clock::new("Asia/Tokyo")
}

#[test]
fn a_call_shows_numbers_as_people_write_them_and_names() {
    let names =
        NameTable::of(&[(Kind::Customer, "acme", "Acme"), (Kind::Destination, "yamada", "山田")]);
    let row =
        html(CallRow::new(&call(CallState::Ringing, "yamada"), &with(&names, &tokyo(), true)));
    for shown in ["03-1234-5678", "090-1234-5678", "Acme", "山田", "(486)", "23:08:11"] {
        assert!(row.contains(shown), "{shown} in {row}");
    }
    assert!(row.contains("data-since=\"1795442891000\""));
}

#[test]
fn talking_time_runs_from_the_answer() {
    let mut call = call(CallState::Talking, "yamada");
    call.answered_at = Some(WallTime::from_unix_micros(1_795_442_899_000_000));
    let row = html(CallRow::new(&call, &with(&NameTable::default(), &tokyo(), true)));
    assert!(row.contains("data-since=\"1795442899000\""), "{row}");
}

#[test]
fn only_who_may_hang_up_is_offered_to() {
    let call = call(CallState::Talking, "yamada");
    let row = |may| html(CallRow::new(&call, &with(&NameTable::default(), &tokyo(), may)));
    assert!(row(true).contains("data-hang-up"));
    assert!(!row(false).contains("hang-up"));
}

#[test]
fn text_from_outside_is_shown_as_text() {
    let names = NameTable::of(&[
        (Kind::Customer, "acme", HOSTILE),
        (Kind::Trunk, "pri", HOSTILE),
        (Kind::Extension, "100", HOSTILE),
    ]);
    let clock = tokyo();
    let with = with(&names, &clock, true);
    let live = call(CallState::Talking, HOSTILE);
    let ended = EndedCall {
        call: LiveCall { answered_by: Some(Key::from(HOSTILE)), ..live.clone() },
        ended_at: live.started_at,
        duration: Duration::from_secs(61),
        result: CallResult::Answered,
        sip_status: 200,
        q850_cause: 16,
        ended_by: EndedBy::Caller,
    };
    let phone = Registration {
        extension: Key::from("100"),
        contact: HOSTILE.into(),
        source: "192.0.2.9:5060".parse().unwrap(),
        expires_at: live.started_at,
    };
    for row in [
        html(CallRow::new(&live, &with)),
        html(EndedRow::new(&ended, &with)),
        html(PhoneRow::new(&phone, &names)),
        html(TrunkRow::new(&trunk(HOSTILE, 23), None, Language::English.texts())),
    ] {
        assert!(!row.contains("<img") && row.contains("img src=x onerror"), "{row}");
        // A quote must not end an attribute either.
        assert!(!row.contains("alert(1)>"), "{row}");
    }
}

#[test]
fn a_call_out_shows_the_number_that_was_dialled() {
    let mut call = call(CallState::Ringing, "+819087654321");
    call.direction = Direction::Out;
    let row = html(CallRow::new(&call, &with(&NameTable::default(), &tokyo(), false)));
    assert!(row.contains("090-8765-4321") && row.contains("Outgoing"), "{row}");
    assert!(!row.contains("03-1234-5678"), "{row}");
}

#[test]
fn a_withheld_number_is_a_word() {
    let mut call = call(CallState::Ringing, "yamada");
    call.caller = Caller { number: None, class: CallerClass::Withheld };
    let row = html(CallRow::new(&call, &with(&NameTable::default(), &tokyo(), false)));
    assert!(row.contains("Withheld"), "{row}");
}

#[test]
fn a_trunk_draws_one_cell_per_channel_and_warns_before_it_is_full() {
    let row = |in_use, limit| {
        let usage = TrunkUse { trunk: Key::from("pri"), in_use, limit };
        html(TrunkRow::new(&trunk("INS1500", 23), Some(&usage), Language::English.texts()))
    };
    let some = row(7, 23);
    assert_eq!(some.matches("<rect").count(), 23);
    assert_eq!(some.matches("class=\"lit\"").count(), 7);
    assert!(some.contains("trunk good"));
    assert!(row(19, 23).contains("trunk wait"));
    assert!(row(23, 23).contains("trunk bad"));
    assert_eq!(row(100, 1000).matches("<rect").count(), 2);
    assert!(!row(5, 0).contains("<rect"));
}

fn trunk(name: &str, channels: u32) -> Trunk {
    let json = serde_json::json!({ "id": "pri", "name": name, "channels": channels });
    serde_json::from_value(json).unwrap()
}
