//! A whole admin service in the test's process: router, SQLite file, board, command channel.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tensou_admin::app::App;
use tensou_admin::app::people::{Account, create_token};
use tensou_admin::board::Board;
use tensou_admin::{Deps, NodeInfo, Readiness, router};
use tensou_engine::OperatorCommand;
use tensou_engine::route::{Provisioning, Snapshot};
use tensou_store::{Actor, Role, Store};
use tokio::sync::{mpsc, watch};
use tower::ServiceExt;

pub struct World {
    pub router: Router,
    pub app: App,
    pub deps: Deps,
    pub store: Store,
    pub board: Arc<Board>,
    pub commands: mpsc::Receiver<OperatorCommand>,
    pub ready: watch::Sender<Readiness>,
    snapshot: watch::Sender<Arc<Snapshot>>,
    folder: PathBuf,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The pointers of a problem's errors.
    pub fn pointers(&self) -> Vec<String> {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text());
        let errors = self.json()["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().map(|error| error["pointer"].as_str().unwrap_or("?").to_owned()).collect()
    }
}

/// A request in the making.
pub struct Ask {
    method: Method,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<String>,
}

pub fn ask(method: &str, path: &str) -> Ask {
    let method = method.to_uppercase().parse().expect("a method");
    Ask { method, path: path.to_owned(), headers: Vec::new(), body: None }
}

impl Ask {
    pub fn by(self, token: &str) -> Self {
        self.with(AUTHORIZATION.as_str(), &format!("Bearer {token}"))
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn json(self, body: &Value) -> Self {
        self.text("application/json", &body.to_string())
    }

    pub fn text(mut self, kind: &str, body: &str) -> Self {
        self.body = Some(body.to_owned());
        self.with(CONTENT_TYPE.as_str(), kind)
    }

    pub fn request(self) -> Request<Body> {
        let mut request = Request::builder().method(self.method).uri(self.path);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        request.body(self.body.map_or_else(Body::empty, Body::from)).expect("a request")
    }
}

impl World {
    pub async fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("tensou-admin-{}", uuid::Uuid::now_v7()));
        let url = format!("sqlite:{}", folder.join("tensou.db").display());
        let store = Store::connect(&url).await.expect("a database");
        store.migrate().await.expect("a schema");
        let board = Arc::new(Board::new());
        let (commands, received) = mpsc::channel(4);
        let empty = Snapshot::compile(0, &Provisioning::default()).expect("an empty snapshot");
        let (snapshot, current) = watch::channel(Arc::new(empty));
        let (ready, readiness) = watch::channel(Readiness {
            listeners: true,
            trunk: true,
            database: true,
            ..Readiness::default()
        });
        let deps = Deps {
            store: store.clone(),
            board: Arc::clone(&board),
            commands,
            snapshot: Arc::new(move || Arc::clone(&current.borrow())),
            metrics: Arc::new(|| "tensou_calls_active 0\n".to_owned()),
            node: NodeInfo {
                name: "node-1".into(),
                version: "9.9.9".into(),
                time_zone: "Asia/Tokyo".into(),
                started_at: jiff::Timestamp::now(),
                domain: "sip.example.jp".into(),
            },
            ready: Arc::new(move || *readiness.borrow()),
        };
        let app = App::new(deps.clone());
        let router = router(deps.clone());
        World { router, app, deps, store, board, commands: received, ready, snapshot, folder }
    }

    /// A token of this role; reseller and customer tokens belong to `owner`.
    pub async fn token(&self, role: Role, owner: &str) -> String {
        let mut account = Account::new(format!("t-{}", role.as_str()), role);
        match role {
            Role::Customer => account.customer = Some(owner.to_owned()),
            Role::Reseller => account.reseller = Some(owner.to_owned()),
            _ => {}
        }
        let made = create_token(&self.store, &Actor::system(), account, None).await;
        made.expect("a token").1.reveal().to_owned()
    }

    pub async fn admin(&self) -> String {
        self.token(Role::Admin, "").await
    }

    pub async fn ask(&self, ask: Ask) -> Answer {
        let response = self.router.clone().oneshot(ask.request()).await.expect("infallible");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a body").to_bytes().to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// The status alone: streams are not read.
    pub async fn status(&self, ask: Ask) -> StatusCode {
        self.router.clone().oneshot(ask.request()).await.expect("infallible").status()
    }

    /// Posts a document that must be taken.
    pub async fn add(&self, token: &str, plural: &str, document: Value) -> Answer {
        let path = format!("/api/v1/{plural}");
        let answer = self.ask(ask("post", &path).by(token).json(&document)).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        answer
    }

    /// Two customers, one of the reseller `res`, with a trunk, a DID and what rings for each.
    pub async fn provision(&self, token: &str) {
        self.add(
            token,
            "trunks",
            json!({
                "id": "pri", "peers": ["192.0.2.7:5060"], "channels": 23, "name": "INS1500",
            }),
        )
        .await;
        for (customer, reseller, digit) in [("acme", Some("res"), 1), ("kita", None, 2)] {
            self.add(
                token,
                "customers",
                json!({
                    "id": customer, "name": format!("{customer} KK"), "reseller": reseller,
                }),
            )
            .await;
            self.add(
                token,
                "destinations",
                json!({
                    "id": format!("{customer}-mobile"), "customer": customer,
                    "number": format!("0900000111{digit}"),
                }),
            )
            .await;
            self.add(
                token,
                "dids",
                json!({
                    "number": format!("03-1111-222{digit}"), "customer": customer,
                    "route": [{ "ring": format!("destination:{customer}-mobile") }],
                }),
            )
            .await;
        }
        let loaded = self.store.provisioning().await.expect("a provisioning");
        let compiled = Snapshot::compile(loaded.revision, &loaded.provisioning);
        self.snapshot.send_replace(Arc::new(compiled.expect("a snapshot")));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // The operating system clears its temporary folder if we cannot.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
