//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;
use tensou_engine::plan::{E164, parse_e164};
use tensou_store::Role;

/// Call forwarding for the people who rent telephone numbers.
///
/// Without a command, `tensou serve`. Exit codes: 0 done, 1 the input is wrong, 2 the command
/// line is wrong, 3 a resource is missing (port taken, database down).
#[derive(Debug, Parser)]
#[command(name = "tensou", version, max_term_width = 100)]
pub(crate) struct Cli {
    /// Settings of every command.
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// Flags that stand before or after every command.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct SettingsArgs {
    /// Settings file [default: tensou.toml, if there is one]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Overrides one setting, e.g. `--set sip.listen=udp:127.0.0.1:5070`; repeatable
    #[arg(long = "set", global = true, value_name = "SECTION.KEY=VALUE", value_parser = setting)]
    pub(crate) set: Vec<(String, String)>,
    /// Same as `--set database.url=URL`
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) database: Option<String>,
    /// Same as `--set log.level=LEVEL`
    #[arg(long, global = true, value_name = "LEVEL")]
    pub(crate) log: Option<String>,
}

impl SettingsArgs {
    /// As `section.key` and value; `--set` before the named flags, so that these win.
    pub(crate) fn overrides(&self) -> Vec<(String, String)> {
        let mut all = self.set.clone();
        let named = [("database.url", &self.database), ("log.level", &self.log)];
        all.extend(named.iter().filter_map(|(key, value)| {
            value.as_ref().map(|value| ((*key).to_owned(), value.clone()))
        }));
        all
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the engine, the media relay, the REST API and the web UI
    Serve,
    /// Runs everything on loopback with sample data, a simulated gateway and simulated phones
    Demo(DemoArgs),
    /// Reads settings and database and prints every problem
    Check,
    /// Dry run: what would happen to a call, without placing it
    Route(RouteArgs),
    /// Reads provisioning documents: all or nothing
    Import(ImportArgs),
    /// Writes the whole provisioning as one document
    Export(ExportArgs),
    /// Writes call records to standard output
    Cdr(CdrArgs),
    /// People who sign in to the web UI
    #[command(subcommand)]
    User(UserCommand),
    /// Tokens for programs
    #[command(subcommand)]
    Token(TokenCommand),
    /// Writes database, prompts and the index of recordings to one file, while nodes run
    Backup(BackupArgs),
    /// Puts a backup in the place of what is here: all of it or nothing
    Restore(RestoreArgs),
    /// The journal that calls outlive the process by
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Brings the database schema up to date (serve does it too)
    Migrate,
    /// Writes a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// `tensou journal`
#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum JournalCommand {
    /// Keeps every record of a damaged journal that can be read
    Repair,
}

/// `tensou demo`
#[derive(Args, Clone, Debug)]
pub(crate) struct DemoArgs {
    /// New calls each second
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = rate)]
    pub(crate) calls_per_second: f64,
    /// Stops after this time: `90s`, `5m`, `1h`; without it, at Ctrl-C
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub(crate) run_for: Option<Duration>,
}

/// `tensou route`
#[derive(Args, Debug)]
pub(crate) struct RouteArgs {
    /// Who calls; `anonymous` for a withheld number
    #[arg(long, value_name = "NUMBER", value_parser = caller)]
    pub(crate) from: Caller,
    /// The DID called
    #[arg(long, value_name = "DID", value_parser = number)]
    pub(crate) to: E164,
    /// When [default: now]
    #[arg(long, value_name = "RFC3339")]
    pub(crate) at: Option<Timestamp>,
    /// JSON instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// Who calls in a dry run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// A number.
    Number(E164),
    /// Nobody says.
    Withheld,
}

/// `tensou import`
#[derive(Args, Debug)]
pub(crate) struct ImportArgs {
    /// TOML or JSON documents
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Judges the documents and changes nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `tensou export`
#[derive(Args, Debug)]
pub(crate) struct ExportArgs {
    /// The form of the document
    #[arg(long, value_enum, default_value_t = DocumentFormat::Toml)]
    pub(crate) format: DocumentFormat,
    /// Includes the passwords of extensions
    #[arg(long)]
    pub(crate) with_secrets: bool,
}

/// The form of a provisioning document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DocumentFormat {
    /// TOML
    Toml,
    /// JSON
    Json,
}

