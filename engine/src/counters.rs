//! Figures of the engine since its start, for metrics.

/// Counters and gauges, read by the shell between inputs. Names are those of `/metrics` after
/// `tensou_`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams and framed messages received.
    pub sip_received: u64,
    /// Messages sent, retransmissions included.
    pub sip_sent: u64,
    /// Retransmissions sent by our timers or in answer to a peer's.
    pub sip_retransmitted: u64,
    /// Messages that were no SIP, or not understood: dropped or answered 400.
    pub sip_malformed: u64,
    /// Requests from addresses that are no trunk and carried no credential.
    pub sip_unknown_peer: u64,
    /// Responses that match no transaction, dropped.
    pub sip_stray_responses: u64,
    /// Attempts: every one becomes a CDR.
    pub calls_started: u64,
    /// Attempts that were answered.
    pub calls_answered: u64,
    /// Attempts that have ended.
    pub calls_ended: u64,
    /// Talking milliseconds of ended calls.
    pub talk_millis: u64,
    /// Calls that exist now.
    pub calls_active: u64,
    /// INVITEs refused because a trunk was full.
    pub refused_trunk_full: u64,
    /// INVITEs refused because their DID was at its cap.
    pub refused_did_busy: u64,
    /// INVITEs refused while draining or out of resources.
    pub refused_overload: u64,
    /// Contacts of redirections that were called.
    pub redirections_followed: u64,
    /// Contacts that were not: nobody may be led there, or the branch had been there.
    pub redirections_refused: u64,
    /// Wrong credentials.
    pub auth_failures: u64,
    /// Bindings of extensions now.
    pub registrations: u64,
    /// Port pairs in use now.
    pub media_ports_in_use: u64,
    /// Pairs handed out again before their quiet time, because none other was free.
    pub media_ports_reused_early: u64,
    /// Calls refused because no port pair was free.
    pub media_ports_exhausted: u64,
    /// Trunk channels in use now, over all trunks.
    pub channels_in_use: u64,
    /// Trunks that we register at or watch.
    pub trunks_watched: u64,
    /// Those of them that are down now.
    pub trunks_down: u64,
    /// Calls in memory now: running ones, and those that wait for last answers.
    pub calls_held: u64,
    /// Calls that went on after a restart.
    pub calls_restored: u64,
    /// Images of calls and phones in the journal that could not be read.
    pub journal_unreadable: u64,
    /// Server and client transactions now, lingering ones included.
    pub transactions: u64,
}
