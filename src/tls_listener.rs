//! HTTPS: connections whose handshake is done.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::tls::AdminIdentity;

/// A browser shakes hands in a second; who does not is none.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);
/// Handshakes under way: each costs a millisecond of CPU at most.
const HANDSHAKES: usize = 64;
/// Pause after a failed `accept`: the process has no descriptor left, and will not sooner.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Gives out connections under TLS. Handshakes run beside each other, so that a client that is
/// slow at it holds nobody up.
pub(crate) struct TlsListener {
    address: io::Result<SocketAddr>,
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    task: tokio::task::JoinHandle<()>,
}

impl TlsListener {
    pub(crate) fn new(listener: TcpListener, identity: AdminIdentity) -> TlsListener {
        let address = listener.local_addr();
        let (sender, ready) = mpsc::channel(HANDSHAKES);
        let task = tokio::spawn(shake_hands(listener, identity, sender));
        TlsListener { address, ready, task }
    }
}

impl Drop for TlsListener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(connection) => connection,
            // The task that shakes hands ends with this listener, never before.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        match &self.address {
            Ok(address) => Ok(*address),
            Err(error) => Err(error.kind().into()),
        }
    }
}

async fn shake_hands(
    listener: TcpListener,
    identity: AdminIdentity,
    ready: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    let places = Arc::new(Semaphore::new(HANDSHAKES));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let (stream, remote) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let acceptor = TlsAcceptor::from(identity.config());
        let ready = ready.clone();
        tokio::spawn(async move {
            let _place = place;
            match timeout(HANDSHAKE_PATIENCE, acceptor.accept(stream)).await {
                // A listener that is gone takes no connection any more.
                Ok(Ok(stream)) => drop(ready.send((stream, remote)).await),
                Ok(Err(error)) => tracing::debug!(%remote, %error, "no TLS handshake"),
                Err(_) => tracing::debug!(%remote, "no TLS handshake in time"),
            }
        });
    }
}
