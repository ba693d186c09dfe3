//! The provisioning in a file of the node's own: what a start without the database goes by.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tensou_config::Settings;
use tensou_store::{Loaded, Store};

use crate::database::Opened;
use crate::snapshot_task::{Compiled, Published};

/// The file's name within `node.data_dir`.
const NAME: &str = "provisioning.copy";
/// The first bytes of the file.
const MAGIC: &[u8; 8] = b"tensouP\n";
/// The format that is written.
const VERSION: u32 = 1;
/// Between two looks whether the provisioning has changed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Writing takes at most one part of so many of a processor, however often things change.
const SHARE: u32 = 10;

/// Where the copy is, and of which database it is.
#[derive(Clone, Debug)]
pub(crate) struct CopyFile {
    path: PathBuf,
    /// The copy is of no use for another database.
    url: String,
}

impl CopyFile {
    /// Of these settings.
    pub(crate) fn of(settings: &Settings) -> CopyFile {
        let path = settings.node.data_dir.join(NAME);
        CopyFile { path, url: settings.database.url.reveal().to_owned() }
    }

    /// What it holds; none without a file, or when that is damaged or of another database.
    pub(crate) fn read(&self) -> Option<Loaded> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::error!("{}: {error}", self.path.display());
                return None;
            }
        };
        let Some(copy) = self.open(&bytes) else {
            tracing::error!(
                "{}: damaged, of another database or of another release: it is not used",
                self.path.display()
            );
            return None;
        };
        Loaded::from_copy(copy)
            .inspect_err(|error| tracing::error!("{}: {error}", self.path.display()))
            .ok()
    }

    fn open<'b>(&self, bytes: &'b [u8]) -> Option<&'b [u8]> {
        let (version, rest) = bytes.strip_prefix(MAGIC)?.split_first_chunk::<4>()?;
        let (sum, copy) = rest.split_first_chunk::<4>()?;
        let known = u32::from_le_bytes(*version) == VERSION;
        (known && self.sum(copy) == u32::from_le_bytes(*sum)).then_some(copy)
    }

    /// Puts `copy` in the place of what is there: after a crash it is one or the other.
    fn write(&self, copy: &[u8]) -> io::Result<()> {
        let fresh = self.path.with_extension("fresh");
        // It holds passwords.
        let mut file =
            OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&fresh)?;
        file.write_all(MAGIC)?;
        file.write_all(&VERSION.to_le_bytes())?;
        file.write_all(&self.sum(copy).to_le_bytes())?;
        file.write_all(copy)?;
        file.sync_all()?;
        fs::rename(&fresh, &self.path)?;
        File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all()
    }

    fn sum(&self, copy: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(self.url.as_bytes());
        hasher.update(copy);
        hasher.finalize()
    }
}

/// Keeps the copy true to what is published.
pub(crate) struct CopyKeeper {
    pub(crate) file: CopyFile,
    pub(crate) store: Store,
    pub(crate) published: Published,
}

impl CopyKeeper {
    /// Runs until it is aborted.
    pub(crate) async fn run(self, opened: Opened) {
        opened.wait().await;
        let mut written: Option<Arc<Compiled>> = None;
        let mut failed = false;
        loop {
            let current = self.published.current();
            let mut pause = LOOK_EVERY;
            if !written.as_ref().is_some_and(|written| Arc::ptr_eq(written, &current)) {
                let begun = Instant::now();
                match self.write(&current).await {
                    Ok(()) => (written, failed) = (Some(current), false),
                    Err(error) if !failed => {
                        tracing::error!("the copy of the provisioning is not written: {error:#}");
                        failed = true;
                    }
                    Err(_) => {}
                }
                pause = pause.max(begun.elapsed() * SHARE);
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn write(&self, current: &Compiled) -> anyhow::Result<()> {
        let copy = self.store.copy(current.source()).await?;
        let file = self.file.clone();
        Ok(tokio::task::spawn_blocking(move || file.write(&copy)).await??)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(url: &str) -> CopyFile {
        let name = format!("tensou-copy-{}-{:08x}", std::process::id(), rand::random::<u32>());
        CopyFile { path: std::env::temp_dir().join(name), url: url.to_owned() }
    }

    #[test]
    fn a_copy_is_read_back_and_only_for_its_database() {
        let file = file("sqlite:a.db");
        let copy = br#"{"revision":7,"document":{},"addresses":{}}"#;
        assert!(file.read().is_none(), "there is none yet");
        file.write(b"something else").unwrap();
        assert!(file.read().is_none());
        file.write(copy).unwrap();
        assert_eq!(file.read().map(|it| it.revision), Some(7));
        let other = CopyFile { url: "sqlite:b.db".to_owned(), ..file.clone() };
        assert!(other.read().is_none());
        let mut bytes = fs::read(&file.path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&file.path, bytes).unwrap();
        assert!(file.read().is_none(), "damage is noticed");
        fs::remove_file(&file.path).unwrap();
    }
}
