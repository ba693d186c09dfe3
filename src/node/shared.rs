//! What a node does on the database besides its own calls: it keeps the records' months, and
//! works beside other nodes.

use std::sync::Arc;

use tensou_admin::board::Board;
use tensou_config::Settings;
use tensou_store::Store;
use tokio::task::JoinHandle;

use crate::cluster::{Cluster, listen};
use crate::database::Opened;
use crate::engine_thread::EngineHandle;
use crate::record_upkeep::RecordUpkeep;

/// Starts it; every task runs until it is aborted.
pub(super) fn start(
    settings: &Settings,
    store: &Store,
    board: &Arc<Board>,
    engine: &EngineHandle,
    opened: &Opened,
) -> [JoinHandle<()>; 3] {
    let node = settings.node.name.as_str();
    let cluster = Cluster::new(store.clone(), Arc::clone(board), node);
    let upkeep = RecordUpkeep {
        store: store.clone(),
        time_zone: settings.node.time_zone.name().to_owned(),
        keep_months: settings.records.keep_months,
    };
    [
        once(opened, listen(store.clone(), node.to_owned(), engine.clone())),
        once(opened, cluster.run()),
        once(opened, upkeep.run()),
    ]
}

/// Begins when the database is open.
fn once(opened: &Opened, work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    let opened = opened.clone();
    tokio::spawn(async move {
        opened.wait().await;
        work.await;
    })
}
