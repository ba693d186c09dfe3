//! The board as one viewer sees it, row by row.

use std::collections::BTreeMap;

use tensou_store::model::Trunk;
use tensou_store::{Filter, Page, Scope};

use super::patch::Frame;
use super::view::{CallRow, Context, EndedRow, PhoneRow, TrunkRow};
use crate::app::Alarm;
use crate::app::auth::{Action, Area, Principal};
use crate::board::{EndedCall, LiveCall, Registration, TrunkUse};
use crate::ui::Ui;
use crate::ui::names::{Kind, NameTable, Wanted};
use crate::ui::texts::Texts;

/// Rows of live calls sent to a browser; the rest is counted.
const CALLS_SHOWN: usize = 200;
/// Rows of ended calls.
const ENDED_SHOWN: usize = 20;
/// Ended calls that the answer rate is taken of: all that the board keeps.
const ENDED_JUDGED: usize = 200;
/// Registered phones listed; the figure counts all.
const PHONES_SHOWN: usize = 100;
/// Trunks listed.
const TRUNKS_SHOWN: u32 = 200;

/// Makes the rows of the board for one viewer.
pub(crate) struct Feed {
    ui: Ui,
    who: Principal,
    t: &'static Texts,
    /// Trunks as of `revision`.
    trunks: Vec<Trunk>,
    revision: Option<u64>,
}

/// The figures above the lists, as texts.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// What is wrong, for the operator; empty when nothing is.
    pub(crate) alarm: String,
    pub(crate) active: String,
    pub(crate) talking: String,
    pub(crate) ringing: String,
    pub(crate) hidden: String,
    pub(crate) channels: String,
    pub(crate) channel_limit: String,
    pub(crate) phones: String,
    pub(crate) answer_rate: String,
    pub(crate) answered_of: String,
}

/// The board's rows.
pub(crate) struct Rows {
    pub(crate) figures: Figures,
    pub(crate) calls: Vec<CallRow>,
    pub(crate) ended: Vec<EndedRow>,
    pub(crate) trunks: Vec<TrunkRow>,
    pub(crate) phones: Vec<PhoneRow>,
}

impl Feed {
    pub(crate) fn new(ui: Ui, who: Principal, t: &'static Texts) -> Self {
        Feed { ui, who, t, trunks: Vec::new(), revision: None }
    }

    /// Trunks and phones are the operator's own: others see their calls only.
    pub(crate) fn operator(&self) -> bool {
        *self.who.scope() == Scope::All && self.who.may(Action::Read, Area::Trunks)
    }

    pub(crate) fn now_millis(&self) -> i64 {
        self.ui.app.clock().now_millis()
    }

    /// Reads the board.
    pub(crate) async fn rows(&mut self) -> Rows {
        let app = self.ui.app.clone();
        // Without an answer about whose calls these are, none are shown.
        let visible = app.visible(&self.who).await.ok();
        let mine = |call: &LiveCall| {
            visible.as_ref().is_some_and(|visible| visible.includes(call.customer.as_ref()))
        };
        let board = app.board();
        let (calls, counts) = board.newest(CALLS_SHOWN, mine);
        let ended = board.recent(ENDED_JUDGED, mine);
        let (usage, phones) = if self.operator() {
            self.read_trunks().await;
            (board.trunks(), board.registrations())
        } else {
            (Vec::new(), Vec::new())
        };

        let mut figures = Figures {
            active: counts.active.to_string(),
            talking: counts.talking.to_string(),
            ringing: counts.active.saturating_sub(counts.talking).to_string(),
            hidden: counts.active.saturating_sub(calls.len()).to_string(),
            phones: phones.len().to_string(),
            ..Figures::default()
        };
        if self.operator() {
            let alarms = app.alarms().into_iter().map(|alarm| alarm_text(self.t, alarm));
            figures.alarm = alarms.collect::<Vec<_>>().join(" ");
        }
        (figures.answer_rate, figures.answered_of) = answer_rate(&ended);
        let trunks = self.trunk_rows(&usage);
        (figures.channels, figures.channel_limit) = channels(&trunks);

        let shown_ended = ended.get(..ENDED_SHOWN).unwrap_or(&ended);
        let shown_phones = phones.get(..PHONES_SHOWN).unwrap_or(&phones);
        let wanted = wanted(&calls, shown_ended, shown_phones);
        let names = self.ui.names.table(app.store(), wanted).await;
        let with = Context {
            t: self.t,
            clock: app.clock(),
            names: &names,
            may_hang_up: self.who.may(Action::Write, Area::Calls),
        };
        Rows {
            figures,
            calls: calls.iter().map(|call| CallRow::new(call, &with)).collect(),
            ended: shown_ended.iter().map(|ended| EndedRow::new(ended, &with)).collect(),
            trunks,
            phones: phone_rows(shown_phones, &names),
        }
    }

