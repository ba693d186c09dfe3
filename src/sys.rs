//! The system calls of the packet path, each behind a safe function.
//!
//! All unsafe code of this crate stands here. What the standard library offers is used from
//! there; this module adds batches (`recvmmsg`, `sendmmsg`), readiness (`epoll`), wake-ups
//! (`eventfd`) and the socket options that std does not know.
#![expect(unsafe_code, reason = "system calls that std does not offer, each wrapped here")]

use std::io;
use std::mem;
use std::net::{
    IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, TcpListener, UdpSocket,
};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

mod handed;
mod pages;

pub(crate) use handed::{handed_over, is_datagram};
pub(crate) use pages::{Pages, PagesMut, is_steady};

/// Datagrams per system call. Twice as many gain nothing measurable and hold the other listener
/// up for longer.
pub(crate) const BATCH: usize = 64;

/// The longest datagram taken; SIP over UDP beyond this is an attack or a fault (RFC 3261 18.1.1
/// moves to TCP far below it).
pub(crate) const MAX_DATAGRAM: usize = 16 * 1024;

/// Connections that wait to be accepted; more try again by themselves.
const BACKLOG: libc::c_int = 1_024;

/// A bound, non-blocking UDP socket. IPv6 sockets take IPv6 only, so that one port can be bound
/// for each family and peers never appear as mapped addresses.
pub(crate) fn bind_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let kind = libc::SOCK_DGRAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: `socket` takes no pointer; the descriptor it returns belongs to nobody else.
    let fd = unsafe { owned(libc::socket(family, kind, 0))? };
    if address.is_ipv6() {
        set_option(&fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1)?;
    }
    let name = Name::from(address);
    // SAFETY: `name` outlives the call and `length` is the size of the structure in it.
    check(unsafe { libc::bind(fd.as_raw_fd(), name.pointer(), name.length) })?;
    Ok(UdpSocket::from(fd))
}

/// A listening, non-blocking TCP socket; IPv6 only for IPv6, as with UDP.
pub(crate) fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: `socket` takes no pointer; the descriptor it returns belongs to nobody else.
    let fd = unsafe { owned(libc::socket(family, kind, 0))? };
    if address.is_ipv6() {
        set_option(&fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1)?;
    }
    // A restart must not wait for the connections of the process before it to time out.
    set_option(&fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
    // Accepted connections inherit it.
    set_option(&fd, libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1)?;
    let name = Name::from(address);
    // SAFETY: `name` outlives the call and `length` is the size of the structure in it.
    check(unsafe { libc::bind(fd.as_raw_fd(), name.pointer(), name.length) })?;
    // SAFETY: `listen` takes no pointer.
    check(unsafe { libc::listen(fd.as_raw_fd(), BACKLOG) })?;
    Ok(TcpListener::from(fd))
}

/// Sets the traffic class of what leaves by a socket, and by connections that it accepts.
pub(crate) fn mark(socket: &impl AsRawFd, ip: IpAddr, traffic_class: u8) -> io::Result<()> {
    let (level, name) = match ip {
        IpAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_TOS),
        IpAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_TCLASS),
    };
    set_option(socket, level, name, traffic_class.into())
}

/// Sets buffers, traffic class and error reporting of a signalling socket. Only the buffers'
/// size is a wish: the kernel may cut it for a process without privileges.
pub(crate) fn tune_udp(socket: &UdpSocket, buffer: usize, traffic_class: u8) -> io::Result<()> {
    // From now on the kernel notes when a datagram comes; nothing has come yet.
    let _none_yet = age_of_last_datagram(socket);
    let bytes = libc::c_int::try_from(buffer).unwrap_or(libc::c_int::MAX);
    for (forced, wished) in
        [(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF), (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)]
    {
        if set_option(socket, libc::SOL_SOCKET, forced, bytes).is_err() {
            set_option(socket, libc::SOL_SOCKET, wished, bytes)?;
        }
    }
    if socket.local_addr()?.is_ipv4() {
        set_option(socket, libc::IPPROTO_IP, libc::IP_TOS, traffic_class.into())?;
        // A large INVITE is fragmented rather than lost to path MTU discovery.
        set_option(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DONT)?;
        set_option(socket, libc::IPPROTO_IP, libc::IP_RECVERR, 1)
    } else {
        set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_TCLASS, traffic_class.into())?;
        set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVERR, 1)
    }
}

