//! Where images are written: on a page that is used again and again, and whose end is looked at
//! once for many fields. Most fields are a byte or eight, and to ask of each whether it has room
//! costs more than to write it.

use crate::core::Core;
use crate::id::Key;
use crate::route::Snapshot;

use super::{Image, SMALL};

/// As far as a page is written before it is put away: most records have less.
const PAGE: usize = 8192;
/// No more is written without a look at the end of the page: a few structs of numbers and short
/// texts, for lists and parts of calls begin with one.
const UNSEEN: usize = PAGE / 2;
/// No field is larger that is written without a look.
const SHORT: usize = 64;

/// What handles, timers, channels and positions stand for; values that hold none do without.
#[derive(Clone, Copy, Default)]
pub(crate) struct Names<'a> {
    pub(crate) core: Option<&'a Core>,
    /// The provisioning that positions are of; keys are written in their place.
    pub(crate) snapshot: Option<&'a Snapshot>,
    /// The trunk of the leg that is written.
    pub(crate) own: Option<&'a Key>,
    /// The transaction leaves out what is large and never changes.
    pub(crate) lean: bool,
    /// Of transactions nothing but what a restart does not make anew: whether they have their final
    /// answers.
    pub(crate) essence: bool,
}

impl<'a> Names<'a> {
    /// Those of a call of this provisioning.
    pub(crate) fn of(core: &'a Core, snapshot: &'a Snapshot) -> Names<'a> {
        Names { core: Some(core), snapshot: Some(snapshot), ..Names::default() }
    }
}

/// Where images are written.
pub(crate) struct Pen {
    page: [u8; PAGE + SHORT + 1],
    at: usize,
    /// What was put away.
    full: Vec<u8>,
}

/// Four bytes that are written when those behind them are.
#[derive(Clone, Copy)]
pub(crate) struct Gap {
    full: usize,
    at: usize,
}

impl Pen {
    /// With an empty page.
    pub(crate) fn new() -> Box<Pen> {
        Box::new(Pen { page: [0; PAGE + SHORT + 1], at: 0, full: Vec::new() })
    }

    /// What one image says.
    pub(crate) fn writes(write: impl FnOnce(&mut Pen)) -> Vec<u8> {
        let mut pen = Pen::new();
        write(&mut pen);
        pen.finish();
        pen.written().to_vec()
    }

    /// Nothing more is written.
    #[inline]
    pub(crate) fn finish(&mut self) {
        if !self.full.is_empty() {
            self.put_away();
        }
    }

    /// All that was written until it was finished.
    pub(crate) fn written(&self) -> &[u8] {
        match self.full.is_empty() {
            true => self.page.get(..self.at).unwrap_or_default(),
            false => &self.full,
        }
    }

