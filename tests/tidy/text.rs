//! Length, unfinished places, timer constants, unsafe code, and words that do not belong here.

use crate::sources::{Source, all, assert_none, rust};

const MOST_LINES: usize = 500;

/// Files that may hold unsafe code, and why.
const UNSAFE: &[(&str, &str)] = &[
    ("src/sys.rs", "recvmmsg, sendmmsg, epoll, eventfd and socket options"),
    ("src/sys/handed.rs", "descriptors that a process is started with"),
    ("src/sys/pages.rs", "memory that is a file"),
    ("media/src/io/", "the same for the relay's sockets"),
    ("loadtest/src/", "the same for the load generator, and reading /proc of children"),
];

fn too_long(files: &[Source]) -> Vec<String> {
    let lines = |file: &Source| file.text.lines().count();
    let long = files.iter().filter(|file| lines(file) > MOST_LINES);
    long.map(|file| format!("{}: {} lines", file.path, lines(file))).collect()
}

#[test]
fn no_file_is_longer_than_five_hundred_lines() {
    assert_none("split by phase or policy", &too_long(&rust("")));
    let long = Source::new("a.rs", &"x\n".repeat(501));
    let short = Source::new("b.rs", &"x\n".repeat(500));
    assert_eq!(too_long(&[long, short]), ["a.rs: 501 lines"]);
}

fn unfinished(files: &[Source]) -> Vec<String> {
    let marks = ["TODO", "FIXME", "XXX", "todo!(", "unimplemented!(", "#[ignore", "#[allow("];
    let mut offences = Vec::new();
    for file in files.iter().filter(|file| !file.path.starts_with("tests/tidy")) {
        for (number, line) in (1..).zip(file.text.lines()) {
            for mark in marks.iter().filter(|mark| line.contains(**mark)) {
                offences.push(format!("{}:{number}: {mark}", file.path));
            }
        }
    }
    offences
}

#[test]
fn nothing_is_left_unfinished_or_silenced() {
    assert_none("finish it or drop it", &unfinished(&rust("")));
    let file = Source::new("a.rs", "fn a() {}\n// TODO b\n#[allow(dead_code)]\n");
    assert_eq!(unfinished(&[file]), ["a.rs:2: TODO", "a.rs:3: #[allow("]);
}

/// Constants of type `Duration` whose doc comment names no RFC.
fn timers_without_rfc(files: &[Source]) -> Vec<String> {
    let mut offences = Vec::new();
    for file in files {
        let mut comment = String::new();
        for (number, line) in file.product_lines() {
            let line = line.trim_start();
            if let Some(text) = line.strip_prefix("///") {
                comment.push_str(text);
            } else if !line.starts_with("#[") {
                let constant = line.contains("const ") && line.contains(": Duration");
                if constant && !comment.contains("RFC") {
                    offences.push(format!("{}:{number}: {line}", file.path));
                }
                comment.clear();
            }
        }
    }
    offences
}

#[test]
fn every_timer_constant_of_the_sip_layers_names_its_rfc() {
    let files = rust("engine/src/sip/");
    assert!(!files.is_empty());
    assert_none("write /// RFC … section above it", &timers_without_rfc(&files));
    let text = "/// RFC 3261 17.1.1.1.\nconst T1: Duration = X;\n\
                /// How long.\npub const MAX: Duration = X;\nconst N: u8 = 1;\n";
    let offences = timers_without_rfc(&[Source::new("a.rs", text)]);
    assert_eq!(offences, ["a.rs:4: pub const MAX: Duration = X;"]);
}

fn unsafe_elsewhere(files: &[Source]) -> Vec<String> {
    let allowed = |path: &str| UNSAFE.iter().any(|(place, _)| path.starts_with(place));
    let mut offences = Vec::new();
    for file in files.iter().filter(|file| !allowed(&file.path)) {
        for (number, line) in file.code_lines() {
            let words = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"];
            if words.iter().any(|word| line.contains(word)) {
                offences.push(format!("{}:{number}", file.path));
            }
        }
    }
    offences
}

#[test]
fn unsafe_code_stands_only_where_system_calls_are_made() {
    let files = all(&[".rs"]).into_iter().filter(|file| !file.path.starts_with("tests/tidy"));
    assert_none(
        "system calls belong into one module",
        &unsafe_elsewhere(&files.collect::<Vec<_>>()),
    );
    let offending = Source::new("store/src/a.rs", "// unsafe {\nfn a() { unsafe { b() } }\n");
    let allowed = Source::new("src/sys.rs", "fn a() { unsafe { b() } }\n");
    assert_eq!(unsafe_elsewhere(&[offending, allowed]), ["store/src/a.rs:2"]);
}

/// Mentions of places that a reader of this repository does not have.
fn outside(files: &[Source]) -> Vec<String> {
    let places = [
        concat!("/wor", "k/"),
        concat!("../sha", "red"),
        concat!("/ro", "ot/"),
        concat!("contr", "act.md"),
        concat!("desi", "gn.md"),
        concat!("sty", "le.md"),
        concat!("sip-check", "list"),
    ];
    let mut offences = Vec::new();
    for file in files {
        for (number, line) in (1..).zip(file.text.lines()) {
            for place in places.iter().filter(|place| line.contains(**place)) {
                offences.push(format!("{}:{number}: {place}", file.path));
            }
        }
    }
    offences
}

#[test]
fn the_project_stands_alone() {
    let files = all(&[".rs", ".md", ".toml", ".sql", ".html", ".xml", ".sh", ".py", ".css", ".js"]);
    assert_none("a reader does not have this", &outside(&files));
    let file = Source::new("a.md", concat!("See ../sha", "red/x.\n"));
    assert_eq!(outside(&[file]).len(), 1);
}
