//! Tensou: the shell around the engine.
//!
//! The only code that knows every crate of the workspace: threads, sockets, wiring, the command
//! line. Calls are the engine's, packets the relay's, rows the store's, screens the admin's.
//!
//! # Invariants
//!
//! - One OS thread owns the engine and its sockets (`engine_thread`). Nothing it does waits for
//!   the rest of the process: it is reached by bounded queues and leaves by rings.
//! - What the engine says must be kept is in the journal before the datagrams of that round
//!   leave, and a call record goes from there to the database: at least once, and the database
//!   takes it once.
//! - Unsafe code stands in `sys` alone.

mod archive;
mod cdr_writer;
mod cli;
mod clock;
mod cluster;
mod database;
mod engine_thread;
mod events;
mod failure;
mod gauges;
mod handover;
mod journal;
mod logging;
mod media_link;
mod metrics;
mod node;
mod provisioning_copy;
mod record_upkeep;
mod resolver;
mod shutdown;
mod snapshot_task;
mod sockets;
mod streams;
mod sys;
#[cfg(test)]
mod test_values;
mod tls;
mod tls_listener;
mod watchdog;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use cli::Done;

/// Runs the command line `arguments`, the program's name first. Exit codes: 0 done, 1 the input
/// is wrong, 2 the command line is wrong, 3 a resource is missing, 4 everything is handed over to the
/// process that is to be started next.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match cli::Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Nobody is left to tell when standard output and error are both closed.
            let _closed = error.print();
            return if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    match cli::execute(cli) {
        Ok(Done::Entirely) => ExitCode::SUCCESS,
        Ok(Done::HandedOver) => ExitCode::from(handover::EXIT_CODE),
        Err(failure) => {
            eprintln!("tensou: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}
