use std::time::Duration;

use super::*;

/// A configuration file that lives as long as the test.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> File {
        let name = format!("tensou-config-{}-{name}.toml", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        File(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _gone = std::fs::remove_file(&self.0);
    }
}

fn pairs(items: &[(&str, &str)]) -> Vec<(String, String)> {
    items.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn load_text(name: &str, text: &str) -> Result<Loaded, Vec<String>> {
    let file = File::new(name, text);
    let sources =
        Sources { file: Some(file.0.clone()), host_name: "host-7".into(), ..Sources::default() };
    let short = |problem: &Problem| match &problem.origin {
        Origin::File { line, .. } => format!("{line}: {}: {}", problem.key, problem.message),
        _ => problem.to_string(),
    };
    load(&sources).map_err(|problems| problems.iter().map(short).collect())
}

#[test]
fn an_empty_file_gives_every_default() {
    let settings = load_text("empty", "").unwrap().settings;
    assert_eq!(settings.node.name.as_str(), "host-7");
    assert_eq!(settings.node.data_dir, PathBuf::from("data"));
    assert_eq!(settings.node.time_zone.name(), "Asia/Tokyo");
    assert_eq!(settings.node.drain, Duration::from_secs(30));
    assert_eq!(settings.sip.listen.len(), 2);
    assert_eq!(settings.sip.unknown_peer, UnknownPeer::Drop);
    assert_eq!(settings.sip.digest, Digest::Md5);
    assert_eq!((settings.sip.contacts, settings.sip.contacts_full), (10, ContactsFull::Replace));
    assert_eq!(settings.media.ports, PortRange { first: 20_000, last: 39_999 });
    assert_eq!(settings.media.idle_timeout, Duration::from_secs(60));
    assert_eq!(settings.admin.listen, "127.0.0.1:8080".parse().unwrap());
    assert_eq!(settings.database.url.reveal(), "sqlite:data/tensou.db");
    assert_eq!(settings.log.level.as_str(), "info");
    assert_eq!(settings.metrics.listen, None);
}

#[test]
fn the_embedded_database_follows_the_data_directory() {
    let settings = load_text("dir", "[node]\ndata_dir = \"/srv/t\"").unwrap().settings;
    assert_eq!(settings.database.url.reveal(), "sqlite:/srv/t/tensou.db");
}

#[test]
fn a_full_file_is_read_key_by_key() {
    let text = r#"
[node]
name = "node-1"
time_zone = "Asia/Seoul"
drain_seconds = 5
[sip]
listen = ["udp:127.0.0.1:5070", "udp:[::1]:5070"]
advertise = "sip.example.jp:5080"
domain = "example.jp"
tls = { certificate = "", key = "", client_ca = "" }
dscp = 0
unknown_peer = "forbid"
digest = "both"
contacts = 3
contacts_full = "refuse"
[media]
listen = "127.0.0.1"
advertise = "192.0.2.7"
ports = "30000-30099"
workers = 2
fast_path = "off"
idle_timeout_seconds = 0
[admin]
listen = "127.0.0.1:0"
tls = { certificate = "", key = "" }
[database]
url = "postgres://u:p@h/d"
[journal]
calls = "off"
fsync_ms = 10
[log]
level = "debug"
format = "json"
[metrics]
listen = "127.0.0.1:9100"
[hep]
target = ""
"#;
    let loaded = load_text("full", text).unwrap();
    let settings = loaded.settings;
    assert_eq!(settings.node.time_zone.name(), "Asia/Seoul");
    assert_eq!(settings.sip.listen.len(), 2);
    assert_eq!(settings.sip.advertise.unwrap().port, Some(5080));
    assert_eq!(settings.sip.domain.unwrap().as_str(), "example.jp");
    assert_eq!(settings.sip.unknown_peer, UnknownPeer::Forbid);
    assert_eq!(settings.sip.digest, Digest::Both);
    assert_eq!((settings.sip.contacts, settings.sip.contacts_full), (3, ContactsFull::Refuse));
    assert_eq!(settings.media.advertise, Some([192, 0, 2, 7].into()));
    assert_eq!(settings.media.workers, 2);
    assert!(!settings.media.fast_path);
    assert!(!settings.journal.calls);
    assert_eq!(settings.media.idle_timeout, Duration::ZERO);
    assert_eq!(settings.log.format, LogFormat::Json);
    assert_eq!(settings.metrics.listen, Some("127.0.0.1:9100".parse().unwrap()));
}

#[test]
fn every_problem_is_named_at_once_with_its_line() {
    let text = "[node]\ndrain_seconds = -1\n[sip]\nlisen = []\ndscp = \"high\"\n\
                [sipp]\ndomain = \"x\"\n[media]\nports = \"1-2\"\nfast_path = true\n";
    let mut problems = load_text("wrong", text).unwrap_err();
    problems.sort();
    let expected = [
        "2: node.drain_seconds: must be an integer from 0 to 86400",
        "4: sip.lisen: unknown key; the nearest known key is sip.listen",
        "5: sip.dscp: must be an integer from 0 to 63",
        "7: sipp.domain: unknown key; the nearest known key is sip.domain",
        "9: media.ports: must begin at 1024 or above",
    ];
    let mut expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
    expected.push("10: media.fast_path: must be a string, not a boolean".into());
    expected.sort();
    assert_eq!(problems, expected);
}

#[test]
fn a_section_with_a_value_is_told_how_to_be_written() {
    let problems = load_text("section", "sip = 3").unwrap_err();
    assert_eq!(problems, ["1: sip: is a section; write [sip] and its keys below"]);
}

#[test]
fn a_syntax_error_names_its_line() {
    let problems = load_text("syntax", "[node]\nname = \"a\nx = 1\n").unwrap_err();
    assert!(problems.iter().any(|problem| problem.starts_with("2: ")), "{problems:?}");
}

#[test]
fn what_this_version_does_not_serve_is_refused_and_not_ignored() {
    let text = "[hep]\ntarget = \"udp:h:9060\"\n";
    let problems = load_text("later", text).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems.iter().all(|problem| problem.contains("not available yet")), "{problems:?}");
}

