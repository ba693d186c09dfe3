//! `tensou restore`

use std::io;
use std::path::{Path, PathBuf};

use jiff::Zoned;
use tensou_config::Settings;
use tensou_store::{Dumped, Part, RestoreError, Store};

use super::args::{RestoreArgs, SettingsArgs};
use super::{block_on, load, open, store_failure};
use crate::archive::{Archive, Manifest, PROMPTS, TABLES};
use crate::failure::Failure;

/// Puts a backup in the place of what is here: all of it or nothing.
pub(super) fn restore(args: &SettingsArgs, restore: &RestoreArgs) -> Result<(), Failure> {
    let loaded = load(args)?;
    let named =
        |error: anyhow::Error| Failure::input(error.context(restore.file.display().to_string()));
    let archive = Archive::open(&restore.file).map_err(named)?;
    let prompts = loaded.settings.node.data_dir.join("prompts");
    if !restore.force && std::fs::read_dir(&prompts).is_ok_and(|mut all| all.next().is_some()) {
        let message = format!("{} is not empty; --force replaces it", prompts.display());
        return Err(Failure::input(anyhow::anyhow!(message)));
    }
    block_on(async {
        let store = open(&loaded.settings).await?;
        let staged = Staged::of(&archive, &prompts).map_err(Failure::missing)?;
        let rows = write(&store, &archive, restore.force).await?;
        staged.put(&prompts).map_err(Failure::missing)?;
        keep_months(&store, &loaded.settings).await;
        store.close().await;
        let Manifest { node, made_at, .. } = archive.manifest();
        println!("{rows} rows of {node} as of {made_at} were restored.");
        Ok(())
    })
}

async fn write(store: &Store, archive: &Archive, force: bool) -> Result<u64, Failure> {
    let manifest = archive.manifest();
    let dumped = Dumped {
        revision: manifest.revision,
        schema: manifest.schema.clone(),
        database: if manifest.database == "sqlite" { "sqlite" } else { "postgres" },
    };
    let entries = archive.entries().map_err(Failure::missing)?;
    let parts = entries.filter_map(|entry| entry.map(part).transpose());
    store.restore(&dumped, parts, force).await.map_err(|error| match error {
        RestoreError::Store(error) => store_failure(error),
        RestoreError::Occupied(_) => {
            Failure::input(anyhow::anyhow!("{error}; --force replaces everything in it"))
        }
        other => Failure::input(other),
    })
}

/// A part of a table from its entry; none for what is no table.
fn part((name, lines): (String, Vec<u8>)) -> Option<Part> {
    let (table, _) = name.strip_prefix(TABLES)?.split_once('/')?;
    Some(Part { table: table.to_owned(), lines, rows: 0 })
}

/// Moves the records to the partitions of their months; if it fails, a node does it later.
async fn keep_months(store: &Store, settings: &Settings) {
    let zone = settings.node.time_zone.name();
    if let Ok(now) = Zoned::now().in_tz(zone)
        && let Err(error) = store.keep_records(&now, 0).await
    {
        eprintln!("the months of records are made later: {:#}", anyhow::Error::from(error));
    }
}

/// Prompts, complete on disk beside their place before the database changes.
struct Staged(PathBuf);

impl Staged {
    fn of(archive: &Archive, prompts: &Path) -> io::Result<Self> {
        let staged = Staged(beside(prompts, "restoring"));
        remove(&staged.0)?;
        for entry in archive.entries()? {
            let (name, content) = entry?;
            // The reader has refused names that lead elsewhere.
            let Some(name) = name.strip_prefix(PROMPTS) else { continue };
            let path = staged.0.join(name);
            std::fs::create_dir_all(path.parent().unwrap_or(&staged.0))?;
            std::fs::write(path, content)?;
        }
        Ok(staged)
    }

    /// Puts them in place of those that are there.
    fn put(self, prompts: &Path) -> io::Result<()> {
        let before = beside(prompts, "before");
        remove(&before)?;
        if prompts.exists() {
            std::fs::rename(prompts, &before)?;
        }
        if self.0.exists() {
            std::fs::rename(&self.0, prompts)?;
        }
        remove(&before)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // Nothing is left there once it was put in place.
        let _gone = remove(&self.0);
    }
}

fn beside(folder: &Path, word: &str) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push(".");
    name.push(word);
    name.into()
}

fn remove(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
