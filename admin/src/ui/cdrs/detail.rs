//! One call record: facts, time line, legs, media quality.

use askama::Template;
use axum::extract::{Path, State};
use tensou_store::model::{CdrLegRecord, CdrRecord, MediaRecord};

use super::{called, caller, tone_of};
use crate::app::Clock;
use crate::ui::gantt::{Axis, Lane};
use crate::ui::names::{Kind, NameTable, Wanted};
use crate::ui::page::Page;
use crate::ui::texts::Texts;
use crate::ui::visit::{Answer, Visit, render};
use crate::ui::{Ui, format};

#[derive(Template)]
#[template(path = "cdr.html")]
struct CdrPage {
    page: Page,
    caller: String,
    called: String,
    tone: &'static str,
    result: String,
    facts: Vec<Fact>,
    lanes: Vec<Lane>,
    axis_start: String,
    axis_end: String,
    legs: Vec<LegRow>,
    media: Vec<MediaRow>,
}

struct Fact {
    label: &'static str,
    value: String,
    sub: String,
}

struct LegRow {
    name: String,
    dialled: String,
    presented: String,
    trunk: String,
    started: String,
    ringing: String,
    answered: String,
    ended: String,
    status: String,
    cause: String,
}

struct MediaRow {
    leg: String,
    direction: &'static str,
    mos: String,
    tone: &'static str,
    packets: u64,
    lost: String,
    jitter: String,
}

/// What a record is shown with.
struct With<'a> {
    t: &'static Texts,
    clock: &'a Clock,
    names: &'a NameTable,
}

/// One record.
pub(crate) async fn detail(State(ui): State<Ui>, visit: Visit, Path(id): Path<String>) -> Answer {
    let found = ui.app.cdr(&visit.who, &id).await;
    let record = found.map_err(|refusal| visit.refuse(&refusal))?;

    let mut wanted = Wanted::default();
    wanted.add(Kind::Customer, record.customer_id.as_deref());
    wanted.add(Kind::Trunk, record.trunk_in.as_deref());
    wanted.add(Kind::Destination, record.answered_by.as_deref());
    for leg in &record.legs {
        wanted.add(Kind::Destination, Some(leg.destination.as_str()));
        wanted.add(Kind::Trunk, leg.trunk_out.as_deref());
    }
    let names = ui.names.table(ui.app.store(), wanted).await;
    let with = With { t: visit.page.t, clock: ui.app.clock(), names: &names };
    let (from, to) = (record.started_at, record.ended_at);
    Ok(render(&CdrPage {
        caller: caller(&record, with.t).0,
        called: called(&record),
        tone: tone_of(&record.result),
        result: with.t.word("result", &record.result),
        facts: facts(&record, &with),
        lanes: lanes(&record, &with),
        axis_start: format::time(with.clock, from),
        axis_end: format!("{} (+{})", format::time(with.clock, to), format::duration(to - from)),
        legs: record.legs.iter().map(|leg| LegRow::new(leg, &with)).collect(),
        media: record.legs.iter().flat_map(|leg| media(leg, &with)).collect(),
        page: visit.page,
    }))
}

fn facts(record: &CdrRecord, with: &With<'_>) -> Vec<Fact> {
    let t = with.t;
    let fact = |label, value: String| Fact { label, value, sub: String::new() };
    let name = |kind, key: &Option<String>| {
        key.as_deref().map(|key| with.names.name(kind, key)).unwrap_or_default()
    };
    let mut facts = vec![
        fact(t.started, format::date_time(with.clock, record.started_at)),
        fact(t.talk_time, format::duration(record.duration_ms)),
    ];
    if let Some(answered_at) = record.answered_at {
        facts.push(fact(t.wait_time, format::duration(answered_at - record.started_at)));
        facts.push(fact(t.answered_by, name(Kind::Destination, &record.answered_by)));
    }
    facts.extend([
        Fact {
            sub: record.customer_id.clone().unwrap_or_default(),
            ..fact(t.customer, name(Kind::Customer, &record.customer_id))
        },
        fact(t.direction, t.word("direction", &record.direction)),
        fact(t.trunk_in, name(Kind::Trunk, &record.trunk_in)),
        fact(t.ended_by, t.word("ended_by", &record.ended_by)),
        Fact {
            sub: format!("Q.850 {}", record.q850_cause),
            ..fact(t.cause, t.cause(record.q850_cause).unwrap_or("–").to_owned())
        },
        fact(t.sip_status, record.sip_status.to_string()),
        fact(t.node, record.node.clone()),
        fact(t.record_id, record.id.clone()),
    ]);
    facts.retain(|fact| !fact.value.is_empty());
    facts
}

/// The caller's lane and one per leg: dialling, ringing, talking.
fn lanes(record: &CdrRecord, with: &With<'_>) -> Vec<Lane> {
    let axis = Axis::new(record.started_at, record.ended_at);
    let whole = (record.started_at, record.ringing_at, record.answered_at, record.ended_at);
    let mut lanes = vec![lane(axis, with.t.caller.to_owned(), whole, with)];
    for leg in &record.legs {
        let name = with.names.name(Kind::Destination, &leg.destination);
        let times = (leg.started_at, leg.ringing_at, leg.answered_at, leg.ended_at);
        lanes.push(lane(axis, name, times, with));
    }
    lanes
}

