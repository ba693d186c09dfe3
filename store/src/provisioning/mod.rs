//! From stored documents to the engine's provisioning.

pub(crate) mod convert;
mod dialog;
mod draft;
mod fields;
mod peers;
mod profile;
mod refresh;
mod relation;
mod schedule;
mod trunk;

pub use draft::{Loaded, PeerName, ProvisioningDraft};
