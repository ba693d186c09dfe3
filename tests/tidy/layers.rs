//! Which crate and which module may know which.

use crate::sources::{Source, all, assert_none, rust};

/// Crates of the workspace and those of it that each may depend on.
const CRATES: &[(&str, &[&str])] = &[
    ("engine", &[]),
    ("media", &[]),
    ("config", &[]),
    ("loadtest", &[]),
    ("store", &["engine"]),
    ("admin", &["store", "engine"]),
];

/// Dependencies of the pure crates: nothing that has a clock, a socket or a runtime, and no serde.
const PURE: &[(&str, &[&str])] = &[
    ("engine", &["memchr", "md-5", "sha2", "subtle", "thiserror"]),
    ("media", &["libc", "rtrb", "thiserror"]),
];

/// Layers of the engine from the bottom up; a module may know its own layer and those below.
/// What is not listed is a value or a tool that every layer may know.
const ENGINE: &[(&str, u8)] = &[
    ("sip::syntax", 1),
    ("sdp", 1),
    ("plan", 1),
    ("sip::transport", 2),
    ("sip::transaction", 3),
    ("sip::dialog", 4),
    ("route", 5),
    ("register", 6),
    ("hunt", 6),
    ("ivr", 6),
    ("core", 7),
    ("trunk", 7),
    ("call", 8),
    ("phones", 9),
    ("trunks", 9),
    ("requests", 9),
    ("engine", 9),
];

/// Dependencies named in the sections of a Cargo.toml.
fn dependencies(manifest: &str, sections: &[&str]) -> Vec<String> {
    let table: toml::Table = manifest.parse().expect("a Cargo.toml");
    let named = sections.iter().filter_map(|section| table.get(*section)?.as_table());
    named.flat_map(|section| section.keys().cloned()).collect()
}

fn foreign_crates(manifests: &[Source], files: &[Source]) -> Vec<String> {
    let mut offences = Vec::new();
    for (name, allowed) in CRATES {
        let may = |other: &str| other == *name || allowed.contains(&other);
        let manifest = format!("{name}/Cargo.toml");
        for source in manifests.iter().filter(|source| source.path == manifest) {
            for dependency in dependencies(&source.text, &["dependencies"]) {
                if dependency.strip_prefix("tensou-").is_some_and(|other| !may(other)) {
                    offences.push(format!("{manifest}: {dependency}"));
                }
            }
        }
        let folder = format!("{name}/src/");
        for source in files.iter().filter(|source| source.path.starts_with(&folder)) {
            for (number, line) in source.code_lines() {
                for (_, other) in
                    line.match_indices("tensou_").map(|(at, _)| line.split_at(at + "tensou_".len()))
                {
                    let end = other.find(|ch: char| !ch.is_alphanumeric()).unwrap_or(other.len());
                    let (crate_name, rest) = other.split_at(end);
                    if rest.starts_with("::") && !may(crate_name) {
                        offences.push(format!("{}:{number}: tensou_{crate_name}", source.path));
                    }
                }
            }
        }
    }
    offences
}

fn impure(manifests: &[Source]) -> Vec<String> {
    let mut offences = Vec::new();
    for (name, allowed) in PURE {
        let manifest = format!("{name}/Cargo.toml");
        for source in manifests.iter().filter(|source| source.path == manifest) {
            for dependency in dependencies(&source.text, &["dependencies"]) {
                if !allowed.contains(&dependency.as_str()) {
                    offences.push(format!("{manifest}: {dependency}"));
                }
            }
        }
    }
    offences
}

#[test]
fn crates_depend_one_way() {
    let manifests = all(&["Cargo.toml"]);
    assert!(CRATES.iter().all(|(name, _)| {
        manifests.iter().any(|source| source.path == format!("{name}/Cargo.toml"))
    }));
    assert_none("dependencies point one way", &foreign_crates(&manifests, &rust("")));
    let manifest = Source::new("store/Cargo.toml", "[dependencies]\ntensou-admin = \"1\"\n");
    let file = Source::new("media/src/a.rs", "use tensou_engine::Key;\nuse tensou_media::X;\n");
    let expected = ["media/src/a.rs:1: tensou_engine", "store/Cargo.toml: tensou-admin"];
    assert_eq!(foreign_crates(&[manifest], &[file]), expected);
}

#[test]
fn the_pure_crates_stay_pure() {
    assert_none("no runtime, no serde in here", &impure(&all(&["Cargo.toml"])));
    let manifest =
        Source::new("engine/Cargo.toml", "[dependencies]\nmemchr = \"2\"\ntokio = \"1\"\n");
    assert_eq!(impure(&[manifest]), ["engine/Cargo.toml: tokio"]);
}

