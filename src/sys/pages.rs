//! Memory that is a file: what is written there outlives the process, though not the machine.
#![expect(unsafe_code, reason = "a mapping is written by its address")]

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// File systems that never move what stands in a file: room that was given once is enough for
/// whatever is written there later. Elsewhere a full disk would end the process by a signal.
const STEADY: [libc::__fsword_t; 3] =
    [libc::EXT4_SUPER_MAGIC, libc::XFS_SUPER_MAGIC, libc::TMPFS_MAGIC];

/// Whether a file that has its room can be memory.
pub(crate) fn is_steady(file: &File) -> io::Result<bool> {
    // SAFETY: all-zero bytes are a valid `statfs`.
    let mut stats: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: the structure lives until the call returns.
    super::check(unsafe { libc::fstatfs(file.as_raw_fd(), &raw mut stats) })?;
    Ok(STEADY.contains(&stats.f_type))
}

/// The memory. It is written through [`PagesMut`] alone, of which there is one.
#[derive(Debug)]
pub(crate) struct Pages {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: a mapping belongs to the process, not to a thread.
unsafe impl Send for Pages {}
// SAFETY: what is shared hands the memory to the kernel and never makes a reference into it.
unsafe impl Sync for Pages {}

/// Its one writer.
#[derive(Debug)]
pub(crate) struct PagesMut(Arc<Pages>);

impl Pages {
    /// The first `length` bytes of `file`, which must have its room ([`super::allocate`]) where that
    /// [is enough](is_steady).
    pub(crate) fn map(file: &File, length: usize) -> io::Result<PagesMut> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let (fd, flags) = (file.as_raw_fd(), libc::MAP_SHARED);
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing there is.
        let start = unsafe { libc::mmap(ptr::null_mut(), length, protection, flags, fd, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(PagesMut(Arc::new(Pages { start, length })))
    }

    /// Writes a part of it into another file, and says how much of it.
    pub(crate) fn write_to(&self, file: &File, part: Range<usize>, at: u64) -> io::Result<usize> {
        let Range { start, end } = part;
        if start > end || end > self.length {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let at = libc::off_t::try_from(at).map_err(|_| io::ErrorKind::InvalidInput)?;
        // SAFETY: the part lies within the mapping, which lives as long as `self`.
        let from = unsafe { self.start.as_ptr().add(start) };
        // SAFETY: as above; the kernel reads `end - start` bytes there.
        let wrote = unsafe { libc::pwrite(file.as_raw_fd(), from.cast(), end - start, at) };
        usize::try_from(wrote).map_err(|_| io::Error::last_os_error())
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nobody has it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

impl PagesMut {
    /// For whoever writes it into other files.
    pub(crate) fn share(&self) -> Arc<Pages> {
        Arc::clone(&self.0)
    }

    /// Writes bytes there; false, and nothing is written, where they find no room.
    pub(crate) fn put(&mut self, at: usize, bytes: &[u8]) -> bool {
        if at > self.0.length || bytes.len() > self.0.length - at {
            return false;
        }
        // SAFETY: the part lies within the mapping; `self` is its only writer, and references into
        // it are never made.
        unsafe {
            ptr::copy_nonoverlapping(bytes.as_ptr(), self.0.start.as_ptr().add(at), bytes.len());
        }
        true
    }

    /// Writes a number, after everything that was put before; a process that is killed between the
    /// two leaves the number that was there. `at` is a multiple of eight.
    pub(crate) fn publish(&mut self, at: usize, number: u64) {
        if !at.is_multiple_of(8) || at >= self.0.length - 7 {
            return;
        }
        // SAFETY: eight bytes within the mapping, aligned because it begins with a page; they are
        // written by `self` alone.
        let place = unsafe { AtomicU64::from_ptr(self.0.start.as_ptr().add(at).cast()) };
        place.store(number, Ordering::Release);
    }
}
