//! What a node does on the database besides its own calls: it keeps the records' months, and
//! works beside other nodes.

use std::sync::Arc;

use tensou_admin::board::Board;
use tensou_config::Settings;
use tensou_store::Store;
use tokio::task::JoinHandle;

use crate::cluster::{Cluster, listen};
use crate::engine_thread::EngineHandle;
use crate::record_upkeep::RecordUpkeep;

/// Starts it; every task runs until it is aborted.
pub(super) fn start(
    settings: &Settings,
    store: &Store,
    board: &Arc<Board>,
    engine: &EngineHandle,
) -> [JoinHandle<()>; 3] {
    let node = settings.node.name.as_str();
    let cluster = Cluster::new(store.clone(), Arc::clone(board), node);
    let upkeep = RecordUpkeep {
        store: store.clone(),
        time_zone: settings.node.time_zone.name().to_owned(),
        keep_months: settings.records.keep_months,
    };
    [
        tokio::spawn(listen(store.clone(), node.to_owned(), engine.clone())),
        tokio::spawn(cluster.run()),
        tokio::spawn(upkeep.run()),
    ]
}
