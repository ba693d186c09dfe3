//! What subscribers are told.

use std::net::SocketAddr;
use std::sync::Arc;

use tensou_engine::{Key, TrunkState};

use super::state::{EndedCall, LiveCall, Registration, TrunkUse};

/// One thing that happened. Cheap to clone: every subscriber gets one.
#[derive(Clone, Debug)]
pub struct Notice {
    /// The event's name in SSE: `call.started`, `trunk.channels`, ….
    pub name: &'static str,
    /// The customer whose call it is; what belongs to no customer is for the operator's people
    /// only.
    pub customer: Option<Key>,
    /// What happened.
    pub body: Arc<NoticeBody>,
}

/// The facts of a notice, as they were at its moment.
#[derive(Debug)]
pub enum NoticeBody {
    /// A call began, rings, was answered, or one of its legs changed.
    Call(LiveCall),
    /// A call ended.
    Ended(EndedCall),
    /// Channels of a trunk changed.
    Trunk(TrunkUse),
    /// A trunk came up or went down, or something of it did.
    TrunkState {
        /// The trunk.
        trunk: Key,
        /// How it stands now.
        state: Box<TrunkState>,
    },
    /// A phone registered, refreshed, or its binding ended.
    Registration(Registration),
    /// Calls of other nodes are not what they were: read them again.
    Elsewhere {
        /// How many there are.
        calls: usize,
    },
    /// Somebody tried wrong credentials.
    AuthenticationFailed {
        /// The user name tried last.
        user: String,
        /// From where.
        source: SocketAddr,
        /// How often since this was told last.
        tries: u64,
        /// How many user names.
        users: u32,
        /// From how many networks.
        sources: u32,
    },
}
