//! `tensou demo`

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;

use tensou_config::{Loaded, Settings, Sources};
use tensou_loadtest::demo::{self, DemoPlan, Summary};
use tensou_store::model::{Did, Document, Extension};
use tensou_store::{Actor, Format, Store, parse_document};

use super::args::{DemoArgs, SettingsArgs};
use super::serve::{runtime, start_log, stop};
use super::{open, sources, store_failure};
use crate::database::{Database, first_user};
use crate::failure::Failure;
use crate::node::Node;
use crate::shutdown::Signals;

/// The extension that no simulated phone registers: the visitor's.
const VISITOR: &str = "209";

/// Runs a node with sample data and a simulated telephone world around it.
pub(super) fn demo(args: &SettingsArgs, demo: &DemoArgs) -> Result<(), Failure> {
    let folder = Folder::new().map_err(Failure::missing)?;
    let loaded = settings(args, &folder)?;
    start_log(&loaded)?;
    let summary = runtime()?.block_on(run(&loaded.settings, demo))?;
    println!("\n{summary}");
    if summary.is_clean() {
        return Ok(());
    }
    Err(Failure::input(anyhow::anyhow!("not every call ended as scripted")))
}

async fn run(settings: &Settings, demo: &DemoArgs) -> Result<Summary, Failure> {
    let mut signals = Signals::register().map_err(Failure::missing)?;
    let store = open(settings).await?;
    let gateway = demo::free_port().map_err(Failure::missing)?;
    let carrier = demo::free_port().map_err(Failure::missing)?;
    let document = provision(&store, gateway, carrier).await?;
    let password = first_user(&store).await?;
    let mut node = Node::start(settings, Database::Open(store)).await?;
    let mut plan = DemoPlan::sample(node.sip_address(), gateway, carrier, node.domain());
    plan.calls_per_second = demo.calls_per_second;
    plan.seed = rand::random();
    tracing::info!(seed = plan.seed, "the simulated world begins");
    greet(&node, password.as_deref(), &document);
    let world = demo::start(plan).map_err(Failure::missing)?;
    let over = async {
        match demo.run_for {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
    };
    let failed = tokio::select! {
        () = signals.stop() => None,
        () = over => None,
        failure = node.failed() => Some(failure),
    };
    let stopped = tokio::task::spawn_blocking(move || world.stop()).await;
    if let Some(failure) = failed {
        node.abandon().await;
        return Err(failure);
    }
    stop(node, &mut signals).await?;
    stopped.map_err(Failure::missing)
}

/// Imports the sample operator.
async fn provision(
    store: &Store,
    gateway: SocketAddr,
    carrier: SocketAddr,
) -> Result<Document, Failure> {
    let text = demo::operator_document(gateway, carrier);
    let document = parse_document(&text, Format::Toml).map_err(Failure::inputs)?;
    store.import(&Actor::system(), &document, false).await.map_err(store_failure)?;
    Ok(document)
}

/// What a newcomer does next.
fn greet(node: &Node, password: Option<&str>, document: &Document) {
    println!("Web UI      http://{}/", node.admin_address());
    match password {
        Some(password) => println!("            user admin, one-time password {password}"),
        None => println!("            sign in as a user of this database"),
    }
    let sip = node.sip_address();
    if let Some(Extension { user, secret: Some(secret), .. }) =
        document.extensions.iter().find(|extension| extension.user == VISITOR)
    {
        println!("Softphone   register sip:{user}@{sip}, password {secret}");
        println!("            it then rings for calls to your DID:");
        for Did { number, note, .. } in document.dids.iter().filter(|did| rings(did, user)) {
            println!("            {number}  {note}");
        }
    }
    println!("DIDs        dial one of these from the softphone, or watch the gateway call them:");
    for Did { number, note, .. } in &document.dids {
        println!("            {number}  {note}");
    }
    println!("Ctrl-C ends the demonstration with a summary.");
}

fn rings(did: &Did, user: &str) -> bool {
    did.route.iter().any(|step| step.ring == format!("extension:{user}"))
}

/// Settings of a node on loopback; flags and a named file come before them.
fn settings(args: &SettingsArgs, folder: &Folder) -> Result<Loaded, Failure> {
    let given = sources(args);
    let mut flags = vec![
        ("sip.listen".to_owned(), format!("udp:{}", sip_address())),
        ("media.listen".to_owned(), Ipv4Addr::LOCALHOST.to_string()),
        ("admin.listen".to_owned(), admin_address().to_string()),
        ("log.level".to_owned(), "warn".to_owned()),
    ];
    if args.config.is_none() {
        flags.push(("node.data_dir".to_owned(), folder.0.display().to_string()));
    }
    flags.extend(given.flags);
    // Without a named file the demonstration takes nothing from one that happens to lie here.
    let file = Some(args.config.clone().unwrap_or_else(|| folder.settings()));
    tensou_config::load(&Sources { file, flags, ..given }).map_err(Failure::inputs)
}

/// 5060 if it is free, else any port.
fn sip_address() -> SocketAddr {
    let usual = SocketAddr::from((Ipv4Addr::LOCALHOST, 5060));
    free(usual, |address| UdpSocket::bind(address).is_ok())
}

/// 8080 if it is free, else any port.
fn admin_address() -> SocketAddr {
    let usual = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080));
    free(usual, |address| TcpListener::bind(address).is_ok())
}

fn free(usual: SocketAddr, is_free: impl Fn(SocketAddr) -> bool) -> SocketAddr {
    if is_free(usual) { usual } else { SocketAddr::new(usual.ip(), 0) }
}

/// A folder that goes when the demonstration ends.
struct Folder(PathBuf);

impl Folder {
    fn new() -> std::io::Result<Self> {
        let name = format!("tensou-demo-{}-{:08x}", std::process::id(), rand::random::<u32>());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path)?;
        let folder = Folder(path);
        std::fs::write(folder.settings(), "")?;
        Ok(folder)
    }

    fn settings(&self) -> PathBuf {
        self.0.join(tensou_config::DEFAULT_FILE)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!("{} stays: {error}", self.0.display());
        }
    }
}
