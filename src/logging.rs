//! Where log lines go, and the level that SIGHUP rereads.

use std::io::IsTerminal;

use tensou_config::{Log, LogFilter, LogFormat};
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt, reload};

/// Changes the level of the running log.
#[derive(Clone)]
pub(crate) struct LogLevel(reload::Handle<EnvFilter, Registry>);

/// Starts the log on standard error, so that standard output stays a command's own.
pub(crate) fn start(log: &Log) -> anyhow::Result<LogLevel> {
    let (filter, handle) = reload::Layer::new(filter(&log.level)?);
    let registry = tracing_subscriber::registry().with(filter);
    let started = match log.format {
        LogFormat::Text => {
            let colour = std::io::stderr().is_terminal();
            let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(colour);
            registry.with(lines).try_init()
        }
        LogFormat::Json => {
            registry.with(fmt::layer().json().with_writer(std::io::stderr)).try_init()
        }
    };
    started?;
    Ok(LogLevel(handle))
}

impl LogLevel {
    /// Takes another filter from now on.
    pub(crate) fn set(&self, level: &LogFilter) -> anyhow::Result<()> {
        Ok(self.0.reload(filter(level)?)?)
    }
}

/// Statements of the SQL driver are logged by it at `debug`, and slow ones at `warn`: its own
/// target is named only by someone who looks for them.
fn filter(level: &LogFilter) -> anyhow::Result<EnvFilter> {
    let text = match level.as_str() {
        words if words.contains("sqlx") => words.to_owned(),
        words => format!("{words},sqlx=warn"),
    };
    Ok(EnvFilter::try_new(text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_valid_setting_is_a_filter() {
        for text in ["info", "warn,tensou=debug", "off", "sqlx=trace,info"] {
            assert!(filter(&LogFilter::parse(text).unwrap()).is_ok(), "{text}");
        }
    }
}
