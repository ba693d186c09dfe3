//! Names of things that outlive one function call.

use std::fmt;
use std::sync::Arc;

/// A call, unique over all nodes and all time: a UUIDv7 (RFC 9562 5.7), so that sorting by id
/// sorts by start. It is the CDR's `id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u128);

impl CallId {
    /// The id of a call that starts at `unix_millis`, with 74 bits from the engine's generator.
    pub fn new(unix_millis: i64, random_hi: u64, random_lo: u64) -> Self {
        let millis = (unix_millis.max(0) as u128) & 0xffff_ffff_ffff;
        let rand_a = (random_hi as u128) & 0x0fff;
        let rand_b = (random_lo as u128) & 0x3fff_ffff_ffff_ffff;
        CallId(millis << 80 | 0x7 << 76 | rand_a << 64 | 0b10 << 62 | rand_b)
    }

    /// Reads the hyphenated form that [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let shape = bytes.len() == 36
            && bytes.iter().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => *byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            });
        if !shape {
            return None;
        }
        u128::from_str_radix(&text.replace('-', ""), 16).ok().map(CallId)
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.0;
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            (id >> 96) as u32,
            (id >> 80) as u16,
            (id >> 64) as u16,
            (id >> 48) as u16,
            id & 0xffff_ffff_ffff
        )
    }
}

/// The operator's name for a provisioned thing (`ins1500-1`, `yamada`, `group-sales`):
/// cheap to clone, compared by text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

impl Key {
    /// Whether it is the same, mostly known without a look at the text.
    pub(crate) fn is(&self, other: &Key) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self == other
    }

    /// The text as it stands in the database.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Key(Arc::from(text))
    }
}

impl std::borrow::Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// The position of a leg in its call: 0 is the caller's leg (A), 1 and up the callee legs (B)
/// in the order they were dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegNumber(pub u16);

impl LegNumber {
    /// The caller's leg.
    pub const A: LegNumber = LegNumber(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn call_id_is_a_uuid_of_version_7_and_reads_back() {
        let id = CallId::new(1_795_000_000_123, u64::MAX, u64::MAX);
        let text = id.to_string();
        assert_eq!(&text[14..15], "7");
        assert!("89ab".contains(&text[19..20]));
        assert_eq!(CallId::parse(&text), Some(id));
        assert_eq!(CallId::parse("not-an-id"), None);
        assert_eq!(CallId::parse(&text.replace('-', "+")), None);
    }

    #[test]
    fn call_ids_sort_by_start() {
        assert!(CallId::new(1, u64::MAX, u64::MAX) < CallId::new(2, 0, 0));
    }
}
