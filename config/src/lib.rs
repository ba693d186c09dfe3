//! `tensou.toml`: from a raw document, the environment and flags to validated [`Settings`].
//!
//! Every key is optional. An environment variable `TENSOU_SECTION__KEY` overrides the file, a flag
//! overrides both. A value that exists in [`Settings`] is valid; everything that is wrong is
//! reported at once, each [`Problem`] with the place where it stands.
//!
//! The crate reads one file and nothing else: environment, flags and host name are given to it.
#![forbid(unsafe_code)]

mod document;
mod nearest;
mod problem;
mod reader;
mod settings;
mod values;

use std::path::PathBuf;

pub use problem::{Origin, Problem};
pub use settings::{
    Admin, ContactsFull, Database, Digest, Journal, Log, LogFormat, Media, Metrics, Node, Settings,
    Sip, SipTls, TlsFiles, UnknownPeer,
};
pub use values::{
    Advertise, DatabaseUrl, Dscp, Host, LogFilter, NodeName, PortRange, SipListener, SipTransport,
    TimeZone,
};

/// The file that is read when no other is named; it may be absent.
pub const DEFAULT_FILE: &str = "tensou.toml";

/// Where settings come from, in rising precedence.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file named by `--config`, which must exist. None: [`DEFAULT_FILE`], if it exists.
    pub file: Option<PathBuf>,
    /// The process's environment; names that do not begin with `TENSOU_` or have no `__` are
    /// skipped.
    pub environment: Vec<(String, String)>,
    /// `section.key` and value, as flags gave them.
    pub flags: Vec<(String, String)>,
    /// The machine's name, the default of `node.name`.
    pub host_name: String,
}

/// Valid settings.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// The file they came from, if one was read.
    pub file: Option<PathBuf>,
}

/// Reads and judges the settings.
///
/// # Errors
/// Every problem at once: unreadable file, syntax, unknown keys, wrong types, wrong values.
pub fn load(sources: &Sources) -> Result<Loaded, Vec<Problem>> {
    let mut problems = Vec::new();
    let entries = document::Entries::collect(sources, &mut problems);
    let settings = settings::read(&entries, &sources.host_name, &mut problems);
    if problems.is_empty() { Ok(Loaded { settings, file: entries.file }) } else { Err(problems) }
}

#[cfg(test)]
mod tests;
