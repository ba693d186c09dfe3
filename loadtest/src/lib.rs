//! Simulated telephones and gateways, and the demonstration made of them.
//!
//! [`agents`] are SIP user agents that share no code with the engine; [`demo`] makes a small
//! telephone world of them that keeps a running engine busy and checks every call. The binary
//! `loadtest` beside them drives SIPp scenarios and RTP streams and writes the report.

pub mod agents;
pub mod demo;
pub mod host;
pub mod impair;
pub mod manager;
pub mod witness;
