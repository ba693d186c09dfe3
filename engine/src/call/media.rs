//! The call's relay session: ports, remotes, and SDP rewritten on the way across.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::cause::Cause;
use crate::core::Core;
use crate::media::{Latch, MediaCommand, PortPair, Remote, SessionId, Side};
use crate::sdp::{self, Origin, RelayAddress, Sdp, narrow, rewrite};

use super::{A, Call, LegState};

/// The relay session of a call.
#[derive(Debug)]
pub(crate) struct Media {
    pub(crate) session: SessionId,
    pub(super) a: PortPair,
    pub(super) b: PortPair,
    pub(super) watched: bool,
    /// Where each side's phone is, as the relay was told last.
    pub(super) remotes: [Option<Remote>; 2],
}

impl Media {
    /// Takes ports for a call.
    pub(super) fn open(core: &mut Core) -> Result<Media, Cause> {
        let now = core.io.now.mono;
        let pair = |core: &mut Core| core.ports.take(now);
        let Some(a) = pair(core) else {
            core.io.counters.media_ports_exhausted += 1;
            return Err(Cause::Overload);
        };
        let Some(b) = pair(core) else {
            core.ports.give_back(a, now);
            core.io.counters.media_ports_exhausted += 1;
            return Err(Cause::Overload);
        };
        let session = SessionId(core.next_session());
        core.io.media(MediaCommand::Open { session, a, b });
        Ok(Media { session, a, b, watched: false, remotes: [None; 2] })
    }

    fn port(&self, side: Side) -> PortPair {
        match side {
            Side::A => self.a,
            Side::B => self.b,
        }
    }

    /// The relay could not bind a port: both are set aside for a while.
    pub(super) fn retire(self, core: &mut Core) {
        let now = core.io.now.mono;
        core.ports.retire(self.a, now);
        core.ports.retire(self.b, now);
    }

    /// Ends the session; its ports rest before they serve again.
    pub(super) fn close(&self, core: &mut Core) {
        let now = core.io.now.mono;
        core.io.media(MediaCommand::Close { session: self.session });
        core.ports.give_back(self.a, now);
        core.ports.give_back(self.b, now);
    }
}

impl Call {
    /// Rewrites `body`, which came from the other side, for `to`: its media will come to our
    /// relay. `changed` when it is a new description (RFC 3264 8: the version rises).
    pub(super) fn sdp_for(
        &mut self,
        core: &mut Core,
        to: u16,
        body: &[u8],
        changed: bool,
    ) -> Result<Arc<[u8]>, Cause> {
        let sdp = Sdp::parse(body).map_err(|_| Cause::NoCodec)?;
        self.describe(core, to, &sdp, changed)
    }

    /// [`Call::sdp_for`] of a description that is read already.
    pub(super) fn describe(
        &mut self,
        core: &mut Core,
        to: u16,
        sdp: &Sdp<'_>,
        changed: bool,
    ) -> Result<Arc<[u8]>, Cause> {
        let Some(media) = &*self.media else { return Err(Cause::NoCodec) };
        let relay = RelayAddress {
            ip: core.config.media.address,
            rtp: media.port(self.leg(to).side).rtp(),
        };
        let leg = self.leg_mut(to);
        if changed || leg.origin_version == 0 {
            leg.origin_version += 1;
        }
        let origin = Origin { id: leg.origin_id, version: leg.origin_version };
        let body = core.io.compose(|out| rewrite(sdp, relay, origin, out));
        self.narrowed(to, body)
    }

    /// Without what the trunk of `leg` does not know; as it is where it knows all.
    ///
    /// # Errors
    /// Nothing is left to talk with.
    pub(super) fn narrowed(&self, leg: u16, body: Arc<[u8]>) -> Result<Arc<[u8]>, Cause> {
        let trunk = self.leg(leg).trunk.map(|at| self.routing.snapshot.trunk(at));
        match trunk {
            Some(trunk) if !trunk.codecs.is_empty() => {
                narrow(&body, &trunk.codecs).map(Arc::from).ok_or(Cause::NoCodec)
            }
            _ => Ok(body),
        }
    }

    /// Rewrites the caller's first offer for all callees: they share it, origin included.
    pub(super) fn first_offer(
        &mut self,
        core: &mut Core,
        sdp: &Sdp<'_>,
    ) -> Result<Arc<[u8]>, Cause> {
        let Some(media) = &*self.media else { return Err(Cause::NoCodec) };
        if sdp.relayed().is_none() {
            return Err(Cause::NoCodec);
        }
        let relay = RelayAddress { ip: core.config.media.address, rtp: media.b.rtp() };
        let origin = Origin { id: self.leg(A).origin_id, version: 1 };
        Ok(core.io.compose(|out| rewrite(sdp, relay, origin, out)))
    }

