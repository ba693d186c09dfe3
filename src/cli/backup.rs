//! `tensou backup`

use std::io;
use std::path::Path;
use std::time::UNIX_EPOCH;

use tensou_config::Settings;
use tensou_store::{Part, RestoreError, Store};

use super::args::{BackupArgs, SettingsArgs};
use super::{block_on, load, open, store_failure};
use crate::archive::{ArchiveWriter, FORMAT, Manifest, PROMPTS, RECORDINGS, TABLES};
use crate::failure::Failure;

/// Writes everything that lasts to one file, while nodes run.
pub(super) fn backup(args: &SettingsArgs, backup: &BackupArgs) -> Result<(), Failure> {
    let loaded = load(args)?;
    block_on(async {
        let store = open(&loaded.settings).await?;
        let manifest = write(&store, &loaded.settings, &backup.file).await?;
        store.close().await;
        let rows: u64 = manifest.entries.iter().map(|entry| entry.rows).sum();
        println!(
            "{}: {rows} rows and {} files, revision {}. It holds passwords: keep it as you keep \
             those.",
            backup.file.display(),
            manifest.entries.iter().filter(|entry| entry.name.starts_with(PROMPTS)).count(),
            manifest.revision
        );
        Ok(())
    })
}

async fn write(store: &Store, settings: &Settings, file: &Path) -> Result<Manifest, Failure> {
    let place = |error: io::Error| {
        Failure::missing(anyhow::Error::from(error).context(file.display().to_string()))
    };
    let mut archive = ArchiveWriter::create(file).map_err(place)?;
    let mut number = 0;
    let take = |part: Part| {
        number += 1;
        let name = format!("{TABLES}{}/{number:06}.jsonl", part.table);
        archive.add(name, &part.lines, part.rows)
    };
    let dumped = store.dump(take).await.map_err(|error| match error {
        RestoreError::Store(error) => store_failure(error),
        RestoreError::Source(error) => place(error),
        other => Failure::input(other),
    })?;
    let data = &settings.node.data_dir;
    add_prompts(&mut archive, &data.join("prompts"), PROMPTS).map_err(place)?;
    let recordings = recordings(&data.join("recordings")).map_err(place)?;
    archive.add(RECORDINGS.to_owned(), recordings.as_bytes(), 0).map_err(place)?;
    let manifest = Manifest {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        node: settings.node.name.as_str().to_owned(),
        made_at: jiff::Timestamp::now().to_string(),
        database: dumped.database.to_owned(),
        revision: dumped.revision,
        schema: dumped.schema,
        entries: Vec::new(),
    };
    archive.finish(manifest).map_err(place)
}

/// Every file under `folder`, as `prefix` and its path there. A folder that does not exist is
/// empty; what is neither file nor folder is left out.
fn add_prompts(archive: &mut ArchiveWriter, folder: &Path, prefix: &str) -> io::Result<()> {
    for (name, kind) in listed(folder)? {
        let path = folder.join(&name);
        if kind.is_dir() {
            add_prompts(archive, &path, &format!("{prefix}{name}/"))?;
        } else if kind.is_file() {
            archive.add(format!("{prefix}{name}"), &std::fs::read(path)?, 0)?;
        }
    }
    Ok(())
}

/// The recordings that are there, a line of JSON each.
fn recordings(folder: &Path) -> io::Result<String> {
    let mut lines = String::new();
    for (name, kind) in listed(folder)? {
        let path = folder.join(&name);
        if kind.is_dir() {
            lines.push_str(&recordings(&path)?);
        } else if kind.is_file() {
            let about = std::fs::metadata(&path)?;
            let modified = about.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
            let line = serde_json::json!({
                "file": path.display().to_string(),
                "bytes": about.len(),
                "modified": modified.as_secs(),
            });
            lines.push_str(&format!("{line}\n"));
        }
    }
    Ok(lines)
}

/// Names and kinds in a folder, by name.
fn listed(folder: &Path) -> io::Result<Vec<(String, std::fs::FileType)>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut listed = Vec::new();
    for entry in entries {
        let entry = entry?;
        if let Ok(name) = entry.file_name().into_string() {
            listed.push((name, entry.file_type()?));
        }
    }
    listed.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(listed)
}
