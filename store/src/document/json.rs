//! JSON into nodes. The parser of values reads each element as a slice of the text, so places
//! are the slices' own.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::value::RawValue;

use super::node::{Entry, Node, SyntaxError, Value};

/// Documents nest six deep; what is deeper is no document, and recursion must end.
const MAX_DEPTH: usize = 16;

pub(super) fn parse(text: &str) -> Result<Node, Vec<SyntaxError>> {
    let raw: &RawValue = serde_json::from_str(text)
        .map_err(|error| vec![SyntaxError { at: offset(text, &error), message: reason(&error) }])?;
    node(text, raw, 0).map_err(|error| vec![error])
}

fn node(text: &str, raw: &RawValue, depth: usize) -> Result<Node, SyntaxError> {
    let slice = raw.get();
    let span = span(text, slice);
    let wrong = |message: String| SyntaxError { at: span.start, message };
    if depth > MAX_DEPTH {
        return Err(wrong("nested too deeply".into()));
    }
    let unread = |error: serde_json::Error| wrong(reason(&error));
    let value = match slice.as_bytes().first() {
        Some(b'{') => Value::Table(entries(text, slice, depth).map_err(|mut error| {
            error.at = error.at.max(span.start);
            error
        })?),
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(slice).map_err(unread)?;
            let nodes = items.into_iter().map(|item| node(text, item, depth + 1));
            Value::List(nodes.collect::<Result<_, _>>()?)
        }
        Some(b'"') => Value::Text(serde_json::from_str(slice).map_err(unread)?),
        Some(b't') => Value::Flag(true),
        Some(b'f') => Value::Flag(false),
        Some(b'n') => Value::Null,
        _ if slice.contains(['.', 'e', 'E']) => Value::Fraction,
        _ => Value::Integer(slice.parse().ok()),
    };
    Ok(Node { value, span })
}

fn entries(text: &str, slice: &str, depth: usize) -> Result<Vec<Entry>, SyntaxError> {
    let fields: Fields<'_> = serde_json::from_str(slice)
        .map_err(|error| SyntaxError { at: span(text, slice).start, message: reason(&error) })?;
    let entry = |(key, raw): (String, &RawValue)| {
        let node = node(text, raw, depth + 1)?;
        Ok(Entry { key_span: key_before(text, node.span.start), key, node })
    };
    fields.0.into_iter().map(entry).collect()
}

/// The fields of an object; a field given twice is an error, as it is in TOML.
struct Fields<'a>(BTreeMap<String, &'a RawValue>);

impl<'de> serde::Deserialize<'de> for Fields<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Self::Value, A::Error> {
                let mut fields = BTreeMap::new();
                while let Some((key, value)) = map.next_entry::<String, &'de RawValue>()? {
                    if fields.contains_key(&key) {
                        let message = format!("the field {key} is given twice");
                        return Err(serde::de::Error::custom(message));
                    }
                    fields.insert(key, value);
                }
                Ok(Fields(fields))
            }
        }

        from.deserialize_map(Visitor)
    }
}

/// The key ends at the last quote before its value.
fn key_before(text: &str, value: usize) -> Range<usize> {
    let before = text.get(..value).unwrap_or_default();
    let end = before.rfind('"').unwrap_or(value);
    let start = before.get(..end).and_then(|before| before.rfind('"')).unwrap_or(end);
    start..end
}

/// `slice` is a part of `text`: the parser borrows and never copies it.
fn span(text: &str, slice: &str) -> Range<usize> {
    let start = (slice.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    start..start + slice.len()
}

/// The parser counts lines from 1 and columns, in bytes, from 1.
fn offset(text: &str, error: &serde_json::Error) -> usize {
    let lines = text.split_inclusive('\n').take(error.line().saturating_sub(1));
    lines.map(str::len).sum::<usize>() + error.column().saturating_sub(1)
}

/// The parser's words without the place, which stands beside them in the document's own lines.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}
