//! Frames: one record each, with its length and a checksum over both.

/// The first bytes of every segment.
pub(super) const MAGIC: &[u8; 8] = b"tensouJ\n";
/// The format that is written; every one up to it is read. The second has calls in more parts; of
/// the third the newest bytes may be staged, which a former release would not look for; in
/// the fourth what came of a leg is a part of its own.
pub(super) const VERSION: u32 = 4;
/// Magic and version.
pub(super) const PREFIX: usize = MAGIC.len() + 4;
/// Length and checksum.
const FRAME: usize = 8;
/// No record of the engine comes near: a length beyond is damage.
const LONGEST: usize = 1 << 24;

/// What stands before a record.
pub(super) fn head(record: &[u8]) -> [u8; FRAME] {
    let length = u32::try_from(record.len()).unwrap_or(u32::MAX);
    let [a, b, c, d] = length.to_le_bytes();
    let [e, f, g, h] = checksum(length, record).to_le_bytes();
    [a, b, c, d, e, f, g, h]
}

/// Appends a record.
pub(super) fn append(record: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&head(record));
    out.extend_from_slice(record);
}

/// CRC-32 of length and record, so that zeros are no frame.
fn checksum(length: u32, record: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length.to_le_bytes());
    hasher.update(record);
    hasher.finalize()
}

/// The record at `at` and where the next one begins; none at the end, or where there is damage.
pub(super) fn at(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let (head, rest) = bytes.get(at..)?.split_at_checked(FRAME)?;
    let number = |part: &[u8]| part.try_into().map(u32::from_le_bytes).ok();
    let (length, sum) = (number(&head[..4])?, number(&head[4..])?);
    let size = usize::try_from(length).ok().filter(|size| (1..=LONGEST).contains(size))?;
    let record = rest.get(..size)?;
    (checksum(length, record) == sum).then_some((record, at + FRAME + size))
}

/// Where the next readable record begins, after damage at `from`.
pub(super) fn resync(bytes: &[u8], from: usize) -> Option<usize> {
    (from + 1..bytes.len().saturating_sub(FRAME)).find(|place| at(bytes, *place).is_some())
}

/// What a segment says of itself in its first frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// The boot of the machine in which it was written: `/proc/sys/kernel/random/boot_id`.
    pub(super) boot: [u8; 16],
    /// What is added to the time since boot, in microseconds.
    pub(super) clock_offset: i64,
    /// The node's name.
    pub(super) node: String,
}

impl Head {
    /// The beginning of a segment.
    pub(super) fn write(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&VERSION.to_le_bytes());
        let mut head = self.boot.to_vec();
        head.extend_from_slice(&self.clock_offset.to_le_bytes());
        head.extend_from_slice(self.node.as_bytes());
        append(&head, &mut out);
        out
    }

    fn read(bytes: &[u8]) -> Option<Head> {
        let (boot, rest) = bytes.split_first_chunk::<16>()?;
        let (offset, node) = rest.split_first_chunk::<8>()?;
        Some(Head {
            boot: *boot,
            clock_offset: i64::from_le_bytes(*offset),
            node: String::from_utf8_lossy(node).into_owned(),
        })
    }
}

/// The beginning of a segment as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// Its head, and where the first record begins.
    Good(Head, usize),
    /// A later release's.
    Unknown(u32),
    /// Cut off or damaged.
    Bad,
}

/// Reads the beginning of a segment.
pub(super) fn open(bytes: &[u8]) -> Opening {
    let version = bytes
        .strip_prefix(MAGIC)
        .and_then(|rest| rest.first_chunk::<4>())
        .map(|version| u32::from_le_bytes(*version));
    match version {
        None => Opening::Bad,
        Some(version) if version > VERSION => Opening::Unknown(version),
        Some(_) => match at(bytes, PREFIX) {
            Some((head, next)) => {
                Head::read(head).map_or(Opening::Bad, |it| Opening::Good(it, next))
            }
            None => Opening::Bad,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> (Vec<u8>, Vec<usize>) {
        let mut out = Vec::new();
        let mut starts = Vec::new();
        for record in [&b"one"[..], &[7; 300], b"three"] {
            starts.push(out.len());
            append(record, &mut out);
        }
        (out, starts)
    }

    #[test]
    fn records_come_back_one_after_the_other() {
        let (bytes, starts) = three();
        let mut next = 0;
        for start in &starts {
            assert_eq!(next, *start);
            next = at(&bytes, next).unwrap().1;
        }
        assert_eq!(next, bytes.len());
        assert_eq!(at(&bytes, next), None);
    }

    #[test]
    fn any_flipped_bit_and_any_cut_is_noticed() {
        let (bytes, starts) = three();
        let second = starts[1];
        for byte in second..starts[2] {
            let mut damaged = bytes.clone();
            damaged[byte] ^= 0x10;
            assert_eq!(at(&damaged, second), None, "byte {byte}");
            assert_eq!(resync(&damaged, second), Some(starts[2]));
        }
        for end in second + 1..starts[2] {
            assert_eq!(at(&bytes[..end], second), None);
            assert_eq!(resync(&bytes[..end], second), None);
        }
        assert_eq!(at(&[0; 64], 0), None, "what was never written");
    }

    #[test]
    fn a_segment_says_when_and_where_it_was_written() {
        let head = Head { boot: [9; 16], clock_offset: -5, node: "tokyo-1".into() };
        let bytes = head.write();
        assert_eq!(open(&bytes), Opening::Good(head, bytes.len()));
        assert_eq!(open(&bytes[..bytes.len() - 1]), Opening::Bad);
        assert_eq!(open(b"something else"), Opening::Bad);
        let mut older = bytes.clone();
        older[8] = 1;
        assert!(matches!(open(&older), Opening::Good(..)), "journals of a former release go on");
        let mut newer = bytes;
        newer[8] = 99;
        assert_eq!(open(&newer), Opening::Unknown(99));
    }
}