    /// Reads the trunks again when the provisioning has changed. A database that does not answer
    /// leaves them as they were.
    async fn read_trunks(&mut self) {
        let store = self.ui.app.store();
        let Ok(revision) = store.revision().await else { return };
        if self.revision == Some(revision) {
            return;
        }
        let all = Filter::within(Scope::All);
        if let Ok(listing) = store.list::<Trunk>(&all, &Page::first(TRUNKS_SHOWN)).await {
            self.trunks = listing.items.into_iter().map(|item| item.row).collect();
            self.revision = Some(revision);
        }
    }

    fn trunk_rows(&self, usage: &[TrunkUse]) -> Vec<TrunkRow> {
        let usage: BTreeMap<&str, &TrunkUse> =
            usage.iter().map(|row| (row.trunk.as_str(), row)).collect();
        let row =
            |trunk: &Trunk| TrunkRow::new(trunk, usage.get(trunk.id.as_str()).copied(), self.t);
        self.trunks.iter().map(row).collect()
    }
}

impl Rows {
    /// The rows as HTML by key.
    pub(crate) fn into_frame(self) -> Frame {
        let figures = self.figures;
        Frame {
            texts: vec![
                ("alarm", figures.alarm),
                ("active", figures.active),
                ("talking", figures.talking),
                ("ringing", figures.ringing),
                ("hidden", figures.hidden),
                ("channels", figures.channels),
                ("channel_limit", figures.channel_limit),
                ("phones", figures.phones),
                ("answer_rate", figures.answer_rate),
                ("answered_of", figures.answered_of),
            ],
            lists: vec![
                ("calls", keyed(&self.calls, CallRow::key)),
                ("ended", keyed(&self.ended, EndedRow::key)),
                ("trunks", keyed(&self.trunks, TrunkRow::key)),
                ("phones", keyed(&self.phones, PhoneRow::key)),
            ],
        }
    }
}

fn keyed<R: askama::Template>(rows: &[R], key: fn(&R) -> &str) -> Vec<(String, String)> {
    let html = |row: &R| row.render().unwrap_or_default();
    rows.iter().map(|row| (key(row).to_owned(), html(row))).collect()
}

fn phone_rows(phones: &[Registration], names: &NameTable) -> Vec<PhoneRow> {
    phones.iter().map(|phone| PhoneRow::new(phone, names)).collect()
}

fn wanted(calls: &[LiveCall], ended: &[EndedCall], phones: &[Registration]) -> Wanted {
    let mut wanted = Wanted::default();
    for call in calls.iter().chain(ended.iter().map(|ended| &ended.call)) {
        wanted.add(Kind::Customer, call.customer.as_ref().map(|key| key.as_str()));
        wanted.add(Kind::Trunk, call.trunk_in.as_ref().map(|key| key.as_str()));
        wanted.add(Kind::Destination, call.answered_by.as_ref().map(|key| key.as_str()));
    }
    for leg in calls.iter().flat_map(|call| &call.legs) {
        wanted.add(Kind::Destination, Some(leg.destination.as_str()));
    }
    for phone in phones {
        wanted.add(Kind::Extension, Some(phone.extension.as_str()));
    }
    wanted
}

/// An alarm in the viewer's language.
fn alarm_text(t: &Texts, alarm: Alarm) -> &'static str {
    match alarm {
        Alarm::DatabaseAway => t.alarm_database,
        Alarm::RecordsWaiting => t.alarm_records,
        Alarm::JournalFull => t.alarm_full,
        Alarm::JournalFailing => t.alarm_failing,
    }
}

/// The share of answered calls, and the two numbers it comes from; a dash without any.
fn answer_rate(ended: &[EndedCall]) -> (String, String) {
    let answered =
        ended.iter().filter(|call| call.result == tensou_engine::CallResult::Answered).count();
    if ended.is_empty() {
        return ("–".to_owned(), String::new());
    }
    (format!("{} %", answered * 100 / ended.len()), format!("{answered} / {}", ended.len()))
}

/// Channels in use on all trunks, and the sum of the limits of those that have one.
fn channels(trunks: &[TrunkRow]) -> (String, String) {
    let in_use: u64 = trunks.iter().map(|trunk| u64::from(trunk.in_use())).sum();
    let limit: u64 = trunks.iter().map(|trunk| u64::from(trunk.limit())).sum();
    let limit = if limit == 0 { String::new() } else { format!("/ {limit}") };
    (in_use.to_string(), limit)
}
