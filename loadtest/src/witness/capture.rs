//! Packets of an interface with the kernel's time stamps, by AF_PACKET.
#![expect(unsafe_code, reason = "std has no packet sockets")]

use std::ffi::CString;
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::from_ref;
use std::time::Duration;

use super::Micros;

/// Room for seconds of SIP at a thousand calls/s while the witness is pushed aside.
const RECEIVE_BUFFER: libc::c_int = 64 << 20;
/// The longest packet of an interface with the loopback's MTU.
const LONGEST: usize = 65_536;
/// Kernel's `PACKET_OUTGOING` as `sll_pkttype` has it.
const OUTGOING: u8 = libc::PACKET_OUTGOING;

/// An open packet socket that hears SIP only.
#[derive(Debug)]
pub struct Capture {
    socket: OwnedFd,
    /// Everything on the loopback is seen going out and coming in.
    loopback: bool,
}

impl Capture {
    /// Opens an interface of the calling thread's network namespace; `tcp_ports` are those of
    /// SIP over TCP. Needs CAP_NET_RAW.
    pub fn open(interface: &str, tcp_ports: &[u16]) -> io::Result<Capture> {
        let name = CString::new(interface)?;
        // SAFETY: `name` is a C string that lives through the call.
        let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
        if index == 0 {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("no interface {interface}"),
            ));
        }
        let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // Protocol 0 hears nothing until the socket is bound to the interface, filter in place.
        // SAFETY: no pointers; the result is checked.
        let socket = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
        if socket < 0 {
            let error = io::Error::last_os_error();
            return Err(match error.kind() {
                io::ErrorKind::PermissionDenied => io::Error::new(
                    error.kind(),
                    "a packet socket needs root or the capability CAP_NET_RAW",
                ),
                _ => error,
            });
        }
        // SAFETY: a fresh descriptor that nobody else owns.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };
        let capture = Capture { socket, loopback: interface == "lo" };
        capture.filter(tcp_ports)?;
        capture.set(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &RECEIVE_BUFFER)?;
        capture.set(libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, &1)?;
        // SAFETY: zero is a valid value of every field.
        let mut address: libc::sockaddr_ll = unsafe { zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        address.sll_ifindex = index as libc::c_int;
        // SAFETY: the address is a whole sockaddr_ll and its size is given.
        let bound = unsafe {
            libc::bind(
                capture.socket.as_raw_fd(),
                from_ref(&address).cast(),
                size_of::<libc::sockaddr_ll>() as u32,
            )
        };
        if bound < 0 { Err(io::Error::last_os_error()) } else { Ok(capture) }
    }

    /// Waits for packets, and hands each with its time to `take`.
    pub fn read(&self, wait: Duration, mut take: impl FnMut(Micros, &[u8])) -> io::Result<()> {
        let mut ready =
            libc::pollfd { fd: self.socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one pollfd, and the count says so.
        unsafe { libc::poll(&raw mut ready, 1, wait.as_millis() as libc::c_int) };
        let mut buffer = vec![0u8; LONGEST];
        while let Some((length, at, kind)) = self.receive(&mut buffer)? {
            if !(self.loopback && kind == OUTGOING) {
                take(at, &buffer[..length.min(LONGEST)]);
            }
        }
        Ok(())
    }

    /// Packets that did not find room since this was last asked.
    pub fn dropped(&self) -> io::Result<u64> {
        // SAFETY: zero is a valid value of every field.
        let mut stats: libc::tpacket_stats = unsafe { zeroed() };
        let mut size = size_of::<libc::tpacket_stats>() as libc::socklen_t;
        // SAFETY: the pointer and its size describe `stats`.
        let got = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut stats).cast(),
                &raw mut size,
            )
        };
        if got < 0 { Err(io::Error::last_os_error()) } else { Ok(u64::from(stats.tp_drops)) }
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<(usize, Micros, u8)>> {
        // SAFETY: zero is a valid value of every field of the three.
        let mut from: libc::sockaddr_ll = unsafe { zeroed() };
        let mut control: [u64; 16] = [0; 16];
        let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        // SAFETY: as above.
        let mut message: libc::msghdr = unsafe { zeroed() };
        message.msg_name = (&raw mut from).cast();
        message.msg_namelen = size_of::<libc::sockaddr_ll>() as u32;
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = (&raw mut control).cast();
        message.msg_controllen = size_of::<[u64; 16]>();
        // SAFETY: every pointer in `message` is to a local that lives through the call.
        let length = unsafe { libc::recvmsg(self.socket.as_raw_fd(), &raw mut message, 0) };
        if length < 0 {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
                _ => Err(error),
            };
        }
        Ok(Some((length as usize, stamp(&message), from.sll_pkttype)))
    }

    fn filter(&self, tcp_ports: &[u16]) -> io::Result<()> {
        let mut program = program(tcp_ports);
        let filter =
            libc::sock_fprog { len: program.len() as libc::c_ushort, filter: program.as_mut_ptr() };
        self.set(libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &filter)
    }

    fn set<T>(&self, level: libc::c_int, name: libc::c_int, value: &T) -> io::Result<()> {
        // SAFETY: the pointer and its size describe `value`; the kernel copies it, and a filter's
        // instructions, before the call ends.
        let set = unsafe {
            libc::setsockopt(
                self.socket.as_raw_fd(),
                level,
                name,
                from_ref(value).cast(),
                size_of::<T>() as libc::socklen_t,
            )
        };
        if set < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

/// The kernel's time of a packet.
fn stamp(message: &libc::msghdr) -> Micros {
    // SAFETY: the kernel wrote the control messages, and the macros stay within their length.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(message);
        while let Some(control) = header.as_ref() {
            if control.cmsg_level == libc::SOL_SOCKET && control.cmsg_type == libc::SO_TIMESTAMPNS {
                let time = libc::CMSG_DATA(header).cast::<libc::timespec>().read_unaligned();
                return time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1000;
            }
            header = libc::CMSG_NXTHDR(message, header);
        }
    }
    0
}

