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
    /// Calls leave by it: it is enabled, a watched peer answers, and we are registered there if
    /// we must be. A trunk that is not watched is taken to be up.
    pub up: bool,
    /// Whether we are registered there; none when we need not be.
    pub registered: Option<bool>,
    /// Why it is down; empty when it is up.
    pub reason: String,
    /// Its watched peers.
    pub peers: Vec<PeerStatus>,
    /// Calls that left by it and ended within the last 15 minutes.
    pub attempts: u64,
    /// Answer-seizure ratio of these in percent; none without calls.
    pub asr_percent: Option<u64>,
    /// Average call duration of those answered.
    pub acd_seconds: Option<u64>,
    /// Average post-dial delay, from the INVITE to ringing.
    pub pdd_ms: Option<u64>,
}

/// A watched peer of a trunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PeerStatus {
    /// Its address.
    pub peer: String,
    /// It answers.
    pub up: bool,
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
        let standing = self.board().standing(&trunk.id);
        let state = standing.state.as_ref();
        let peers = state.map(|state| state.peers.as_slice()).unwrap_or_default();
        let reason = state.map(|state| state.reason.clone()).unwrap_or_default();
        TrunkStatus {
            id: trunk.id,
            name: trunk.name,
            enabled: trunk.enabled,
            channels_in_use: in_use,
            channels: trunk.channels,
            up: trunk.enabled && state.is_none_or(|state| state.up),
            registered: state.and_then(|state| state.registered),
            reason: if trunk.enabled { reason } else { "disabled".to_owned() },
            peers: (peers.iter())
                .map(|(peer, up)| PeerStatus { peer: peer.to_string(), up: *up })
                .collect(),
            attempts: standing.figures.attempts,
            asr_percent: standing.answered_percent(),
            acd_seconds: standing.average_duration().map(|average| average.as_secs()),
            pdd_ms: standing
                .post_dial_delay()
                .map(|average| u64::try_from(average.as_millis()).unwrap_or(u64::MAX)),
        }
    }
}