#[test]
fn only_the_store_knows_sql() {
    let knows = |source: &Source| {
        let sections = ["dependencies", "dev-dependencies"];
        dependencies(&source.text, &sections).iter().any(|name| name == "sqlx")
    };
    let manifests = all(&["Cargo.toml"]);
    let others: Vec<String> = manifests
        .iter()
        .filter(|source| source.path != "Cargo.toml" && source.path != "store/Cargo.toml")
        .filter(|source| knows(source))
        .map(|source| source.path.clone())
        .collect();
    assert_none("SQL belongs into the store", &others);
    assert!(manifests.iter().any(|source| source.path == "store/Cargo.toml" && knows(source)));
}

/// The module path of a file of the engine: `engine/src/sip/syntax/via.rs` is `sip::syntax::via`.
fn module(path: &str) -> Vec<String> {
    let inner = path.trim_start_matches("engine/src/").trim_end_matches(".rs");
    inner.split('/').filter(|part| *part != "mod" && *part != "lib").map(str::to_owned).collect()
}

/// The layer of a module path, if it has one.
fn layer(module: &[String]) -> Option<u8> {
    let path = module.join("::");
    let within = |prefix: &str| {
        path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    ENGINE.iter().find(|(prefix, _)| within(prefix)).map(|(_, layer)| *layer)
}

/// The paths of a use tree: `a::{b, c::{d, e}}` is `a::b`, `a::c::d`, `a::c::e`.
fn branches(tree: &str) -> Vec<String> {
    let Some((stem, rest)) = tree.split_once('{') else { return vec![tree.to_owned()] };
    let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
    let mut depth = 0;
    let items = inner.split(|ch: char| {
        depth += i32::from(ch == '{') - i32::from(ch == '}');
        ch == ',' && depth == 0
    });
    let paths = items.flat_map(|item| branches(item.trim()));
    paths.map(|path| format!("{}{path}", stem.trim())).collect()
}

/// Statements with the number of their first line; a `use` over several lines is one.
fn statements(file: &Source) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (number, line) in file.code_lines() {
        match found.last_mut().filter(|_| open) {
            Some((_, text)) => text.push_str(line.trim()),
            None => found.push((number, line.trim().to_owned())),
        }
        let text = found.last().map_or("", |(_, text)| text.as_str());
        open = text.trim_start_matches("pub ").starts_with("use ") && !text.ends_with(';');
    }
    found
}

/// Module paths from the crate's root that a statement names by `crate::` or `super::`.
fn named(own: &[String], statement: &str) -> Vec<Vec<String>> {
    let path_char = |ch: char| ch.is_alphanumeric() || ch == '_' || ch == ':';
    let is_use = statement.trim_start_matches("pub ").starts_with("use ");
    let trees = if is_use { branches(statement) } else { vec![statement.to_owned()] };
    let paths = trees.iter().flat_map(|tree| tree.split(|ch| !path_char(ch)));
    let resolved = paths.filter_map(|path| {
        let mut parts = path.split("::").filter(|part| !part.is_empty()).peekable();
        let mut base: Vec<String> = match *parts.peek()? {
            "crate" => Vec::new(),
            "super" => own.to_vec(),
            _ => return None,
        };
        for part in parts {
            match part {
                "crate" => {}
                "super" => {
                    base.pop();
                }
                name => base.push(name.to_owned()),
            }
        }
        Some(base)
    });
    resolved.collect()
}

fn upward(files: &[Source]) -> Vec<String> {
    let mut offences = Vec::new();
    for file in files {
        let own = module(&file.path);
        let Some(mine) = layer(&own) else { continue };
        for (number, statement) in statements(file) {
            for other in named(&own, &statement) {
                if layer(&other).is_some_and(|theirs| theirs > mine) {
                    offences.push(format!("{}:{number}: {}", file.path, other.join("::")));
                }
            }
        }
    }
    offences
}

#[test]
fn the_engines_layers_know_only_those_below() {
    assert_none("a layer knows only those below", &upward(&rust("engine/src/")));
    let text = "use crate::sip::syntax::Via;\nuse crate::sip::dialog::Dialog;\n\
                use super::super::dialog;\nfn a(call: &crate::call::Call) {}\n\
                use crate::{\n    sip::{syntax::Uri, dialog::Id},\n    sdp,\n};\n";
    let offending = Source::new("engine/src/sip/transaction/timer.rs", text);
    let expected =
        [(2, "sip::dialog::Dialog"), (3, "sip::dialog"), (4, "call::Call"), (5, "sip::dialog::Id")];
    let expected = expected.map(|(line, path)| format!("{}:{line}: {path}", offending.path));
    assert_eq!(upward(&[offending]), expected);
}
