//! The journal's files, as a process that is killed leaves them and the next one finds them.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::keep::Work;
use super::{Condition, Folder, Writer, folder, frame, recover, repair};

/// A journal in a folder of its own.
struct Bench {
    path: PathBuf,
}

/// A process that writes it. It can be killed at any point: nothing is done when it is dropped.
struct Process {
    writer: Writer,
    work: Work,
    condition: Condition,
    _folder: Folder,
}

impl Bench {
    fn new(name: &str) -> Bench {
        let path = std::env::temp_dir().join(format!("tensou-{name}-{}", std::process::id()));
        let _none = fs::remove_dir_all(&path);
        Bench { path }
    }

    fn start(&self) -> Process {
        let folder = Folder::open(&self.path).unwrap();
        let recovered = recover(&folder).unwrap();
        let condition = recovered.condition();
        let writer = Writer::begin(&folder, &recovered, "tokyo", condition.clone()).unwrap();
        let work = Work::new(folder.path(), condition.clone(), writer.staged());
        Process { writer, work, condition, _folder: folder }
    }

    /// The segments' records, oldest first.
    fn records(&self) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        for number in folder::segments(&self.path).unwrap() {
            let bytes = fs::read(folder::segment(&self.path, number)).unwrap();
            let frame::Opening::Good(_, mut at) = frame::open(&bytes) else { panic!("no segment") };
            while let Some((record, next)) = frame::at(&bytes, at) {
                records.push(record.to_vec());
                at = next;
            }
            assert_eq!(at, bytes.len(), "a segment ends with a record");
        }
        records
    }

    fn staging(&self) -> File {
        File::options().read(true).write(true).open(self.path.join("staging")).unwrap()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _left = fs::remove_dir_all(&self.path);
    }
}

impl Process {
    /// As before a message that leaves.
    fn keeps(&mut self, record: &[u8]) {
        self.writer.push(record);
        self.writer.flush();
    }
}

fn newest(path: &Path) -> PathBuf {
    folder::segment(path, *folder::segments(path).unwrap().last().unwrap())
}

#[test]
fn what_a_killed_process_kept_before_a_message_left_is_found_though_nothing_was_poured() {
    let bench = Bench::new("staged");
    let mut process = bench.start();
    process.keeps(b"ringing");
    process.keeps(b"answered");
    process.writer.push(b"of a message that has not left");
    assert_eq!(bench.records(), [b""; 0], "it is in no segment yet");
    drop(process);
    let mut next = bench.start();
    assert_eq!(bench.records(), [&b"ringing"[..], b"answered"]);
    next.keeps(b"hung up");
    drop(next);
    drop(bench.start());
    assert_eq!(bench.records(), [&b"ringing"[..], b"answered", b"hung up"]);
}

#[test]
fn what_is_poured_is_in_the_segment_once_wherever_the_process_was_killed() {
    let bench = Bench::new("poured");
    let mut process = bench.start();
    process.keeps(b"one");
    process.work.pour();
    assert_eq!(bench.records(), [b"one"]);
    // Everything had been poured: the next lap begins behind it.
    process.keeps(b"two");
    process.keeps(b"three");
    process.work.pour();
    drop(process);
    // Killed in the middle of the write that poured them.
    let segment = newest(&bench.path);
    let whole = fs::read(&segment).unwrap();
    let mut head = [0; 48];
    bench.staging().read_exact_at(&mut head, 0).unwrap();
    for cut in 0..=(8 + 3) + (8 + 5) {
        fs::write(&segment, &whole[..whole.len() - cut]).unwrap();
        bench.staging().write_all_at(&head, 0).unwrap();
        let folder = Folder::open(&bench.path).unwrap();
        recover(&folder).unwrap();
        assert_eq!(bench.records(), [&b"one"[..], b"two", b"three"], "{cut} bytes less");
    }
}

#[test]
fn after_a_boot_of_the_machine_the_segments_alone_count() {
    let bench = Bench::new("boot");
    let mut process = bench.start();
    process.keeps(b"on the disk");
    process.work.pour();
    process.keeps(b"never reached it");
    drop(process);
    bench.staging().write_all_at(&[7; 16], 8).unwrap();
    drop(bench.start());
    assert_eq!(bench.records(), [b"on the disk"]);
}

#[test]
fn a_repair_takes_what_is_staged_first() {
    let bench = Bench::new("mended");
    let mut process = bench.start();
    process.keeps(b"damaged");
    process.keeps(b"good");
    process.work.pour();
    process.keeps(b"staged first");
    // As long as what will be lost.
    process.keeps(b"staged.");
    drop(process);
    let segment = newest(&bench.path);
    let mut bytes = fs::read(&segment).unwrap();
    let place = bytes.len() - (8 + 4) - 1;
    bytes[place] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let folder = Folder::open(&bench.path).unwrap();
    let [repaired] = &repair(&folder).unwrap()[..] else { panic!("one segment is damaged") };
    assert_eq!((repaired.kept, repaired.lost), (3, 8 + 7));
    drop(folder);
    drop(bench.start());
    let records = [&b"good"[..], b"staged first", b"staged."];
    assert_eq!(bench.records(), records, "nothing comes twice");
}

#[test]
fn a_disk_that_stands_still_fills_the_staging_and_loses_nothing_when_it_goes_on() {
    let bench = Bench::new("still");
    let mut process = bench.start();
    let record = vec![7; 3 << 20];
    for _ in 0..5 {
        process.keeps(&record);
    }
    assert!(!process.condition.is_low());
    process.keeps(&record);
    assert!(process.condition.is_low(), "new calls are refused");
    process.work.pour();
    assert!(!process.condition.is_low(), "they are taken again");
    process.keeps(b"the end");
    process.work.pour();
    let records = bench.records();
    assert_eq!(records.len(), 7);
    assert!(records[..6].iter().all(|it| *it == record) && records[6] == b"the end");
}

#[test]
fn a_full_segment_is_followed_by_one_in_which_everything_is_written_again() {
    let bench = Bench::new("full");
    let mut process = bench.start();
    let record = vec![7; 9 << 20];
    for _ in 0..2 {
        process.keeps(&record);
        assert!(!process.writer.rotate(), "not while something is staged");
        process.work.pour();
    }
    assert!(process.writer.rotate());
    process.keeps(b"again");
    drop(process);
    drop(bench.start());
    assert_eq!(bench.records(), [record.clone(), record, b"again".to_vec()]);
    assert_eq!(folder::segments(&bench.path).unwrap(), [1, 2, 3]);
}
