//! Images: what of the engine outlives its process, as bytes.
//!
//! A call is journalled as an image of itself: whoever reads the latest images has the calls
//! back. `Image` says how a value is written and read. Structs and enums get it by the macro
//! `image!`, which names every field, so that a new one cannot be forgotten: it does not compile
//! before somebody has decided whether the field is kept (`later`) or made anew (`not`).
//!
//! # Format
//!
//! Numbers up to 247 are one byte, larger ones have the count of their bytes in front, as have
//! texts and bytes; times and handles are eight bytes. A struct begins with the count
//! of its fields and may only grow at the end: what an older image does not have is read as the
//! default. An enum begins with the number of its variant, which is never given to another one. A
//! sparse struct begins with the bits of the fields that are not as usual, four bytes, and has no
//! others.

mod acknowledged;
mod farewell;
mod ledger;
mod marked;
mod notes;
mod pen;
mod primitive;
mod record;
mod sparse;

pub(crate) use acknowledged::keep_acknowledged;
pub(crate) use farewell::{bring_farewell_back, keep_farewell};
#[cfg(debug_assertions)]
pub(crate) use ledger::parts_of;
pub(crate) use ledger::{FORMER, Kind, Parts, begin_call, finished, gone, join};
pub use ledger::{Ledger, Unreadable, alone, cdrs_of};
pub(crate) use marked::Marked;
pub(crate) use notes::{Confirmed, Notes};
pub(crate) use pen::{Names, Pen};
pub use record::Record;
pub(crate) use sparse::{Usual, sparse};

use crate::core::Core;
use crate::id::Key;

/// A value that can be written into the journal and read back.
pub(crate) trait Image: Sized {
    /// Appends it.
    fn write(&self, pen: &mut Pen, names: &Names<'_>);
    /// Reads it; `None` when the bytes are no such value.
    fn read(from: &mut Reader<'_>) -> Option<Self>;
}

/// The largest number that is one byte; the bytes above stand before one to eight others.
const SMALL: u8 = u8::MAX - 8;

/// Where images are read from.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    /// Where what was read takes its place; values that hold nothing do without.
    pub(crate) core: Option<&'a mut Core>,
    /// The part that lean transactions look into.
    pub(crate) large: &'a [u8],
    /// The part that a dialog looks into which shares what is ours with another one.
    pub(crate) dialog: &'a [u8],
    /// The trunk of the leg that is read.
    pub(crate) own: Option<Key>,
    /// Something could not be had again: the call cannot go on.
    pub(crate) lost: bool,
    /// Numbers are LEB128: seven bits a byte, the lowest first.
    pub(crate) former: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn of(bytes: &'a [u8], core: Option<&'a mut Core>) -> Reader<'a> {
        Reader { rest: bytes, core, large: &[], dialog: &[], own: None, lost: false, former: false }
    }

    /// [`Reader::of`] for what a former release wrote.
    pub(crate) fn former(bytes: &'a [u8], core: Option<&'a mut Core>) -> Reader<'a> {
        Reader { former: true, ..Reader::of(bytes, core) }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    pub(crate) fn number(&mut self) -> Option<u64> {
        if self.former {
            return self.former_number();
        }
        let first = self.byte()?;
        let Some(digits) = first.checked_sub(SMALL).filter(|digits| *digits > 0) else {
            return Some(first.into());
        };
        let (digits, rest) = self.rest.split_at_checked(digits.into())?;
        self.rest = rest;
        Some(digits.iter().rev().fold(0, |value, digit| value << 8 | u64::from(*digit)))
    }

    pub(crate) fn four(&mut self) -> Option<[u8; 4]> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*bytes)
    }

    pub(crate) fn eight(&mut self) -> Option<[u8; 8]> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*bytes)
    }

    fn former_number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(bytes)
    }

    /// What is framed.
    pub(crate) fn inner(&mut self) -> Option<Reader<'a>> {
        self.bytes().map(|bytes| self.alike(bytes))
    }

    /// For other bytes of the same release.
    pub(crate) fn alike(&self, bytes: &'a [u8]) -> Reader<'a> {
        Reader { former: self.former, ..Reader::of(bytes, None) }
    }

    pub(crate) fn get<T: Image>(&mut self) -> Option<T> {
        T::read(self)
    }

    /// A field of a struct of which `left` fields are still to come.
    pub(crate) fn field<T: Image>(&mut self, left: &mut u8) -> Option<T> {
        *left = left.checked_sub(1)?;
        T::read(self)
    }

    /// A field that images of an earlier release do not have.
    pub(crate) fn later<T: Image + Default>(&mut self, left: &mut u8) -> Option<T> {
        if *left == 0 { Some(T::default()) } else { self.field(left) }
    }
}

