//! Provisioning documents as text: TOML and JSON.

mod check;
mod json;
mod node;
mod toml;

pub use check::{DocumentError, locate, parse_document};

use crate::error::StoreError;
use crate::model::Document;

/// How a document is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// TOML, for people.
    Toml,
    /// JSON, for programs.
    Json,
}

impl Format {
    /// The format of a file by the end of its name; TOML unless it is `.json`.
    pub fn of_file_name(name: &str) -> Format {
        let json = name.rsplit_once('.').is_some_and(|(_, end)| end.eq_ignore_ascii_case("json"));
        if json { Format::Json } else { Format::Toml }
    }
}

/// Writes a document as text that [`parse_document`] reads back as the same document.
///
/// # Errors
/// [`StoreError::Corrupt`] when the document holds what the format cannot express.
pub fn render_document(document: &Document, format: Format) -> Result<String, StoreError> {
    match format {
        Format::Toml => ::toml::to_string_pretty(document)
            .map_err(|error| StoreError::Corrupt(error.to_string())),
        Format::Json => serde_json::to_string_pretty(document)
            .map(|text| text + "\n")
            .map_err(|error| StoreError::Corrupt(error.to_string())),
    }
}

#[cfg(test)]
mod tests;