/// A lane from start, ringing, answer and end.
fn lane(
    axis: Axis,
    name: String,
    (start, ringing, answered, end): (i64, Option<i64>, Option<i64>, i64),
    with: &With<'_>,
) -> Lane {
    let t = with.t;
    let rings_until = answered.unwrap_or(end);
    let stretches = [
        Some(("wait", t.leg_dialled, start, ringing.unwrap_or(rings_until))),
        ringing.map(|ringing| ("ring", t.leg_ringing, ringing, rings_until)),
        answered.map(|answered| ("talk", t.leg_talking, answered, end)),
    ];
    let told: Vec<_> = stretches
        .into_iter()
        .flatten()
        .map(|(tone, word, from, to)| {
            (tone, format!("{word} {}", format::duration(to - from)), from, to)
        })
        .collect();
    let words: Vec<_> = told.iter().map(|(_, text, _, _)| text.as_str()).collect();
    Lane {
        label: format!("{name}: {}", words.join(", ")),
        title: name.clone(),
        name,
        bars: told
            .into_iter()
            .filter_map(|(tone, text, from, to)| axis.bar(tone, from, to, text))
            .collect(),
    }
}

impl LegRow {
    fn new(leg: &CdrLegRecord, with: &With<'_>) -> Self {
        let time = |at: Option<i64>| at.map(|at| format::time(with.clock, at)).unwrap_or_default();
        let trunk = leg.trunk_out.as_deref();
        LegRow {
            name: with.names.name(Kind::Destination, &leg.destination),
            dialled: format::hyphenate(&leg.dialled),
            presented: leg.presented.as_deref().map(format::hyphenate).unwrap_or_default(),
            trunk: trunk.map(|id| with.names.name(Kind::Trunk, id)).unwrap_or_default(),
            started: time(Some(leg.started_at)),
            ringing: time(leg.ringing_at),
            answered: time(leg.answered_at),
            ended: time(Some(leg.ended_at)),
            status: if leg.sip_status == 0 { "–".to_owned() } else { leg.sip_status.to_string() },
            cause: with.t.cause(leg.q850_cause).unwrap_or_default().to_owned(),
        }
    }
}

fn media(leg: &CdrLegRecord, with: &With<'_>) -> Vec<MediaRow> {
    let Some(media) = &leg.media else { return Vec::new() };
    let name = with.names.name(Kind::Destination, &leg.destination);
    let row = |direction, counted: &MediaRecord| MediaRow {
        leg: name.clone(),
        direction,
        mos: counted.mos.map_or_else(|| "–".to_owned(), |mos| format!("{mos:.1}")),
        tone: quality(counted.mos),
        packets: counted.packets,
        lost: share(counted.lost, counted.packets),
        jitter: format!("{:.1}", counted.jitter_ms),
    };
    vec![row(with.t.media_received, &media.received), row(with.t.media_sent, &media.sent)]
}

/// The colour of a mean opinion score: below 3.1 nearly all users are dissatisfied, from 4.0 they
/// are satisfied (ITU-T G.107 Annex B).
fn quality(mos: Option<f32>) -> &'static str {
    match mos {
        None => "idle",
        Some(mos) if mos >= 4.0 => "good",
        Some(mos) if mos >= 3.1 => "wait",
        Some(_) => "bad",
    }
}

/// Lost packets as a share of those that should have come.
fn share(lost: u64, packets: u64) -> String {
    let sent = lost.saturating_add(packets).max(1);
    format!("{:.1} %", lost as f64 / sent as f64 * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::texts::Language;

    #[test]
    fn a_lane_shows_dialling_ringing_and_talking_in_proportion() {
        let (clock, names) = (Clock::new("Asia/Tokyo"), NameTable::default());
        let with = With { t: Language::English.texts(), clock: &clock, names: &names };
        let axis = Axis::new(0, 100_000);
        let answered = lane(axis, "a".into(), (0, Some(10_000), Some(30_000), 100_000), &with);
        let tones: Vec<_> = answered.bars.iter().map(|bar| (bar.tone, &*bar.width)).collect();
        assert_eq!(tones, [("wait", "10.00"), ("ring", "20.00"), ("talk", "70.00")]);
        assert_eq!(answered.label, "a: dialling 0:10, ringing 0:20, talking 1:10");

        let missed = lane(axis, "b".into(), (0, None, None, 50_000), &with);
        let tones: Vec<_> = missed.bars.iter().map(|bar| (bar.tone, &*bar.width)).collect();
        assert_eq!(tones, [("wait", "50.00")]);
    }

    #[test]
    fn quality_is_judged_as_g_107_does() {
        assert_eq!(quality(Some(4.4)), "good");
        assert_eq!(quality(Some(3.2)), "wait");
        assert_eq!(quality(Some(2.0)), "bad");
        assert_eq!(quality(None), "idle");
        assert_eq!(share(5, 95), "5.0 %");
        assert_eq!(share(0, 0), "0.0 %");
    }
}
