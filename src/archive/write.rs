//! Writing a backup: beside its name first, and in its place once it is complete and on disk.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{Entry, MANIFEST, Manifest, digest};

/// A backup in the making. Dropped before [`ArchiveWriter::finish`] it leaves nothing.
pub(crate) struct ArchiveWriter {
    tar: Option<tar::Builder<GzEncoder<File>>>,
    entries: Vec<Entry>,
    path: PathBuf,
    unfinished: PathBuf,
}

impl ArchiveWriter {
    /// Begins a backup that nobody but its owner can read: passwords are in it.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(".unfinished");
        let unfinished = PathBuf::from(unfinished);
        // What a killed backup left is in the way of nobody.
        let _gone = std::fs::remove_file(&unfinished);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        let tar = tar::Builder::new(GzEncoder::new(file, Compression::default()));
        Ok(ArchiveWriter { tar: Some(tar), entries: Vec::new(), path: path.into(), unfinished })
    }

    /// Adds an entry; `rows` for a part of a table.
    pub(crate) fn add(&mut self, name: String, content: &[u8], rows: u64) -> io::Result<()> {
        self.append(&name, content)?;
        let bytes = content.len() as u64;
        self.entries.push(Entry { name, bytes, sha256: digest(content), rows });
        Ok(())
    }

    /// Adds the manifest, brings everything to disk, and puts it where it belongs.
    pub(crate) fn finish(mut self, mut manifest: Manifest) -> io::Result<Manifest> {
        manifest.entries = std::mem::take(&mut self.entries);
        let text = serde_json::to_vec_pretty(&manifest)?;
        self.append(MANIFEST, &text)?;
        let Some(tar) = self.tar.take() else { return Err(io::ErrorKind::NotConnected.into()) };
        let mut file = tar.into_inner()?.finish()?;
        file.flush()?;
        file.sync_all()?;
        std::fs::rename(&self.unfinished, &self.path)?;
        Ok(manifest)
    }

    fn append(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        let Some(tar) = &mut self.tar else { return Err(io::ErrorKind::NotConnected.into()) };
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        header.set_cksum();
        tar.append_data(&mut header, name, content)
    }
}

impl Drop for ArchiveWriter {
    fn drop(&mut self) {
        self.tar = None;
        // Already gone when it was finished.
        let _gone = std::fs::remove_file(&self.unfinished);
    }
}
