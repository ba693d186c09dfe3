//! From raw entries to typed values: a wrong one becomes a problem and its default stands in, so
//! that reading goes on and finds the rest.

use crate::document::{Entries, Raw};
use crate::{Origin, Problem};

/// Reads typed values and gathers what is wrong with them.
pub(crate) struct Reader<'a> {
    entries: &'a Entries,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(entries: &'a Entries, problems: &'a mut Vec<Problem>) -> Self {
        Reader { entries, problems }
    }

    /// The value of `key` read by `parse`; an empty text counts as not given.
    pub(crate) fn value<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let entry = self.entries.find(key)?;
        let text = match &entry.raw {
            Raw::Text(text) | Raw::Untyped(text) => text.trim(),
            other => {
                self.wrong_type(key, "a string", other);
                return None;
            }
        };
        if text.is_empty() {
            return None;
        }
        self.judged(key, parse(text))
    }

    /// An integer within `range`.
    pub(crate) fn integer(
        &mut self,
        key: &'static str,
        range: std::ops::RangeInclusive<i64>,
    ) -> Option<i64> {
        let entry = self.entries.find(key)?;
        let number = match &entry.raw {
            Raw::Integer(number) => Some(*number),
            Raw::Untyped(text) => text.trim().parse().ok(),
            _ => None,
        };
        let judged = match number {
            Some(number) if range.contains(&number) => Ok(number),
            _ => Err(format!("must be an integer from {} to {}", range.start(), range.end())),
        };
        self.judged(key, judged)
    }

    /// A list of texts, each read by `parse`. A single string is a list with commas.
    pub(crate) fn list<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let entry = self.entries.find(key)?;
        let texts: Vec<String> = match &entry.raw {
            Raw::List(texts) => texts.clone(),
            Raw::Text(text) | Raw::Untyped(text) => split_list(text),
            other => {
                self.wrong_type(key, "a list of strings", other);
                return None;
            }
        };
        let mut values = Vec::with_capacity(texts.len());
        for text in &texts {
            match parse(text.trim()) {
                Ok(value) => values.push(value),
                Err(message) => self.problem(key, message),
            }
        }
        Some(values)
    }

    /// Records a problem at the place where `key` was set.
    pub(crate) fn problem(&mut self, key: &'static str, message: impl Into<String>) {
        let origin = self.origin(key);
        self.problems.push(Problem { origin, key: key.to_owned(), message: message.into() });
    }

    /// Where `key` was set.
    pub(crate) fn origin(&self, key: &'static str) -> Origin {
        self.entries.find(key).map_or(Origin::Default, |entry| entry.origin.clone())
    }

    /// A setting that is named by the format but not served by this version: an error when it is
    /// set, because whoever set it relies on it.
    pub(crate) fn not_available(&mut self, key: &'static str, what: &str) {
        if self.value(key, |text| Ok(text.to_owned())).is_some() {
            self.problem(key, format!("{what} is not available yet; leave it empty"));
        }
    }

    fn judged<T>(&mut self, key: &'static str, result: Result<T, String>) -> Option<T> {
        result.map_err(|message| self.problem(key, message)).ok()
    }

    fn wrong_type(&mut self, key: &'static str, wanted: &str, raw: &Raw) {
        let found = match raw {
            Raw::Text(_) | Raw::Untyped(_) => "a string",
            Raw::Integer(_) => "an integer",
            Raw::List(_) => "a list",
            Raw::Other(name) => name,
        };
        self.problem(key, format!("must be {wanted}, not {found}"));
    }
}

/// `a, b` and `["a", "b"]` alike: variables are often written in either way.
fn split_list(text: &str) -> Vec<String> {
    let inner = text.trim();
    let inner = inner
        .strip_prefix('[')
        .filter(|rest| rest.trim_start().starts_with('"'))
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(inner);
    inner
        .split(',')
        .map(|item| item.trim().trim_matches('"').to_owned())
        .filter(|item| !item.is_empty())
        .collect()
}
