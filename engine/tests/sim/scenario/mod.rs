//! One behaviour each, in fine weather.

mod dialog;
mod hunting;
mod identity;
mod media;
mod operator;
mod phones;
mod refusal;
mod release;
mod security;
