//! The tags and branches that we make: each names the thing it belongs to, so that a message
//! that carries one back is matched without a table, and carries 64 random bits, so that nobody
//! who has not seen it can make one up (RFC 3261 19.3 asks for 32).

/// Layout of a tag: shard, handle, leg, random; fixed width, lower-case hexadecimal.
const TAG_LEN: usize = 2 + 16 + 4 + 16;
/// RFC 3261 8.1.1.7: the cookie that makes a branch unique over space and time.
pub(crate) const COOKIE: &str = "z9hG4bK";
const BRANCH_LEN: usize = 7 + 2 + 16 + 16;

/// A tag of ours: which leg of which call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) shard: u8,
    pub(crate) call: u64,
    pub(crate) leg: u16,
    pub(crate) random: u64,
}

impl Tag {
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        hex(u64::from(self.shard), 2, out);
        hex(self.call, 16, out);
        hex(u64::from(self.leg), 4, out);
        hex(self.random, 16, out);
    }

    pub(crate) fn parse(text: &str) -> Option<Tag> {
        if text.len() != TAG_LEN {
            return None;
        }
        let mut rest = text.as_bytes();
        Some(Tag {
            shard: unhex(&mut rest, 2)? as u8,
            call: unhex(&mut rest, 16)?,
            leg: unhex(&mut rest, 4)? as u16,
            random: unhex(&mut rest, 16)?,
        })
    }
}

/// A branch of ours: which client transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Branch {
    pub(crate) shard: u8,
    pub(crate) transaction: u64,
    pub(crate) random: u64,
}

impl Branch {
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(COOKIE.as_bytes());
        hex(u64::from(self.shard), 2, out);
        hex(self.transaction, 16, out);
        hex(self.random, 16, out);
    }

    pub(crate) fn parse(text: &str) -> Option<Branch> {
        if text.len() != BRANCH_LEN {
            return None;
        }
        let mut rest = text.strip_prefix(COOKIE)?.as_bytes();
        Some(Branch {
            shard: unhex(&mut rest, 2)? as u8,
            transaction: unhex(&mut rest, 16)?,
            random: unhex(&mut rest, 16)?,
        })
    }
}

/// Every byte in hexadecimal digits.
static PAIRS: [[u8; 2]; 256] = pairs();

const fn pairs() -> [[u8; 2]; 256] {
    let digits = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < pairs.len() {
        pairs[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    pairs
}

/// Writes the low `width` hexadecimal digits of `value`.
pub(crate) fn hex(value: u64, width: u32, out: &mut Vec<u8>) {
    let mut digits = [[0; 2]; 8];
    for (pair, byte) in digits.iter_mut().zip(value.to_be_bytes()) {
        *pair = PAIRS[usize::from(byte)];
    }
    let unwanted = digits.as_flattened().len().saturating_sub(width as usize);
    out.extend_from_slice(digits.as_flattened().get(unwanted..).unwrap_or_default());
}

fn unhex(rest: &mut &[u8], width: usize) -> Option<u64> {
    let (digits, tail) = rest.split_at_checked(width)?;
    *rest = tail;
    digits.iter().try_fold(0, |value, digit| {
        let nibble = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u64::from(nibble))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_and_a_branch_read_back_and_nothing_else_does() {
        let tag = Tag { shard: 7, call: 0x1234_0000_0001, leg: 3, random: u64::MAX - 1 };
        let mut text = Vec::new();
        tag.write(&mut text);
        let text = String::from_utf8(text).unwrap();
        assert_eq!(Tag::parse(&text), Some(tag));
        assert_eq!(Tag::parse(&text.to_uppercase()), None);
        assert_eq!(Tag::parse(&text[1..]), None);

        let branch = Branch { shard: 7, transaction: 99, random: 1 };
        let mut text = Vec::new();
        branch.write(&mut text);
        let text = String::from_utf8(text).unwrap();
        assert_eq!(Branch::parse(&text), Some(branch));
        assert_eq!(Branch::parse(&text.replace("z9hG4bK", "z9HG4BK")), None);
        assert_eq!(Branch::parse("z9hG4bK"), None);
        assert_eq!(Branch::parse(&"é".repeat(20)), None);
    }
}
