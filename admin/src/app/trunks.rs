//! How busy the trunks are.

use serde::Serialize;
use tensou_store::model::Trunk;
use utoipa::ToSchema;

use super::App;
use super::auth::Principal;
use super::refusal::Refusal;

/// State of a trunk now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TrunkStatus {
    /// The trunk.
    pub id: String,
    /// Its name.
    pub name: String,
    /// It brings and takes calls.
    pub enabled: bool,
    /// Channels in use now, in both directions together.
    pub channels_in_use: u32,
    /// Channels it has, 0 when unlimited.
    pub channels: u32,
}

impl App {
    /// State of one trunk.
    ///
    /// # Errors
    /// There is none that `who` sees.
    pub async fn trunk_status(&self, who: &Principal, id: &str) -> Result<TrunkStatus, Refusal> {
        let trunk = self.one::<Trunk>(who, id).await?;
        Ok(self.status_of(trunk.row))
    }

    fn status_of(&self, trunk: Trunk) -> TrunkStatus {
        let in_use = self.board().trunk(&trunk.id).map_or(0, |row| row.in_use);
        TrunkStatus {
            id: trunk.id,
            name: trunk.name,
            enabled: trunk.enabled,
            channels_in_use: in_use,
            channels: trunk.channels,
        }
    }
}
