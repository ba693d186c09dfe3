//! The commands.

mod args;
mod backup;
mod check;
mod demo;
mod documents;
mod journal;
mod people;
mod records;
mod restore;
mod route;
mod serve;

use std::future::Future;

use clap::CommandFactory;
use tensou_admin::app::{Flaw, Refusal};
use tensou_config::{Loaded, Settings, Sources};
use tensou_store::{Store, StoreError};

pub(crate) use args::Cli;
use args::{Command, JournalCommand, SettingsArgs, TokenCommand, UserCommand};

use crate::failure::Failure;

/// How a command ended that did what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// Nothing is left to do.
    Entirely,
    /// The next process goes on.
    HandedOver,
}

/// Carries a parsed command line out.
pub(crate) fn execute(cli: Cli) -> Result<Done, Failure> {
    let settings = cli.settings;
    let done = match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => return serve::serve(&settings),
        Command::Demo(demo) => demo::demo(&settings, &demo),
        Command::Check => check::check(&settings),
        Command::Route(route) => route::route(&settings, &route),
        Command::Import(import) => documents::import(&settings, &import),
        Command::Export(export) => documents::export(&settings, &export),
        Command::Cdr(cdr) => records::cdr(&settings, &cdr),
        Command::User(UserCommand::Add(person)) => people::add_user(&settings, person),
        Command::Token(TokenCommand::Add(person)) => people::add_token(&settings, person),
        Command::Backup(it) => backup::backup(&settings, &it),
        Command::Restore(it) => restore::restore(&settings, &it),
        Command::Journal(JournalCommand::Repair) => journal::repair_journal(&settings),
        Command::Migrate => migrate(&settings),
        Command::Completions { shell } => {
            let mut command = Cli::command();
            clap_complete::generate(shell, &mut command, "tensou", &mut std::io::stdout());
            Ok(())
        }
    };
    done.map(|()| Done::Entirely)
}

fn migrate(args: &SettingsArgs) -> Result<(), Failure> {
    let loaded = load(args)?;
    block_on(async {
        open(&loaded.settings).await?;
        println!("The schema of {} is up to date.", loaded.settings.database.url);
        Ok(())
    })
}

/// Reads the settings.
fn load(args: &SettingsArgs) -> Result<Loaded, Failure> {
    tensou_config::load(&sources(args)).map_err(Failure::inputs)
}

fn sources(args: &SettingsArgs) -> Sources {
    let host_name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Sources {
        file: args.config.clone(),
        environment: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
        flags: args.overrides(),
        host_name: host_name.trim().to_owned(),
    }
}

/// Opens the database and brings its schema up to date.
async fn open(settings: &Settings) -> Result<Store, Failure> {
    let url = &settings.database.url;
    let place = |error: StoreError| {
        let wrong = matches!(error, StoreError::Url(_) | StoreError::Corrupt(_));
        let error = anyhow::Error::from(error).context(format!("database {url}"));
        if wrong { Failure::input(error) } else { Failure::missing(error) }
    };
    let store = Store::connect(url.reveal()).await.map_err(place)?;
    store.migrate().await.map_err(place)?;
    Ok(store)
}

/// What a failed use of the store says about its cause.
pub(crate) fn store_failure(error: StoreError) -> Failure {
    match error {
        StoreError::Database(_) => Failure::missing(error),
        other => Failure::input(other),
    }
}

/// What a refusal of the application says about its cause; every flaw on a line of its own,
/// with the flag that its field came from.
pub(crate) fn refused(refusal: Refusal) -> Failure {
    match refusal {
        Refusal::Invalid(flaws) => flawed(flaws),
        Refusal::Unavailable(_) | Refusal::Store(_) | Refusal::Internal(_) => {
            Failure::missing(anyhow::Error::from(refusal))
        }
        other => Failure::input(anyhow::Error::from(other)),
    }
}

fn flawed(flaws: Vec<Flaw>) -> Failure {
    let line = |flaw: Flaw| match flaw.pointer.trim_start_matches(['?', '/']) {
        "" => flaw.message,
        field => format!("--{field}: {}", flaw.message),
    };
    Failure::inputs(flaws.into_iter().map(line))
}

/// Runs a command that has no use for more than one thread.
fn block_on(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::missing)?;
    runtime.block_on(work)
}
