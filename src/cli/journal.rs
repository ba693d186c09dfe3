//! `tensou journal repair`

use super::args::SettingsArgs;
use super::load;
use crate::failure::Failure;
use crate::journal::{FOLDER, Folder, JournalError, repair};

/// Keeps every record of a damaged journal that can be read.
pub(super) fn repair_journal(args: &SettingsArgs) -> Result<(), Failure> {
    let loaded = load(args)?;
    let path = loaded.settings.node.data_dir.join(FOLDER);
    let mended = || -> Result<_, JournalError> { repair(&Folder::open(&path)?) };
    let report = mended().map_err(Failure::missing)?;
    if report.is_empty() {
        println!("{}: nothing is damaged", path.display());
    }
    for segment in report {
        println!(
            "{}: {} records kept, {} bytes were no record; the damaged file stays as .damaged",
            segment.name, segment.kept, segment.lost
        );
    }
    Ok(())
}