/// How long the datagram that was read last had lain in the socket; the first question of a
/// socket only makes the kernel note arrivals from then on. Wall clocks that are set make it
/// wrong once, which the engine forgets within a fraction of a second.
pub(crate) fn age_of_last_datagram(socket: &UdpSocket) -> Option<Duration> {
    /// `SIOCGSTAMPNS` with `struct timespec` (linux/sockios.h); libc does not name it.
    const ARRIVAL: libc::c_ulong = 0x8907;
    let mut arrived = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one `timespec` into `arrived`, which outlives the call.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), ARRIVAL as _, &raw mut arrived) }).ok()?;
    // SAFETY: the kernel writes one `timespec` into `now`, which outlives the call.
    check(unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut now) }).ok()?;
    let of = |time: libc::timespec| {
        let seconds = u64::try_from(time.tv_sec).ok()?;
        Some(Duration::new(seconds, u32::try_from(time.tv_nsec).ok()?))
    };
    Some(of(now)?.saturating_sub(of(arrived)?))
}

fn set_option(
    socket: &impl AsRawFd,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    let length = mem::size_of::<libc::c_int>() as libc::socklen_t;
    let pointer = (&raw const value).cast();
    // SAFETY: `value` lives until the call returns and `length` is its size.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, pointer, length) })
}

