//! Lists: filters, pages and cursors.

use crate::access::Scope;

/// The most rows one page holds.
pub const MAX_PAGE: u32 = 1000;

/// What a list contains.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Whose rows.
    pub scope: Scope,
    /// Field name and wanted value, all of which must hold. Booleans are `true` and `false`,
    /// numbers may be typed as people type them, and an empty value means the field is not set.
    pub equals: Vec<(String, String)>,
}

impl Filter {
    /// Everything that `scope` sees.
    pub fn within(scope: Scope) -> Self {
        Filter { scope, equals: Vec::new() }
    }

    /// Also demands that `field` is `value`.
    #[must_use]
    pub fn and(mut self, field: impl Into<String>, value: impl Into<String>) -> Self {
        self.equals.push((field.into(), value.into()));
        self
    }
}

/// A stretch of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// At most this many rows; 1 to [`MAX_PAGE`], values outside are brought inside.
    pub limit: u32,
    /// [`Paged::next`] of the page before.
    pub after: Option<String>,
}

impl Default for Page {
    fn default() -> Self {
        Page { limit: 100, after: None }
    }
}

impl Page {
    /// The first `limit` rows.
    pub fn first(limit: u32) -> Self {
        Page { limit, after: None }
    }

    pub(crate) fn size(&self) -> usize {
        self.limit.clamp(1, MAX_PAGE) as usize
    }
}

/// One page.
#[derive(Clone, Debug, PartialEq)]
pub struct Paged<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Cursor of the page that follows; none on the last.
    pub next: Option<String>,
}

impl<T> Paged<T> {
    /// Makes a page from rows read with one more than `size`: that one only tells that more follow.
    pub(crate) fn cut(mut items: Vec<T>, size: usize, cursor: impl Fn(&T) -> String) -> Self {
        let more = items.len() > size;
        items.truncate(size);
        let next = if more { items.last().map(cursor) } else { None };
        Paged { items, next }
    }
}

/// A provisioned row as the database holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Versioned<R> {
    /// The row, secrets left out.
    pub row: R,
    /// Rises with every change of this row: the ETag.
    pub version: i64,
    /// Last change, Unix milliseconds.
    pub updated_at: i64,
}

/// A page of provisioned rows.
pub type Listing<R> = Paged<Versioned<R>>;
