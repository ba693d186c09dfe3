//! The system calls of the packet path: the only unsafe code of the crate.
#![expect(unsafe_code, reason = "std has no epoll, and no recvfrom on a borrowed descriptor")]

use std::fs::File;
use std::io::{self, Read, Write};
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::from_ref;

/// Room for some hundred packets that come while a worker sleeps or is pushed aside; more would
/// only make a stalled call late instead of short.
const RECEIVE_BUFFER: libc::c_int = 64 * 1024;

/// How many ready sockets one wait can report. The clock is read once per wait, so this bounds
/// how stale it can get: some 0.4 ms at 6 µs per packet.
const EVENTS: usize = 64;

/// An epoll instance; level-triggered, so that one packet is taken per report and no empty read
/// is needed to learn that a socket is drained.
#[derive(Debug)]
pub(super) struct Epoll(OwnedFd);

/// Where one wait puts what it found.
pub(super) struct Ready {
    events: [libc::epoll_event; EVENTS],
    len: usize,
}

impl Epoll {
    pub(super) fn new() -> io::Result<Epoll> {
        // SAFETY: takes no pointer; the result is checked before it is owned.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the call succeeded, so `fd` is open and nobody else owns it.
        Ok(Epoll(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Reports `token` whenever `fd` can be read.
    pub(super) fn add(&self, fd: RawFd, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: token };
        // SAFETY: `event` is valid for the call and is not kept by the kernel.
        let result =
            unsafe { libc::epoll_ctl(self.0.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &raw mut event) };
        check(result).map(drop)
    }

    /// Reports `fd` no more, but for what a wait has already returned.
    pub(super) fn remove(&self, fd: RawFd) -> io::Result<()> {
        let nothing = std::ptr::null_mut();
        // SAFETY: the kernel ignores the event pointer of EPOLL_CTL_DEL (since Linux 2.6.9).
        let result =
            unsafe { libc::epoll_ctl(self.0.as_raw_fd(), libc::EPOLL_CTL_DEL, fd, nothing) };
        check(result).map(drop)
    }

    /// Waits up to `timeout_ms` (0: looks only). A signal counts as nothing found.
    pub(super) fn wait(&self, ready: &mut Ready, timeout_ms: i32) -> io::Result<()> {
        ready.len = 0;
        // SAFETY: the pointer and the length describe `ready.events`, which outlives the call.
        let found = unsafe {
            libc::epoll_wait(
                self.0.as_raw_fd(),
                ready.events.as_mut_ptr(),
                EVENTS as libc::c_int,
                timeout_ms,
            )
        };
        match check(found) {
            Ok(found) => {
                ready.len = usize::try_from(found).unwrap_or(0);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Ready {
    pub(super) fn new() -> Ready {
        Ready { events: [libc::epoll_event { events: 0, u64: 0 }; EVENTS], len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// More sockets may be ready than could be reported.
    pub(super) fn is_full(&self) -> bool {
        self.len == EVENTS
    }

    /// The token of the `nth` socket found.
    pub(super) fn token(&self, nth: usize) -> Option<u64> {
        self.events.get(nth).filter(|_| nth < self.len).map(|event| event.u64)
    }
}

/// An eventfd: wakes a thread that waits for it. Writing twice wakes once.
#[derive(Debug)]
pub(super) struct Wake(File);

impl Wake {
    pub(super) fn new() -> io::Result<Wake> {
        // SAFETY: takes no pointer; the result is checked before it is owned.
        let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        // SAFETY: the call succeeded, so `fd` is open and nobody else owns it.
        Ok(Wake(File::from(unsafe { OwnedFd::from_raw_fd(fd) })))
    }

    pub(super) fn wake(&self) {
        // The only failure is a full counter, and then the reader is awake already.
        let _ = (&self.0).write(&1_u64.to_ne_bytes());
    }

    /// Readable no more, until the next [`Self::wake`].
    pub(super) fn clear(&self) {
        // The only failure is an empty counter, which is what is wanted.
        let _ = (&self.0).read(&mut [0; 8]);
    }
}

impl AsRawFd for Wake {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// A UDP socket that never blocks, its packets marked with `dscp`.
pub(super) fn bind(address: SocketAddr, dscp: u8) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    let fd = socket.as_raw_fd();
    socket.set_nonblocking(true)?;
    set_option(fd, libc::SOL_SOCKET, libc::SO_RCVBUF, RECEIVE_BUFFER)?;
    // What may not be cut on its way needs no number for its pieces (RFC 6864 4.1), and the kernel
    // draws none: a twelfth of what a packet costs. `send` lifts this where one must be cut.
    set_option(fd, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DO)?;
    // RFC 2474 3: the upper six bits.
    let traffic_class = libc::c_int::from(dscp) << 2;
    set_option(fd, libc::IPPROTO_IP, libc::IP_TOS, traffic_class)?;
    if address.is_ipv6() {
        set_option(fd, libc::IPPROTO_IPV6, libc::IPV6_TCLASS, traffic_class)?;
    }
    Ok(socket)
}

/// Takes one datagram; its source never in mapped form.
pub(super) fn receive(fd: RawFd, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
    // SAFETY: sockaddr_in6 is plain integers, for which all zeroes is a value.
    let mut source: libc::sockaddr_in6 = unsafe { zeroed() };
    let mut source_len = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
    // SAFETY: buffer and source are valid for the lengths given, for the time of the call; the
    // kernel cuts an address that is longer than `source_len`.
    let received = unsafe {
        libc::recvfrom(
            fd,
            buffer.as_mut_ptr().cast(),
            buffer.len(),
            0,
            (&raw mut source).cast(),
            &raw mut source_len,
        )
    };
    let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
    let address = match libc::c_int::from(source.sin6_family) {
        libc::AF_INET => {
            // SAFETY: the kernel wrote a sockaddr_in, which is shorter than sockaddr_in6, has
            // the same alignment and no invalid values.
            let source = unsafe { *from_ref(&source).cast::<libc::sockaddr_in>() };
            let host = Ipv4Addr::from_bits(u32::from_be(source.sin_addr.s_addr));
            SocketAddr::new(IpAddr::V4(host), u16::from_be(source.sin_port))
        }
        _ => {
            let host = Ipv6Addr::from(source.sin6_addr.s6_addr).to_canonical();
            SocketAddr::new(host, u16::from_be(source.sin6_port))
        }
    };
    Ok((received, address))
}

/// Sends one datagram from a socket of the family `ipv6` says; in pieces where the way is too
/// narrow for it.
pub(super) fn send(fd: RawFd, ipv6: bool, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
    match send_whole(fd, ipv6, bytes, to) {
        Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => {
            allow_pieces(fd)?;
            send_whole(fd, ipv6, bytes, to)
        }
        result => result,
    }
}

/// From now on the socket cuts a datagram that is larger than its way (RFC 791 3.2): some video
/// and fax is.
#[cold]
fn allow_pieces(fd: RawFd) -> io::Result<()> {
    set_option(fd, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_WANT)
}

fn send_whole(fd: RawFd, ipv6: bool, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
    match (ipv6, to.ip()) {
        (false, IpAddr::V4(host)) => {
            // SAFETY: sockaddr_in is plain integers, for which all zeroes is a value.
            let mut address: libc::sockaddr_in = unsafe { zeroed() };
            address.sin_family = libc::AF_INET as libc::sa_family_t;
            address.sin_port = to.port().to_be();
            address.sin_addr.s_addr = host.to_bits().to_be();
            send_raw(fd, bytes, &address)
        }
        (true, host) => {
            let host = match host {
                IpAddr::V4(host) => host.to_ipv6_mapped(),
                IpAddr::V6(host) => host,
            };
            // SAFETY: sockaddr_in6 is plain integers, for which all zeroes is a value.
            let mut address: libc::sockaddr_in6 = unsafe { zeroed() };
            address.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            address.sin6_port = to.port().to_be();
            address.sin6_addr.s6_addr = host.octets();
            send_raw(fd, bytes, &address)
        }
        (false, IpAddr::V6(_)) => Err(io::ErrorKind::AddrNotAvailable.into()),
    }
}

fn send_raw<Address>(fd: RawFd, bytes: &[u8], address: &Address) -> io::Result<()> {
    // SAFETY: `bytes` and `address` are valid for the lengths given, for the time of the call;
    // a kernel that does not know the address refuses it.
    let sent = unsafe {
        libc::sendto(
            fd,
            bytes.as_ptr().cast(),
            bytes.len(),
            0,
            from_ref(address).cast(),
            size_of::<Address>() as libc::socklen_t,
        )
    };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Lets the process open as many descriptors as it may: a relay of 10,000 pairs needs 20,000.
/// Returns how many that are.
pub(super) fn raise_descriptor_limit() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is valid for the call.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    if limit.rlim_cur < limit.rlim_max {
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: `limit` is valid for the call.
        check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })?;
    }
    Ok(limit.rlim_cur)
}

/// How often the calling thread has slept so far.
pub(super) fn sleeps() -> u64 {
    // SAFETY: rusage is plain integers, for which all zeroes is a value.
    let mut usage: libc::rusage = unsafe { zeroed() };
    // SAFETY: `usage` is valid for the call.
    let known = unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) } == 0;
    if known { u64::try_from(usage.ru_nvcsw).unwrap_or(0) } else { 0 }
}

fn set_option(
    fd: RawFd,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    // SAFETY: `value` is valid for the length given, for the time of the call.
    let result = unsafe {
        libc::setsockopt(
            fd,
            level,
            name,
            from_ref(&value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    check(result).map(drop)
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_leave_with_the_mark_that_was_configured() {
        let socket = bind((Ipv4Addr::LOCALHOST, 0).into(), 46).expect("a free port");
        assert_eq!(option(&socket, libc::IP_TOS) >> 2, 46);
    }

    #[test]
    fn packets_leave_whole_until_one_is_too_large() {
        let socket = bind((Ipv4Addr::LOCALHOST, 0).into(), 46).expect("a free port");
        let here = socket.local_addr().expect("a bound socket");
        let send = |length| send(socket.as_raw_fd(), false, &vec![0; length], here);
        send(172).expect("a packet of speech");
        assert_eq!(option(&socket, libc::IP_MTU_DISCOVER), libc::IP_PMTUDISC_DO);
        // RFC 768: more than any datagram can hold, so no way is wide enough.
        let error = send(65_508).expect_err("too large in pieces, too");
        assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
        assert_eq!(option(&socket, libc::IP_MTU_DISCOVER), libc::IP_PMTUDISC_WANT);
        send(172).expect("a packet of speech");
    }

    fn option(socket: &UdpSocket, name: libc::c_int) -> libc::c_int {
        let mut value: libc::c_int = 0;
        let mut length = size_of::<libc::c_int>() as libc::socklen_t;
        // SAFETY: `value` and `length` are valid for the call.
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::IPPROTO_IP,
                name,
                (&raw mut value).cast(),
                &raw mut length,
            )
        };
        check(result).expect("an option that can be read");
        value
    }
}
