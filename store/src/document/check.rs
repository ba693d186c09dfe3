//! A text against the shape of a document: every mistake, each at its line.

use serde_json::{Map, Value as Json};
use tensou_engine::plan::parse_e164;
use tensou_engine::route::Fault;

use super::node::{Node, Value, place};
use super::{Format, json, toml};
use crate::model::Document;
use crate::nearest::nearest;
use crate::shape::{DOCUMENT, Field, Kind, Presence};

/// More mistakes than a person reads at once help nobody.
const MAX_ERRORS: usize = 200;

/// A mistake in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentError {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// Field, `groups[0].members[1].ring`; empty for the text as a whole.
    pub path: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl std::fmt::Display for DocumentError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: ", self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// Reads a document.
///
/// # Errors
/// Every mistake of the text, in the order of its lines: syntax alone when it has such errors,
/// else unknown, missing and mistyped fields.
pub fn parse_document(text: &str, format: Format) -> Result<Document, Vec<DocumentError>> {
    let root = match parse(text, format) {
        Ok(root) => root,
        Err(errors) => {
            let mistake = |(at, message)| Mistake { at, path: String::new(), message };
            return Err(placed(text, errors.into_iter().map(mistake).collect()));
        }
    };
    let mut check = Check { mistakes: Vec::new() };
    let json = check.table(&root, DOCUMENT, "");
    if check.mistakes.is_empty() {
        match serde_json::from_value(json) {
            Ok(document) => return Ok(document),
            Err(error) => check.add(0, "", error.to_string()),
        }
    }
    Err(placed(text, check.mistakes))
}

/// Lines are counted for what is shown only: counting costs the length of the text.
fn placed(text: &str, mut mistakes: Vec<Mistake>) -> Vec<DocumentError> {
    mistakes.sort_by_key(|mistake| mistake.at);
    mistakes.truncate(MAX_ERRORS);
    let error = |Mistake { at, path, message }| {
        let (line, column) = place(text, at);
        DocumentError { line, column, path, message }
    };
    mistakes.into_iter().map(error).collect()
}

/// The line and column in a document of what a fault speaks of: the field, or the nearest
/// thing around it that stands in the text. None when the row is not in the document.
pub fn locate(text: &str, format: Format, fault: &Fault) -> Option<(usize, usize)> {
    let root = parse(text, format).ok()?;
    let (list, fields) = DOCUMENT.iter().find_map(|field| match field.kind {
        Kind::List(Kind::Table(fields)) if field.name.strip_suffix('s') == Some(fault.kind) => {
            Some((field.name, *fields))
        }
        _ => None,
    })?;
    let id = fields.first()?;
    let rows = root.entry(list)?.node.items();
    let mut rows = rows.iter().filter(|row| {
        let key = row.entry(id.name).and_then(|entry| entry.node.text());
        key.is_some_and(|key| same_id(id, key, &fault.key))
    });
    let mut row = rows.next()?;
    // "stands twice" speaks of the second.
    if fault.field == id.name
        && let Some(second) = rows.next()
    {
        row = second;
    }
    Some(place(text, descend(row, &fault.field)))
}

fn parse(text: &str, format: Format) -> Result<Node, Vec<(usize, String)>> {
    let parsed = match format {
        Format::Toml => toml::parse(text),
        Format::Json => json::parse(text),
    };
    parsed.map_err(|errors| errors.into_iter().map(|it| (it.at, it.message)).collect())
}

fn same_id(id: &Field, written: &str, stored: &str) -> bool {
    match (id.kind, parse_e164(written)) {
        (Kind::Number, Ok(number)) => number.to_string() == stored,
        _ => written == stored,
    }
}

/// Follows `members[1].ring` as far as the text goes and returns where that stands.
fn descend(row: &Node, path: &str) -> usize {
    let mut node = row;
    let mut at = row.span.start;
    for step in path.split('.') {
        let (name, index) = match step.split_once('[') {
            Some((name, index)) => (name, index.trim_end_matches(']').parse::<usize>().ok()),
            None => (step, None),
        };
        let Some(entry) = node.entry(name) else { return at };
        node = &entry.node;
        at = entry.key_span.start;
        let Some(index) = index else { continue };
        let Some(item) = node.items().get(index) else { return at };
        node = item;
        at = item.span.start;
    }
    at
}

struct Mistake {
    /// Byte of the text.
    at: usize,
    path: String,
    message: String,
}

struct Check {
    mistakes: Vec<Mistake>,
}

impl Check {
    fn add(&mut self, at: usize, path: &str, message: String) {
        self.mistakes.push(Mistake { at, path: path.to_owned(), message });
    }

    fn table(&mut self, node: &Node, fields: &[Field], path: &str) -> Json {
        let Value::Table(entries) = &node.value else {
            self.wrong(node, "a table", path);
            return Json::Null;
        };
        let mut object = Map::new();
        for entry in entries {
            let path = join(path, &entry.key);
            match fields.iter().find(|field| field.name == entry.key) {
                Some(field) => {
                    let value = self.field(&entry.node, field, &path);
                    object.insert(entry.key.clone(), value);
                }
                None => self.add(entry.key_span.start, &path, unknown(&entry.key, fields)),
            }
        }
        for field in fields.iter().filter(|field| field.presence == Presence::Required) {
            if !entries.iter().any(|entry| entry.key == field.name) {
                self.add(node.span.start, path, format!("the field {} is missing", field.name));
            }
        }
        Json::Object(object)
    }

    fn field(&mut self, node: &Node, field: &Field, path: &str) -> Json {
        match node.value {
            Value::Null if field.nullable() => Json::Null,
            _ => self.value(node, field.kind, path),
        }
    }

    fn value(&mut self, node: &Node, kind: Kind, path: &str) -> Json {
        match (kind, &node.value) {
            (Kind::Text | Kind::Number | Kind::TextOrTable(_), Value::Text(text)) => {
                Json::from(text.as_str())
            }
            (Kind::Flag, Value::Flag(flag)) => Json::from(*flag),
            (Kind::Integer(max), Value::Integer(number)) => {
                match number.and_then(|number| u32::try_from(number).ok()) {
                    Some(number) if number <= max => Json::from(number),
                    _ => {
                        self.add(node.span.start, path, format!("expected 0 to {max}"));
                        Json::Null
                    }
                }
            }
            (Kind::List(of), Value::List(items)) => {
                let items = items.iter().enumerate();
                items.map(|(at, item)| self.value(item, *of, &format!("{path}[{at}]"))).collect()
            }
            (Kind::Table(fields) | Kind::TextOrTable(fields), Value::Table(_)) => {
                self.table(node, fields, path)
            }
            (kind, _) => {
                self.wrong(node, expected(kind), path);
                Json::Null
            }
        }
    }

    fn wrong(&mut self, node: &Node, expected: &str, path: &str) {
        let found = node.value.noun();
        self.add(node.span.start, path, format!("expected {expected}, found {found}"));
    }
}

fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "a text in quotes",
        Kind::Number => "a telephone number in quotes",
        Kind::Integer(_) => "a whole number",
        Kind::Flag => "true or false",
        Kind::List(Kind::Table(_)) => "a list of tables",
        Kind::List(_) => "a list",
        Kind::Table(_) => "a table",
        Kind::TextOrTable(_) => "a text in quotes or a table",
    }
}

fn unknown(key: &str, fields: &[Field]) -> String {
    let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
    match nearest(key, &names) {
        Some(name) => format!("unknown field {key}; did you mean {name}?"),
        None => format!("unknown field {key}; possible are {}", names.join(", ")),
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
