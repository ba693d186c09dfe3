//! Repair: segments with damage are written anew from every record in them that can be read.

use std::fs;

use super::frame::{self, Head, Opening};
use super::{Folder, JournalError, folder, staging};

/// What a repair did to one segment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Repaired {
    /// The segment's file.
    pub(crate) name: String,
    /// Records kept.
    pub(crate) kept: u64,
    /// Bytes that were no record.
    pub(crate) lost: usize,
}

/// Repairs every segment that needs it. The damaged ones stay beside them as `.damaged`.
///
/// # Errors
/// The system failed; nothing was taken away.
pub(crate) fn repair(folder: &Folder) -> Result<Vec<Repaired>, JournalError> {
    staging::rescue(folder)?;
    let mut report = Vec::new();
    for number in folder.segments()? {
        let path = folder::segment(folder.path(), number);
        let bytes = fs::read(&path).map_err(JournalError::io(&path))?;
        let (whole, kept, lost) = salvage(&bytes);
        if lost == 0 {
            continue;
        }
        let (made, damaged) = (path.with_extension("repaired"), path.with_extension("damaged"));
        fs::write(&made, whole).map_err(JournalError::io(&made))?;
        fs::rename(&path, &damaged).map_err(JournalError::io(&damaged))?;
        fs::rename(&made, &path).map_err(JournalError::io(&path))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        report.push(Repaired { name, kept, lost });
    }
    // Positions in a segment that was written anew mean nothing: records are delivered again.
    let confirmed = folder.path().join("confirmed");
    if !report.is_empty() && confirmed.exists() {
        fs::remove_file(&confirmed).map_err(JournalError::io(&confirmed))?;
    }
    Ok(report)
}

/// The same segment without its damage, how many records it has, and how many bytes were lost.
fn salvage(bytes: &[u8]) -> (Vec<u8>, u64, usize) {
    let (head, mut at) = match frame::open(bytes) {
        Opening::Good(head, at) => (head, at),
        // Without its head nothing is known of the clock: as after a boot of the machine.
        Opening::Bad | Opening::Unknown(_) => (Head::default(), 0),
    };
    let mut whole = head.write();
    let mut lost = 0;
    let mut kept = 0;
    while at < bytes.len() {
        if let Some((record, next)) = frame::at(bytes, at) {
            frame::append(record, &mut whole);
            kept += 1;
            at = next;
            continue;
        }
        let next = frame::resync(bytes, at).unwrap_or(bytes.len());
        lost += next - at;
        at = next;
    }
    (whole, kept, lost)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_readable_is_kept_and_the_rest_is_counted() {
        let mut bytes = Head::default().write();
        for record in [&b"one"[..], b"two", b"three"] {
            frame::append(record, &mut bytes);
        }
        let good = bytes.clone();
        assert_eq!(salvage(&good), (good.clone(), 3, 0));
        let two = Head::default().write().len() + 8 + 3;
        bytes[two + 9] ^= 1;
        let (whole, kept, lost) = salvage(&bytes);
        assert_eq!((kept, lost), (2, 8 + 3));
        assert_eq!(salvage(&whole), (whole.clone(), 2, 0));
    }
}
