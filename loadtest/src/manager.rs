//! systemd's part towards a service (sd_notify(3), sd_listen_fds(3)): it keeps the descriptors
//! that the service stores, and starts the next process with them.
//!
//! Written from the manual pages; shares no code with the program under test.
#![expect(unsafe_code, reason = "std neither passes descriptors nor places them in a child")]

use std::io::{IoSliceMut, Result};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixAddr, recvmsg};

/// The first descriptor that a process gets (SD_LISTEN_FDS_START).
const FIRST: RawFd = 3;
/// Descriptors of one message (SCM_MAX_FD).
const AT_ONCE: usize = 253;
/// `FileDescriptorStoreMax=`.
const ROOM: usize = 32_768;

/// The manager of one service.
#[derive(Debug)]
pub struct Manager {
    path: PathBuf,
    socket: UnixDatagram,
    store: Vec<(String, OwnedFd)>,
    /// How often the service said that it is ready.
    ready: u64,
}

impl Manager {
    /// With its socket in `folder`.
    ///
    /// # Errors
    /// The system refuses the socket.
    pub fn new(folder: &Path) -> Result<Manager> {
        let path = folder.join("notify");
        let socket = UnixDatagram::bind(&path)?;
        socket.set_nonblocking(true)?;
        Ok(Manager { path, socket, store: Vec::new(), ready: 0 })
    }

    /// How many descriptors it keeps.
    pub fn kept(&self) -> usize {
        self.store.len()
    }

    /// How often the service said that it is ready.
    pub fn ready(&self) -> u64 {
        self.ready
    }

    /// Reads what the service has sent; a service waits for that.
    ///
    /// # Errors
    /// The socket failed.
    pub fn attend(&mut self) -> Result<()> {
        while let Some((text, sent)) = self.next()? {
            self.take(&text, sent);
        }
        Ok(())
    }

    fn next(&mut self) -> Result<Option<(String, Vec<OwnedFd>)>> {
        let mut bytes = [0u8; 4096];
        let mut space = nix::cmsg_space!([RawFd; AT_ONCE]);
        let mut vectors = [IoSliceMut::new(&mut bytes)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT;
        let socket = self.socket.as_raw_fd();
        let received = recvmsg::<UnixAddr>(socket, &mut vectors, Some(&mut space), flags);
        let message = match received {
            Ok(message) => message,
            Err(nix::errno::Errno::EAGAIN) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut sent = Vec::new();
        for part in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(descriptors) = part {
                // SAFETY: the kernel has just made these descriptors for this process.
                let owned = |fd| unsafe { OwnedFd::from_raw_fd(fd) };
                sent.extend(descriptors.into_iter().map(owned));
            }
        }
        let length = message.bytes;
        Ok(Some((String::from_utf8_lossy(&bytes[..length]).into_owned(), sent)))
    }

    fn take(&mut self, text: &str, sent: Vec<OwnedFd>) {
        let says = |what: &str| text.lines().any(|line| line == what);
        let name = text.lines().find_map(|line| line.strip_prefix("FDNAME=")).unwrap_or("stored");
        self.ready += u64::from(says("READY=1"));
        if says("FDSTOREREMOVE=1") {
            self.store.retain(|(kept, _)| kept != name);
        } else if says("FDSTORE=1") {
            let fresh: Vec<_> = sent.into_iter().filter(|fd| !self.has(fd)).collect();
            let room = ROOM.saturating_sub(self.store.len());
            self.store.extend(fresh.into_iter().take(room).map(|fd| (name.to_owned(), fd)));
        }
        // What came with BARRIER=1 is closed here.
    }

    /// Whether the same socket is kept already.
    fn has(&self, descriptor: &OwnedFd) -> bool {
        let inode = |fd: &OwnedFd| nix::sys::stat::fstat(fd).map(|it| (it.st_dev, it.st_ino)).ok();
        let new = inode(descriptor);
        self.store.iter().any(|(_, kept)| inode(kept) == new)
    }

    /// A command that starts `program` with everything that is kept.
    ///
    /// # Errors
    /// No descriptors are left.
    pub fn command(&self, program: &Path) -> Result<Command> {
        // Out of the way of the places that they are to have.
        let above = FIRST + RawFd::try_from(self.store.len()).unwrap_or(RawFd::MAX - FIRST);
        let mut copies = Vec::new();
        for (_, kept) in &self.store {
            let copy = fcntl(kept, FcntlArg::F_DUPFD_CLOEXEC(above))?;
            // SAFETY: the kernel has just made this descriptor for this process.
            copies.push(unsafe { OwnedFd::from_raw_fd(copy) });
        }
        let names: Vec<&str> = self.store.iter().map(|(name, _)| name.as_str()).collect();
        // Only the shell knows the number of the process to be.
        let mut command = Command::new("sh");
        command
            .args(["-c", "LISTEN_PID=$$ exec \"$0\" \"$@\""])
            .arg(program)
            .env("NOTIFY_SOCKET", &self.path)
            .env("FDSTORE", ROOM.to_string());
        if !copies.is_empty() {
            command
                .env("LISTEN_FDS", copies.len().to_string())
                .env("LISTEN_FDNAMES", names.join(":"));
        }
        // SAFETY: between fork and exec only dup2 is called, which is async-signal-safe.
        unsafe {
            command.pre_exec(move || {
                for (place, copy) in (FIRST..).zip(&copies) {
                    if libc::dup2(copy.as_raw_fd(), place) < 0 {
                        return Err(std::io::Error::last_os_error());
                    }
                }
                Ok(())
            });
        }
        Ok(command)
    }
}
