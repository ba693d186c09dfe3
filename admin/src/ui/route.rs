//! The route check: what would happen to a call, without placing it.

use askama::Template;
use axum::extract::{Query, State};
use serde::Deserialize;

use super::gantt::{Axis, Bar, Lane};
use super::names::{Kind, NameTable, Wanted};
use super::page::Page;
use super::texts::Texts;
use super::visit::{Answer, Visit, render};
use super::{Ui, format};
use crate::app::auth::{Action, Area};
use crate::app::preview::{BranchView, PreviewView, RouteQuestion, StepView};
use crate::app::{Flaw, Refusal};

/// What was typed; shown again with the answer.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RouteForm {
    from: String,
    to: String,
    at: String,
}

#[derive(Template)]
#[template(path = "route.html")]
struct RoutePage {
    page: Page,
    form: RouteForm,
    problems: Vec<String>,
    preview: Option<Shown>,
}

/// A preview as its template wants it.
struct Shown {
    caller: String,
    did: String,
    customer: String,
    refusal: Option<String>,
    steps: Vec<ShownStep>,
}

struct ShownStep {
    origin: String,
    strategy: String,
    ends_on_decline: bool,
    lanes: Vec<Lane>,
    axis_end: String,
    branches: Vec<ShownBranch>,
}

struct ShownBranch {
    name: String,
    timing: String,
    trunk: String,
    problem: String,
    request_uri: String,
    headers: Vec<(String, String)>,
}

pub(crate) async fn page(
    State(ui): State<Ui>,
    visit: Visit,
    Query(form): Query<RouteForm>,
) -> Answer {
    let allowed = visit.who.demand(Action::Read, Area::RoutePreview);
    allowed.map_err(|refusal| visit.refuse(&refusal))?;
    let t = visit.page.t;
    let mut problems = Vec::new();
    let mut preview = None;
    if !form.to.is_empty() {
        match ui.app.preview(&visit.who, &form.question()) {
            Ok(view) => preview = Some(shown(&ui, &view, &form, t).await),
            Err(Refusal::Invalid(flaws)) => {
                problems = flaws.iter().map(|flaw| problem(flaw, t)).collect();
            }
            Err(refusal) => return Err(visit.refuse(&refusal)),
        }
    }
    Ok(render(&RoutePage { page: visit.page, form, problems, preview }))
}

impl RouteForm {
    fn question(&self) -> RouteQuestion {
        let given = |text: &str| (!text.trim().is_empty()).then(|| text.trim().to_owned());
        RouteQuestion {
            from: given(&self.from),
            to: self.to.trim().to_owned(),
            at: given(&self.at),
        }
    }
}

fn problem(flaw: &Flaw, t: &'static Texts) -> String {
    match flaw.pointer.as_str() {
        "/from" => t.route_bad_from.to_owned(),
        "/to" => t.bad_did.to_owned(),
        "/at" => t.route_bad_at.to_owned(),
        _ => flaw.message.clone(),
    }
}

async fn shown(ui: &Ui, view: &PreviewView, form: &RouteForm, t: &'static Texts) -> Shown {
    let mut wanted = Wanted::default();
    wanted.add(Kind::Customer, view.customer_id.as_deref());
    for step in &view.steps {
        wanted.add(Kind::Group, Some(step.origin.as_str()));
        for branch in &step.branches {
            wanted.add(Kind::Destination, Some(branch.destination.as_str()));
            wanted.add(Kind::Trunk, branch.trunk.as_deref());
        }
    }
    let names = ui.names.table(ui.app.store(), wanted).await;
    let caller = match form.from.trim() {
        "" => t.class_withheld.to_owned(),
        from => tensou_engine::plan::parse_e164(from)
            .map_or_else(|_| from.to_owned(), |number| format::hyphenate(&number.to_string())),
    };
    Shown {
        caller,
        did: format::hyphenate(&view.did),
        customer: customer(view, &names),
        refusal: view.refused.as_ref().map(|refused| {
            let cause = t.cause(refused.q850_cause).unwrap_or_default();
            let (sip, q850) = (refused.sip_status, refused.q850_cause);
            format!("{} (SIP {sip}, Q.850 {q850} {cause})", refused.reason)
        }),
        steps: view.steps.iter().map(|step| shown_step(step, &names, t)).collect(),
    }
}

fn customer(view: &PreviewView, names: &NameTable) -> String {
    view.customer_id.as_deref().map(|id| names.name(Kind::Customer, id)).unwrap_or_default()
}

fn shown_step(step: &StepView, names: &NameTable, t: &'static Texts) -> ShownStep {
    let end = step.branches.iter().map(stretch).map(|(_, end)| end).max().unwrap_or(0);
    let axis = Axis::new(0, end);
    let branches: Vec<_> =
        step.branches.iter().map(|branch| shown_branch(branch, names, t)).collect();
    let lane = |(branch, shown): (&BranchView, &ShownBranch)| {
        let (from, to) = stretch(branch);
        let bars: Vec<Bar> = axis.bar("ring", from, to, shown.timing.clone()).into_iter().collect();
        Lane {
            name: shown.name.clone(),
            title: shown.name.clone(),
            label: format!("{}: {}", shown.name, shown.timing),
            bars,
        }
    };
    ShownStep {
        origin: match step.origin.as_str() {
            "route" => t.route_origin_route.to_owned(),
            group => names.name(Kind::Group, group),
        },
        strategy: t.word("strategy", &step.strategy),
        ends_on_decline: step.ends_on_decline,
        lanes: step.branches.iter().zip(&branches).map(lane).collect(),
        axis_end: format!("{} {}", end / 1000, t.route_seconds),
        branches,
    }
}

/// When a branch rings, in milliseconds of its step.
fn stretch(branch: &BranchView) -> (i64, i64) {
    let from = i64::try_from(branch.starts_ms).unwrap_or(i64::MAX);
    let ring = i64::try_from(branch.ring_seconds).unwrap_or(i64::MAX).saturating_mul(1000);
    (from, from.saturating_add(ring))
}

fn shown_branch(branch: &BranchView, names: &NameTable, t: &'static Texts) -> ShownBranch {
    let starts = branch.starts_ms / 1000;
    let (ring, seconds) = (branch.ring_seconds, t.route_seconds);
    ShownBranch {
        name: names.name(Kind::Destination, &branch.destination),
        timing: format!(
            "{} +{starts} {seconds}, {} {ring} {seconds}",
            t.route_starts, t.route_rings
        ),
        trunk: branch.trunk.as_deref().map(|id| names.name(Kind::Trunk, id)).unwrap_or_default(),
        problem: branch.problem.clone().unwrap_or_default(),
        request_uri: branch.request_uri.clone(),
        headers: branch
            .headers
            .iter()
            .map(|header| (header.name.clone(), header.value.clone()))
            .collect(),
    }
}
