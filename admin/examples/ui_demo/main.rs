//! The web UI over an invented afternoon, for those who work on it: no SIP, no engine.
//!
//! `cargo run -p tensou-admin --example ui_demo [-- ADDRESS [CALLS_A_MINUTE]]` makes a temporary
//! database of `examples/operator.toml`, prints who can sign in, and serves until Ctrl-C.

mod script;

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tensou_admin::app::people::{Account, create_user};
use tensou_admin::board::Board;
use tensou_admin::{Deps, NodeInfo, Readiness};
use tensou_engine::plan::parse_e164;
use tensou_engine::route::Snapshot;
use tensou_engine::{Cdr, Event, Key, OperatorCommand, WallTime};
use tensou_store::model::{Destination, Document};
use tensou_store::{Actor, Role, Store};
use tokio::sync::mpsc;

use script::{Line, Script};

const NODE: &str = "node-1";
const OPERATOR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/operator.toml");
/// Calls of the afternoon before now: enough records for several pages.
const HISTORY_CALLS: i64 = 1500;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address: SocketAddr =
        arguments.next().unwrap_or_else(|| "127.0.0.1:18080".to_owned()).parse()?;
    let calls_a_minute: i64 = arguments.next().unwrap_or_else(|| "8".to_owned()).parse()?;

    let folder = std::env::temp_dir().join(format!("tensou-ui-demo-{}", std::process::id()));
    let served = serve(&folder, address, calls_a_minute.max(1)).await;
    std::fs::remove_dir_all(&folder)?;
    served
}

async fn serve(
    folder: &std::path::Path,
    address: SocketAddr,
    calls_a_minute: i64,
) -> Result<(), Box<dyn Error>> {
    let store = Store::connect(&format!("sqlite:{}", folder.join("tensou.db").display())).await?;
    store.migrate().await?;
    let actor = Actor::system();
    let text = std::fs::read_to_string(OPERATOR)?;
    let document = tensou_store::parse_document(&text, tensou_store::Format::Toml)
        .map_err(|faults| lines_of(&faults))?;
    store.import(&actor, &document, false).await?;
    let customer = Account {
        customer: Some("sakura-law".to_owned()),
        ..Account::new("sakura", Role::Customer)
    };
    for account in
        [Account::new("admin", Role::Admin), Account::new("viewer", Role::Readonly), customer]
    {
        let name = account.name.clone();
        let password = create_user(&store, &actor, account).await?;
        println!("{name} {}", password.reveal());
    }

    let board = Arc::new(Board::new());
    register(&board, &document);
    // Where more calls come than the lines of a small operator carry, they have no limit.
    let limited = calls_a_minute <= 60;
    let trunks: Vec<_> = document
        .trunks
        .iter()
        .map(|trunk| (Key::from(trunk.id.as_str()), if limited { trunk.channels } else { 0 }))
        .collect();
    let script = Script::new(lines(&document), &trunks).ok_or("no DID with a route")?;
    let (commands, asked) = mpsc::channel(64);
    let loaded = store.provisioning().await?;
    let snapshot = Arc::new(
        Snapshot::compile(loaded.revision, &loaded.provisioning)
            .map_err(|faults| lines_of(&faults))?,
    );
    let deps = Deps {
        store: store.clone(),
        board: Arc::clone(&board),
        commands,
        node: NodeInfo {
            name: NODE.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            time_zone: "Asia/Tokyo".to_owned(),
            domain: "sip.example.jp".to_owned(),
            started_at: jiff::Timestamp::now(),
        },
        snapshot: Arc::new(move || Arc::clone(&snapshot)),
        metrics: Arc::new(String::new),
        ready: Arc::new(|| Readiness {
            listeners: true,
            trunk: true,
            database: true,
            ..Readiness::default()
        }),
    };
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("http://{address}/");
    let story = tokio::spawn(play(script, store, board, asked, calls_a_minute));
    let stop = async { _ = tokio::signal::ctrl_c().await };
    tensou_admin::serve(listener, deps, stop).await;
    story.abort();
    Ok(())
}

/// Plays the afternoon before now at once, then goes on in real time.
async fn play(
    mut script: Script,
    store: Store,
    board: Arc<Board>,
    mut asked: mpsc::Receiver<OperatorCommand>,
    calls_a_minute: i64,
) {
    let gap = 60_000 / calls_a_minute;
    let mut now = now_millis() - HISTORY_CALLS * gap;
    let mut next_call = now;
    let mut records = Vec::new();
    loop {
        while now >= next_call {
            board.apply_all(&script.start(next_call));
            // Uneven, as callers are.
            next_call += (gap / 3 + (next_call * 7919) % (gap * 4 / 3).max(1)).max(1);
        }
        let (events, ended) = script.advance(now);
        board.apply_all(&events);
        records.extend(ended);
        while let Ok(OperatorCommand::HangUp(call)) = asked.try_recv() {
            let (events, ended) = script.hang_up(call, now);
            board.apply_all(&events);
            records.extend(ended);
        }
        if now < now_millis() - 200 {
            now += 200;
            if records.len() < 200 {
                continue;
            }
        } else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            now = now_millis();
        }
        write(&store, &mut records).await;
    }
}

async fn write(store: &Store, records: &mut Vec<Cdr>) {
    match store.insert_cdrs(NODE, records).await {
        Ok(_) => records.clear(),
        Err(error) => eprintln!("records wait: {error}"),
    }
}

fn register(board: &Board, document: &Document) {
    let expires_at = WallTime::from_unix_micros((now_millis() + 3_600_000) * 1000);
    for (number, extension) in (20_u8..).zip(&document.extensions) {
        let source = SocketAddr::from(([192, 0, 2, number], 5060));
        board.apply(&Event::Registered {
            extension: Key::from(extension.user.as_str()),
            contact: format!("sip:{}@{source}", extension.user),
            source,
            expires_at,
        });
    }
}

/// Who rings for each DID that has a route.
fn lines(document: &Document) -> Vec<Line> {
    let mut lines = Vec::new();
    for did in &document.dids {
        let Ok(number) = parse_e164(&did.number) else { continue };
        let mut rings = Vec::new();
        for step in did.route.iter().take(1) {
            ring(document, &step.ring, &mut rings);
        }
        if !rings.is_empty() {
            let customer = did.customer.as_deref().map(Key::from);
            lines.push(Line { did: number, customer, rings });
        }
    }
    lines
}

fn ring(document: &Document, target: &str, rings: &mut Vec<(Key, Option<Key>)>) {
    match target.split_once(':') {
        Some(("destination", id)) => {
            let found = document.destinations.iter().find(|row| row.id == id);
            rings.push((Key::from(id), found.and_then(|row| trunk_of(document, row))));
        }
        Some(("extension", user)) => rings.push((Key::from(user), None)),
        Some(("group", id)) => {
            let group = document.groups.iter().find(|group| group.id == id);
            for member in group.into_iter().flat_map(|group| &group.members) {
                ring(document, &member.ring, rings);
            }
        }
        _ => {}
    }
}

/// A number leaves by its own trunk, else by the one with the lowest priority.
fn trunk_of(document: &Document, destination: &Destination) -> Option<Key> {
    destination.number.as_ref()?;
    let best = document.trunks.iter().min_by_key(|trunk| trunk.priority);
    destination.trunk.as_deref().or_else(|| best.map(|trunk| trunk.id.as_str())).map(Key::from)
}

fn lines_of(faults: &[impl ToString]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn now_millis() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