    /// What `leg` described last, as an offer to others on `side`: without a hold, which was
    /// between it and its partner.
    pub(super) fn offer_of(
        &self,
        core: &mut Core,
        leg: u16,
        (side, origin): (Side, Origin),
    ) -> Result<Arc<[u8]>, Cause> {
        let Some(media) = &*self.media else { return Err(Cause::NoCodec) };
        let relay = RelayAddress { ip: core.config.media.address, rtp: media.port(side).rtp() };
        let open = sdp::without_direction(&self.leg(leg).described);
        let sdp = Sdp::parse(&open).map_err(|_| Cause::NoCodec)?;
        sdp.relayed().ok_or(Cause::NoCodec)?;
        Ok(core.io.compose(|out| rewrite(&sdp, relay, origin, out)))
    }

    /// Tells the relay where `leg`'s phone is, as its SDP says.
    ///
    /// # Errors
    /// Nothing in it can be relayed: every line is refused, or of another address family.
    pub(super) fn learn_remote(
        &mut self,
        core: &mut Core,
        leg: u16,
        body: &[u8],
    ) -> Result<(), Cause> {
        let sdp = Sdp::parse(body).map_err(|_| Cause::NoCodec)?;
        self.learn(core, leg, &sdp)
    }

    /// [`Call::learn_remote`] of a description that is read already.
    pub(super) fn learn(&mut self, core: &mut Core, leg: u16, sdp: &Sdp<'_>) -> Result<(), Cause> {
        let Some(media) = &*self.media else { return Err(Cause::NoCodec) };
        let session = media.session;
        let line = *sdp.relayed_media().ok_or(Cause::NoCodec)?;
        let source = self.leg(leg).dialog.flow.remote.ip();
        // A host name in c= is not looked up: its phone is heard where it signals from.
        let named = line.connection.is_none();
        let ip = line.connection.unwrap_or(source).to_canonical();
        if ip.is_ipv4() != core.config.media.address.is_ipv4() {
            return Err(Cause::NoCodec);
        }
        let on_hold = ip.is_unspecified();
        let sends = line.direction.sends() && !on_hold;
        let rtcp_port = match (line.rtcp_mux, line.rtcp) {
            (true, _) => line.port,
            (false, Some((_, port))) => port,
            (false, None) => line.port.saturating_add(1),
        };
        let rtcp_ip = line.rtcp.and_then(|(ip, _)| ip).unwrap_or(ip);
        let side = self.leg(leg).side;
        let latch = if self.leg(leg).nat || named { Latch::FirstSource } else { Latch::Signalled };
        self.leg_mut(leg).sends = sends;
        if on_hold {
            // RFC 3264 8.4, the old form of hold: nobody is to be sent anything.
            self.remember_remote(side, None);
            core.io.media(MediaCommand::ClearRemote { session, side });
            return Ok(());
        }
        let remote = Remote {
            rtp: SocketAddr::new(ip, line.port),
            rtcp: SocketAddr::new(rtcp_ip, rtcp_port),
            latch,
            sends,
        };
        self.remember_remote(side, Some(remote));
        core.io.media(MediaCommand::SetRemote { session, side, remote });
        Ok(())
    }

    /// Forgets a callee's phone: it only had early media.
    pub(super) fn forget_remote(&mut self, core: &mut Core, side: Side) {
        self.remember_remote(side, None);
        if let Some(media) = &*self.media {
            core.io.media(MediaCommand::ClearRemote { session: media.session, side });
        }
    }

    fn remember_remote(&mut self, side: Side, remote: Option<Remote>) {
        if let Some(media) = &mut *self.media {
            media.remotes[side as usize] = remote;
        }
        self.touch();
    }

    /// Watches for silence while both sides talk; on hold silence is meant.
    pub(super) fn watch_silence(&mut self, core: &mut Core) {
        let talks = |leg: u16| self.leg(leg).state == LegState::Up && self.leg(leg).sends;
        let both = self.pair().is_some_and(|(a, b)| talks(a) && talks(b));
        if let Some(media) = &mut *self.media
            && media.watched != both
        {
            media.watched = both;
            core.io.media(MediaCommand::WatchIdle { session: media.session, on: both });
        }
    }
}
