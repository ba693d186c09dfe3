//! SIP, layer by layer, each knowing only those before it.

pub mod syntax;
