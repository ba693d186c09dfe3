//! The parts of a case that simulated agents play.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tensou_loadtest::agents::{
    AgentId, Behaviour, CallScript, Expectation, Gateway, Phone, Report, World,
};

use crate::addresses::{Addresses, Party};
use crate::case_file::{CaseFile, PhonePart};

/// How often the main loop looks around.
const TURN: Duration = Duration::from_millis(20);

/// See the module.
pub(crate) struct Agents {
    world: World,
    phones: Vec<(AgentId, CallPlan)>,
    reports: Vec<Report>,
}

/// What a phone is to call.
type CallPlan = Option<CallScript>;

impl Agents {
    pub(crate) fn new(case: &CaseFile, addresses: Addresses) -> Result<Agents> {
        let engine = addresses.sip(Party::Server);
        let mut world = World::new(1)?;
        for part in &case.subscriber {
            let after = Duration::from_millis(part.answers_after_ms);
            let behaviour = match part.hangs_up_after_ms {
                Some(talks) => Behaviour::answers_for(after, Duration::from_millis(talks)),
                None => Behaviour::answers(after),
            };
            world.gateway(Gateway {
                name: format!("{:?}", part.at),
                address: addresses.sip(part.at),
                engine,
                takes: [(part.number.clone(), behaviour)].into(),
            })?;
        }
        let mut phones = Vec::new();
        for part in &case.phone {
            let phone = world.phone(Phone {
                user: part.user.clone(),
                password: part.password.clone(),
                domain: engine.to_string(),
                address: SocketAddr::from((addresses.ip(Party::Phone), 0)),
                engine,
                behaviour: match part.answers_after_ms {
                    Some(after) => Behaviour::answers(Duration::from_millis(after)),
                    None => Behaviour::rings_on(),
                },
            })?;
            phones.push((phone, script(part)));
        }
        Ok(Agents { world, phones, reports: Vec::new() })
    }

    pub(crate) fn register(&mut self, deadline: Instant) -> Result<()> {
        while !self.phones.iter().all(|(phone, _)| self.world.is_registered(*phone)) {
            if Instant::now() > deadline || !self.world.failed_registrations().is_empty() {
                bail!("phones did not register: {:?}", self.world.failed_registrations());
            }
            self.world.run_until(Instant::now() + TURN)?;
        }
        Ok(())
    }

    pub(crate) fn call(&mut self) -> Result<()> {
        for (phone, plan) in &self.phones {
            if let Some(script) = plan.clone() {
                self.world.call(*phone, script)?;
            }
        }
        Ok(())
    }

    /// Lives until every leg is over that is under way or still to come.
    pub(crate) fn finish(&mut self, deadline: Instant) -> Result<()> {
        let wanted = self.phones.iter().filter(|(_, plan)| plan.is_some()).count();
        let called = self.phones.len() - wanted;
        if self.phones.is_empty() {
            return Ok(());
        }
        while Instant::now() < deadline {
            self.world.run_until(Instant::now() + TURN)?;
            self.reports.extend(self.world.take_reports());
            let placed = self.reports.iter().filter(|report| report.placed).count();
            let taken = self.reports.len() - placed;
            if placed >= wanted && taken >= called && self.world.active(None) == 0 {
                break;
            }
        }
        self.world.unregister();
        while !self.world.is_unregistered() && Instant::now() < deadline {
            self.world.run_until(Instant::now() + TURN)?;
        }
        Ok(())
    }

    pub(crate) fn faults(mut self, case: &CaseFile) -> Vec<String> {
        let mut faults = self.world.take_faults();
        if self.world.active(None) > 0 {
            faults.push(format!("{} legs are still alive", self.world.active(None)));
        }
        for report in &self.reports {
            let who = &report.agent;
            faults.extend(report.faults.iter().map(|fault| format!("{who}: {fault}")));
        }
        for number in case.phone.iter().filter_map(|part| part.must_show.as_ref()) {
            let seen = |report: &Report| !report.placed && report.shown == *number;
            if !self.reports.iter().any(seen) {
                let shown: Vec<&str> = self.reports.iter().map(|r| r.shown.as_str()).collect();
                faults.push(format!("the far end saw {shown:?}, expected {number}"));
            }
        }
        faults
    }
}

fn script(part: &PhonePart) -> CallPlan {
    let dials = part.dials.clone()?;
    let expect = match (&part.answered_by, part.refused) {
        (Some(name), _) => Expectation::AnsweredBy(vec![name.clone()]),
        (None, Some(status)) => Expectation::Refused(vec![status]),
        (None, None) => Expectation::NoAnswer,
    };
    let talks = Some(Duration::from_millis(part.talk_ms));
    Some(CallScript { dials, shows: None, talks, cancels_after: None, expect })
}
