//! Descriptors that the service manager hands to a process as it starts (sd_listen_fds(3)).
#![expect(unsafe_code, reason = "a descriptor becomes owned by its number alone")]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// They are given out once.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// What the service manager has handed over, each with its name; nothing the second time.
pub(crate) fn handed_over() -> io::Result<Vec<(String, OwnedFd)>> {
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Ok(Vec::new());
    }
    let handed = sd_notify::listen_fds_with_names()?;
    // SAFETY: LISTEN_PID names this process, so these numbers are the ones that it was started
    // with; each was found to be open just now, nothing else of the process uses them, and they
    // are taken once.
    Ok(handed.map(|(fd, name)| (name, unsafe { OwnedFd::from_raw_fd(fd) })).collect())
}

/// Whether it is a socket of datagrams.
pub(crate) fn is_datagram(socket: &impl AsRawFd) -> bool {
    let mut kind: libc::c_int = 0;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    let (fd, value) = (socket.as_raw_fd(), (&raw mut kind).cast());
    // SAFETY: the kernel writes at most `length` bytes to `kind`, which outlives the call.
    let got =
        unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_TYPE, value, &raw mut length) };
    got == 0 && kind == libc::SOCK_DGRAM
}
