//! The demonstration: a small telephone world around a running engine, in which every call has
//! a script and every deviation is reported.

mod plan;
mod run;

pub use plan::{
    DemoPlan, DidPlan, OutgoingPlan, PhoneAccount, free_port, operator_document, sample_document,
};
pub use run::{DemoHandle, Summary, start};
