//! Every lock of the workspace, with its reason. None is reachable from the engine's step or a
//! packet's way.

use crate::sources::{Source, assert_none, rust};

/// Types that make one thread wait for another, or panic when it does not.
const LOCKS: &[&str] = &[
    "Mutex<",
    "Mutex::new",
    "RwLock<",
    "RwLock::new",
    "RefCell<",
    "RefCell::new",
    "Condvar",
    "DashMap",
    "Barrier::new",
    "OnceLock<",
    "LazyLock<",
    "Semaphore::new",
];

/// Where the packet path runs: no lock at all.
const HOT: &[&str] = &[
    "engine/src/",
    "media/src/",
    "src/engine_thread/",
    "src/sys.rs",
    "src/media_link.rs",
    "src/journal/",
    "src/gauges.rs",
];

/// Files with locks and why each may have them.
const ALLOWED: &[(&str, &str)] = &[
    ("admin/src/board/mod.rs", "the live board: one writing task, many reading requests"),
    ("admin/src/connections.rs", "a semaphore bounds connections of REST and UI"),
    ("src/tls_listener.rs", "a semaphore bounds TLS handshakes of REST and UI"),
    ("admin/src/app/mod.rs", "a semaphore bounds password hashing, off every call's way"),
    ("admin/src/app/auth/throttle.rs", "failed sign-ins by source"),
    ("admin/src/ui/names.rs", "names on pages, looked up once per provisioning"),
    ("loadtest/src/agents/voice.rs", "the simulated voices, rendered once"),
    ("store/src/provisioning/profile.rs", "the profiles of trunks, read once from the program"),
    ("store/src/record_rows.rs", "the text of the insert statements, made once"),
    ("admin/src/api/once.rs", "Idempotency-Keys of requests that are being done"),
    ("admin/src/api/openapi.rs", "the API's description, written once while the router is made"),
];

fn locks(files: &[Source]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for file in files {
        for (number, line) in file.code_lines() {
            for word in LOCKS.iter().filter(|word| line.contains(**word)) {
                found.push((file.path.clone(), format!("{}:{number}: {word}", file.path)));
            }
        }
    }
    found
}

fn unlisted(files: &[Source], allowed: &[(&str, &str)]) -> Vec<String> {
    let listed = |path: &str| allowed.iter().any(|(place, _)| *place == path);
    locks(files).into_iter().filter(|(path, _)| !listed(path)).map(|(_, place)| place).collect()
}

fn hot(files: &[Source]) -> Vec<String> {
    let is_hot = |path: &str| HOT.iter().any(|place| path.starts_with(place));
    locks(files).into_iter().filter(|(path, _)| is_hot(path)).map(|(_, place)| place).collect()
}

fn workspace() -> Vec<Source> {
    rust("").into_iter().filter(|file| !file.path.starts_with("tests/")).collect()
}

#[test]
fn every_lock_is_listed_with_its_reason() {
    assert_none("list it with its reason, or do without", &unlisted(&workspace(), ALLOWED));
    let file = Source::new("src/a.rs", "// Mutex<\nstruct A { b: Mutex<u8> }\n");
    assert_eq!(unlisted(&[file], ALLOWED), ["src/a.rs:2: Mutex<"]);
}

#[test]
fn no_listed_reason_outlives_its_lock() {
    let with_locks: Vec<String> = locks(&workspace()).into_iter().map(|(path, _)| path).collect();
    let stale: Vec<String> = ALLOWED
        .iter()
        .filter(|(path, _)| !with_locks.iter().any(|found| found == path))
        .map(|(path, _)| (*path).to_owned())
        .collect();
    assert_none("no lock there any more", &stale);
}

#[test]
fn the_packet_path_has_no_lock() {
    assert_none("the packet path waits for nobody", &hot(&workspace()));
    let file = Source::new("engine/src/a.rs", "use x;\nfn a() { RwLock::new(1); }\n");
    assert_eq!(hot(&[file]), ["engine/src/a.rs:2: RwLock::new"]);
}
