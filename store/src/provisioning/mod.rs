//! From stored documents to the engine's provisioning.

pub(crate) mod convert;
mod draft;
mod fields;
mod schedule;

pub use draft::{HostPort, Loaded, ProvisioningDraft};
