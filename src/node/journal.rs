//! The journal as the node holds it.

use tensou_config::Settings;
use tensou_engine::journal::Ledger;

use crate::clock::Clock;
use crate::failure::Failure;
use crate::journal::{
    Condition, FOLDER, Folder, JournalError, Keeper, Recovered, Tail, Writer, recover,
};

/// What was found at the start.
pub(super) struct Opened {
    folder: Folder,
    recovered: Recovered,
}

/// What the engine's thread gets.
pub(super) struct Written {
    pub(super) writer: Writer,
    pub(super) ledger: Ledger,
    pub(super) clock: Clock,
}

/// The running journal. Its folder is this process's for as long as it lives.
pub(super) struct Journal {
    _folder: Folder,
    condition: Condition,
    keeper: Keeper,
}

impl Opened {
    /// Takes the folder and reads what is in it.
    pub(super) fn open(settings: &Settings) -> Result<Opened, Failure> {
        let open = || {
            let folder = Folder::open(&settings.node.data_dir.join(FOLDER))?;
            let recovered = recover(&folder)?;
            Ok(Opened { folder, recovered })
        };
        let opened: Opened = open().map_err(failure)?;
        let calls = opened.calls();
        if calls > 0 {
            tracing::info!(calls, "going on with the calls that were up");
        }
        Ok(opened)
    }

    /// How many calls wait to go on.
    pub(super) fn calls(&self) -> usize {
        self.recovered.ledger.calls()
    }

    /// Begins to write.
    pub(super) fn start(self, settings: &Settings) -> Result<(Journal, Tail, Written), Failure> {
        let Opened { folder, recovered } = self;
        let condition = recovered.condition();
        let node = settings.node.name.as_str();
        let writer = Writer::begin(&folder, &recovered, node, condition.clone());
        let mut writer = writer.map_err(failure)?;
        let tail = Tail::new(&folder, condition.clone()).map_err(Failure::missing)?;
        let fsync = settings.journal.fsync;
        let keeper = Keeper::start(folder.path(), condition.clone(), fsync, &mut writer);
        let keeper = keeper.map_err(Failure::missing)?;
        let Recovered { ledger, clock, .. } = recovered;
        let written = Written { writer, ledger, clock };
        Ok((Journal { _folder: folder, condition, keeper }, tail, written))
    }
}

impl Journal {
    pub(super) fn condition(&self) -> Condition {
        self.condition.clone()
    }

    /// What was written is on the disk when this returns.
    pub(super) async fn stop(self) {
        let keeper = self.keeper;
        if tokio::task::spawn_blocking(move || keeper.stop()).await.is_err() {
            tracing::error!("the journal could not be closed");
        }
    }
}

/// What a journal that cannot be had says about its cause.
fn failure(error: JournalError) -> Failure {
    match error {
        JournalError::Damaged { .. } | JournalError::Version { .. } => Failure::input(error),
        JournalError::InUse(_) | JournalError::Io { .. } => Failure::missing(error),
    }
}
