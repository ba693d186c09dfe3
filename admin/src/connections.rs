//! Connections of REST and UI: how many there are, and how long each may take to say what it
//! wants.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::serve::Listener;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::sync::Semaphore;
use tower::ServiceExt;

/// Connections at once: a hundred browsers with a live board each. What is more waits in the
/// kernel, and no descriptor that a call needs is taken.
const MOST_CONNECTIONS: usize = 512;
/// The head of a request is whole by then (slowloris); so long a connection may stay without one.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);

/// Serves until `shutdown` completes, then until the requests that run have ended.
pub async fn serve_router<L: Listener<Addr = SocketAddr>>(
    mut listener: L,
    router: Router,
    shutdown: impl Future<Output = ()>,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_PATIENCE);
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let running = GracefulShutdown::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, (stream, remote)) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut shutdown => break,
        };
        let service = router.clone().map_request(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(remote));
            request
        });
        let served = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        let served = running.watch(served);
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = served.await {
                tracing::debug!(%remote, %error, "HTTP connection");
            }
        });
    }
    running.shutdown().await;
}