/// Lets pass UDP whose payload begins with a capital letter, as SIP does and neither RTP, RTCP
/// nor STUN, and TCP of the given ports. Offsets count from the IP header.
fn program(tcp_ports: &[u16]) -> Vec<libc::sock_filter> {
    const BYTE: u32 = libc::BPF_LD | libc::BPF_B;
    const HALF: u32 = libc::BPF_LD | libc::BPF_H;
    const EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    const LEAST: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
    const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
    let op = |code: u32, k: u32, yes: u8, no: u8| libc::sock_filter {
        code: code as u16,
        jt: yes,
        jf: no,
        k,
    };
    let letter = |at: u32, mode: u32| {
        vec![
            op(BYTE | mode, at + 8, 0, 0),
            op(LEAST, u32::from(b'A'), 0, 1),
            op(LEAST, u32::from(b'Z') + 1, 0, 1),
            op(RETURN, 0, 0, 0),
            op(RETURN, u32::MAX, 0, 0),
        ]
    };
    let ports = |at: u32, mode: u32| {
        let mut ops = Vec::new();
        for side in [0, 2] {
            ops.push(op(HALF | mode, at + side, 0, 0));
            for port in tcp_ports {
                ops.push(op(EQUAL, u32::from(*port), 0, 1));
                ops.push(op(RETURN, u32::MAX, 0, 0));
            }
        }
        ops.push(op(RETURN, 0, 0, 0));
        ops
    };
    let transports = |at: u32, mode: u32| {
        let (udp, tcp) = (letter(at, mode), ports(at, mode));
        let mut ops = vec![op(EQUAL, libc::IPPROTO_UDP as u32, 0, udp.len() as u8)];
        ops.extend(udp);
        ops.push(op(EQUAL, libc::IPPROTO_TCP as u32, 1, 0));
        ops.push(op(RETURN, 0, 0, 0));
        ops.extend(tcp);
        ops
    };
    // IPv4: X is the header's length, offsets are relative to it.
    let mut four = vec![op(libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH, 0, 0, 0)];
    four.push(op(BYTE | libc::BPF_ABS, 9, 0, 0));
    four.extend(transports(0, libc::BPF_IND));
    let six = [vec![op(BYTE | libc::BPF_ABS, 6, 0, 0)], transports(40, libc::BPF_ABS)].concat();
    let mut all = vec![
        op(BYTE | libc::BPF_ABS, 0, 0, 0),
        op(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, 0xF0, 0, 0),
        op(EQUAL, 0x40, 0, four.len() as u8),
    ];
    all.extend(four);
    all.push(op(EQUAL, 0x60, 1, 0));
    all.push(op(RETURN, 0, 0, 0));
    all.extend(six);
    all
}
