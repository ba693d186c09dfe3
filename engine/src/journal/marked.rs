//! Values that know whether the journal has them as they are.

use std::ops::{Deref, DerefMut};

use super::{Image, Names, Pen, Reader};

/// A value that is marked by whatever may change it: nobody can forget to.
#[derive(Debug)]
pub(crate) struct Marked<T> {
    value: T,
    changed: bool,
}

impl<T> Marked<T> {
    /// A value that no journal has.
    pub(crate) fn new(value: T) -> Marked<T> {
        Marked { value, changed: true }
    }

    /// Whether it may have changed since it was written. No method: the value may have one of
    /// that name.
    pub(crate) fn changed(this: &Marked<T>) -> bool {
        this.changed
    }

    /// It has been written.
    pub(crate) fn saved(this: &mut Marked<T>) {
        this.changed = false;
    }
}

impl<T: Image> Image for Marked<T> {
    fn write(&self, pen: &mut Pen, names: &Names<'_>) {
        pen.put(&self.value, names);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        from.get().map(Marked::new)
    }
}

impl<T> Deref for Marked<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Marked<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.changed = true;
        &mut self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_leaves_no_mark_and_changing_does() {
        let mut list = Marked::new(vec![1]);
        assert!(Marked::changed(&list));
        Marked::saved(&mut list);
        assert_eq!(list.len(), 1);
        assert!(!Marked::changed(&list));
        list.push(2);
        assert!(Marked::changed(&list));
    }
}
