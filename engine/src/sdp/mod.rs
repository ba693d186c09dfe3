//! Session descriptions (RFC 4566) as offer and answer use them (RFC 3264): read in place,
//! rewritten towards the relay, everything that is not an address of the media left as it is.

mod codec;
mod narrow;
mod parse;
mod rewrite;

use std::net::IpAddr;

pub use codec::{Codec, MAX_CODECS, codec_in_common};
pub(crate) use narrow::narrow;
pub(crate) use rewrite::without_direction;
pub use rewrite::{Origin, RelayAddress, rewrite};

/// The most media lines of a description. A telephone offers one or two, a video room a handful.
pub const MAX_MEDIA: usize = 16;

/// Why a body is no usable session description.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// It does not begin with `v=0`.
    #[error("no session description")]
    NotSdp,
    /// A line is not `letter=value`.
    #[error("malformed line in session description")]
    Line,
    /// An `m=` line lacks a part or has no port from 0 to 65535.
    #[error("malformed media line")]
    Media,
    /// More media lines than [`MAX_MEDIA`].
    #[error("too many media lines")]
    TooManyMedia,
    /// A `c=` line is malformed.
    #[error("malformed connection line")]
    Connection,
    /// An `a=rtcp` line is malformed.
    #[error("malformed rtcp attribute")]
    Rtcp,
}

/// Who sends, as the description's author sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Both.
    #[default]
    SendRecv,
    /// The author only: the other side is on hold.
    SendOnly,
    /// The other side only.
    RecvOnly,
    /// Nobody.
    Inactive,
}

impl Direction {
    /// The author sends media.
    pub fn sends(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::SendOnly)
    }

    /// The author wants to receive media.
    pub fn receives(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::RecvOnly)
    }
}

/// A media line with what holds for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Media<'a> {
    /// `audio`, `video`, `image` …
    pub kind: &'a str,
    /// 0: refused.
    pub port: u16,
    /// `RTP/AVP`, `udptl` …
    pub proto: &'a str,
    /// The formats as written, parted by spaces.
    pub formats: &'a str,
    /// Its own address, else that of the session; `None` when there is none, or only a name.
    /// `0.0.0.0` is hold as RFC 2543 wrote it.
    pub connection: Option<IpAddr>,
    /// The address is a host name, which is not looked up.
    pub connection_is_name: bool,
    /// `a=rtcp` (RFC 3605): port, and address if one is given.
    pub rtcp: Option<(Option<IpAddr>, u16)>,
    /// `a=rtcp-mux` (RFC 5761): RTCP on the RTP port.
    pub rtcp_mux: bool,
    /// Of the line, else of the session. An unspecified address (`c=IN IP4 0.0.0.0`) says that
    /// the author does not want to receive (RFC 3264 8.4), whatever the attribute says:
    /// `sendrecv` is then `SendOnly`, `recvonly` is `Inactive`.
    pub direction: Direction,
}

impl Media<'_> {
    /// The line is refused.
    pub fn is_refused(&self) -> bool {
        self.port == 0
    }

    /// The relay can carry it: RTP of any profile, or T.38 over UDPTL.
    pub fn is_relayable(&self) -> bool {
        let rtp = ["RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF"];
        rtp.iter().any(|proto| self.proto.eq_ignore_ascii_case(proto))
            || (self.kind.eq_ignore_ascii_case("image") && self.proto.eq_ignore_ascii_case("udptl"))
    }
}

/// A session description, read in place.
#[derive(Clone, Debug)]
pub struct Sdp<'a> {
    body: &'a [u8],
    /// At most [`MAX_MEDIA`].
    media: Vec<Media<'a>>,
}

impl<'a> Sdp<'a> {
    /// Reads a body. Lines that are not understood are passed over; bodies without a final line
    /// end are understood.
    pub fn parse(body: &'a [u8]) -> Result<Self, SdpError> {
        parse::parse(body)
    }

    /// What the media lines of a body say by themselves, for a look at their formats: of one that
    /// was read before, and is ours to tell.
    pub(crate) fn outline(body: &'a [u8]) -> Option<Self> {
        parse::outline(body)
    }

    /// The media lines in order.
    pub fn media(&self) -> &[Media<'a>] {
        &self.media
    }

    /// The position of the line that is relayed: the first speech or fax line that is not refused
    /// and that the relay can carry, else the first line of another kind that is so.
    pub fn relayed(&self) -> Option<usize> {
        let carried = |media: &Media<'_>| !media.is_refused() && media.is_relayable();
        let is_call = |media: &Media<'_>| {
            media.kind.eq_ignore_ascii_case("audio") || media.kind.eq_ignore_ascii_case("image")
        };
        let media = self.media();
        media
            .iter()
            .position(|media| carried(media) && is_call(media))
            .or_else(|| media.iter().position(carried))
    }

    /// The line that is relayed.
    pub fn relayed_media(&self) -> Option<&Media<'a>> {
        self.media().get(self.relayed()?)
    }

    /// The body as it came.
    pub fn body(&self) -> &'a [u8] {
        self.body
    }
}

/// The relayed line is T.38.
fn is_fax(sdp: &Sdp<'_>) -> bool {
    sdp.relayed_media().is_some_and(|media| media.kind.eq_ignore_ascii_case("image"))
}
