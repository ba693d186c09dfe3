//! A slab with generations: things of one kind, named by handles that never point at another.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

/// Slots of one chunk. Chunks never move, so growing costs one allocation and no copying,
/// however many calls are up.
const CHUNK: usize = 256;

/// Slots that [`Arena::insert_at`] makes at most: forty times the calls of a busy node, so that a
/// damaged handle costs memory but not all of it.
const MOST_REVIVED: u32 = 1 << 20;

/// The name of one value in an [`Arena`]; once the value is removed it names nothing, for ever.
pub struct Handle<T> {
    index: u32,
    generation: u32,
    kind: PhantomData<fn() -> T>,
}

impl<T> Handle<T> {
    const fn new(index: u32, generation: u32) -> Self {
        Handle { index, generation, kind: PhantomData }
    }

    /// As one number, to be carried in a tag or a branch.
    pub const fn to_bits(self) -> u64 {
        (self.generation as u64) << 32 | self.index as u64
    }

    /// From [`Handle::to_bits`]. A number that a peer made up names nothing, or something that
    /// the caller has to compare with what the peer says further.
    pub const fn from_bits(bits: u64) -> Self {
        Handle::new(bits as u32, (bits >> 32) as u32)
    }

    /// How often its slot had been used before.
    pub const fn generation(self) -> u32 {
        self.generation
    }

    /// The slot, dense from 0: a subscript for tables kept beside the arena.
    pub const fn index(self) -> u32 {
        self.index
    }
}

/// Values of one kind, found by [`Handle`] in constant time.
pub struct Arena<T> {
    chunks: Vec<Vec<Slot<T>>>,
    free: Option<u32>,
    len: usize,
    /// Generation of a slot that is made.
    first: u32,
}

struct Slot<T> {
    generation: u32,
    content: Content<T>,
}

enum Content<T> {
    Full(T),
    /// The slot to reuse after this one.
    Free(Option<u32>),
    /// Its generations are used up: reusing it could revive an old handle.
    Retired,
}

