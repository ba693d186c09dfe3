//! Datagrams of one socket in few calls, each with the time at which the kernel had it.

use std::io::IoSliceMut;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::socket::sockopt::ReceiveTimestampns;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, setsockopt,
};
use nix::sys::time::TimeSpec;

/// Datagrams of one call.
const BATCH: usize = 8;
/// No packet of voice is longer.
const ROOM: usize = 2048;

/// Room for what comes; one serves many sockets in turn.
pub(crate) struct Inbox {
    room: Box<[[u8; ROOM]; BATCH]>,
}

impl Default for Inbox {
    fn default() -> Inbox {
        Inbox { room: Box::new([[0; ROOM]; BATCH]) }
    }
}

impl Inbox {
    /// Has the kernel note when datagrams come.
    pub(crate) fn prepare(socket: &UdpSocket) -> std::io::Result<()> {
        setsockopt(socket, ReceiveTimestampns, &true)?;
        socket.set_nonblocking(true)
    }

    /// Gives everything that waits in a socket: the datagram, who sent it, and when it came.
    pub(crate) fn take(
        &mut self,
        socket: &UdpSocket,
        mut each: impl FnMut(&[u8], SocketAddr, Instant),
    ) {
        while self.batch(socket, &mut each) == BATCH {}
    }

    fn batch(
        &mut self,
        socket: &UdpSocket,
        each: &mut impl FnMut(&[u8], SocketAddr, Instant),
    ) -> usize {
        let mut slices = self.room.each_mut().map(|room| [IoSliceMut::new(room)]);
        let space = Some(nix::cmsg_space!(TimeSpec));
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, space);
        let (fd, flags) = (socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
        // An error that a peer's closed port left behind is no datagram, and none waits if so.
        let Ok(received) = recvmmsg(fd, &mut headers, slices.iter_mut(), flags, None) else {
            return 0;
        };
        let clocks = (Instant::now(), SystemTime::now());
        let mut count = 0;
        for message in received {
            count += 1;
            let stamps = message.cmsgs().into_iter().flatten();
            let stamp = stamps.filter_map(|control| match control {
                ControlMessageOwned::ScmTimestampns(stamp) => Some(stamp),
                _ => None,
            });
            let at = stamp.last().map_or(clocks.0, |stamp| moment(clocks, stamp));
            if let Some(from) = message.address.as_ref().and_then(address)
                && let Some(datagram) = message.iovs().next()
            {
                each(datagram, from, at);
            }
        }
        count
    }
}

/// The kernel's stamp is of the wall clock, which may be set meanwhile: then it came just now.
fn moment((now, wall): (Instant, SystemTime), stamp: TimeSpec) -> Instant {
    let came = UNIX_EPOCH + Duration::from(stamp);
    let ago = wall.duration_since(came).unwrap_or_default();
    now.checked_sub(ago).unwrap_or(now)
}

fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = storage.as_sockaddr_in().map(|it| SocketAddr::V4((*it).into()));
    v4.or_else(|| storage.as_sockaddr_in6().map(|it| SocketAddr::V6((*it).into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_came_when_the_kernel_had_it_and_not_when_it_was_read() {
        let now = Instant::now() + Duration::from_secs(10);
        let stamp = TimeSpec::new(1_000, 970_000_000);
        let clocks = |wall| (now, UNIX_EPOCH + Duration::from_millis(wall));
        assert_eq!(moment(clocks(1_001_000), stamp), now - Duration::from_millis(30));
        assert_eq!(moment(clocks(1_000_000), stamp), now, "the wall clock was set back meanwhile");
    }
}
