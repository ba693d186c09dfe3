//! `docs/conformance.md`: every promise to a peer names the test that holds it.

use std::collections::{BTreeMap, BTreeSet};

use crate::sources::{Source, all, assert_none, root};

/// The page, from the root of the repository.
const PAGE: &str = "docs/conformance.md";

/// Lines of signalling and media, of trunks, and of security: a number that is missing is a
/// promise that nobody keeps.
fn expected() -> impl Iterator<Item = String> {
    let signalling = (1..=110).map(|number| number.to_string());
    let trunks = (1..=14).map(|number| format!("T{number}"));
    signalling.chain(trunks).chain((1..=34).map(|number| format!("S{number}")))
}

/// A line of the page: number, promise, and what holds it.
fn rows(page: &str) -> impl Iterator<Item = [&str; 3]> {
    page.lines().filter_map(|line| {
        let cells = line.strip_prefix("| ")?.strip_suffix(" |")?;
        let mut cells = cells.splitn(3, " | ");
        let number = cells.next().filter(|cell| cell.ends_with(|c: char| c.is_ascii_digit()))?;
        Some([number, cells.next()?, cells.next()?])
    })
}

/// What can be named as evidence: every function of the sources, and every path.
struct Evidence<'a> {
    functions: BTreeSet<&'a str>,
    is_path: fn(&str) -> bool,
}

impl<'a> Evidence<'a> {
    fn of(sources: &'a [Source], is_path: fn(&str) -> bool) -> Self {
        let lines = sources.iter().flat_map(|source| source.text.lines());
        let functions = lines.filter_map(|line| {
            let code = line.trim_start();
            let (front, name) = code.split_once("fn ").or_else(|| code.split_once("def "))?;
            front.chars().all(|c| c.is_ascii_alphabetic() || " ()".contains(c)).then_some(())?;
            name.split(['(', '<']).next()
        });
        Evidence { functions: functions.collect(), is_path }
    }

    /// What is wrong with the evidence of a row.
    fn judge(&self, cell: &str) -> Vec<String> {
        if cell.strip_prefix("Omitted: ").is_some_and(|reason| !reason.is_empty()) {
            return Vec::new();
        }
        let named: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        if named.is_empty() {
            return vec!["names no test".to_owned()];
        }
        let there = |name: &&str| {
            name.contains('/') && (self.is_path)(name) || self.functions.contains(name)
        };
        let missing = named.iter().filter(|name| !there(name));
        missing.map(|name| format!("{name} is not there")).collect()
    }

    fn offences(&self, page: &str) -> Vec<String> {
        let mut seen = BTreeMap::new();
        let mut offences = Vec::new();
        for [number, _, cell] in rows(page) {
            *seen.entry(number.to_owned()).or_insert(0) += 1;
            let faults = self.judge(cell);
            offences.extend(faults.into_iter().map(|fault| format!("{number}: {fault}")));
        }
        for number in expected() {
            let times = seen.remove(&number).unwrap_or(0);
            if times != 1 {
                offences.push(format!("{number} stands there {times} times"));
            }
        }
        offences.extend(seen.into_keys().map(|number| format!("{number} is no line")));
        offences
    }
}

#[test]
fn every_promise_to_a_peer_names_a_test_that_is_there() {
    let page = std::fs::read_to_string(root().join(PAGE)).expect(PAGE);
    let sources = all(&[".rs", ".py"]);
    let evidence = Evidence::of(&sources, |path| root().join(path).exists());
    assert_none("docs/conformance.md names what holds each line", &evidence.offences(&page));
}

#[test]
fn a_promise_without_a_test_and_a_line_that_is_missing_are_found() {
    let sources = [Source::new("a.rs", "    pub(crate) async fn there() {}\ndef spoken(self):\n")];
    let evidence = Evidence::of(&sources, |path| path == "cases/one");
    for (cell, faults) in [
        ("`there`", 0),
        ("`spoken`, `cases/one`", 0),
        ("`gone`, `cases/two`", 2),
        ("by inspection", 1),
        ("Omitted: nobody asks for it", 0),
        ("Omitted: ", 1),
    ] {
        assert_eq!(evidence.judge(cell).len(), faults, "{cell}");
    }
    let page = "| 1 | it answers | `there` |\n| 1 | twice | `there` |\n";
    let found = evidence.offences(page);
    assert!(found.contains(&"1 stands there 2 times".to_owned()));
    assert!(found.contains(&"S34 stands there 0 times".to_owned()));
}
