//! The dry run: what would happen to a call, without placing it.

use std::time::Duration;

use crate::id::Key;
use crate::plan::E164;

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
