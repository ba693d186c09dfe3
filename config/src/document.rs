//! The raw document: one value per `section.key`, with the place it came from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::nearest::{KNOWN, is_section, nearest};
use crate::{DEFAULT_FILE, Origin, Problem, Sources};

/// A file larger than this is no configuration; reading it would only waste memory.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// A value before anybody has judged it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Raw {
    /// A TOML string.
    Text(String),
    /// A TOML integer.
    Integer(i64),
    /// A TOML array of strings.
    List(Vec<String>),
    /// A variable's or flag's text, which stands for whatever type the key has.
    Untyped(String),
    /// A TOML type that no key has, by its name.
    Other(&'static str),
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) raw: Raw,
    pub(crate) origin: Origin,
}

/// All values that were given, the later source over the earlier.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    by_key: BTreeMap<&'static str, Entry>,
    /// The file that was read.
    pub(crate) file: Option<PathBuf>,
}

impl Entries {
    /// Reads file, environment and flags; what is wrong goes to `problems`.
    pub(crate) fn collect(sources: &Sources, problems: &mut Vec<Problem>) -> Entries {
        let mut entries = Entries::default();
        let (path, named) = match &sources.file {
            Some(path) => (path.clone(), true),
            None => (PathBuf::from(DEFAULT_FILE), false),
        };
        match read_file(&path) {
            Ok(text) => {
                entries.add_file(&path, &text, problems);
                entries.file = Some(path);
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !named => {}
            Err(error) => problems.push(Problem {
                origin: Origin::File { path, line: 0 },
                key: String::new(),
                message: format!("cannot be read: {error}"),
            }),
        }
        let mut environment = sources.environment.clone();
        environment.sort();
        for (name, value) in environment {
            let Some(path) = name.strip_prefix("TENSOU_") else { continue };
            if path.contains("__") {
                let key = path.to_lowercase().replace("__", ".");
                let origin = Origin::Environment(name.clone());
                entries.add(&key, Raw::Untyped(value), origin, problems);
            }
        }
        for (key, value) in &sources.flags {
            entries.add(key, Raw::Untyped(value.clone()), Origin::Flag, problems);
        }
        entries
    }

    pub(crate) fn find(&self, key: &str) -> Option<&Entry> {
        self.by_key.get(key)
    }

    fn add(&mut self, key: &str, raw: Raw, origin: Origin, problems: &mut Vec<Problem>) {
        if let Some(known) = KNOWN.iter().find(|known| **known == key) {
            self.by_key.insert(known, Entry { raw, origin });
            return;
        }
        let message = if is_section(key) {
            format!("is a section; write [{key}] and its keys below")
        } else {
            format!("unknown key; the nearest known key is {}", nearest(key))
        };
        problems.push(Problem { origin, key: key.to_owned(), message });
    }

    fn add_file(&mut self, path: &Path, text: &str, problems: &mut Vec<Problem>) {
        let place = |at: usize| Origin::File { path: path.to_owned(), line: line_of(text, at) };
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            problems.push(Problem {
                origin: place(error.span().map_or(0, |span| span.start)),
                key: String::new(),
                message: error.message().to_owned(),
            });
        }
        if errors.is_empty() {
            self.add_table("", table.get_ref(), &place, problems);
        }
    }

    fn add_table(
        &mut self,
        prefix: &str,
        table: &DeTable<'_>,
        place: &dyn Fn(usize) -> Origin,
        problems: &mut Vec<Problem>,
    ) {
        for (name, value) in table.iter() {
            let key = match prefix {
                "" => name.get_ref().to_string(),
                _ => format!("{prefix}.{}", name.get_ref()),
            };
            match value.get_ref() {
                DeValue::Table(inner) if !inner.is_empty() && !KNOWN.contains(&key.as_str()) => {
                    self.add_table(&key, inner, place, problems);
                }
                DeValue::Table(inner) if inner.is_empty() && is_section(&key) => {}
                _ => self.add(&key, raw(value), place(name.span().start), problems),
            }
        }
    }
}

fn read_file(path: &Path) -> std::io::Result<String> {
    let length = std::fs::metadata(path)?.len();
    if length > MAX_FILE_BYTES {
        return Err(std::io::Error::other(format!("it is larger than {MAX_FILE_BYTES} bytes")));
    }
    std::fs::read_to_string(path)
}

fn line_of(text: &str, at: usize) -> usize {
    let before = text.as_bytes().get(..at).unwrap_or(text.as_bytes());
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

fn raw(value: &Spanned<DeValue<'_>>) -> Raw {
    match value.get_ref() {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Integer(number) => {
            let digits = number.as_str().replace('_', "");
            let radix = number.radix();
            i64::from_str_radix(&digits, radix).map_or(Raw::Other("a huge integer"), Raw::Integer)
        }
        DeValue::Array(items) => {
            let texts = items.iter().map(|item| item.get_ref().as_str().map(str::to_owned));
            texts.collect::<Option<Vec<_>>>().map_or(Raw::Other("a mixed array"), Raw::List)
        }
        DeValue::Float(_) => Raw::Other("a float"),
        DeValue::Boolean(_) => Raw::Other("a boolean"),
        DeValue::Datetime(_) => Raw::Other("a date"),
        DeValue::Table(_) => Raw::Other("a table"),
    }
}
