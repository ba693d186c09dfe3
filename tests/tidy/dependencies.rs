//! Licences, bans and sources of the dependency tree, as `deny.toml` says.

use std::process::Command;

use serde_json::Value;

use crate::sources::{assert_none, root};

/// The rules of `deny.toml`.
#[derive(Debug, Default)]
struct Rules {
    allowed: Vec<String>,
    clarified: Vec<(String, String)>,
    banned: Vec<String>,
}

impl Rules {
    fn read(text: &str) -> Rules {
        let table: toml::Table = text.parse().expect("deny.toml is TOML");
        let texts = |value: &toml::Value, key: &str| -> Vec<String> {
            let items = value.get(key).and_then(toml::Value::as_array);
            let text = |item: &toml::Value| {
                let name = item.as_str().or_else(|| item.get("crate")?.as_str());
                name.map(str::to_owned)
            };
            items.into_iter().flatten().filter_map(text).collect()
        };
        let licenses = &table["licenses"];
        let clarify = licenses.get("clarify").and_then(toml::Value::as_array);
        let clarified = clarify.into_iter().flatten().map(|entry| {
            let text = |key: &str| entry[key].as_str().expect("a string").to_owned();
            (text("crate"), text("expression"))
        });
        Rules {
            allowed: texts(licenses, "allow"),
            clarified: clarified.collect(),
            banned: texts(&table["bans"], "deny"),
        }
    }

    /// What is wrong with one package of `cargo metadata`.
    fn judge(&self, package: &Value) -> Option<String> {
        let text = |key: &str| package[key].as_str().unwrap_or_default();
        let name = text("name");
        if self.banned.iter().any(|banned| banned == name) {
            return Some(format!("{name} is banned"));
        }
        let source = text("source");
        let from_registry = source.starts_with("registry+https://github.com/rust-lang/crates.io");
        if !source.is_empty() && !from_registry {
            return Some(format!("{name} comes from {source}"));
        }
        let clarified = self.clarified.iter().find(|(krate, _)| krate == name);
        let licence = clarified.map_or(text("license"), |(_, licence)| licence);
        (!self.permits(licence)).then(|| format!("{name} is under {licence:?}"))
    }

    /// Whether an SPDX expression can be met with allowed licences. `/` is the old way to write
    /// `OR`.
    fn permits(&self, expression: &str) -> bool {
        let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
        let words: Vec<&str> = spaced.split_whitespace().collect();
        let mut rest = words.as_slice();
        !rest.is_empty() && self.either(&mut rest) && rest.is_empty()
    }

    fn either(&self, rest: &mut &[&str]) -> bool {
        let mut met = self.both(rest);
        while let [word, tail @ ..] = *rest
            && *word == "OR"
        {
            *rest = tail;
            met |= self.both(rest);
        }
        met
    }

    fn both(&self, rest: &mut &[&str]) -> bool {
        let mut met = self.one(rest);
        while let [word, tail @ ..] = *rest
            && *word == "AND"
        {
            *rest = tail;
            met &= self.one(rest);
        }
        met
    }

    fn one(&self, rest: &mut &[&str]) -> bool {
        let [word, tail @ ..] = *rest else { return false };
        *rest = tail;
        if *word == "(" {
            let met = self.either(rest);
            let [close, tail @ ..] = *rest else { return false };
            *rest = tail;
            return met && *close == ")";
        }
        let mut licence = (*word).to_owned();
        if let [with, exception, tail @ ..] = *rest
            && *with == "WITH"
        {
            licence = format!("{licence} WITH {exception}");
            *rest = tail;
        }
        self.allowed.contains(&licence)
    }
}

fn deny_toml() -> Rules {
    Rules::read(&std::fs::read_to_string(root().join("deny.toml")).expect("deny.toml"))
}

#[test]
fn every_dependency_has_an_allowed_licence_and_source_and_none_is_banned() {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--all-features"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(root())
        .output()
        .expect("cargo metadata");
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: Value = serde_json::from_slice(&metadata.stdout).expect("metadata is JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    assert!(packages.len() > 100, "only {} packages", packages.len());
    let rules = deny_toml();
    let offences: Vec<String> = packages.iter().filter_map(|it| rules.judge(it)).collect();
    assert_none("deny.toml says what may come in", &offences);
}

#[test]
fn a_foreign_licence_a_ban_and_a_strange_source_are_found() {
    let rules = Rules {
        allowed: vec!["MIT".into(), "BSD-3-Clause".into()],
        clarified: vec![("silent".into(), "MIT".into())],
        banned: vec!["openssl".into()],
    };
    for (licence, good) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("MIT AND GPL-3.0", false),
        ("(GPL-3.0 OR MIT) AND BSD-3-Clause", true),
        ("MIT WITH strange-exception", false),
        ("", false),
    ] {
        assert_eq!(rules.permits(licence), good, "{licence}");
    }
    let judge = |json: &str| rules.judge(&serde_json::from_str(json).unwrap()).is_some();
    assert!(judge(r#"{"name":"openssl","license":"MIT"}"#));
    assert!(judge(r#"{"name":"a","license":"MIT","source":"git+https://example.com/a"}"#));
    assert!(judge(r#"{"name":"a","license":null}"#));
    assert!(!judge(r#"{"name":"silent","license":null}"#));
    assert!(!judge(r#"{"name":"tensou","license":"MIT","source":null}"#));
}
