//! Call records: the list with its search, and one record.

mod detail;
mod form;

use askama::Template;
use axum::extract::{Query, State};
use tensou_engine::Direction;
use tensou_store::model::{CdrRecord, Customer};
use tensou_store::{CdrPage, Page as StorePage, Scope};

use self::form::SearchForm;
use super::live::tone_of;
use super::names::{Kind, NameTable, Wanted};
use super::page::Page;
use super::texts::Texts;
use super::visit::{Answer, Visit, render};
use super::{Ui, format};
use crate::app::{Clock, Refusal};

pub(crate) use self::detail::detail;

/// Records of a page.
const ROWS: u32 = 50;
/// Customers offered by name in the search; more are found by typing their id.
const CUSTOMERS_OFFERED: u32 = 200;
/// Results, as a person would look for them.
const RESULTS: [&str; 8] =
    ["answered", "no_answer", "busy", "rejected", "cancelled", "unreachable", "failed", "blocked"];

#[derive(Template)]
#[template(path = "cdrs.html")]
struct CdrsPage {
    page: Page,
    form: SearchForm,
    problems: Vec<String>,
    choose_customer: bool,
    customers: Vec<Customer>,
    results: Vec<Choice>,
    filtered: bool,
    rows: Vec<Row>,
    csv: String,
    first: String,
    next: String,
}

struct Choice {
    word: &'static str,
    text: String,
    chosen: bool,
}

struct Row {
    id: String,
    started: String,
    caller: String,
    withheld: bool,
    called: String,
    customer: String,
    direction: String,
    tone: &'static str,
    result: String,
    duration: String,
    answered_by: String,
}

/// The list: newest first, found by what the form says.
pub(crate) async fn list(
    State(ui): State<Ui>,
    visit: Visit,
    Query(form): Query<SearchForm>,
) -> Answer {
    let (t, clock) = (visit.page.t, ui.app.clock());
    let after = (!form.after.is_empty()).then(|| form.after.clone());
    let page = StorePage { limit: ROWS, after };
    // A search that cannot be read finds nothing: showing everything would mislead.
    let (found, problems) = match ui.app.cdrs(&visit.who, &form.query(), &page).await {
        Ok(found) => (found, Vec::new()),
        Err(Refusal::Invalid(flaws)) => {
            (CdrPage { items: Vec::new(), next: None }, form::problems(&flaws, t))
        }
        Err(refusal) => return Err(visit.refuse(&refusal)),
    };
    let names = ui.names.table(ui.app.store(), wanted(&found.items)).await;
    let choose_customer = !matches!(visit.who.scope(), Scope::Customer(_));
    let customers = if choose_customer { customers(&ui, &visit).await } else { Vec::new() };
    let chosen = form.result.clone();
    Ok(render(&CdrsPage {
        problems,
        choose_customer,
        customers,
        results: RESULTS.map(|word| choice(word, &chosen, t)).into(),
        filtered: form.is_filtered(),
        rows: found.items.iter().map(|record| Row::new(record, &names, clock, t)).collect(),
        csv: form.csv_link(),
        first: if form.after.is_empty() { String::new() } else { form.link("") },
        next: found.next.as_deref().map(|next| form.link(next)).unwrap_or_default(),
        page: visit.page,
        form,
    }))
}

fn choice(word: &'static str, chosen: &str, t: &'static Texts) -> Choice {
    Choice { word, text: t.word("result", word), chosen: word == chosen }
}

async fn customers(ui: &Ui, visit: &Visit) -> Vec<Customer> {
    let page = StorePage::first(CUSTOMERS_OFFERED);
    // Somebody who may not see customers, or a database in trouble: the field still takes ids.
    let found = ui.app.list::<Customer>(&visit.who, Vec::new(), &page).await;
    found.map(|page| page.items.into_iter().map(|item| item.row).collect()).unwrap_or_default()
}

fn wanted(records: &[CdrRecord]) -> Wanted {
    let mut wanted = Wanted::default();
    for record in records {
        wanted.add(Kind::Customer, record.customer_id.as_deref());
        wanted.add(Kind::Destination, record.answered_by.as_deref());
    }
    wanted
}

impl Row {
    fn new(record: &CdrRecord, names: &NameTable, clock: &Clock, t: &'static Texts) -> Self {
        let (caller, withheld) = caller(record, t);
        let name = |kind, key: Option<&str>| key.map(|key| names.name(kind, key));
        let answered = record.answered_at.is_some();
        Row {
            id: record.id.clone(),
            started: format::date_time(clock, record.started_at),
            caller,
            withheld,
            called: called(record),
            customer: name(Kind::Customer, record.customer_id.as_deref()).unwrap_or_default(),
            direction: t.word("direction", &record.direction),
            tone: tone_of(&record.result),
            result: t.word("result", &record.result),
            duration: if answered { format::duration(record.duration_ms) } else { String::new() },
            answered_by: name(Kind::Destination, record.answered_by.as_deref()).unwrap_or_default(),
        }
    }
}

/// The caller for people, and whether it is a word instead of a number.
fn caller(record: &CdrRecord, t: &'static Texts) -> (String, bool) {
    if record.caller.is_empty() {
        (t.word("class", &record.caller_class), true)
    } else {
        (format::hyphenate(&record.caller), false)
    }
}

/// The number that was called: the DID, or what an extension dialled.
fn called(record: &CdrRecord) -> String {
    let number = if Direction::parse(&record.direction) == Some(Direction::Out) {
        record.legs.first().map(|leg| leg.destination.as_str())
    } else {
        record.did.as_deref()
    };
    number.map(format::hyphenate).unwrap_or_default()
}