#[test]
fn files_of_tls_must_be_there_and_come_together() {
    let text = "[sip]\nlisten = [\"udp:0.0.0.0:5060\", \"tls:0.0.0.0:5061\"]\n\
                nameserver = \"dns\"\n\
                tls = { certificate = \"/dev/null\", client_ca = \"no/such/file\" }\n\
                [admin.tls]\nkey = \"/dev/null\"\n";
    let problems = load_text("tls", text).unwrap_err().join("\n");
    for told in [
        "sip.tls.certificate: needs sip.tls.key too",
        "sip.tls.client_ca: no/such/file cannot be read",
        "sip.listen: a tls: listener needs",
        "sip.nameserver: \"dns\" is no address",
        "admin.tls.key: needs admin.tls.certificate too",
    ] {
        assert!(problems.contains(told), "{told} in:\n{problems}");
    }
    let text = "[sip]\nlisten = [\"udp:[::]:5060\", \"tcp:[::]:5060\", \"tls:[::]:5061\"]\n\
                nameserver = \"192.0.2.53\"\n\
                tls = { certificate = \"/dev/null\", key = \"/dev/null\" }\n";
    let loaded = load_text("tls-right", text).unwrap();
    assert_eq!(loaded.settings.sip.nameserver, "192.0.2.53:53".parse().ok());
    assert!(loaded.settings.sip.tls.is_some());
}

#[test]
fn without_any_udp_listener_the_settings_are_refused() {
    for list in ["[]", "[\"tcp:0.0.0.0:5060\"]"] {
        let problems = load_text("udp", &format!("[sip]\nlisten = {list}")).unwrap_err();
        assert_eq!(problems, ["2: sip.listen: must hold at least one udp: listener"]);
    }
}

#[test]
fn a_variable_overrides_the_file_and_a_flag_overrides_both() {
    let file = File::new("order", "[node]\nname = \"file\"\n[sip]\ndscp = 1\n[media]\ndscp = 1\n");
    let sources = Sources {
        file: Some(file.0.clone()),
        environment: pairs(&[
            ("TENSOU_SIP__DSCP", "2"),
            ("TENSOU_MEDIA__DSCP", "2"),
            ("TENSOU_SIP__LISTEN", "udp:127.0.0.1:1,udp:127.0.0.1:2"),
            ("TENSOU_SEED", "7"),
            ("HOME", "/root"),
        ]),
        flags: pairs(&[("media.dscp", "3")]),
        host_name: "h".into(),
    };
    let settings = load(&sources).unwrap().settings;
    assert_eq!(settings.node.name.as_str(), "file");
    assert_eq!(settings.sip.dscp, Dscp::new(2));
    assert_eq!(settings.media.dscp, Dscp::new(3));
    assert_eq!(settings.sip.listen.len(), 2);
}

#[test]
fn a_mistyped_variable_is_an_error_that_names_it() {
    let file = File::new("var", "");
    let sources = Sources {
        file: Some(file.0.clone()),
        environment: pairs(&[("TENSOU_SIP__LISTN", "udp:127.0.0.1:1")]),
        ..Sources::default()
    };
    let problems = load(&sources).unwrap_err();
    let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let expected = "TENSOU_SIP__LISTN: sip.listn: unknown key; the nearest known key is sip.listen";
    assert_eq!(text, [expected]);
}

#[test]
fn a_named_file_must_exist() {
    let sources = Sources { file: Some("/nonexistent/tensou.toml".into()), ..Sources::default() };
    let problems = load(&sources).unwrap_err();
    assert!(problems[0].to_string().starts_with("/nonexistent/tensou.toml: cannot be read"));
}
