//! Network namespaces: held by a descriptor, gone with it.

use std::fs::File;
use std::io;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};

use super::tun;

/// A network of its own.
#[derive(Debug)]
pub struct Namespace(File);

/// Takes the calling process, before it starts threads, into a network and a table of mounts of
/// its own: nothing it does there reaches the machine, and all of it goes when it ends.
pub fn isolate() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)?;
    let nothing: Option<&str> = None;
    mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing)?;
    tun::raise("lo")
}

impl Namespace {
    /// A new one, with its loopback up.
    pub fn new() -> io::Result<Namespace> {
        apart(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            tun::raise("lo")?;
            Namespace::current()
        })
    }

    /// The calling thread's.
    pub fn current() -> io::Result<Namespace> {
        Ok(Namespace(File::open("/proc/thread-self/ns/net")?))
    }

    /// One that `ip netns add` made.
    pub fn named(name: &str) -> io::Result<Namespace> {
        Ok(Namespace(File::open(format!("/var/run/netns/{name}"))?))
    }

    /// Another hold on the same one.
    pub fn again(&self) -> io::Result<Namespace> {
        Ok(Namespace(self.0.try_clone()?))
    }

    /// Does something inside: sockets made there stay there, and so do processes started there.
    /// The calling thread stays where it is.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        apart(|| {
            setns(&self.0, CloneFlags::CLONE_NEWNET)?;
            work()
        })
    }

    /// Takes the calling thread inside, for good.
    pub fn enter(&self) -> io::Result<()> {
        Ok(setns(&self.0, CloneFlags::CLONE_NEWNET)?)
    }
}

/// On a thread of its own, for a namespace is a thread's.
fn apart<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        scope.spawn(work).join().map_err(|_| io::Error::other("the thread inside crashed"))?
    })
}
