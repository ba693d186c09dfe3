//! REST, UI and metrics as the node holds them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use tensou_admin::board::Board;
use tensou_admin::{Deps, NodeInfo, Readiness};
use tensou_config::Settings;
use tensou_engine::OperatorCommand;
use tensou_store::Store;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::failure::Failure;
use crate::handover::{Inheritance, keep};
use crate::metrics::Metrics;
use crate::snapshot_task::Published;
use crate::tls::AdminIdentity;
use crate::tls_listener::TlsListener;

/// Bound sockets, so that a taken port is known before anything starts.
pub(super) struct Sockets {
    admin: TcpListener,
    identity: Option<AdminIdentity>,
    metrics: Option<TcpListener>,
}

/// The running servers.
pub(super) struct Web {
    address: SocketAddr,
    secure: bool,
    servers: Vec<JoinHandle<()>>,
    close: watch::Sender<bool>,
}

/// What the servers show of the node.
pub(super) struct Facts {
    pub(super) published: Published,
    pub(super) draining: Arc<AtomicBool>,
    pub(super) metrics: Arc<Metrics>,
}

impl Facts {
    pub(super) fn deps(
        &self,
        store: Store,
        board: Arc<Board>,
        commands: mpsc::Sender<OperatorCommand>,
        node: NodeInfo,
    ) -> Deps {
        let (published, metrics) = (self.published.clone(), Arc::clone(&self.metrics));
        let (with_trunk, draining) = (self.published.clone(), Arc::clone(&self.draining));
        let known = Arc::clone(&self.metrics);
        Deps {
            store,
            board,
            commands,
            snapshot: Arc::new(move || published.snapshot()),
            metrics: Arc::new(move || metrics.render()),
            ready: Arc::new(move || Readiness {
                listeners: !draining.load(Ordering::Relaxed),
                trunk: with_trunk.has_trunk(),
                database: known.database_up.load(Ordering::Relaxed),
                journal: known.journal.state(),
            }),
            node,
        }
    }
}

impl Sockets {
    pub(super) async fn bind(
        settings: &Settings,
        identity: Option<AdminIdentity>,
        left: &mut Inheritance,
    ) -> Result<Sockets, Failure> {
        let admin = listen("admin.listen", settings.admin.listen, left).await?;
        let metrics = match settings.metrics.listen {
            Some(address) => Some(listen("metrics.listen", address, left).await?),
            None => None,
        };
        Ok(Sockets { admin, identity, metrics })
    }

    pub(super) fn serve(self, deps: Deps, facts: Facts) -> io::Result<Web> {
        let address = self.admin.local_addr()?;
        let (close, closed) = watch::channel(false);
        let told_admin = told(closed.clone());
        let secure = self.identity.is_some();
        let admin = match self.identity {
            None => tokio::spawn(tensou_admin::serve(self.admin, deps, told_admin)),
            Some(identity) => {
                let listener = TlsListener::new(self.admin, identity);
                tokio::spawn(tensou_admin::serve(listener, deps, told_admin))
            }
        };
        let mut servers = vec![admin];
        if let Some(listener) = self.metrics {
            servers.push(tokio::spawn(serve_metrics(listener, facts.metrics, told(closed))));
        }
        Ok(Web { address, secure, servers, close })
    }
}

impl Web {
    /// Where REST and UI are.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How they are reached there.
    pub(super) fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    /// Lets running requests end, for a while.
    pub(super) async fn stop(self) {
        self.close.send_replace(true);
        for server in self.servers {
            if server.await.is_err() {
                tracing::error!("a web server ended with a fault");
            }
        }
    }
}

/// As the process before left it, or bound.
async fn listen(
    setting: &str,
    address: SocketAddr,
    left: &mut Inheritance,
) -> Result<TcpListener, Failure> {
    let bound = match left.listener(address) {
        Some(socket) => TcpListener::from_std(socket),
        None => TcpListener::bind(address).await,
    };
    let bound = bound.map_err(|error| {
        Failure::missing(anyhow::Error::from(error).context(format!("{setting} {address}")))
    })?;
    keep("web", bound.local_addr().map_err(Failure::missing)?, &bound);
    Ok(bound)
}

/// `/metrics` on a socket of its own, for scrapers that must not reach REST and UI.
async fn serve_metrics(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    let page = move || {
        let text = metrics.render();
        async move { ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text) }
    };
    let router = Router::new().route("/metrics", get(page));
    tensou_admin::serve_router(listener, router, shutdown).await;
}

/// Completes when the servers are to close, or nobody can tell them any more.
async fn told(mut closed: watch::Receiver<bool>) {
    let _sender_gone = closed.wait_for(|closed| *closed).await.is_err();
}
