//! Reading and writing what an operator configures, all kinds alike.

use serde_json::Value;
use tensou_store::model::{Customer, Destination, Did, Extension, Group, Schedule, Trunk};
use tensou_store::{Filter, Listing, Page, Resource, StoreError, Versioned};
use utoipa::ToSchema;

use super::App;
use super::auth::{Action, Area, Principal};
use super::refusal::Refusal;

/// A document that REST and UI offer.
pub trait Provisioned: Resource + ToSchema {
    /// Whose permission covers it.
    const AREA: Area;
    /// What REST's documentation says it is.
    const ABOUT: &'static str;
    /// Fields that a list can be filtered by.
    const FILTERS: &'static [&'static str];
}

macro_rules! provisioned {
    ($type:ty, $area:ident, $about:literal, [$($filter:literal),*]) => {
        impl Provisioned for $type {
            const AREA: Area = Area::$area;
            const ABOUT: &'static str = $about;
            const FILTERS: &'static [&'static str] = &[$($filter),*];
        }
    };
}

provisioned!(Trunk, Trunks, "SIP peers that bring or take calls", ["name", "enabled"]);
provisioned!(Customer, Customers, "Who rents DIDs", ["name", "state", "reseller", "closing_day"]);
provisioned!(Did, Dids, "Numbers and their routes", ["customer", "state"]);
provisioned!(
    Destination,
    Destinations,
    "What can ring",
    ["name", "customer", "number", "extension", "trunk"]
);
provisioned!(Group, Groups, "Hunt groups", ["name", "customer", "strategy"]);
provisioned!(
    Extension,
    Extensions,
    "SIP accounts",
    ["name", "customer", "presented_did", "enabled"]
);
provisioned!(Schedule, Schedules, "Calendars that rules can refer to", ["name", "customer"]);

impl App {
    /// Rows of a kind that `who` sees, in the order of their ids.
    ///
    /// # Errors
    /// The role does not include it, or a filter is wrong.
    pub async fn list<R: Provisioned>(
        &self,
        who: &Principal,
        equals: Vec<(String, String)>,
        page: &Page,
    ) -> Result<Listing<R>, Refusal> {
        who.demand(Action::Read, R::AREA)?;
        let filter = Filter { scope: who.scope().clone(), equals };
        self.store().list::<R>(&filter, page).await.map_err(|error| refusal::<R>(error, ""))
    }

    /// One row, secrets left out.
    ///
    /// # Errors
    /// The role does not include it, or there is no such row that `who` sees.
    pub async fn one<R: Provisioned>(
        &self,
        who: &Principal,
        id: &str,
    ) -> Result<Versioned<R>, Refusal> {
        who.demand(Action::Read, R::AREA)?;
        let found = self.store().get::<R>(id, who.scope()).await;
        found.map_err(|error| refusal::<R>(error, id))?.ok_or(Refusal::NotFound(R::KIND))
    }

    /// Adds a row.
    ///
    /// # Errors
    /// The role does not include it, the row is there already, or it has faults.
    pub async fn create<R: Provisioned>(
        &self,
        who: &Principal,
        row: &R,
    ) -> Result<Versioned<R>, Refusal> {
        who.demand(Action::Write, R::AREA)?;
        let created = self.store().create(&who.actor(), row).await;
        created.map_err(|error| refusal::<R>(error, row.id()))
    }

    /// Puts `row` in the place of the row `id`; `if_version` names the one that was read.
    ///
    /// # Errors
    /// As [`App::create`]; also when the row has changed, or `row` has another id.
    pub async fn replace<R: Provisioned>(
        &self,
        who: &Principal,
        id: &str,
        row: &R,
        if_version: Option<i64>,
    ) -> Result<Versioned<R>, Refusal> {
        who.demand(Action::Write, R::AREA)?;
        let replaced = self.store().replace(&who.actor(), id, row, if_version).await;
        replaced.map_err(|error| refusal::<R>(error, row.id()))
    }

    /// The document that a JSON merge patch (RFC 7396) makes of the row `id`, and the version it
    /// was made from. It is not written yet.
    ///
    /// # Errors
    /// As [`App::one`].
    pub async fn patched<R: Provisioned>(
        &self,
        who: &Principal,
        id: &str,
        patch: &Value,
    ) -> Result<(Value, i64), Refusal> {
        who.demand(Action::Write, R::AREA)?;
        let read = self.store().get::<R>(id, who.scope()).await;
        let current = read.map_err(|error| refusal::<R>(error, id))?;
        let current = current.ok_or(Refusal::NotFound(R::KIND))?;
        let mut document = serde_json::to_value(&current.row)
            .map_err(|error| Refusal::Internal(Box::new(error)))?;
        merge(&mut document, patch);
        Ok((document, current.version))
    }

    /// Removes a row that nothing refers to.
    ///
    /// # Errors
    /// As [`App::replace`]; also when other rows refer to it.
    pub async fn delete<R: Provisioned>(
        &self,
        who: &Principal,
        id: &str,
        if_version: Option<i64>,
    ) -> Result<(), Refusal> {
        who.demand(Action::Write, R::AREA)?;
        let deleted = self.store().delete::<R>(&who.actor(), id, if_version).await;
        deleted.map_err(|error| refusal::<R>(error, id))
    }
}

fn refusal<R: Resource>(error: StoreError, id: &str) -> Refusal {
    Refusal::of_row(error, R::KIND, &R::key(id))
}

/// RFC 7396 section 2. A member set to null is removed, so its default takes its place.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(members) = target else { return };
    for (name, change) in changes {
        if change.is_null() {
            members.remove(name);
        } else {
            merge(members.entry(name.clone()).or_insert(Value::Null), change);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::merge;
    use serde_json::json;

    #[test]
    fn merge_patch_behaves_as_in_the_examples_of_rfc_7396() {
        for (mut target, patch, wanted) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            merge(&mut target, &patch);
            assert_eq!(target, wanted);
        }
    }
}
