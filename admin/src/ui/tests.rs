//! The pages over HTTP, behind the same guard and headers as in the shell.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use tensou_engine::plan::parse_e164;
use tensou_engine::route::{Provisioning, Snapshot};
use tensou_engine::{
    CallId, CallResult, CallStarted, Caller, CallerClass, Cdr, CdrLeg, Direction, EndedBy, Event,
    Key, LegNumber, OperatorCommand, WallTime,
};
use tensou_store::model::Document;
use tensou_store::{Actor, Role, Store};
use tokio::sync::mpsc;
use tower::ServiceExt;

use crate::app::people::{Account, create_user};
use crate::board::Board;
use crate::{Deps, NodeInfo, Readiness};

/// What a hostile caller, phone or clerk would write.
const HOSTILE: &str = "<img src=x onerror=alert(1)>";
const CALL: CallId = CallId(0x0198_0000_0000_7000_8000_0000_0000_0001);

/// A server without sockets.
struct Site {
    router: Router,
    board: Arc<Board>,
    store: Store,
    asked: mpsc::Receiver<OperatorCommand>,
    /// Holds the database.
    _folder: Folder,
}

struct Folder(std::path::PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A signed-in browser.
struct Visitor {
    cookie: String,
}

async fn site() -> Site {
    let folder = std::env::temp_dir().join(format!("tensou-ui-{}", uuid::Uuid::now_v7()));
    let store = Store::connect(&format!("sqlite:{}", folder.join("t.db").display())).await.unwrap();
    store.migrate().await.unwrap();
    store.import(&Actor::system(), &document(), false).await.unwrap();
    let board = Arc::new(Board::new());
    let (commands, asked) = mpsc::channel(8);
    let snapshot = Arc::new(Snapshot::compile(1, &Provisioning::default()).unwrap());
    let router = crate::router(Deps {
        store: store.clone(),
        board: Arc::clone(&board),
        commands,
        snapshot: Arc::new(move || Arc::clone(&snapshot)),
        metrics: Arc::new(String::new),
        node: NodeInfo {
            name: "node-1".into(),
            version: "0".into(),
            time_zone: "Asia/Tokyo".into(),
            started_at: jiff::Timestamp::UNIX_EPOCH,
            domain: "example.jp".into(),
        },
        ready: Arc::new(|| Readiness {
            listeners: true,
            trunk: true,
            database: true,
            ..Readiness::default()
        }),
    });
    Site { router, board, store, asked, _folder: Folder(folder) }
}

fn document() -> Document {
    let json = serde_json::json!({
        "customers": [
            { "id": "acme", "name": HOSTILE },
            { "id": "kita", "name": "北商店" },
        ],
        "trunks": [{ "id": "pri", "name": HOSTILE, "peers": ["192.0.2.1:5060"], "channels": 23 }],
        "destinations": [
            { "id": "yamada", "name": HOSTILE, "customer": "acme", "number": "+819000001111" },
        ],
        "dids": [{
            "number": "+81312345678", "customer": "acme",
            "route": [{ "ring": "destination:yamada" }], "note": HOSTILE,
        }],
    });
    serde_json::from_value(json).unwrap()
}

impl Site {
    async fn ask(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn sign_in(&self, account: Account) -> Visitor {
        let name = account.name.clone();
        let password = create_user(&self.store, &Actor::system(), account).await.unwrap();
        let form = format!("name={name}&password={}", password.reveal());
        let answer = self.ask(post("/login", "", form)).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap();
        Visitor { cookie: cookie.split(';').next().unwrap().to_owned() }
    }

    async fn page(&self, visitor: &Visitor, path: &str) -> (StatusCode, String) {
        let answer = self.ask(get(path, &visitor.cookie)).await;
        (answer.status(), text(answer).await)
    }

    /// A call that rings and was answered, with everything hostile that a call can carry.
    fn talk(&self) {
        let at = WallTime::from_unix_micros(1_795_442_891_000_000);
        let did = parse_e164("0312345678").ok();
        let customer = Some(Key::from("acme"));
        let caller = Caller { number: parse_e164("09012345678").ok(), class: CallerClass::Number };
        let trunk_in = Some(Key::from("pri"));
        let direction = Direction::Forward;
        let started = CallStarted { call: CALL, at, direction, did, customer, caller, trunk_in };
        let leg = LegNumber(1);
        let (destination, trunk_out) = (Key::from(HOSTILE), Some(Key::from("pri")));
        self.board.apply_all(&[
            Event::CallStarted(Box::new(started)),
            Event::LegDialled { call: CALL, leg, destination, trunk_out },
            Event::CallAnswered { call: CALL, leg, at },
            Event::Registered {
                extension: Key::from(HOSTILE),
                contact: HOSTILE.into(),
                source: "192.0.2.9:5060".parse().unwrap(),
                expires_at: at,
            },
        ]);
    }
}

fn get(path: &str, cookie: &str) -> Request<Body> {
    Request::get(path).header(header::COOKIE, cookie).body(Body::empty()).unwrap()
}

fn post(path: &str, cookie: &str, form: impl Into<String>) -> Request<Body> {
    Request::post(path)
        .header(header::COOKIE, cookie)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(form.into()))
        .unwrap()
}

async fn text(answer: Response<Body>) -> String {
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn admin() -> Account {
    Account::new("aoki", Role::Admin)
}

fn record(id: CallId, customer: &str) -> Cdr {
    let at = WallTime::from_unix_micros(1_795_442_891_000_000);
    Cdr {
        id,
        direction: Direction::Forward,
        did: parse_e164("0312345678").ok(),
        customer: Some(Key::from(customer)),
        caller: Caller { number: None, class: CallerClass::Withheld },
        trunk_in: Some(Key::from(HOSTILE)),
        started_at: at,
        ringing_at: None,
        answered_at: None,
        ended_at: at,
        duration: Duration::ZERO,
        result: CallResult::Busy,
        sip_status: 486,
        q850_cause: 17,
        ended_by: EndedBy::Callee,
        answered_by: Some(Key::from(HOSTILE)),
        legs: vec![CdrLeg {
            destination: Key::from(HOSTILE),
            trunk_out: None,
            dialled: HOSTILE.into(),
            presented: None,
            started_at: at,
            ringing_at: None,
            answered_at: None,
            ended_at: at,
            sip_status: 486,
            q850_cause: 17,
            media: None,
        }],
    }
}

#[tokio::test]
async fn text_from_outside_is_text_on_every_page() {
    let site = site().await;
    let visitor = site.sign_in(admin()).await;
    site.talk();
    site.store.insert_cdrs(HOSTILE, &[record(CALL, "acme")]).await.unwrap();
    let escaped = "img src=x onerror=alert(1)&#62;";
    for path in [
        "/".to_owned(),
        "/cdrs".to_owned(),
        format!("/cdrs/{CALL}"),
        format!("/calls/{CALL}/hang-up"),
        "/dids".to_owned(),
        "/customers".to_owned(),
        "/trunks".to_owned(),
        "/groups".to_owned(),
        "/extensions".to_owned(),
    ] {
        let (status, html) = site.page(&visitor, &path).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        assert!(!html.contains("<img"), "{path}: {html}");
        let names_nobody = ["/groups", "/extensions"].contains(&&*path) || path.contains("hang-up");
        assert!(names_nobody || html.contains(escaped), "{path}: {html}");
    }
    let typed = "%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E";
    for path in [
        format!("/cdrs?q={typed}&did={typed}&customer={typed}"),
        format!("/route?from={typed}&to={typed}"),
        format!("/{typed}?x={typed}"),
    ] {
        let (_, html) = site.page(&visitor, &path).await;
        assert!(!html.contains("<img"), "{path}: {html}");
    }
}

#[tokio::test]
async fn every_page_needs_a_session_and_comes_back_to_where_one_was() {
    let site = site().await;
    for path in ["/", "/cdrs", "/cdrs/1", "/route", "/dids", "/customers", "/trunks", "/groups"] {
        let answer = site.ask(get(path, "")).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{path}");
        let target = answer.headers()[header::LOCATION].to_str().unwrap();
        assert!(target.starts_with("/login"), "{path}: {target}");
    }
    let answer = site.ask(get("/cdrs?q=03", "")).await;
    assert_eq!(answer.headers()[header::LOCATION], "/login?next=/cdrs%3Fq%3D03");
    assert_eq!(site.ask(get("/ui/live", "")).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(site.ask(get("/ui/session", "")).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_wrong_password_is_told_without_saying_who_exists() {
    let site = site().await;
    site.sign_in(admin()).await;
    let told = async |name: &str| {
        let answer = site.ask(post("/login", "", format!("name={name}&password=x"))).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        text(answer).await.replace(name, "NAME")
    };
    assert_eq!(told("aoki").await, told("kato").await);
}

#[tokio::test]
async fn pages_forbid_foreign_and_inline_content_and_are_kept_by_nobody() {
    let site = site().await;
    let answer = site.ask(get("/login", "")).await;
    let policy = answer.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
    assert_eq!(answer.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
}

#[tokio::test]
async fn the_language_is_the_browsers_until_one_is_chosen() {
    let site = site().await;
    let mut request = get("/login", "");
    request.headers_mut().insert(header::ACCEPT_LANGUAGE, "ja".parse().unwrap());
    assert!(text(site.ask(request).await).await.contains("lang=\"ja\""));

    let answer = site.ask(post("/language", "", "to=en&next=/login")).await;
    assert_eq!(answer.headers()[header::LOCATION], "/login");
    let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap();
    let mut request = get("/login", cookie.split(';').next().unwrap());
    request.headers_mut().insert(header::ACCEPT_LANGUAGE, "ja".parse().unwrap());
    assert!(text(site.ask(request).await).await.contains("lang=\"en\""));

    let astray = site.ask(post("/language", "", "to=en&next=//evil.example")).await;
    assert_eq!(astray.headers()[header::LOCATION], "/");
}

#[tokio::test]
async fn hanging_up_asks_the_engine_and_needs_the_sessions_token() {
    let mut site = site().await;
    let visitor = site.sign_in(admin()).await;
    site.talk();
    let path = format!("/calls/{CALL}/hang-up");
    let without = site.ask(post(&path, &visitor.cookie, "")).await;
    assert_eq!(without.status(), StatusCode::FORBIDDEN);
    assert!(site.asked.try_recv().is_err());

    let (_, html) = site.page(&visitor, &path).await;
    let token = token_of(&html);
    let answer = site.ask(post(&path, &visitor.cookie, format!("csrf_token={token}"))).await;
    assert_eq!(answer.headers()[header::LOCATION], "/");
    assert_eq!(site.asked.try_recv(), Ok(OperatorCommand::HangUp(CALL)));
}

/// The token that a page's forms carry.
fn token_of(html: &str) -> &str {
    let token = html.split("name=\"csrf_token\" value=\"").nth(1).unwrap();
    token.split('"').next().unwrap()
}

#[tokio::test]
async fn every_form_of_a_session_carries_its_token() {
    let site = site().await;
    let visitor = site.sign_in(admin()).await;
    site.talk();
    for path in ["/".to_owned(), "/cdrs".to_owned(), format!("/calls/{CALL}/hang-up")] {
        let (_, html) = site.page(&visitor, &path).await;
        let forms: Vec<_> = html.split("<form method=\"post\"").skip(1).collect();
        assert!(forms.len() >= 2, "{path}");
        for form in forms {
            let form = form.split("</form>").next().unwrap();
            assert!(form.contains("name=\"csrf_token\""), "{path}: {form}");
        }
    }
    let (_, html) = site.page(&visitor, "/cdrs").await;
    let form = format!("to=ja&next=/cdrs&csrf_token={}", token_of(&html));
    let answer = site.ask(post("/language", &visitor.cookie, form)).await;
    assert_eq!(answer.headers()[header::LOCATION], "/cdrs");
}

#[tokio::test]
async fn who_may_only_look_is_offered_no_hang_up() {
    let site = site().await;
    let visitor = site.sign_in(Account::new("miru", Role::Readonly)).await;
    site.talk();
    let (_, board) = site.page(&visitor, "/").await;
    assert!(board.contains("090-1234-5678"));
    assert!(!board.contains("data-hang-up"));
    let (status, _) = site.page(&visitor, &format!("/calls/{CALL}/hang-up")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_customer_sees_its_own_calls_and_records_only() {
    let site = site().await;
    let account = |name: &str, customer: &str| Account {
        customer: Some(customer.into()),
        ..Account::new(name, Role::Customer)
    };
    let own = site.sign_in(account("a", "acme")).await;
    let other = site.sign_in(account("k", "kita")).await;
    site.talk();
    site.store.insert_cdrs("node-1", &[record(CALL, "acme")]).await.unwrap();

    let (_, board) = site.page(&own, "/").await;
    assert!(board.contains("090-1234-5678"));
    assert!(!board.contains("data-list=\"trunks\"") && !board.contains("data-hang-up"));
    assert!(!site.page(&other, "/").await.1.contains("090-1234-5678"));

    assert_eq!(site.page(&own, &format!("/cdrs/{CALL}")).await.0, StatusCode::OK);
    assert_eq!(site.page(&other, &format!("/cdrs/{CALL}")).await.0, StatusCode::NOT_FOUND);
    assert!(!site.page(&other, "/cdrs").await.1.contains(&CALL.to_string()));
    assert_eq!(site.page(&own, "/trunks").await.0, StatusCode::FORBIDDEN);
    assert_eq!(site.page(&own, "/route").await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn somebody_who_sees_no_calls_lands_on_what_they_do_see() {
    let site = site().await;
    let visitor = site.sign_in(Account::new("kei", Role::Billing)).await;
    let answer = site.ask(get("/", &visitor.cookie)).await;
    assert_eq!(answer.headers()[header::LOCATION], "/cdrs");
}

#[tokio::test]
async fn the_stream_tells_the_whole_board_and_then_what_changed() {
    let site = site().await;
    let visitor = site.sign_in(admin()).await;
    let answer = site.ask(get("/ui/live", &visitor.cookie)).await;
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/event-stream");
    let mut body = answer.into_body();
    let mut next = async || {
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        let line = String::from_utf8(frame.to_vec()).unwrap();
        let json = line.strip_prefix("data: ").unwrap();
        serde_json::from_str::<serde_json::Value>(json.trim()).unwrap()
    };
    let first = next().await;
    assert_eq!(first["texts"]["active"], "0");
    assert_eq!(first["lists"]["trunks"]["order"], serde_json::json!(["pri"]));

    site.talk();
    let second = next().await;
    assert_eq!(second["texts"]["talking"], "1");
    let row = second["lists"]["calls"]["rows"][CALL.to_string()].as_str().unwrap();
    assert!(row.contains("03-1234-5678") && !row.contains("<img"), "{row}");
    assert!(second["lists"].get("trunks").is_none(), "{second}");
}

#[tokio::test]
async fn an_address_that_leads_nowhere_says_so_and_a_page_of_records_keeps_its_search() {
    let site = site().await;
    let visitor = site.sign_in(admin()).await;
    assert_eq!(site.page(&visitor, "/nowhere").await.0, StatusCode::NOT_FOUND);
    assert_eq!(site.page(&visitor, "/cdrs/none").await.0, StatusCode::NOT_FOUND);

    let ids: Vec<_> = (0..60).map(|number| CallId(CALL.0 + number)).collect();
    let records: Vec<_> = ids.iter().map(|id| record(*id, "acme")).collect();
    site.store.insert_cdrs("node-1", &records).await.unwrap();
    let (_, html) = site.page(&visitor, "/cdrs?did=03-1234-5678&result=busy").await;
    let next = html.split("rel=\"next\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    let next = next.replace("&#38;", "&");
    assert!(next.starts_with("/cdrs?did=03-1234-5678&result=busy&after="), "{next}");
    let (_, rest) = site.page(&visitor, &next).await;
    assert_eq!(rest.matches("<tr>").count(), 10 + 1);
    let (_, none) = site.page(&visitor, "/cdrs?did=sales").await;
    assert!(none.contains("role=\"alert\"") && !none.contains(&CALL.to_string()));
}
