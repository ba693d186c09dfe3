//! `tensou route`

use std::fmt::Write as _;

use tensou_admin::app::Clock;
use tensou_admin::app::preview::{PreviewView, RouteQuestion, preview};

use super::args::{Caller, RouteArgs, SettingsArgs};
use super::{block_on, flawed, load, open};
use crate::failure::Failure;
use crate::{node, snapshot_task};

/// Prints what would happen to a call.
pub(super) fn route(args: &SettingsArgs, route: &RouteArgs) -> Result<(), Failure> {
    let loaded = load(args)?;
    let question = RouteQuestion {
        from: match route.from {
            Caller::Number(number) => Some(number.to_string()),
            Caller::Withheld => None,
        },
        to: route.to.to_string(),
        at: route.at.map(|at| at.to_string()),
    };
    block_on(async {
        let store = open(&loaded.settings).await?;
        let compiled =
            snapshot_task::load(&store).await.map_err(snapshot_task::LoadError::failure)?;
        for fault in compiled.faults() {
            eprintln!("left out: {fault}");
        }
        let clock = Clock::new(loaded.settings.node.time_zone.name());
        let domain = node::domain(&loaded.settings.sip);
        let view = preview(&compiled.snapshot, &question, &clock, &domain).map_err(flawed)?;
        if route.json {
            println!("{}", serde_json::to_string_pretty(&view).map_err(Failure::input)?);
        } else {
            print!("{}", text(&view));
        }
        Ok(())
    })
}

/// The dry run for people: one line per step, callee and header.
fn text(view: &PreviewView) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _never = describe(view, &mut out);
    out
}

fn describe(view: &PreviewView, out: &mut String) -> std::fmt::Result {
    let customer = view.customer_id.as_deref().unwrap_or("nobody");
    writeln!(out, "{} of {customer}, at {}", view.did, view.at)?;
    if let Some(refused) = &view.refused {
        let (status, cause) = (refused.sip_status, refused.q850_cause);
        return writeln!(out, "refused with {status} (Q.850 {cause}): {}", refused.reason);
    }
    for (number, step) in (1..).zip(&view.steps) {
        let ends = if step.ends_on_decline { "; one who declines ends the hunt" } else { "" };
        writeln!(out, "{number}. {} ({}{ends})", step.origin, step.strategy)?;
        for branch in &step.branches {
            let starts = branch.starts_ms as f64 / 1000.0;
            let trunk = branch.trunk.as_deref().map_or(String::new(), |it| format!(" by {it}"));
            writeln!(
                out,
                "   +{starts:.1} s  {} rings {} s{trunk}: {}",
                branch.destination, branch.ring_seconds, branch.request_uri
            )?;
            for header in &branch.headers {
                writeln!(out, "             {}: {}", header.name, header.value)?;
            }
            if let Some(problem) = &branch.problem {
                writeln!(out, "             cannot be dialled now: {problem}")?;
            }
        }
    }
    writeln!(out, "{}. nobody answered: the call ends", view.steps.len() + 1)
}

#[cfg(test)]
mod tests {
    use tensou_admin::app::preview::{BranchView, HeaderView, RefusalView, StepView};

    use super::*;

    fn view() -> PreviewView {
        PreviewView {
            did: "+81312345678".into(),
            customer_id: Some("yamada".into()),
            at: "2026-11-23T14:00:00.000+09:00".into(),
            revision: 1,
            refused: None,
            steps: Vec::new(),
        }
    }

    #[test]
    fn every_callee_stands_with_its_time_trunk_and_headers() {
        let branch = BranchView {
            destination: "mobile".into(),
            starts_ms: 5_000,
            ring_seconds: 20,
            trunk: Some("ins1500-1".into()),
            request_uri: "sip:09012345678@192.0.2.1".into(),
            headers: vec![HeaderView { name: "From".into(), value: "<sip:x@y>".into() }],
            problem: Some("the trunk is full".into()),
        };
        let step = StepView {
            origin: "sales".into(),
            strategy: "sequential".into(),
            ends_on_decline: false,
            branches: vec![branch],
        };
        let strict = StepView { origin: "boss".into(), ends_on_decline: true, ..step.clone() };
        let text = text(&PreviewView { steps: vec![step, strict], ..view() });
        for part in [
            "+81312345678 of yamada, at 2026-11-23T14:00:00.000+09:00\n",
            "1. sales (sequential)\n",
            "+5.0 s  mobile rings 20 s by ins1500-1: sip:09012345678@192.0.2.1\n",
            "From: <sip:x@y>\n",
            "cannot be dialled now: the trunk is full\n",
            "2. boss (sequential; one who declines ends the hunt)\n",
            "3. nobody answered: the call ends\n",
        ] {
            assert!(text.contains(part), "{part:?} not in {text}");
        }
    }

    #[test]
    fn a_refusal_names_its_causes() {
        let refused = RefusalView { sip_status: 404, q850_cause: 1, reason: "no such DID".into() };
        let text = text(&PreviewView { refused: Some(refused), ..view() });
        assert!(text.ends_with("refused with 404 (Q.850 1): no such DID\n"), "{text}");
    }
}