/// Writes `Image` for a struct or an enum, field by field.
///
/// - `image!(struct S { a, b } later { c } not { d = 0 });` `later` fields came with a later
///   release and have a default; `not` fields are made anew.
/// - `image!(enum E { 0 = Plain, 1 = Tuple(x), 2 = Named { y } });`
/// - `image!(struct S as write_it, read_it { a });` makes two functions of a struct whose `Image`
///   is written by hand.
/// - `image!(former S as read_it { a });` makes the second of them: nobody writes it any more.
macro_rules! image {
    (struct $type:ident { $($fields:tt)* } $($more:tt)*) => {
        impl $crate::journal::Image for $type {
            fn write(&self, pen: &mut $crate::journal::Pen, names: &$crate::journal::Names<'_>) {
                self.write_fields(pen, names);
            }

            fn read(from: &mut $crate::journal::Reader<'_>) -> Option<Self> {
                Self::read_fields(from)
            }
        }

        $crate::journal::image!(
            struct $type as write_fields, read_fields { $($fields)* } $($more)*
        );
    };
    (struct $type:ident as $write:ident, $read:ident { $($field:ident),* $(,)? }
        $(later { $($new:ident),* $(,)? })?
        $(not { $($skip:ident = $value:expr),* $(,)? })?
    ) => {
        impl $type {
            fn $write(&self, pen: &mut $crate::journal::Pen, names: &$crate::journal::Names<'_>) {
                let $type { $($field,)* $($($new,)*)? $($($skip: _,)*)? } = self;
                const FIELDS: &[&str] = &[$(stringify!($field),)* $($(stringify!($new),)*)?];
                pen.byte(FIELDS.len() as u8);
                $(pen.put($field, names);)*
                $($(pen.put($new, names);)*)?
            }
        }

        $crate::journal::image!(
            former $type as $read { $($field),* }
            $(later { $($new),* })? $(not { $($skip = $value),* })?
        );
    };
    (former $type:ident as $read:ident { $($field:ident),* $(,)? }
        $(later { $($new:ident),* $(,)? })?
        $(not { $($skip:ident = $value:expr),* $(,)? })?
    ) => {
        impl $type {
            fn $read(from: &mut $crate::journal::Reader<'_>) -> Option<Self> {
                let mut left = from.byte()?;
                $(let $field = from.field(&mut left)?;)*
                $($(let $new = from.later(&mut left)?;)*)?
                let read = $type { $($field,)* $($($new,)*)? $($($skip: $value,)*)? };
                (left == 0).then_some(read)
            }
        }
    };
    (enum $type:ident { $(
        $number:literal = $variant:ident $(( $($inner:ident),* ))? $({ $($field:ident),* })?
    ),* $(,)? }) => {
        impl $crate::journal::Image for $type {
            fn write(&self, pen: &mut $crate::journal::Pen, names: &$crate::journal::Names<'_>) {
                // A plain enum has no use for them.
                let _ = names;
                match self {
                    $($type::$variant $(( $($inner),* ))? $({ $($field),* })? => {
                        pen.byte($number);
                        $($(pen.put($inner, names);)*)?
                        $($(pen.put($field, names);)*)?
                    })*
                }
            }

            fn read(from: &mut $crate::journal::Reader<'_>) -> Option<Self> {
                match from.byte()? {
                    $($number => {
                        $($(let $inner = from.get()?;)*)?
                        $($(let $field = from.get()?;)*)?
                        Some($type::$variant $(( $($inner),* ))? $({ $($field),* })?)
                    })*
                    _ => None,
                }
            }
        }
    };
}
pub(crate) use image;

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Old {
        a: u32,
    }
    image!(struct Old { a });

    #[derive(Debug, PartialEq)]
    struct New {
        a: u32,
        b: Option<u64>,
        scratch: u8,
    }
    image!(struct New { a } later { b } not { scratch = 9 });

    #[derive(Debug, PartialEq)]
    enum Shape {
        Dot,
        Line(u32, bool),
        Box { side: u16 },
    }
    image!(enum Shape { 0 = Dot, 1 = Line(long, bold), 2 = Box { side } });

    fn bytes(value: &impl Image) -> Vec<u8> {
        Pen::writes(|pen| pen.put(value, &Names::default()))
    }

    fn back<T: Image>(bytes: &[u8]) -> Option<T> {
        let mut reader = Reader::of(bytes, None);
        reader.get().filter(|_| reader.is_done())
    }

    #[test]
    fn an_older_image_is_read_with_defaults_and_a_newer_one_is_not_guessed_at() {
        assert_eq!(back(&bytes(&Old { a: 300 })), Some(New { a: 300, b: None, scratch: 9 }));
        let new = New { a: 1, b: Some(u64::MAX), scratch: 9 };
        assert_eq!(back(&bytes(&new)), Some(New { a: 1, b: Some(u64::MAX), scratch: 9 }));
        assert_eq!(back::<Old>(&bytes(&new)), None);
    }

    #[test]
    fn every_variant_reads_back_and_cut_bytes_never_do() {
        for shape in [Shape::Dot, Shape::Line(70_000, true), Shape::Box { side: 65_535 }] {
            let whole = bytes(&shape);
            for cut in 0..whole.len() {
                assert_eq!(back::<Shape>(&whole[..cut]), None);
            }
            assert_eq!(back(&whole), Some(shape));
        }
        assert_eq!(back::<Shape>(&[3]), None);
    }

    #[test]
    fn what_is_framed_has_its_length_in_front() {
        let bytes = Pen::writes(|pen| pen.framed(|pen| (0..300).for_each(|_| pen.byte(7))));
        let mut reader = Reader::of(&bytes, None);
        assert_eq!(reader.bytes(), Some(&[7; 300][..]));
        assert!(reader.is_done());
    }
}