/// `tensou cdr`
#[derive(Args, Debug)]
pub(crate) struct CdrArgs {
    /// Started at or after: `2026-11-01` or RFC 3339
    #[arg(long, value_name = "T")]
    pub(crate) from: Option<String>,
    /// Started before: `2026-12-01` or RFC 3339
    #[arg(long, value_name = "T")]
    pub(crate) to: Option<String>,
    /// Only of this DID
    #[arg(long, value_name = "N", value_parser = number)]
    pub(crate) did: Option<E164>,
    /// Only of this customer
    #[arg(long, value_name = "C")]
    pub(crate) customer: Option<String>,
    /// The form
    #[arg(long, value_enum, default_value_t = CdrFormat::Csv)]
    pub(crate) format: CdrFormat,
}

/// The form of call records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CdrFormat {
    /// A table that spreadsheets open as it is
    Csv,
    /// One JSON object a line
    Json,
}

/// `tensou backup`
#[derive(Args, Debug)]
pub(crate) struct BackupArgs {
    /// The file; one that is there is replaced once the new one is complete
    pub(crate) file: PathBuf,
}

/// `tensou restore`
#[derive(Args, Debug)]
pub(crate) struct RestoreArgs {
    /// A file that `tensou backup` wrote
    pub(crate) file: PathBuf,
    /// Replaces what the database holds
    #[arg(long)]
    pub(crate) force: bool,
}

/// `tensou user`
#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Adds a person and prints a one-time password
    Add(PersonArgs),
}

/// `tensou token`
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Adds a token and prints it once
    Add(PersonArgs),
}

/// Who is added, and what they may do.
#[derive(Args, Debug)]
pub(crate) struct PersonArgs {
    /// The name
    pub(crate) name: String,
    /// admin, operator, agent, billing, readonly, reseller or customer
    #[arg(long, value_parser = role)]
    pub(crate) role: Role,
    /// The customer whose rows a `customer` sees
    #[arg(long, value_name = "ID")]
    pub(crate) customer: Option<String>,
    /// The reseller whose rows a `reseller` sees
    #[arg(long, value_name = "ID")]
    pub(crate) reseller: Option<String>,
}

fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if key.contains('.') => Ok((key.trim().to_owned(), value.to_owned())),
        _ => Err("write it as section.key=value".into()),
    }
}

fn number(text: &str) -> Result<E164, String> {
    parse_e164(text).map_err(|error| error.to_string())
}

fn caller(text: &str) -> Result<Caller, String> {
    if text == "anonymous" {
        return Ok(Caller::Withheld);
    }
    number(text).map(Caller::Number)
}

fn role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| {
        let all: Vec<&str> = Role::ALL.iter().map(|role| role.as_str()).collect();
        format!("one of {}", all.join(", "))
    })
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= 1_000.0 => Ok(rate),
        _ => Err("a number above 0, at most 1000".into()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let wanted = || "write it as in 90s, 5m or 1h".to_owned();
    let (digits, unit) = match text.char_indices().find(|(_, ch)| !ch.is_ascii_digit()) {
        Some((at, _)) => text.split_at(at),
        None => (text, "s"),
    };
    let count: u64 = digits.parse().map_err(|_| wanted())?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return Err(wanted()),
    };
    count.checked_mul(seconds).filter(|it| *it > 0).map(Duration::from_secs).ok_or_else(wanted)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_stand_before_or_after_the_command_and_named_ones_win() {
        for line in [
            ["tensou", "--set", "log.level=debug", "--log", "warn", "serve"],
            ["tensou", "serve", "--log", "warn", "--set", "log.level=debug"],
        ] {
            let cli = Cli::try_parse_from(line).unwrap();
            let overrides = cli.settings.overrides();
            assert_eq!(overrides.last(), Some(&("log.level".to_owned(), "warn".to_owned())));
            assert_eq!(overrides.len(), 2);
        }
        assert!(Cli::try_parse_from(["tensou", "--set", "nonsense"]).is_err());
    }

    #[test]
    fn a_dry_run_takes_numbers_as_people_write_them() {
        let line = ["tensou", "route", "--from", "anonymous", "--to", "03-1234-5678"];
        let Some(Command::Route(route)) = Cli::try_parse_from(line).unwrap().command else {
            panic!("not a route")
        };
        assert_eq!(route.from, Caller::Withheld);
        assert_eq!(route.to.to_string(), "+81312345678");
        let line = ["tensou", "route", "--from", "0901", "--to", "sales"];
        assert!(Cli::try_parse_from(line).is_err());
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("20"), Ok(Duration::from_secs(20)));
        for wrong in ["", "0s", "5d", "s", "-1s", "99999999999999999999h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_unknown_role_names_the_known_ones() {
        assert!(role("root").unwrap_err().contains("operator"));
        assert_eq!(role("billing"), Ok(Role::Billing));
    }
}
