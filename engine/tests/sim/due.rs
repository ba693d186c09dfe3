//! What is to come, in order of time, then of telling.

/// Something that happens at a time.
pub(crate) struct Due<W> {
    pub(crate) at: u64,
    /// Before what was told later.
    pub(crate) order: u64,
    pub(crate) what: W,
}

impl<W> PartialEq for Due<W> {
    fn eq(&self, other: &Due<W>) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl<W> Eq for Due<W> {}

impl<W> PartialOrd for Due<W> {
    fn partial_cmp(&self, other: &Due<W>) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<W> Ord for Due<W> {
    fn cmp(&self, other: &Due<W>) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}
