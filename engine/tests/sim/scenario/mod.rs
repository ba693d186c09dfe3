//! One behaviour each, in fine weather.

mod answers;
mod callers;
mod claims;
mod crossing;
mod dialled;
mod dialog;
mod fraud;
mod hunting;
mod identity;
mod loops;
mod media;
mod operator;
mod peers;
pub(crate) mod phones;
mod redirect;
mod refusal;
mod release;
mod renewal;
mod ringing;
mod security;
mod streams;
mod survival;
mod terms;
mod transfer;
mod trunks;
mod wire;