impl<T> Arena<T> {
    /// An empty arena; allocates nothing.
    pub const fn new() -> Self {
        Arena { chunks: Vec::new(), free: None, len: 0, first: 0 }
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Keeps `value` and names it.
    pub fn insert(&mut self, value: T) -> Handle<T> {
        self.insert_with(|_| value)
    }

    /// Keeps a value that knows its own name.
    ///
    /// # Panics
    /// Beyond 2^32 values, which no memory of today holds.
    pub fn insert_with(&mut self, make: impl FnOnce(Handle<T>) -> T) -> Handle<T> {
        let index = match self.free {
            Some(index) => index,
            None => self.grow(),
        };
        let (chunk, at) = place(index);
        let slot = &mut self.chunks[chunk][at];
        let handle = Handle::new(index, slot.generation);
        if let Content::Free(next) = slot.content {
            self.free = next;
        }
        slot.content = Content::Full(make(handle));
        self.len += 1;
        handle
    }

    /// Stores what `make` makes of the handle it will have, if it makes something.
    pub fn try_insert_with(
        &mut self,
        make: impl FnOnce(Handle<T>) -> Option<T>,
    ) -> Option<Handle<T>> {
        let index = match self.free {
            Some(index) => index,
            None => {
                let index = self.grow();
                self.free = Some(index);
                index
            }
        };
        let (chunk, at) = place(index);
        let value = make(Handle::new(index, self.chunks[chunk][at].generation))?;
        Some(self.insert_with(|_| value))
    }

    /// Puts a value back under the name that it had in an earlier life of the process. Of two that
    /// had the same place the later one counts: the other had been removed before. False when the
    /// value is not kept, or its place lies beyond what an arena of calls can come to.
    ///
    /// [`Arena::relink`] must follow before anything else is inserted.
    pub fn insert_at(&mut self, handle: Handle<T>, value: T) -> bool {
        if handle.index >= MOST_REVIVED {
            return false;
        }
        let (chunk, at) = place(handle.index);
        while self.chunks.get(chunk).is_none_or(|chunk| chunk.len() <= at) {
            self.grow();
        }
        let slot = &mut self.chunks[chunk][at];
        let taken = matches!(slot.content, Content::Full(_));
        if taken && slot.generation >= handle.generation {
            return false;
        }
        *slot = Slot { generation: handle.generation, content: Content::Full(value) };
        self.len += usize::from(!taken);
        true
    }

    /// Finds the free slots anew, the lowest first. What is inserted from now on is of generation
    /// `first` or later: handles of an earlier life that name nothing stay so.
    pub fn relink(&mut self, first: u32) {
        self.first = first;
        let mut next = None;
        let slots = self.chunks.iter_mut().flatten().zip(0u32..).collect::<Vec<_>>();
        for (slot, index) in slots.into_iter().rev() {
            if let Content::Free(_) = slot.content {
                slot.generation = slot.generation.max(first);
                slot.content = Content::Free(next.replace(index));
            }
        }
        self.free = next;
    }

    /// A new slot at the end, free but in no list.
    #[cold]
    fn grow(&mut self) -> u32 {
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let before = (self.chunks.len() - 1) * CHUNK;
        let chunk = self.chunks.last_mut().expect("invariant: a chunk was pushed above");
        chunk.push(Slot { generation: self.first, content: Content::Free(None) });
        u32::try_from(before + chunk.len() - 1).expect("invariant: fewer than 2^32 slots")
    }

    /// The value, unless it was removed.
    pub fn get(&self, handle: Handle<T>) -> Option<&T> {
        let (chunk, at) = place(handle.index);
        match self.chunks.get(chunk)?.get(at)? {
            Slot { generation, content: Content::Full(value) }
                if *generation == handle.generation =>
            {
                Some(value)
            }
            _ => None,
        }
    }

    /// The value, to be changed, unless it was removed.
    pub fn get_mut(&mut self, handle: Handle<T>) -> Option<&mut T> {
        let (chunk, at) = place(handle.index);
        match self.chunks.get_mut(chunk)?.get_mut(at)? {
            Slot { generation, content: Content::Full(value) }
                if *generation == handle.generation =>
            {
                Some(value)
            }
            _ => None,
        }
    }

    /// Whether the handle still names a value.
    pub fn contains(&self, handle: Handle<T>) -> bool {
        self.get(handle).is_some()
    }

    /// Takes the value out; the handle and all its copies name nothing from now on.
    pub fn remove(&mut self, handle: Handle<T>) -> Option<T> {
        let (chunk, at) = place(handle.index);
        let slot = self.chunks.get_mut(chunk)?.get_mut(at)?;
        if slot.generation != handle.generation || !matches!(slot.content, Content::Full(_)) {
            return None;
        }
        let after = match slot.generation.checked_add(1) {
            Some(generation) => {
                // A value of an earlier life gives its slot back to this one.
                slot.generation = generation.max(self.first);
                Content::Free(self.free.replace(handle.index))
            }
            None => Content::Retired,
        };
        self.len -= 1;
        match std::mem::replace(&mut slot.content, after) {
            Content::Full(value) => Some(value),
            Content::Free(_) | Content::Retired => None,
        }
    }

    /// Every value with its handle, in the order of slots: the same in every replay.
    pub fn iter(&self) -> impl Iterator<Item = (Handle<T>, &T)> {
        self.chunks.iter().flatten().zip(0..).filter_map(|(slot, index)| match &slot.content {
            Content::Full(value) => Some((Handle::new(index, slot.generation), value)),
            Content::Free(_) | Content::Retired => None,
        })
    }

    /// Every handle, in the order of slots, for loops that remove.
    pub fn handles(&self) -> Vec<Handle<T>> {
        self.iter().map(|(handle, _)| handle).collect()
    }
}

const fn place(index: u32) -> (usize, usize) {
    (index as usize / CHUNK, index as usize % CHUNK)
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for Arena<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

// Written out because derives would ask the same of `T`, which a handle does not hold.
impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Handle<T> {}
impl<T> PartialEq for Handle<T> {
    fn eq(&self, other: &Self) -> bool {
        self.to_bits() == other.to_bits()
    }
}
impl<T> Eq for Handle<T> {}
impl<T> PartialOrd for Handle<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Handle<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.index, self.generation).cmp(&(other.index, other.generation))
    }
}
impl<T> Hash for Handle<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.to_bits().hash(state);
    }
}
impl<T> fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}.{}", self.index, self.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_value_is_gone_for_every_copy_of_its_handle() {
        let mut arena = Arena::new();
        let old = arena.insert("old");
        assert_eq!(arena.remove(old), Some("old"));
        let new = arena.insert("new");
        assert_eq!((old.index(), arena.len()), (new.index(), 1));
        assert_eq!((arena.get(old), arena.get(new)), (None, Some(&"new")));
        assert_eq!(arena.remove(old), None);
        assert_eq!(Handle::<&str>::from_bits(new.to_bits()), new);
    }

    #[test]
    fn handles_that_a_peer_made_up_name_nothing() {
        let mut arena = Arena::new();
        arena.insert(1);
        for bits in [u64::MAX, 1, 1 << 32, u64::from(u32::MAX)] {
            assert_eq!(arena.get_mut(Handle::from_bits(bits)), None);
            assert_eq!(arena.remove(Handle::from_bits(bits)), None);
        }
        assert_eq!(arena.len(), 1);
    }

    #[test]
    fn iteration_goes_by_slot_over_all_chunks() {
        let mut arena = Arena::new();
        let handles: Vec<_> = (0..3 * CHUNK).map(|n| arena.insert(n)).collect();
        for handle in handles.iter().step_by(2) {
            arena.remove(*handle);
        }
        let left: Vec<_> = arena.iter().map(|(handle, n)| (handle.index() as usize, *n)).collect();
        let odd: Vec<_> = (0..3 * CHUNK).filter(|n| n % 2 == 1).map(|n| (n, n)).collect();
        assert_eq!(left, odd);
        assert_eq!(arena.len(), odd.len());
    }

    #[test]
    fn a_slot_without_generations_left_is_never_used_again() {
        let mut arena = Arena::new();
        let first = arena.insert(1);
        arena.remove(first);
        arena.chunks[0][0].generation = u32::MAX;
        let last = arena.insert(2);
        assert_eq!(last.index(), 0);
        assert_eq!(arena.remove(last), Some(2));
        assert_ne!(arena.insert(3).index(), 0);
        assert_eq!(arena.get(last), None);
    }

    #[test]
    fn values_take_their_old_places_again_and_new_ones_go_around_them() {
        let mut arena = Arena::new();
        let (low, high) = (Handle::new(1, 7), Handle::new(300, 2));
        assert!(arena.insert_at(high, "high") && arena.insert_at(low, "low"));
        assert!(!arena.insert_at(Handle::new(1, 6), "earlier"));
        assert!(arena.insert_at(Handle::new(300, 3), "later"));
        let high = Handle::new(300, 3);
        assert!(!arena.insert_at(Handle::new(MOST_REVIVED, 0), "damage"));
        arena.relink(9);
        let dead = Handle::new(5, 8);
        let new: Vec<_> = (0..400).map(|_| arena.insert("new")).collect();
        assert!(new.iter().all(|handle| *handle != low && *handle != high));
        assert!(new.iter().all(|handle| handle.generation() >= 9) && arena.get(dead).is_none());
        assert_eq!((arena.get(low), arena.get(high)), (Some(&"low"), Some(&"later")));
        assert_eq!(arena.len(), 402);
        assert_eq!(arena.remove(low), Some("low"));
        assert_ne!(arena.insert("newer").to_bits(), low.to_bits());
    }

    #[test]
    fn a_value_may_know_its_own_name() {
        let mut arena: Arena<u64> = Arena::new();
        let handle = arena.insert_with(Handle::to_bits);
        assert_eq!(arena.get(handle), Some(&handle.to_bits()));
    }
}
