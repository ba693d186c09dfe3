//! A backup in one file: a tar of tables, prompts and the index of recordings, packed with gzip.
//! The last entry, the manifest, names every other one with its length and SHA-256, so what is
//! damaged or cut off is known before anything is touched.

mod read;
mod write;

use serde::{Deserialize, Serialize};

pub(crate) use read::Archive;
pub(crate) use write::ArchiveWriter;

/// The version of this format; a program reads its own and older ones.
pub(crate) const FORMAT: u32 = 1;
/// The manifest's name in the archive.
const MANIFEST: &str = "manifest.json";
/// Where tables are, `database/TABLE/000001.jsonl`.
pub(crate) const TABLES: &str = "database/";
/// Where prompts are.
pub(crate) const PROMPTS: &str = "prompts/";
/// The list of recordings; their audio is not in a backup.
pub(crate) const RECORDINGS: &str = "recordings.jsonl";
/// The longest entry that is read into memory: a prompt of an hour, twice over.
const MAX_ENTRY: u64 = 256 << 20;

/// What a backup is and holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// [`FORMAT`].
    pub(crate) format: u32,
    /// The program's version.
    pub(crate) version: String,
    /// The node that made it.
    pub(crate) node: String,
    /// When, RFC 3339.
    pub(crate) made_at: String,
    /// `sqlite` or `postgres`: where it comes from, not where it may go.
    pub(crate) database: String,
    /// Revision of the provisioning.
    pub(crate) revision: u64,
    /// Steps of the schema.
    pub(crate) schema: Vec<i64>,
    /// Every entry but this one.
    pub(crate) entries: Vec<Entry>,
}

/// One entry of the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Its path in the archive.
    pub(crate) name: String,
    /// Its length.
    pub(crate) bytes: u64,
    /// In hexadecimal digits.
    pub(crate) sha256: String,
    /// Rows, for a part of a table.
    pub(crate) rows: u64,
}

/// SHA-256 in hexadecimal digits.
fn digest(content: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
