//! What is provisioned, to look at.

use askama::Template;
use axum::extract::{Query, State};
use serde::Deserialize;
use tensou_store::model::{Customer, Did, Extension, Group, Trunk};
use tensou_store::{Listing, Page as StorePage};

use super::names::{Kind, NameTable, Wanted};
use super::page::Page;
use super::texts::Texts;
use super::visit::{Answer, Visit, render};
use super::{Ui, format};
use crate::app::Provisioned;

/// Rows of a page: a screen or three.
const ROWS: u32 = 100;

#[derive(Template)]
#[template(path = "list.html")]
struct ListPage {
    page: Page,
    title: &'static str,
    icon: &'static str,
    columns: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
    first: String,
    next: String,
}

/// A cell of a table.
#[derive(Default)]
struct Cell {
    text: String,
    /// Below it, smaller.
    sub: String,
    /// Makes it a badge of this colour.
    tone: &'static str,
    class: &'static str,
    /// Makes it a row of tags instead.
    items: Vec<String>,
}

impl Cell {
    fn text(text: impl Into<String>) -> Self {
        Cell { text: text.into(), ..Cell::default() }
    }

    fn strong(text: impl Into<String>) -> Self {
        Cell { text: text.into(), class: "strong", ..Cell::default() }
    }

    fn number(number: &str) -> Self {
        Cell { text: format::hyphenate(number), class: "num strong", ..Cell::default() }
    }

    fn badge(text: impl Into<String>, tone: &'static str) -> Self {
        Cell { text: text.into(), tone, ..Cell::default() }
    }

    fn tags(items: Vec<String>) -> Self {
        Cell { items, ..Cell::default() }
    }

    fn with_sub(self, sub: impl Into<String>) -> Self {
        Cell { sub: sub.into(), ..self }
    }
}

#[derive(Deserialize)]
pub(crate) struct After {
    after: Option<String>,
}

