//! Sends voice back to whoever sent it, for callees played by SIPp: one socket for all calls,
//! with room enough that a busy machine does not lose what the relay delivered.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Result;
use nix::sys::socket::{setsockopt, sockopt};

/// A second of the voice of a thousand calls.
const BUFFER: usize = 32 << 20;
/// How often the thread looks whether it is to end.
const TURN: Duration = Duration::from_millis(100);

/// A running echo; dropping it ends it.
pub(crate) struct Echo {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    pub(crate) fn start(ip: IpAddr) -> Result<Echo> {
        let socket = UdpSocket::bind((ip, 0))?;
        socket.set_read_timeout(Some(TURN))?;
        // Root may exceed net.core.rmem_max; others get as much as it allows.
        if setsockopt(&socket, sockopt::RcvBufForce, &BUFFER).is_err() {
            setsockopt(&socket, sockopt::RcvBuf, &BUFFER)?;
        }
        let address = socket.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("echo".to_owned()).spawn(move || {
            let mut buffer = [0u8; 2048];
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((len, from)) = socket.recv_from(&mut buffer) {
                    // What the machine cannot send is lost, and the relay counts it.
                    let _ = socket.send_to(&buffer[..len], from);
                }
            }
        })?;
        Ok(Echo { address, stop, thread: Some(thread) })
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A crash of the echo shows as lost voice.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_comes_back() {
        let ip = IpAddr::from([127, 0, 0, 1]);
        let echo = Echo::start(ip).unwrap();
        let caller = UdpSocket::bind((ip, 0)).unwrap();
        caller.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        caller.send_to(b"voice", (ip, echo.port())).unwrap();
        let mut buffer = [0u8; 16];
        let (len, _) = caller.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..len], b"voice");
    }
}
