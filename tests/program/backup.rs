//! `tensou backup` and `tensou restore`.

use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::Signal;

use crate::bench::{Bench, until};

const DOCUMENT: &str = "[[trunks]]\nid = \"gateway\"\npeers = [\"127.0.0.1:5099\"]\n\
     [[customers]]\nid = \"yamada\"\nname = \"山田\"\n\
     [[extensions]]\nuser = \"desk\"\nsecret = \"long enough\"\n";

/// A folder with a small provisioning, a user, and a prompt.
fn filled() -> Bench {
    let bench = Bench::new();
    bench.write("o.toml", DOCUMENT);
    assert_eq!(bench.run(&["import", "o.toml"]).code, Some(0));
    assert_eq!(bench.run(&["user", "add", "hanako", "--role", "operator"]).code, Some(0));
    let prompts = bench.path().join("data/prompts/yamada");
    std::fs::create_dir_all(&prompts).expect("a folder");
    std::fs::write(prompts.join("closed.wav"), b"RIFF").expect("a prompt");
    bench
}

#[test]
fn a_backup_of_a_running_server_is_restored_elsewhere() {
    let bench = filled();
    let server = bench.serve();
    let said = bench.run(&["backup", "all.tar.gz"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.contains("passwords"), "{}", said.out);
    let file = bench.path().join("all.tar.gz");
    assert_eq!(std::fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
    server.signal(Signal::SIGTERM);
    assert_eq!(server.end().0, Some(0));

    let other = Bench::new();
    std::fs::copy(&file, other.path().join("all.tar.gz")).expect("a copy");
    let said = other.run(&["restore", "all.tar.gz"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let export = |bench: &Bench| bench.run(&["export", "--with-secrets"]).out;
    assert_eq!(export(&other), export(&bench));
    let prompt = other.path().join("data/prompts/yamada/closed.wav");
    assert_eq!(std::fs::read(prompt).expect("a prompt"), b"RIFF");
    let again = other.run(&["user", "add", "hanako", "--role", "operator"]);
    assert_eq!(again.code, Some(1), "people are restored too");
    let folders: Vec<_> = std::fs::read_dir(other.path().join("data")).expect("it").collect();
    assert!(folders.iter().flatten().all(|it| !it.path().to_string_lossy().contains("prompts.")));
}

#[test]
fn a_restore_replaces_rows_only_by_force_and_a_running_server_takes_it_over() {
    let bench = filled();
    let token = bench.run(&["token", "add", "t", "--role", "admin"]).out.trim().to_owned();
    assert_eq!(bench.run(&["backup", "all.tar.gz"]).code, Some(0));
    let server = bench.serve();
    bench.write("more.toml", "[[customers]]\nid = \"sakura\"\nname = \"桜\"\n");
    assert_eq!(bench.run(&["import", "more.toml"]).code, Some(0));
    let said = bench.run(&["restore", "all.tar.gz"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("--force"), "{}", said.err);
    assert_eq!(server.get("/api/v1/customers/sakura", &token).0, 200);
    let said = bench.run(&["restore", "--force", "all.tar.gz"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!(server.get("/api/v1/customers/sakura", &token).0, 404);
    until(|| {
        let (_, body) = server.get("/api/v1/system", &token);
        let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        body["revision"] == body["active_revision"]
    });
    server.signal(Signal::SIGTERM);
    assert_eq!(server.end().0, Some(0));
}

#[test]
fn a_damaged_backup_is_refused_and_changes_nothing() {
    let bench = filled();
    assert_eq!(bench.run(&["backup", "all.tar.gz"]).code, Some(0));
    let before = bench.run(&["export", "--with-secrets"]).out;
    let whole = std::fs::read(bench.path().join("all.tar.gz")).expect("a backup");
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for (name, content) in [("cut", &whole[..whole.len() - 9]), ("flipped", &flipped[..])] {
        std::fs::write(bench.path().join(name), content).expect("a file");
        let said = bench.run(&["restore", "--force", name]);
        assert_eq!(said.code, Some(1), "{}", said.err);
        assert!(said.err.contains(name) && said.err.contains("damaged"), "{}", said.err);
    }
    let said = bench.run(&["restore", "--force", "o.toml"]);
    assert_eq!(said.code, Some(1), "{}", said.err);
    let said = bench.run(&["restore", "nowhere"]);
    assert!(said.code != Some(0) && said.err.contains("nowhere"), "{}", said.err);
    assert_eq!(bench.run(&["export", "--with-secrets"]).out, before);
}
