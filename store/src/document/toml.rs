//! TOML into nodes.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::node::{Entry, Node, SyntaxError, Value};

/// Reads a text; every syntax error it has when it has any.
pub(super) fn parse(text: &str) -> Result<Node, Vec<SyntaxError>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        let span = table.span();
        return Ok(Node { value: Value::Table(entries(text, table.get_ref())), span });
    }
    let syntax = |error: toml::de::Error| SyntaxError {
        at: error.span().map_or(0, |span| span.start),
        message: error.message().to_owned(),
    };
    Err(errors.into_iter().map(syntax).collect())
}

fn entries(text: &str, table: &DeTable<'_>) -> Vec<Entry> {
    let entry = |(key, value): (&Spanned<std::borrow::Cow<'_, str>>, &Spanned<DeValue<'_>>)| {
        Entry { key: key.get_ref().to_string(), key_span: key.span(), node: node(text, value) }
    };
    table.iter().map(entry).collect()
}

fn node(text: &str, from: &Spanned<DeValue<'_>>) -> Node {
    let span = from.span();
    let value = match from.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(digits) => {
            Value::Integer(i64::from_str_radix(digits.as_str(), digits.radix()).ok())
        }
        DeValue::Float(_) => Value::Fraction,
        DeValue::Boolean(flag) => Value::Flag(*flag),
        // Days and times may stand without quotes; as typed, since 9:00 is not 09:00:00.
        DeValue::Datetime(_) => Value::Text(text.get(span.clone()).unwrap_or_default().to_owned()),
        DeValue::Array(items) => Value::List(items.iter().map(|item| node(text, item)).collect()),
        DeValue::Table(table) => Value::Table(entries(text, table)),
    };
    Node { value, span }
}
