//! TUN devices and the addresses of interfaces, by ioctl.
#![expect(unsafe_code, reason = "std has no ioctl")]

use std::fs::{File, OpenOptions};
use std::io;
use std::mem::zeroed;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

/// Packets that may wait in the device while the link's thread is pushed aside.
const QUEUE: libc::c_int = 10_000;

/// Makes a device in the calling thread's namespace and brings it up: what is written to the
/// file arrives there, what is sent there is read from the file, whole IP packets both ways.
pub(crate) fn open(name: &str, addresses: &[Ipv4Addr]) -> io::Result<File> {
    let device = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/net/tun")?;
    let mut request = named(name)?;
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: TUNSETIFF reads and writes one ifreq.
    check(unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF, &raw mut request) })?;
    for (index, address) in addresses.iter().enumerate() {
        // The further ones are aliases of the device.
        let alias = if index == 0 { name.to_owned() } else { format!("{name}:{index}") };
        assign(&alias, *address)?;
    }
    raise(name)?;
    Ok(device)
}

/// Brings an interface up.
pub(crate) fn raise(name: &str) -> io::Result<()> {
    let mut request = named(name)?;
    control(libc::SIOCGIFFLAGS, &mut request)?;
    // SAFETY: SIOCGIFFLAGS has just set this field.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    request.ifr_ifru.ifru_flags = flags | (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    control(libc::SIOCSIFFLAGS, &mut request)?;
    if name != "lo" {
        request = named(name)?;
        request.ifr_ifru.ifru_metric = QUEUE;
        control(libc::SIOCSIFTXQLEN, &mut request)?;
    }
    Ok(())
}

fn assign(name: &str, address: Ipv4Addr) -> io::Result<()> {
    let mut request = named(name)?;
    request.ifr_ifru.ifru_addr = socket_address(address);
    control(libc::SIOCSIFADDR, &mut request)?;
    request.ifr_ifru.ifru_netmask = socket_address(Ipv4Addr::new(255, 255, 255, 0));
    control(libc::SIOCSIFNETMASK, &mut request)
}

fn socket_address(address: Ipv4Addr) -> libc::sockaddr {
    // SAFETY: zero is a valid value of every field.
    let mut inet: libc::sockaddr_in = unsafe { zeroed() };
    inet.sin_family = libc::AF_INET as u16;
    inet.sin_addr.s_addr = u32::from(address).to_be();
    // SAFETY: both are 16 bytes of plain data, and sockaddr is the common form of addresses.
    unsafe { std::mem::transmute::<libc::sockaddr_in, libc::sockaddr>(inet) }
}

fn named(name: &str) -> io::Result<libc::ifreq> {
    // SAFETY: zero is a valid value of every field.
    let mut request: libc::ifreq = unsafe { zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{name} is too long")));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    Ok(request)
}

fn control(what: libc::Ioctl, request: &mut libc::ifreq) -> io::Result<()> {
    // Any socket of the namespace will do.
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    // SAFETY: each of the requests used here reads and writes one ifreq.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), what, std::ptr::from_mut(request)) })
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
