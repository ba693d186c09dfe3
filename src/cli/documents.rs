//! `tensou import` and `tensou export`

use std::path::Path;

use tensou_engine::route::Fault;
use tensou_store::model::Document;
use tensou_store::{Actor, Format, Store, StoreError, locate, parse_document, render_document};

use super::args::{DocumentFormat, ExportArgs, ImportArgs, SettingsArgs};
use super::{block_on, load, open, store_failure};
use crate::failure::Failure;

/// A document file as it was read.
struct File {
    name: String,
    text: String,
    format: Format,
    document: Document,
}

pub(super) fn import(args: &SettingsArgs, import: &ImportArgs) -> Result<(), Failure> {
    let loaded = load(args)?;
    let mut files = Vec::new();
    let mut faults = Vec::new();
    for path in &import.files {
        match read(path) {
            Ok(file) => files.push(file),
            Err(mut lines) => faults.append(&mut lines),
        }
    }
    if !faults.is_empty() {
        return Err(Failure::inputs(faults));
    }
    let mut whole = Document::default();
    for file in &files {
        append(&mut whole, &file.document);
    }
    block_on(async {
        let store = open(&loaded.settings).await?;
        write(&store, &files, &whole, import.dry_run).await
    })
}

async fn write(
    store: &Store,
    files: &[File],
    whole: &Document,
    dry_run: bool,
) -> Result<(), Failure> {
    let report = match store.import(&Actor::system(), whole, dry_run).await {
        Ok(report) => report,
        Err(StoreError::Invalid(faults)) => {
            return Err(Failure::inputs(faults.iter().map(|fault| placed(files, fault))));
        }
        Err(error) => return Err(store_failure(error)),
    };
    let done = if dry_run { "would be" } else { "were" };
    println!(
        "{} rows {done} created, {} changed; {} are the same.",
        report.created, report.updated, report.unchanged
    );
    Ok(())
}

pub(super) fn export(args: &SettingsArgs, export: &ExportArgs) -> Result<(), Failure> {
    let loaded = load(args)?;
    block_on(async {
        let store = open(&loaded.settings).await?;
        let document = store.export(export.with_secrets).await.map_err(store_failure)?;
        let format = match export.format {
            DocumentFormat::Toml => Format::Toml,
            DocumentFormat::Json => Format::Json,
        };
        print!("{}", render_document(&document, format).map_err(store_failure)?);
        Ok(())
    })
}

/// Reads one file; every fault as a line that names file and line.
fn read(path: &Path) -> Result<File, Vec<String>> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| vec![format!("{name}: cannot be read: {error}")])?;
    let format = Format::of_file_name(&name);
    match parse_document(&text, format) {
        Ok(document) => Ok(File { name, text, format, document }),
        Err(errors) => Err(errors.iter().map(|error| format!("{name}:{error}")).collect()),
    }
}

/// A fault with the first file and line that has its row.
fn placed(files: &[File], fault: &Fault) -> String {
    for file in files {
        if let Some((line, column)) = locate(&file.text, file.format, fault) {
            return format!("{}:{line}:{column}: {fault}", file.name);
        }
    }
    format!("database: {fault}")
}

fn append(whole: &mut Document, part: &Document) {
    whole.trunks.extend_from_slice(&part.trunks);
    whole.customers.extend_from_slice(&part.customers);
    whole.dids.extend_from_slice(&part.dids);
    whole.destinations.extend_from_slice(&part.destinations);
    whole.groups.extend_from_slice(&part.groups);
    whole.extensions.extend_from_slice(&part.extensions);
    whole.schedules.extend_from_slice(&part.schedules);
}
