//! The dry run of a call as REST, the command line and screens show it.

use serde::{Deserialize, Serialize};
use tensou_engine::WallTime;
use tensou_engine::plan::parse_e164;
use tensou_engine::route::{Preview, PreviewBranch, PreviewStep, Snapshot};
use utoipa::ToSchema;

use super::auth::{Action, Area, Principal};
use super::refusal::{Flaw, Refusal};
use super::{App, Clock, DayEdge};

/// A call to be tried without placing it.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteQuestion {
    /// Who calls, E.164 or as dialled in Japan; absent or empty: a withheld number.
    #[serde(default)]
    pub from: Option<String>,
    /// The DID called.
    pub to: String,
    /// When, RFC 3339; absent: now.
    #[serde(default)]
    pub at: Option<String>,
}

/// What would happen to a call.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = RoutePreview)]
pub struct PreviewView {
    /// The DID called.
    pub did: String,
    /// Whose it is.
    pub customer_id: Option<String>,
    /// The moment the answer is for.
    pub at: String,
    /// Revision of the provisioning it was answered from.
    pub revision: u64,
    /// The call would be refused at once.
    pub refused: Option<RefusalView>,
    /// Hunting steps; the next begins when the one before has failed.
    pub steps: Vec<StepView>,
}

/// A refusal before anybody rings.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = RouteRefusal)]
pub struct RefusalView {
    /// SIP status the caller would get.
    pub sip_status: u16,
    /// Q.850 cause.
    pub q850_cause: u8,
    /// Why.
    pub reason: String,
}

/// One hunting step.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = RouteStepPreview)]
pub struct StepView {
    /// `route`, or the group's id.
    pub origin: String,
    /// `single`, `simultaneous` or `sequential`.
    pub strategy: String,
    /// One who declines (6xx) ends the hunt for all: no step after this one.
    pub ends_on_decline: bool,
    /// Who rings.
    pub branches: Vec<BranchView>,
}

/// One callee of a step.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = RouteBranchPreview)]
pub struct BranchView {
    /// Destination id or extension.
    pub destination: String,
    /// Begins to ring this long after the step began, if nobody answers before.
    pub starts_ms: u64,
    /// Rings at most this long.
    pub ring_seconds: u64,
    /// The trunk it would leave by.
    pub trunk: Option<String>,
    /// Where the INVITE would go.
    pub request_uri: String,
    /// Identity headers as they would go out.
    pub headers: Vec<HeaderView>,
    /// Why it could not be dialled now.
    pub problem: Option<String>,
}

/// One SIP header.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = SipHeader)]
pub struct HeaderView {
    /// Name.
    pub name: String,
    /// Value.
    pub value: String,
}

impl App {
    /// What would happen to a call, by the provisioning that new calls use now.
    ///
    /// # Errors
    /// The role does not include it, or a number or the time cannot be read.
    pub fn preview(
        &self,
        who: &Principal,
        question: &RouteQuestion,
    ) -> Result<PreviewView, Refusal> {
        who.demand(Action::Read, Area::RoutePreview)?;
        preview(&self.snapshot(), question, self.clock(), &self.node().domain)
            .map_err(Refusal::Invalid)
    }
}

/// The same without a server, for the command line: `domain` is the host of identity headers.
///
/// # Errors
/// Every field that cannot be read.
pub fn preview(
    snapshot: &Snapshot,
    question: &RouteQuestion,
    clock: &Clock,
    domain: &str,
) -> Result<PreviewView, Vec<Flaw>> {
    let mut flaws = Vec::new();
    let mut number = |field: &str, text: &str| {
        parse_e164(text).map_err(|error| flaws.push(Flaw::at(field, error.to_string()))).ok()
    };
    let shown = question.from.as_deref().filter(|from| !from.is_empty());
    let from = shown.map(|from| number("/from", from));
    let to = number("/to", &question.to);
    let at = match question.at.as_deref() {
        None => Some(clock.now_millis()),
        Some(at) => clock
            .read(at, DayEdge::Start)
            .map_err(|message| flaws.push(Flaw::at("/at", message)))
            .ok(),
    };
    let (Some(to), Some(at), true) = (to, at, flaws.is_empty()) else { return Err(flaws) };
    let moment = WallTime::from_unix_micros(at.saturating_mul(1000));
    let preview = snapshot.preview(from.flatten(), to, moment, domain);
    Ok(PreviewView::of(&preview, clock.rfc3339(at), snapshot.version()))
}

impl PreviewView {
    fn of(preview: &Preview, at: String, revision: u64) -> Self {
        PreviewView {
            did: preview.did.to_string(),
            customer_id: preview.customer.as_ref().map(ToString::to_string),
            at,
            revision,
            refused: preview.refused.as_ref().map(|refusal| RefusalView {
                sip_status: refusal.sip_status,
                q850_cause: refusal.q850_cause,
                reason: refusal.reason.clone(),
            }),
            steps: preview.steps.iter().map(StepView::of).collect(),
        }
    }
}

impl StepView {
    fn of(step: &PreviewStep) -> Self {
        StepView {
            origin: step.origin.clone(),
            strategy: step.strategy.to_owned(),
            ends_on_decline: step.ends_on_decline,
            branches: step.branches.iter().map(BranchView::of).collect(),
        }
    }
}

impl BranchView {
    fn of(branch: &PreviewBranch) -> Self {
        let headers = branch.headers.iter();
        BranchView {
            destination: branch.destination.to_string(),
            starts_ms: u64::try_from(branch.starts.as_millis()).unwrap_or(u64::MAX),
            ring_seconds: branch.ring.as_secs(),
            trunk: branch.trunk.as_ref().map(ToString::to_string),
            request_uri: branch.request_uri.clone(),
            headers: headers
                .map(|(name, value)| HeaderView { name: name.clone(), value: value.clone() })
                .collect(),
            problem: branch.problem.clone(),
        }
    }
}
