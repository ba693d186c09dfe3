//! Why a command did not do what it was asked, and the exit code that says so.

use std::fmt;

/// A failed command.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: Kind,
    error: anyhow::Error,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Input,
    Missing,
}

impl Failure {
    /// What was given is wrong: configuration, document, number. Exit code 1.
    pub(crate) fn input(error: impl Into<anyhow::Error>) -> Self {
        Failure { kind: Kind::Input, error: error.into() }
    }

    /// Something needed is not there: a port is taken, the database is down. Exit code 3.
    pub(crate) fn missing(error: impl Into<anyhow::Error>) -> Self {
        Failure { kind: Kind::Missing, error: error.into() }
    }

    /// Several faults of the input, one a line.
    pub(crate) fn inputs<T: fmt::Display>(faults: impl IntoIterator<Item = T>) -> Self {
        let lines: Vec<String> = faults.into_iter().map(|fault| fault.to_string()).collect();
        Failure::input(anyhow::anyhow!(lines.join("\n")))
    }

    /// The same, and where it happened.
    pub(crate) fn within(self, place: String) -> Self {
        Failure { kind: self.kind, error: self.error.context(place) }
    }

    /// Something needed is not there: it may come.
    pub(crate) fn is_missing(&self) -> bool {
        self.kind == Kind::Missing
    }

    /// The exit code. 2, a wrong command line, is given by the argument parser.
    pub(crate) fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Input => 1,
            Kind::Missing => 3,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.error)
    }
}
