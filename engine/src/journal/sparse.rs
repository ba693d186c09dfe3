//! Structs most of whose fields are as usual most of the time: only the others are written.

/// A value that has a usual form, which is its default.
pub(crate) trait Usual: Default {
    fn is_usual(&self) -> bool;
}

macro_rules! usual {
    ($($type:ty),*) => { $(
        impl Usual for $type {
            fn is_usual(&self) -> bool {
                *self == <$type>::default()
            }
        }
    )* };
}

usual!(bool, u8, u16, u64, crate::time::WallTime);

impl<T> Usual for Option<T> {
    fn is_usual(&self) -> bool {
        self.is_none()
    }
}

impl<T> Usual for Vec<T> {
    fn is_usual(&self) -> bool {
        self.is_empty()
    }
}

impl Usual for Box<[u8]> {
    fn is_usual(&self) -> bool {
        self.is_empty()
    }
}

impl Usual for String {
    fn is_usual(&self) -> bool {
        self.is_empty()
    }
}

/// Writes two functions of a struct: one that writes which fields are not as usual, one bit of 32
/// each, and then those; one that sets them all again in a struct that has its other fields already. A
/// bit is never given to another field.
///
/// `sparse!(S as write_it, read_it { 0 = a, 1 = b } not { c });` `not` fields stand elsewhere, or
/// are made anew.
macro_rules! sparse {
    ($type:ident as $write:ident, $read:ident { $($bit:literal = $field:ident),* $(,)? }
        not { $($skip:ident),* $(,)? }
    ) => {
        impl $type {
            fn $write(&self, pen: &mut $crate::journal::Pen, names: &$crate::journal::Names<'_>) {
                use $crate::journal::Usual;
                let $type { $($field,)* $($skip: _,)* } = self;
                let gap = pen.gap();
                let mut written = 0u32;
                $(if !$field.is_usual() {
                    written |= 1 << $bit;
                    pen.put($field, names);
                })*
                pen.fill(gap, written);
            }

            fn $read(&mut self, from: &mut $crate::journal::Reader<'_>) -> Option<()> {
                const KNOWN: u32 = 0 $(| 1 << $bit)*;
                let written = u32::from_le_bytes(from.four()?);
                $(self.$field = match written >> $bit & 1 {
                    0 => Default::default(),
                    _ => from.get()?,
                };)*
                // A later release's, if others are there.
                (written & !KNOWN == 0).then_some(())
            }
        }
    };
}
pub(crate) use sparse;

#[cfg(test)]
mod tests {
    use crate::journal::{Names, Pen, Reader};

    #[derive(Clone, Debug, Default, PartialEq)]
    struct Line {
        name: String,
        calls: Vec<u32>,
        limit: Option<u64>,
        busy: bool,
        kept: u8,
    }
    sparse!(Line as put, take { 0 = name, 1 = calls, 2 = limit, 9 = busy } not { kept });

    fn written(line: &Line) -> Vec<u8> {
        Pen::writes(|pen| line.put(pen, &Names::default()))
    }

    #[test]
    fn what_is_as_usual_takes_no_place_and_comes_back() {
        assert_eq!(written(&Line::default()), [0; 4]);
        let line = Line { limit: Some(7), busy: true, kept: 3, ..Line::default() };
        // What was there before is replaced, but for what stands elsewhere.
        let before = Line { name: "old".into(), calls: vec![1], kept: 3, ..Line::default() };
        let (bytes, mut back) = (written(&line), before);
        let mut from = Reader::of(&bytes, None);
        assert_eq!(back.take(&mut from), Some(()));
        assert!(from.is_done());
        assert_eq!(back, line);
    }

    #[test]
    fn cut_bytes_and_fields_of_a_later_release_are_not_guessed_at() {
        let line = Line { name: "a".into(), calls: vec![300], ..Line::default() };
        let bytes = written(&line);
        for cut in 0..bytes.len() {
            assert_eq!(Line::default().take(&mut Reader::of(&bytes[..cut], None)), None);
        }
        assert_eq!(Line::default().take(&mut Reader::of(&[8, 0, 0, 0], None)), None);
    }
}
