//! Reading a backup: all of it is verified first, then it is read again to be used.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::{Component, Path};

use flate2::read::GzDecoder;

use super::{FORMAT, MANIFEST, MAX_ENTRY, Manifest, digest};

/// A verified backup.
pub(crate) struct Archive {
    file: File,
    manifest: Manifest,
}

impl Archive {
    /// Opens a backup and compares every byte of it with its manifest.
    ///
    /// # Errors
    /// A text for people: it cannot be read, is no backup, is damaged, or of a newer version.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path)?;
        let (mut found, mut manifest) = (BTreeMap::new(), None);
        for entry in entries(&file)? {
            let (name, content) = entry.map_err(|error| anyhow::anyhow!("damaged: {error}"))?;
            if name == MANIFEST {
                manifest = Some(content);
            } else if found.insert(name.clone(), (content.len() as u64, digest(&content))).is_some()
            {
                anyhow::bail!("damaged: {name} stands in it twice");
            }
        }
        let Some(manifest) = manifest else {
            anyhow::bail!("no backup, or cut off: it has no {MANIFEST}");
        };
        let version: Version = serde_json::from_slice(&manifest)
            .map_err(|error| anyhow::anyhow!("{MANIFEST}: {error}"))?;
        if version.format > FORMAT {
            let format = version.format;
            anyhow::bail!("made by a newer version: its format is {format}, this reads {FORMAT}");
        }
        let manifest: Manifest = serde_json::from_slice(&manifest)
            .map_err(|error| anyhow::anyhow!("{MANIFEST}: {error}"))?;
        for entry in &manifest.entries {
            match found.remove(&entry.name) {
                None => anyhow::bail!("damaged: {} is missing", entry.name),
                Some(is) if is != (entry.bytes, entry.sha256.clone()) => {
                    anyhow::bail!("damaged: {} is not what was written", entry.name)
                }
                Some(_) => {}
            }
        }
        if let Some(name) = found.keys().next() {
            anyhow::bail!("damaged: {name} is not in its manifest");
        }
        Ok(Archive { file, manifest })
    }

    /// What it is and holds.
    pub(crate) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Name and content of every entry but the manifest, in their order.
    pub(crate) fn entries(
        &self,
    ) -> io::Result<impl Iterator<Item = io::Result<(String, Vec<u8>)>> + '_> {
        let all = entries(&self.file)?;
        Ok(all.filter(|entry| !matches!(entry, Ok((name, _)) if name == MANIFEST)))
    }
}

/// What every version of the manifest has.
#[derive(serde::Deserialize)]
struct Version {
    format: u32,
}

fn entries(file: &File) -> io::Result<impl Iterator<Item = io::Result<(String, Vec<u8>)>> + '_> {
    let mut from = file;
    from.rewind()?;
    let unpacked = GzDecoder::new(BufReader::new(from));
    let mut source = Source { tar: unpacked, over: false };
    Ok(std::iter::from_fn(move || source.next()))
}

/// The entries one after the other. What `tar` would borrow from its archive is read here at once.
struct Source<R> {
    tar: R,
    over: bool,
}

impl<R: Read> Source<R> {
    fn next(&mut self) -> Option<io::Result<(String, Vec<u8>)>> {
        if self.over {
            return None;
        }
        let read = self.read();
        self.over = !matches!(read, Ok(Some(_)));
        read.transpose()
    }

    fn read(&mut self) -> io::Result<Option<(String, Vec<u8>)>> {
        let mut long = None;
        loop {
            let mut header = tar::Header::new_gnu();
            self.tar.read_exact(header.as_mut_bytes())?;
            if header.as_bytes().iter().all(|byte| *byte == 0) {
                // The end; what unpacks it checks its own sum there.
                io::copy(&mut self.tar, &mut io::sink())?;
                return Ok(None);
            }
            check_sum(&header)?;
            let content = self.content(header.entry_size()?)?;
            match header.entry_type() {
                tar::EntryType::GNULongName => {
                    let text = content.split(|byte| *byte == 0).next().unwrap_or_default();
                    long = Some(String::from_utf8_lossy(text).into_owned());
                }
                tar::EntryType::Regular => {
                    let short = || String::from_utf8_lossy(&header.path_bytes()).into_owned();
                    return Ok(Some((plain(long.unwrap_or_else(short))?, content)));
                }
                _ => return Err(wrong("an entry that no backup has")),
            }
        }
    }

    fn content(&mut self, bytes: u64) -> io::Result<Vec<u8>> {
        if bytes > MAX_ENTRY {
            return Err(wrong("an entry longer than any"));
        }
        // Memory grows with what is there, not with what is announced.
        let mut content = Vec::new();
        (&mut self.tar).take(bytes).read_to_end(&mut content)?;
        if content.len() as u64 != bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let padding = (512 - bytes % 512) % 512;
        let padded = io::copy(&mut (&mut self.tar).take(padding), &mut io::sink())?;
        if padded == padding { Ok(content) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

fn check_sum(header: &tar::Header) -> io::Result<()> {
    let mut counted = header.clone();
    counted.set_cksum();
    if counted.cksum()? == header.cksum()? {
        Ok(())
    } else {
        Err(wrong("a header with a wrong sum"))
    }
}

/// A name that stays within the folder it is put into.
fn plain(name: String) -> io::Result<String> {
    let inside = Path::new(&name).components().all(|part| matches!(part, Component::Normal(_)));
    if inside && !name.is_empty() { Ok(name) } else { Err(wrong("a name that leads elsewhere")) }
}

fn wrong(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
