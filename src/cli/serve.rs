//! `tensou serve`

use sd_notify::NotifyState;
use tensou_config::Loaded;
use tensou_store::Store;

use super::args::SettingsArgs;
use super::{Done, load, sources, store_failure};
use crate::database::{Database, show};
use crate::failure::Failure;
use crate::handover::tell;
use crate::logging::{self, LogLevel};
use crate::node::Node;
use crate::shutdown::{Asked, Signals};
use crate::tls::Certificates;

/// Runs a node until it is told to stop or to hand over.
pub(super) fn serve(args: &SettingsArgs) -> Result<Done, Failure> {
    let loaded = load(args)?;
    let level = start_log(&loaded)?;
    let runtime = runtime()?;
    let done = runtime.block_on(async {
        let mut signals = Signals::register().map_err(Failure::missing)?;
        let url = &loaded.settings.database.url;
        let store = Store::connect_later(url.reveal())
            .map_err(|error| store_failure(error).within(format!("database {url}")))?;
        let mut node = Node::start(&loaded.settings, Database::Unopened(store)).await?;
        println!("Web UI: {}://{}/", node.admin_scheme(), node.admin_address());
        show(node.first_password());
        tell(NotifyState::Ready);
        let certificates = node.certificates();
        loop {
            let asked = tokio::select! {
                asked = asked_to_end(&mut signals, args, (&level, &certificates)) => asked,
                failure = node.failed() => {
                    node.abandon().await;
                    return Err(failure);
                }
            };
            if asked != Asked::HandOver {
                tell(NotifyState::Stopping);
                return stop(node, &mut signals).await.map(|()| Done::Entirely);
            }
            match node.obstacle().await {
                None => {
                    node.hand_over().await;
                    return Ok(Done::HandedOver);
                }
                Some(why) => tracing::error!("nothing is handed over, calls go on here: {why}"),
            }
        }
    });
    if matches!(done, Ok(Done::HandedOver)) {
        // The next process waits for the end of this one, and so do packets.
        runtime.shutdown_background();
    }
    done
}

/// The log.
pub(super) fn start_log(loaded: &Loaded) -> Result<LogLevel, Failure> {
    logging::start(&loaded.settings.log).map_err(Failure::input)
}

/// The threads of everything but the engine and the relay.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .thread_name("control")
        .enable_all()
        .build()
        .map_err(Failure::missing)
}

/// What the process is told to end for; until then SIGHUP rereads the log level and the
/// certificates.
async fn asked_to_end(
    signals: &mut Signals,
    args: &SettingsArgs,
    (level, certificates): (&LogLevel, &Certificates),
) -> Asked {
    loop {
        let asked = signals.next().await;
        if asked != Asked::Reload {
            return asked;
        }
        let reread = tensou_config::load(&sources(args));
        let set = reread
            .map_err(Failure::inputs)
            .and_then(|loaded| level.set(&loaded.settings.log.level).map_err(Failure::input));
        match set {
            Ok(()) => tracing::info!("the log level was read again"),
            Err(failure) => tracing::error!("the log level stays: {failure}"),
        }
        match certificates.reload() {
            Ok(()) => tracing::info!("the certificates were read again"),
            Err(error) => tracing::error!("the certificates stay: {error}"),
        }
    }
}

/// Drains and ends the node; a second signal ends at once.
pub(super) async fn stop(node: Node, signals: &mut Signals) -> Result<(), Failure> {
    let journal = node.journal();
    tokio::select! {
        () = node.shut_down() => Ok(()),
        () = signals.stop() => match journal.waiting() {
            0 => Ok(()),
            waiting => Err(Failure::missing(anyhow::anyhow!(
                "ended at once: {waiting} call records wait in the journal for the next start"
            ))),
        },
    }
}
