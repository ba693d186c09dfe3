//! SIP, layer by layer, each knowing only those before it.

pub(crate) mod dialog;
pub mod syntax;
pub(crate) mod token;
pub(crate) mod transaction;
pub mod transport;
