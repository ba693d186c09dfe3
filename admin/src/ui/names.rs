//! Names for keys: events and records carry ids, people read names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use tensou_store::model::{Customer, Destination, Extension, Group, Trunk};
use tensou_store::{Scope, Store};

use super::format;

/// What a key names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Customer,
    Trunk,
    /// A destination; also an extension rung directly, or a dialled number.
    Destination,
    Extension,
    Group,
}

/// Names kept; a busy node's screens show a few hundred at a time.
const MAX_NAMES: usize = 20_000;

/// The names of one page.
#[derive(Debug, Default)]
pub(crate) struct NameTable(BTreeMap<(Kind, String), String>);

impl NameTable {
    /// The name of a key. A key without one is shown as it is, a telephone number hyphenated.
    pub(crate) fn name(&self, kind: Kind, key: &str) -> String {
        match self.0.get(&(kind, key.to_owned())) {
            Some(name) if !name.is_empty() => name.clone(),
            _ => format::hyphenate(key),
        }
    }

    #[cfg(test)]
    pub(crate) fn of(rows: &[(Kind, &str, &str)]) -> Self {
        let row = |(kind, key, name): &(Kind, &str, &str)| {
            ((*kind, (*key).to_owned()), (*name).to_owned())
        };
        NameTable(rows.iter().map(row).collect())
    }
}

/// The keys that a page will show.
#[derive(Debug, Default)]
pub(crate) struct Wanted(BTreeSet<(Kind, String)>);

impl Wanted {
    /// Wants a name.
    pub(crate) fn add(&mut self, kind: Kind, key: Option<impl Into<String>>) {
        if let Some(key) = key {
            self.0.insert((kind, key.into()));
        }
    }
}

/// Names read so far, forgotten when the provisioning changes.
#[derive(Debug, Default)]
pub(crate) struct Names {
    // lock: a page looks up its few names and leaves; nothing is awaited inside
    cache: Mutex<Cache>,
}

#[derive(Debug, Default)]
struct Cache {
    revision: u64,
    names: BTreeMap<(Kind, String), String>,
}

impl Names {
    /// Looks up what a page wants. A database that does not answer costs the names, not the page.
    pub(crate) async fn table(&self, store: &Store, wanted: Wanted) -> NameTable {
        let revision = store.revision().await.unwrap_or_default();
        let mut table = NameTable::default();
        let mut missing = Vec::new();
        {
            let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            if cache.revision != revision || cache.names.len() > MAX_NAMES {
                *cache = Cache { revision, names: BTreeMap::new() };
            }
            for key in wanted.0 {
                match cache.names.get(&key) {
                    Some(name) => _ = table.0.insert(key, name.clone()),
                    None => missing.push(key),
                }
            }
        }
        for (kind, key) in missing {
            let name = read(store, kind, &key).await.unwrap_or_default();
            let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            cache.names.insert((kind, key.clone()), name.clone());
            drop(cache);
            table.0.insert((kind, key), name);
        }
        table
    }
}

async fn read(store: &Store, kind: Kind, key: &str) -> Option<String> {
    // The page has decided already whose rows these are: a name shown is of a call shown.
    let all = &Scope::All;
    match kind {
        Kind::Customer => Some(store.get::<Customer>(key, all).await.ok()??.row.name),
        Kind::Trunk => Some(store.get::<Trunk>(key, all).await.ok()??.row.name),
        Kind::Group => Some(store.get::<Group>(key, all).await.ok()??.row.name),
        Kind::Extension => Some(store.get::<Extension>(key, all).await.ok()??.row.name),
        Kind::Destination => match store.get::<Destination>(key, all).await.ok()? {
            Some(found) => Some(found.row.name),
            None => Some(store.get::<Extension>(key, all).await.ok()??.row.name),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_without_a_name_is_shown_itself() {
        let table =
            NameTable::of(&[(Kind::Customer, "acme", "アクメ商事"), (Kind::Customer, "kita", "")]);
        assert_eq!(table.name(Kind::Customer, "acme"), "アクメ商事");
        assert_eq!(table.name(Kind::Customer, "kita"), "kita");
        assert_eq!(table.name(Kind::Destination, "+819012345678"), "090-1234-5678");
    }
}
