//! The files of the repository.

use std::path::{Path, PathBuf};

/// A text file with its path from the root of the repository.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    /// A made-up file, for the tests of the rules.
    pub(crate) fn new(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned() }
    }

    /// Lines with their numbers, without the tests at the file's end.
    pub(crate) fn product_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let tests = self.path.contains("/tests") || self.path.ends_with("_tests.rs");
        let end = if tests { Some(0) } else { self.text.find("#[cfg(test)]\nmod ") };
        let product = &self.text[..end.unwrap_or(self.text.len())];
        (1..).zip(product.lines())
    }

    /// Lines of code with their numbers: no comments, no tests.
    pub(crate) fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.product_lines().filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every text file of the repository whose name ends in one of `endings`, by path.
pub(crate) fn all(endings: &[&str]) -> Vec<Source> {
    let root = root();
    let mut found = Vec::new();
    visit(&root, &root, endings, &mut found);
    found.sort_by(|left, right| left.path.cmp(&right.path));
    assert!(!found.is_empty(), "no file ends in {endings:?}");
    found
}

/// The Rust files under `folder`.
pub(crate) fn rust(folder: &str) -> Vec<Source> {
    all(&[".rs"]).into_iter().filter(|file| file.path.starts_with(folder)).collect()
}

fn visit(root: &Path, folder: &Path, endings: &[&str], found: &mut Vec<Source>) {
    const SKIPPED: [&str; 7] =
        ["target", ".git", "data", "node_modules", "corpus", "artifacts", "vendor"];
    for entry in std::fs::read_dir(folder).expect("a readable folder").flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            if !SKIPPED.contains(&name.as_str()) {
                visit(root, &path, endings, found);
            }
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            let relative = path.strip_prefix(root).expect("below the root");
            let text = std::fs::read_to_string(&path).expect("a readable file");
            found.push(Source { path: relative.to_string_lossy().into_owned(), text });
        }
    }
}

/// Fails with one line per offence.
pub(crate) fn assert_none(rule: &str, offences: &[String]) {
    assert!(offences.is_empty(), "{rule}:\n{}", offences.join("\n"));
}
