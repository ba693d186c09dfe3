//! The dry run: what would happen to a call, without placing it.

use std::time::Duration;

use crate::cause::Cause;
use crate::cdr::{Caller, CallerClass};
use crate::id::Key;
use crate::plan::E164;
use crate::time::WallTime;

use super::identity::{CallFacts, CallerSide, Identity};
use super::redirection::DiversionReason;
use super::snapshot::{Branch, Snapshot, Step, Way};
use super::writing::Writing;
use super::{IdentityPolicy, Strategy};

/// What would happen to a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview {
    /// The DID called.
    pub did: E164,
    /// Whose it is.
    pub customer: Option<Key>,
    /// The call would be refused at once.
    pub refused: Option<Refusal>,
    /// Hunting steps in order; the next begins when the one before has failed.
    pub steps: Vec<PreviewStep>,
}

/// A refusal before anybody rings.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// SIP status the caller would get.
    pub sip_status: u16,
    /// Q.850 cause.
    pub q850_cause: u8,
    /// Why, for the operator.
    pub reason: String,
}

/// One hunting step.
#[derive(Clone, Debug, PartialEq)]
pub struct PreviewStep {
    /// `route`, or the group's key.
    pub origin: String,
    /// `single`, `simultaneous` or `sequential`.
    pub strategy: &'static str,
    /// One who declines (6xx) ends the hunt for all: no step after this one.
    pub ends_on_decline: bool,
    /// Who rings.
    pub branches: Vec<PreviewBranch>,
}

/// One callee of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct PreviewBranch {
    /// Destination key or extension.
    pub destination: Key,
    /// After the start of the step; for a sequential group, with nobody answering before.
    pub starts: Duration,
    /// Rings at most this long.
    pub ring: Duration,
    /// The trunk it would leave by.
    pub trunk: Option<Key>,
    /// The Request-URI.
    pub request_uri: String,
    /// Identity headers exactly as they would go out, in order.
    pub headers: Vec<(String, String)>,
    /// Why this branch could not be dialled now (no trunk carries the number, not registered).
    pub problem: Option<String>,
}

impl Snapshot {
    /// The dry run of a call from `caller` (none: withheld) to the DID `to`, arriving at `at`.
    /// `domain` is the host written into identity headers: the engine's own.
    pub fn preview(&self, caller: Option<E164>, to: E164, at: WallTime, domain: &str) -> Preview {
        // Rules by schedule will look at the time; no route has one yet.
        let _ = at;
        let refuse = |cause: Cause, reason: String| Preview {
            did: to,
            customer: self.did(to).and_then(|did| did.customer.clone()),
            refused: Some(Refusal { sip_status: cause.status(), q850_cause: cause.q850(), reason }),
            steps: Vec::new(),
        };
        let Some(did) = self.did(to) else {
            return refuse(Cause::Unallocated, format!("{to} is no DID of this system"));
        };
        if let Err(cause) = did.takes_calls() {
            return refuse(cause, "the DID or its customer is not in service".to_owned());
        }
        if did.route.is_empty() {
            return refuse(Cause::Absent, "the DID has no route".to_owned());
        }
        let class = match caller {
            Some(_) => CallerClass::Number,
            None => CallerClass::Withheld,
        };
        let side = CallerSide::default();
        let forward = |step: &&Step| {
            step.branches.iter().any(|one| !matches!(self.way_of(&one.target), Way::Extension(_)))
        };
        let facts = CallFacts {
            caller: Caller { number: caller, class },
            side: &side,
            did: Some(did.number),
            presented_name: &did.presented_name,
            forwarded: did.route.iter().any(|step| forward(&step)),
            reason: DiversionReason::Unconditional,
            redirected: &[],
        };
        let steps = (did.route.iter().enumerate())
            .map(|(at, step)| {
                // The next step begins when nobody has answered in the one before.
                let reason = match at {
                    0 => DiversionReason::Unconditional,
                    _ => DiversionReason::NoAnswer,
                };
                self.preview_step(step, &CallFacts { reason, ..facts }, domain)
            })
            .collect();
        Preview { did: to, customer: did.customer.clone(), refused: None, steps }
    }

    fn preview_step(&self, step: &Step, facts: &CallFacts<'_>, domain: &str) -> PreviewStep {
        let mut before = Duration::ZERO;
        let branches = step
            .branches
            .iter()
            .map(|branch| {
                let starts = before + branch.delay;
                let mut facts = *facts;
                if step.strategy == Strategy::Sequential {
                    if !before.is_zero() {
                        facts.reason = DiversionReason::NoAnswer;
                    }
                    before = starts + branch.ring;
                }
                self.preview_branch(branch, starts, &facts, domain)
            })
            .collect();
        let (origin, strategy) = match (&step.group, step.strategy) {
            (None, _) => ("route".to_owned(), "single"),
            (Some(group), Strategy::Simultaneous) => (group.to_string(), "simultaneous"),
            (Some(group), Strategy::Sequential) => (group.to_string(), "sequential"),
        };
        PreviewStep { origin, strategy, ends_on_decline: step.ends_on_decline, branches }
    }

    fn preview_branch(
        &self,
        branch: &Branch,
        starts: Duration,
        facts: &CallFacts<'_>,
        domain: &str,
    ) -> PreviewBranch {
        let mut out = PreviewBranch {
            destination: self.target_key(&branch.target),
            starts,
            ring: branch.ring,
            trunk: None,
            request_uri: String::new(),
            headers: Vec::new(),
            problem: None,
        };
        let mut policy = IdentityPolicy::internal();
        let mut writing = Writing::internal(domain);
        let trunk = match self.way_of(&branch.target) {
            Way::Gone => None,
            Way::Extension(at) => {
                let extension = self.extension(at);
                out.request_uri = format!("sip:{}@{domain}", extension.user);
                if !extension.enabled {
                    out.problem = Some("the extension is disabled".to_owned());
                }
                None
            }
            Way::Uri(uri, trunk) => {
                out.request_uri = uri.to_owned();
                trunk
            }
            Way::Number(number, forced) => {
                let trunk = forced.or_else(|| self.carriers_of(number).next());
                match trunk.and_then(|at| self.trunk(at).peers.first().map(|peer| (at, peer))) {
                    Some((at, peer)) => {
                        let writing = Writing::of_trunk(self.trunk(at), domain);
                        let called = writing.called(number);
                        out.request_uri = writing.request_uri(&called, "", &peer.to_string());
                    }
                    None => out.problem = Some(format!("no trunk carries {number}")),
                }
                trunk
            }
        };
        if let Some(at) = trunk {
            let trunk = self.trunk(at);
            policy = trunk.identity;
            writing = Writing::of_trunk(trunk, domain);
            out.trunk = Some(trunk.key.clone());
            if !trunk.enabled {
                out.problem = Some(format!("trunk {} is disabled", trunk.key));
            }
        }
        let policy = policy.with(&self.identity_of(&branch.target));
        let identity = Identity::decide(policy, facts, &writing);
        let mut text = b"From: ".to_vec();
        identity.write_from(&writing, &mut text);
        text.extend_from_slice(b"\r\n");
        identity.write_headers(&writing, &out.request_uri, &mut text);
        out.headers = String::from_utf8_lossy(&text)
            .lines()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        out
    }
}
