//! The pool of port pairs that sessions are given.

/// An even RTP port; its RTCP port is the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortPair(pub u16);

impl PortPair {
    /// The RTP port.
    pub const fn rtp(self) -> u16 {
        self.0
    }

    /// The RTCP port.
    pub const fn rtcp(self) -> u16 {
        self.0 + 1
    }
}

/// The free pairs of the configured range.
#[derive(Debug)]
pub struct PortPool {}
