use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::*;

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("tensou-archive-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("backup")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

fn manifest() -> Manifest {
    Manifest {
        format: FORMAT,
        version: "1".into(),
        node: "node-1".into(),
        made_at: "2026-11-25T00:00:00Z".into(),
        database: "sqlite".into(),
        revision: 7,
        schema: vec![1, 2],
        entries: Vec::new(),
    }
}

fn content() -> Vec<(String, Vec<u8>)> {
    let long = format!("prompts/{}/greeting.wav", "folder".repeat(30));
    vec![
        ("database/dids/000001.jsonl".into(), b"[\"number\"]\n[\"+81312345678\"]\n".to_vec()),
        ("database/cdrs/000002.jsonl".into(), vec![b'x'; 10_000]),
        (long, vec![0; 512]),
        (RECORDINGS.into(), Vec::new()),
    ]
}

fn made(path: &Path) {
    let mut archive = ArchiveWriter::create(path).unwrap();
    for (name, content) in content() {
        archive.add(name, &content, 1).unwrap();
    }
    assert_eq!(archive.finish(manifest()).unwrap().entries.len(), 4);
}

#[test]
fn what_was_written_is_read_and_nobody_else_may() {
    let folder = Folder::new("whole");
    made(&folder.file());
    let mode = std::fs::metadata(folder.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let archive = Archive::open(&folder.file()).unwrap();
    assert_eq!(archive.manifest().revision, 7);
    let read: Vec<_> = archive.entries().unwrap().map(Result::unwrap).collect();
    assert_eq!(read, content());
    // Once more: the first reading does not use it up.
    assert_eq!(archive.entries().unwrap().count(), 4);
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn a_backup_that_is_not_finished_leaves_the_old_one() {
    let folder = Folder::new("unfinished");
    made(&folder.file());
    let before = std::fs::read(folder.file()).unwrap();
    let mut archive = ArchiveWriter::create(&folder.file()).unwrap();
    archive.add("database/dids/000001.jsonl".into(), b"[]", 0).unwrap();
    drop(archive);
    assert_eq!(std::fs::read(folder.file()).unwrap(), before);
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 1);
}

#[test]
fn damage_anywhere_is_named_before_anything_is_used() {
    let folder = Folder::new("damaged");
    made(&folder.file());
    let whole = std::fs::read(folder.file()).unwrap();
    // The header of gzip holds a time and a system that nobody reads.
    for at in (10..whole.len()).step_by(7) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        std::fs::write(folder.file(), &damaged).unwrap();
        assert!(Archive::open(&folder.file()).is_err(), "byte {at}");
    }
    for length in [0, 5, 20, whole.len() / 2, whole.len() - 1] {
        std::fs::write(folder.file(), &whole[..length]).unwrap();
        let refused = Archive::open(&folder.file()).err().unwrap().to_string();
        assert!(refused.contains("damaged"), "{length} bytes: {refused}");
    }
    std::fs::write(folder.file(), "no archive at all").unwrap();
    assert!(Archive::open(&folder.file()).is_err());
}

#[test]
fn a_format_of_the_future_and_foreign_entries_are_refused() {
    let folder = Folder::new("foreign");
    let open = |write: &dyn Fn(&mut ArchiveWriter), manifest: Manifest| {
        let mut archive = ArchiveWriter::create(&folder.file()).unwrap();
        write(&mut archive);
        archive.finish(manifest).unwrap();
        Archive::open(&folder.file()).err().map(|error| error.to_string()).unwrap_or_default()
    };
    let newer = open(&|_| {}, Manifest { format: FORMAT + 1, ..manifest() });
    assert!(newer.contains("newer"), "{newer}");
    let twice = |archive: &mut ArchiveWriter| {
        for content in [b"a", b"b"] {
            archive.add("database/a/1".into(), content, 0).unwrap();
        }
    };
    assert!(open(&twice, manifest()).contains("twice"));
}

#[test]
fn a_name_that_leads_elsewhere_is_refused() {
    for name in ["../a", "prompts/../../a", "/etc/a", ""] {
        let mut header = tar::Header::new_gnu();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(0);
        header.set_cksum();
        let folder = Folder::new("elsewhere");
        let file = std::fs::File::create(folder.file()).unwrap();
        let mut packed = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        std::io::Write::write_all(&mut packed, header.as_bytes()).unwrap();
        std::io::Write::write_all(&mut packed, &[0; 1024]).unwrap();
        packed.finish().unwrap();
        let refused = Archive::open(&folder.file()).err().unwrap().to_string();
        assert!(refused.contains("elsewhere"), "{name}: {refused}");
    }
}