/// How rows of one kind are shown.
trait Shown: Provisioned {
    const ICON: &'static str;
    const PATH: &'static str;
    fn title(t: &'static Texts) -> &'static str;
    fn columns(t: &'static Texts) -> Vec<&'static str>;
    fn wants(&self, wanted: &mut Wanted);
    fn cells(&self, with: &With<'_>) -> Vec<Cell>;
}

/// What cells are made with.
struct With<'a> {
    t: &'static Texts,
    ui: &'a Ui,
    names: NameTable,
}

async fn list<R: Shown>(ui: Ui, visit: Visit, after: After) -> Answer {
    let page = StorePage { limit: ROWS, after: after.after };
    let listing: Listing<R> = ui
        .app
        .list(&visit.who, Vec::new(), &page)
        .await
        .map_err(|refusal| visit.refuse(&refusal))?;
    let mut wanted = Wanted::default();
    for item in &listing.items {
        item.row.wants(&mut wanted);
    }
    let t = visit.page.t;
    let names = ui.names.table(ui.app.store(), wanted).await;
    let with = With { t, ui: &ui, names };
    let link = |cursor: &str| format!("{}?after={}", R::PATH, super::query::encode(cursor));
    Ok(render(&ListPage {
        title: R::title(t),
        icon: R::ICON,
        columns: R::columns(t),
        rows: listing.items.iter().map(|item| item.row.cells(&with)).collect(),
        first: page.after.map(|_| R::PATH.to_owned()).unwrap_or_default(),
        next: listing.next.as_deref().map(link).unwrap_or_default(),
        page: visit.page,
    }))
}

pub(crate) async fn dids(State(ui): State<Ui>, visit: Visit, Query(after): Query<After>) -> Answer {
    list::<Did>(ui, visit, after).await
}

pub(crate) async fn customers(
    State(ui): State<Ui>,
    visit: Visit,
    Query(after): Query<After>,
) -> Answer {
    list::<Customer>(ui, visit, after).await
}

pub(crate) async fn groups(
    State(ui): State<Ui>,
    visit: Visit,
    Query(after): Query<After>,
) -> Answer {
    list::<Group>(ui, visit, after).await
}

pub(crate) async fn extensions(
    State(ui): State<Ui>,
    visit: Visit,
    Query(after): Query<After>,
) -> Answer {
    list::<Extension>(ui, visit, after).await
}

pub(crate) async fn trunks(
    State(ui): State<Ui>,
    visit: Visit,
    Query(after): Query<After>,
) -> Answer {
    list::<Trunk>(ui, visit, after).await
}

impl Shown for Did {
    const ICON: &'static str = "number";
    const PATH: &'static str = "/dids";

    fn title(t: &'static Texts) -> &'static str {
        t.nav_dids
    }

    fn columns(t: &'static Texts) -> Vec<&'static str> {
        vec![t.number, t.customer, t.state, t.route, t.max_calls, t.presented_name, t.note]
    }

    fn wants(&self, wanted: &mut Wanted) {
        wanted.add(Kind::Customer, self.customer.as_deref());
        for step in &self.route {
            want_target(&step.ring, wanted);
        }
    }

    fn cells(&self, with: &With<'_>) -> Vec<Cell> {
        let tone = match self.state.as_str() {
            "active" => "good",
            "suspended" => "bad",
            "quarantine" | "reserved" => "wait",
            _ => "idle",
        };
        let steps = self.route.iter().map(|step| target_name(&step.ring, with)).collect();
        let state = Cell::badge(with.t.word("did_state", &self.state), tone);
        vec![
            Cell::number(&self.number),
            customer(self.customer.as_deref(), with),
            state.with_sub(self.quarantine_until.clone().unwrap_or_default()),
            Cell::tags(steps),
            Cell::text(limit(self.max_calls, with.t)),
            Cell::text(&self.presented_name),
            Cell::text(&self.note),
        ]
    }
}

impl Shown for Customer {
    const ICON: &'static str = "customer";
    const PATH: &'static str = "/customers";

    fn title(t: &'static Texts) -> &'static str {
        t.nav_customers
    }

    fn columns(t: &'static Texts) -> Vec<&'static str> {
        vec![t.name, t.id, t.state, t.closing_day, t.contacts, t.reseller, t.note]
    }

    fn wants(&self, _: &mut Wanted) {}

    fn cells(&self, with: &With<'_>) -> Vec<Cell> {
        let tone = if self.state == "active" { "good" } else { "bad" };
        let day = match self.closing_day {
            31 => with.t.closing_month_end.to_owned(),
            day => day.to_string(),
        };
        vec![
            Cell::strong(&self.name).with_sub(&self.kana),
            Cell::text(&self.id),
            Cell::badge(with.t.word("did_state", &self.state), tone),
            Cell::text(day),
            Cell { class: "pre", ..Cell::text(self.contacts.join("\n")) },
            Cell::text(self.reseller.clone().unwrap_or_default()),
            Cell::text(&self.note),
        ]
    }
}

impl Shown for Group {
    const ICON: &'static str = "group";
    const PATH: &'static str = "/groups";

    fn title(t: &'static Texts) -> &'static str {
        t.nav_groups
    }

    fn columns(t: &'static Texts) -> Vec<&'static str> {
        vec![t.name, t.customer, t.strategy, t.members, t.ring_seconds, t.overflow]
    }

    fn wants(&self, wanted: &mut Wanted) {
        wanted.add(Kind::Customer, self.customer.as_deref());
        for target in self.members.iter().map(|member| &member.ring).chain(&self.overflow) {
            want_target(target, wanted);
        }
    }

    fn cells(&self, with: &With<'_>) -> Vec<Cell> {
        let members = self.members.iter().map(|member| {
            let name = target_name(&member.ring, with);
            match member.delay_seconds {
                0 => name,
                delay => format!("{name} +{delay}{}", with.t.route_seconds),
            }
        });
        let overflow = self.overflow.as_deref().map(|target| target_name(target, with));
        let declines = if self.ends_on_decline { with.t.ends_on_decline } else { "" };
        vec![
            Cell::strong(&self.name).with_sub(&self.id),
            customer(self.customer.as_deref(), with),
            Cell::text(with.t.word("strategy", &self.strategy)).with_sub(declines),
            Cell::tags(members.collect()),
            Cell::text(format!("{} {}", self.ring_seconds, with.t.route_seconds)),
            Cell::tags(overflow.into_iter().collect()),
        ]
    }
}

impl Shown for Extension {
    const ICON: &'static str = "phone";
    const PATH: &'static str = "/extensions";

    fn title(t: &'static Texts) -> &'static str {
        t.nav_extensions
    }

    fn columns(t: &'static Texts) -> Vec<&'static str> {
        vec![t.user_name, t.name, t.customer, t.presented_did, t.state, t.status]
    }

    fn wants(&self, wanted: &mut Wanted) {
        wanted.add(Kind::Customer, self.customer.as_deref());
    }

    fn cells(&self, with: &With<'_>) -> Vec<Cell> {
        let t = with.t;
        let phones = with.ui.app.board().registrations_of(&self.user);
        let contacts: Vec<_> = phones.iter().map(|phone| phone.source.to_string()).collect();
        let status = if phones.is_empty() {
            Cell::badge(t.not_registered, "idle")
        } else {
            Cell::badge(t.registered, "good").with_sub(contacts.join(" "))
        };
        vec![
            Cell::strong(&self.user),
            Cell::text(&self.name),
            customer(self.customer.as_deref(), with),
            Cell::number(self.presented_did.as_deref().unwrap_or_default()),
            enabled(self.enabled, t),
            status,
        ]
    }
}

impl Shown for Trunk {
    const ICON: &'static str = "trunk";
    const PATH: &'static str = "/trunks";

    fn title(t: &'static Texts) -> &'static str {
        t.nav_trunks
    }

    fn columns(t: &'static Texts) -> Vec<&'static str> {
        vec![t.name, t.state, t.channels, t.peers, t.prefixes, t.priority]
    }

    fn wants(&self, _: &mut Wanted) {}

    fn cells(&self, with: &With<'_>) -> Vec<Cell> {
        let in_use = with.ui.app.board().trunk(&self.id).map_or(0, |usage| usage.in_use);
        let limit = limit(self.channels, with.t);
        let peers = self.peers.iter().map(ToString::to_string);
        let peers = peers.chain(self.sources.iter().cloned()).collect();
        vec![
            Cell::strong(&self.name).with_sub(&self.id),
            enabled(self.enabled, with.t),
            Cell { class: "num", ..Cell::text(format!("{in_use} / {limit}")) },
            Cell::tags(peers),
            Cell::tags(self.prefixes.clone()),
            Cell::text(self.priority.to_string()),
        ]
    }
}

fn enabled(enabled: bool, t: &'static Texts) -> Cell {
    if enabled { Cell::badge(t.enabled, "good") } else { Cell::badge(t.disabled, "idle") }
}

fn customer(id: Option<&str>, with: &With<'_>) -> Cell {
    Cell::text(id.map(|id| with.names.name(Kind::Customer, id)).unwrap_or_default())
}

fn limit(limit: u32, t: &'static Texts) -> String {
    if limit == 0 { t.unlimited.to_owned() } else { limit.to_string() }
}

/// `destination:ID`, `group:ID` or `extension:USER` as a name.
fn target_name(target: &str, with: &With<'_>) -> String {
    let (kind, key) = split_target(target);
    kind.map_or_else(|| key.to_owned(), |kind| with.names.name(kind, key))
}

fn want_target(target: &str, wanted: &mut Wanted) {
    if let (Some(kind), key) = split_target(target) {
        wanted.add(kind, Some(key));
    }
}

fn split_target(target: &str) -> (Option<Kind>, &str) {
    match target.split_once(':') {
        Some(("destination", key)) => (Some(Kind::Destination), key),
        Some(("extension", key)) => (Some(Kind::Extension), key),
        Some(("group", key)) => (Some(Kind::Group), key),
        _ => (None, target),
    }
}
