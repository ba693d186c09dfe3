//! From stored documents to the engine's provisioning.

pub(crate) mod convert;
mod draft;
mod fields;
mod profile;
mod schedule;
mod trunk;

pub use draft::{HostPort, Loaded, ProvisioningDraft};