    /// The page is empty again.
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.at = 0;
        self.full.clear();
    }

    /// Looks at the end of the page: before each value of a list, at least.
    #[inline(always)]
    pub(crate) fn look(&mut self) {
        if self.at > PAGE - UNSEEN {
            self.put_away();
        }
    }

    #[cold]
    fn put_away(&mut self) {
        let written = self.page.get(..std::mem::take(&mut self.at));
        self.full.extend_from_slice(written.unwrap_or_default());
    }

    /// Where the next field goes: the end of the page has been looked at.
    #[inline(always)]
    fn place(&self) -> usize {
        debug_assert!(self.at < PAGE, "more was written than fits without a look");
        self.at & (PAGE - 1)
    }

    #[inline(always)]
    fn write<const N: usize>(&mut self, at: usize, bytes: [u8; N]) {
        if let Some(place) = self.page.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
            *place = bytes;
        }
    }

    /// A field of fixed length.
    #[inline(always)]
    pub(crate) fn fixed<const N: usize>(&mut self, bytes: [u8; N]) {
        const { assert!(N <= SHORT) };
        let at = self.place();
        self.write(at, bytes);
        self.at = at + N;
    }

    #[inline(always)]
    pub(crate) fn byte(&mut self, byte: u8) {
        self.fixed([byte]);
    }

    /// A small number is one byte; of a larger one the first byte says how many follow.
    #[inline(always)]
    pub(crate) fn number(&mut self, value: u64) {
        if value <= u64::from(SMALL) {
            self.byte(value as u8);
        } else {
            self.large(value);
        }
    }

    #[inline]
    fn large(&mut self, value: u64) {
        let digits = (71 - value.leading_zeros() as usize) / 8;
        let at = self.place();
        self.write(at, [SMALL + digits as u8]);
        self.write(at + 1, value.to_le_bytes());
        self.at = at + 1 + digits;
    }

    /// The count of values in a list.
    #[inline(always)]
    pub(crate) fn count(&mut self, values: usize) {
        self.look();
        self.number(values as u64);
    }

    /// A value of a list of any length.
    pub(crate) fn put_one<T: Image>(&mut self, value: &T, names: &Names<'_>) {
        self.look();
        value.write(self, names);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        let length = bytes.len();
        if length > SHORT {
            return self.long(bytes);
        }
        let at = self.place();
        self.write(at, [length as u8]);
        let at = at + 1;
        // Twice in part, for there is no shorter way to write some bytes of so many.
        if let (Some(head), Some(tail)) = (bytes.first_chunk(), bytes.last_chunk()) {
            self.write::<32>(at, *head);
            self.write::<32>(at + length - 32, *tail);
        } else if let (Some(head), Some(tail)) = (bytes.first_chunk(), bytes.last_chunk()) {
            self.write::<16>(at, *head);
            self.write::<16>(at + length - 16, *tail);
        } else if let (Some(head), Some(tail)) = (bytes.first_chunk(), bytes.last_chunk()) {
            self.write::<8>(at, *head);
            self.write::<8>(at + length - 8, *tail);
        } else if let (Some(head), Some(tail)) = (bytes.first_chunk(), bytes.last_chunk()) {
            self.write::<4>(at, *head);
            self.write::<4>(at + length - 4, *tail);
        } else {
            for (at, byte) in (at..).zip(bytes) {
                self.write(at, [*byte]);
            }
        }
        self.at = at + length;
    }

    #[inline(never)]
    fn long(&mut self, bytes: &[u8]) {
        self.look();
        self.number(bytes.len() as u64);
        let (at, end) = (self.at, self.at.saturating_add(bytes.len()));
        match self.page.get_mut(at..end) {
            Some(place) if end <= PAGE - UNSEEN => {
                place.copy_from_slice(bytes);
                self.at = end;
            }
            _ => {
                self.put_away();
                self.full.extend_from_slice(bytes);
            }
        }
    }

    #[inline(always)]
    pub(crate) fn put<T: Image>(&mut self, value: &T, names: &Names<'_>) {
        value.write(self, names);
    }

    /// A value or none.
    #[inline(always)]
    pub(crate) fn put_some<T: Image>(&mut self, value: Option<&T>, names: &Names<'_>) {
        self.byte(u8::from(value.is_some()));
        if let Some(value) = value {
            value.write(self, names);
        }
    }

    /// A part of a call's image.
    #[inline(always)]
    pub(crate) fn part(&mut self, number: u64, write: impl FnOnce(&mut Self)) {
        self.number(number);
        self.framed(write);
    }

    /// Writes something with its length in front: a number of always three bytes, so that it can
    /// be filled in afterwards. No record has as many bytes as they can say.
    #[inline(always)]
    pub(crate) fn framed(&mut self, write: impl FnOnce(&mut Self)) {
        self.look();
        let gap = self.gap();
        write(self);
        let Gap { full, at } = gap;
        let length = match full == self.full.len() {
            true => self.at.wrapping_sub(at + 4),
            false => self.length_of_full(gap),
        };
        debug_assert!(length < 1 << 24, "no part of an image is as large");
        self.fill(gap, ((length as u32) << 8) | (u32::from(SMALL) + 3));
    }

    /// How many bytes were written behind a gap.
    #[cold]
    fn length_of_full(&self, Gap { full, at }: Gap) -> usize {
        self.full.len() + self.at - full - at - 4
    }

    /// Leaves four bytes free.
    #[inline(always)]
    pub(crate) fn gap(&mut self) -> Gap {
        let at = self.place();
        self.at = at + 4;
        Gap { full: self.full.len(), at }
    }

    /// Writes them.
    #[inline(always)]
    pub(crate) fn fill(&mut self, Gap { full, at }: Gap, bytes: u32) {
        let bytes = bytes.to_le_bytes();
        if full == self.full.len() {
            self.write(at, bytes);
        } else {
            self.fill_full(full + at, bytes);
        }
    }

    #[cold]
    fn fill_full(&mut self, at: usize, bytes: [u8; 4]) {
        if let Some(place) = self.full.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
            *place = bytes;
        }
    }
}

impl std::fmt::Debug for Pen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a pen that has written {} bytes", self.full.len() + self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Reader;

    #[test]
    fn what_is_longer_than_a_page_reads_back_whole() {
        let (numbers, texts) = (vec![u64::MAX; 3_000], vec!["0123456789".repeat(6); 500]);
        let long = "x".repeat(3 * PAGE);
        let written = Pen::writes(|pen| {
            pen.framed(|pen| {
                pen.put(&numbers, &Names::default());
                pen.framed(|pen| pen.put(&texts, &Names::default()));
            });
            pen.bytes(long.as_bytes());
        });
        let mut from = Reader::of(&written, None);
        let mut inner = from.inner().unwrap();
        assert_eq!(inner.get(), Some(numbers));
        assert_eq!(inner.inner().and_then(|mut part| part.get()), Some(texts));
        assert_eq!(from.bytes(), Some(long.as_bytes()));
        assert!(from.is_done());
    }
}