/// The time since the machine booted, suspended time included (CLOCK_BOOTTIME): the same for
/// every process of a boot.
pub(crate) fn time_since_boot() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` lives until the call returns. The clock exists since Linux 2.6.39.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Gives a file its room on the disk at once.
pub(crate) fn allocate(file: &impl AsRawFd, bytes: u64) -> io::Result<()> {
    let length = libc::off_t::try_from(bytes).unwrap_or(libc::off_t::MAX);
    // SAFETY: no pointer is passed.
    match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, length) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// What is free for this process on the file system of `path`.
pub(crate) fn free_bytes(path: &std::path::Path) -> io::Result<u64> {
    let path = std::ffi::CString::new(path.as_os_str().as_encoded_bytes())?;
    // SAFETY: all-zero bytes are a valid `statvfs`.
    let mut stats: libc::statvfs = unsafe { mem::zeroed() };
    // SAFETY: path and structure live until the call returns.
    check(unsafe { libc::statvfs(path.as_ptr(), &raw mut stats) })?;
    Ok(stats.f_bavail.saturating_mul(stats.f_frsize))
}

/// Wakes a thread that sleeps in [`Poller::wait`].
#[derive(Debug)]
pub(crate) struct Waker(OwnedFd);

impl Waker {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: `eventfd` takes no pointer; the descriptor belongs to nobody else.
        let fd = unsafe { owned(libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC))? };
        Ok(Waker(fd))
    }

    /// Makes the descriptor readable. A full counter is readable already, so no failure counts.
    pub(crate) fn wake(&self) {
        let one = 1u64;
        // SAFETY: eight bytes are read from `one`, which is eight bytes long.
        unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), 8) };
    }

    /// Makes the descriptor unreadable until the next [`Waker::wake`].
    pub(crate) fn clear(&self) {
        let mut count = 0u64;
        // SAFETY: eight bytes are written to `count`, which is eight bytes long.
        unsafe { libc::read(self.0.as_raw_fd(), (&raw mut count).cast(), 8) };
    }
}

impl AsRawFd for Waker {
    fn as_raw_fd(&self) -> i32 {
        self.0.as_raw_fd()
    }
}

/// Readiness of a few descriptors (epoll, level-triggered).
pub(crate) struct Poller(OwnedFd);

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: `epoll_create1` takes no pointer; the descriptor belongs to nobody else.
        Ok(Poller(unsafe { owned(libc::epoll_create1(libc::EPOLL_CLOEXEC))? }))
    }

    /// Watches `fd` for input and errors; `token` comes back with them.
    pub(crate) fn add(&self, fd: &impl AsRawFd, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: token };
        let (epoll, fd) = (self.0.as_raw_fd(), fd.as_raw_fd());
        // SAFETY: `event` lives until the call returns.
        check(unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event) })
    }

    /// Sleeps until one of the descriptors is ready or `timeout` has passed; rounded up to whole
    /// milliseconds, so that a timer is due when this returns. A signal ends the sleep early.
    pub(crate) fn wait(&self, timeout: Duration) -> Ready {
        let millis = timeout.as_micros().div_ceil(1000);
        let millis = libc::c_int::try_from(millis).unwrap_or(libc::c_int::MAX);
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 16];
        let room = events.len() as libc::c_int;
        let epoll = self.0.as_raw_fd();
        // SAFETY: the kernel writes at most `room` events into `events`.
        let count = unsafe { libc::epoll_wait(epoll, events.as_mut_ptr(), room, millis) };
        let mut ready = Ready::default();
        for event in events.iter().take(usize::try_from(count).unwrap_or_default()) {
            ready.errors |= event.events & libc::EPOLLERR as u32 != 0;
            ready.tokens |= 1u64.checked_shl(event.u64 as u32).unwrap_or_default();
        }
        ready
    }
}

/// What ended a [`Poller::wait`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ready {
    /// A socket's error queue holds something.
    pub(crate) errors: bool,
    tokens: u64,
}

impl Ready {
    /// Whether the descriptor added with `token`, below 64, has something.
    pub(crate) fn has(self, token: u64) -> bool {
        self.tokens >> token & 1 == 1
    }
}

/// Waits until `socket` takes another datagram; false when it does not within `timeout`.
pub(crate) fn wait_writable(socket: &UdpSocket, timeout: Duration) -> bool {
    let mut polled = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    let millis = libc::c_int::try_from(timeout.as_millis()).unwrap_or(libc::c_int::MAX);
    // SAFETY: one structure is passed and the count says one.
    unsafe { libc::poll(&raw mut polled, 1, millis) > 0 }
}

/// A socket address in the kernel's form.
#[derive(Clone, Copy)]
struct Name {
    storage: libc::sockaddr_storage,
    length: libc::socklen_t,
}

impl Name {
    fn empty() -> Self {
        // SAFETY: all-zero bytes are a valid `sockaddr_storage` of family AF_UNSPEC.
        let storage: libc::sockaddr_storage = unsafe { mem::zeroed() };
        Name { storage, length: mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t }
    }

    fn pointer(&self) -> *const libc::sockaddr {
        (&raw const self.storage).cast()
    }

    fn to_address(self) -> Option<SocketAddr> {
        match libc::c_int::from(self.storage.ss_family) {
            libc::AF_INET => {
                // SAFETY: the family says that the kernel wrote a `sockaddr_in`, which is no
                // larger and no stricter aligned than the storage.
                let name = unsafe { (&raw const self.storage).cast::<libc::sockaddr_in>().read() };
                let ip = Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr));
                Some(SocketAddrV4::new(ip, u16::from_be(name.sin_port)).into())
            }
            libc::AF_INET6 => {
                // SAFETY: as above with `sockaddr_in6`.
                let name = unsafe { (&raw const self.storage).cast::<libc::sockaddr_in6>().read() };
                let ip = Ipv6Addr::from(name.sin6_addr.s6_addr);
                let port = u16::from_be(name.sin6_port);
                Some(SocketAddrV6::new(ip, port, 0, name.sin6_scope_id).into())
            }
            _ => None,
        }
    }
}

impl From<SocketAddr> for Name {
    fn from(address: SocketAddr) -> Self {
        let mut name = Name::empty();
        match address {
            SocketAddr::V4(v4) => {
                let raw = libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: v4.port().to_be(),
                    sin_addr: libc::in_addr { s_addr: u32::from(*v4.ip()).to_be() },
                    sin_zero: [0; 8],
                };
                // SAFETY: the storage is large and aligned enough for every address family.
                unsafe { (&raw mut name.storage).cast::<libc::sockaddr_in>().write(raw) };
                name.length = mem::size_of::<libc::sockaddr_in>() as libc::socklen_t;
            }
            SocketAddr::V6(v6) => {
                let raw = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as libc::sa_family_t,
                    sin6_port: v6.port().to_be(),
                    sin6_flowinfo: 0,
                    sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                    sin6_scope_id: v6.scope_id(),
                };
                // SAFETY: as above.
                unsafe { (&raw mut name.storage).cast::<libc::sockaddr_in6>().write(raw) };
                name.length = mem::size_of::<libc::sockaddr_in6>() as libc::socklen_t;
            }
        }
        name
    }
}

/// What one `recvmmsg` brought.
pub(crate) struct Receiver {
    headers: Box<[libc::mmsghdr]>,
    vectors: Box<[libc::iovec]>,
    names: Box<[Name]>,
    buffers: Box<[u8]>,
    filled: usize,
}

impl Receiver {
    pub(crate) fn new() -> Self {
        Receiver {
            headers: vec![empty_header(); BATCH].into(),
            vectors: vec![empty_vector(); BATCH].into(),
            names: vec![Name::empty(); BATCH].into(),
            buffers: vec![0; BATCH * MAX_DATAGRAM].into(),
            filled: 0,
        }
    }

    /// Takes what has arrived at `socket`, at most [`BATCH`]; how many.
    pub(crate) fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        self.fill(socket, 0)
    }

    /// Takes from the socket's error queue: each [`Receiver::datagram`] is then one that could
    /// not be delivered, with the address it was going to.
    pub(crate) fn receive_errors(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        self.fill(socket, libc::MSG_ERRQUEUE)
    }

    fn fill(&mut self, socket: &UdpSocket, flags: libc::c_int) -> io::Result<usize> {
        self.filled = 0;
        let parts = self.headers.iter_mut().zip(&mut self.vectors).zip(&mut self.names);
        for (((header, vector), name), buffer) in
            parts.zip(self.buffers.chunks_exact_mut(MAX_DATAGRAM))
        {
            vector.iov_base = buffer.as_mut_ptr().cast();
            vector.iov_len = MAX_DATAGRAM;
            header.msg_hdr.msg_name = (&raw mut name.storage).cast();
            header.msg_hdr.msg_namelen = Name::empty().length;
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_flags = 0;
        }
        let flags = (flags | libc::MSG_DONTWAIT) as _;
        let (pointer, room) = (self.headers.as_mut_ptr(), self.headers.len() as libc::c_uint);
        // SAFETY: each header points to one vector, one name and one buffer of `self`, all
        // distinct, of the lengths given, and alive until the call returns.
        let got = unsafe {
            libc::recvmmsg(socket.as_raw_fd(), pointer, room, flags, std::ptr::null_mut())
        };
        self.filled = usize::try_from(got).map_err(|_| io::Error::last_os_error())?;
        Ok(self.filled)
    }

    /// The datagrams of the last call with their peers. None stands for one that was longer than
    /// [`MAX_DATAGRAM`] or came from no internet address.
    pub(crate) fn datagram(&self, at: usize) -> Option<(SocketAddr, &[u8])> {
        let header = self.headers.get(at).filter(|_| at < self.filled)?;
        if header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
            return None;
        }
        let start = at * MAX_DATAGRAM;
        let bytes = self.buffers.get(start..start + header.msg_len as usize)?;
        Some((self.names.get(at)?.to_address()?, bytes))
    }
}

/// Sends datagrams in batches.
pub(crate) struct Sender {
    headers: Box<[libc::mmsghdr]>,
    vectors: Box<[libc::iovec]>,
    names: Box<[Name]>,
}

impl Sender {
    pub(crate) fn new() -> Self {
        Sender {
            headers: vec![empty_header(); BATCH].into(),
            vectors: vec![empty_vector(); BATCH].into(),
            names: vec![Name::empty(); BATCH].into(),
        }
    }

    /// Hands the first datagrams of `queue`, at most [`BATCH`], to the kernel; how many it took.
    /// An error speaks of the first one.
    pub(crate) fn send(
        &mut self,
        socket: &UdpSocket,
        queue: &[(SocketAddr, Arc<[u8]>)],
    ) -> io::Result<usize> {
        let parts = self.headers.iter_mut().zip(&mut self.vectors).zip(&mut self.names);
        let mut count = 0;
        for (((header, vector), name), (remote, bytes)) in parts.zip(queue) {
            *name = Name::from(*remote);
            vector.iov_base = bytes.as_ptr().cast_mut().cast();
            vector.iov_len = bytes.len();
            header.msg_hdr.msg_name = (&raw mut name.storage).cast();
            header.msg_hdr.msg_namelen = name.length;
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            count += 1;
        }
        let flags = (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as _;
        let pointer = self.headers.as_mut_ptr();
        // SAFETY: the first `count` headers point to vectors and names of `self` and to bytes of
        // `queue`, all alive until the call returns; the kernel only reads the bytes.
        let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), pointer, count, flags) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

fn empty_header() -> libc::mmsghdr {
    // SAFETY: null pointers and zero lengths are a valid empty header.
    unsafe { mem::zeroed() }
}

fn empty_vector() -> libc::iovec {
    libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }
}

/// # Safety
/// `fd` is what a system call returned that creates a descriptor, or -1.
unsafe fn owned(fd: libc::c_int) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: by the caller's promise nobody else owns this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
