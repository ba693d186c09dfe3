//! Call records by month: room is made ahead, and old months go.

use std::time::Duration;

use tensou_store::{Store, Upkeep};

/// Between two rounds: a month that begins has its room for a quarter of a year already.
const EVERY: Duration = Duration::from_secs(3_600);
/// After a round that failed.
const RETRY: Duration = Duration::from_secs(60);

/// The upkeep of call records.
pub(crate) struct RecordUpkeep {
    pub(crate) store: Store,
    /// IANA name of the zone whose months are kept; the settings have judged it.
    pub(crate) time_zone: String,
    pub(crate) keep_months: u32,
}

impl RecordUpkeep {
    /// Runs until it is aborted.
    pub(crate) async fn run(self) {
        loop {
            let pause = match self.round().await {
                Ok(done) => {
                    if done != Upkeep::default() {
                        let Upkeep { made, dropped, deleted } = done;
                        tracing::info!(made, dropped, deleted, "call records by month");
                    }
                    EVERY
                }
                Err(error) => {
                    tracing::warn!("upkeep of call records: {error:#}");
                    RETRY
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn round(&self) -> anyhow::Result<Upkeep> {
        let now = jiff::Timestamp::now().in_tz(&self.time_zone)?;
        Ok(self.store.keep_records(&now, self.keep_months).await?)
    }
}
