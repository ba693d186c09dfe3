//! Who refers to whom.

use std::collections::BTreeSet;

use tensou_engine::route::Fault;

use crate::model::Document;

/// A reference from one row's field to another row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference<'a> {
    pub(crate) from: (&'static str, &'a str),
    pub(crate) field: String,
    pub(crate) to: (&'static str, &'a str),
}

impl Reference<'_> {
    /// Where it stands.
    pub(crate) fn place(&self) -> (&'static str, &str, &str) {
        (self.from.0, self.from.1, &self.field)
    }
}

/// A fault for every reference to a row that does not exist.
pub(crate) fn dangling(document: &Document) -> Vec<Fault> {
    let known = rows(document);
    let lost = references(document).into_iter().filter(|reference| !known.contains(&reference.to));
    let fault =
        |Reference { from: (kind, key), field, to: (to_kind, to_key) }: Reference<'_>| Fault {
            kind,
            key: key.to_owned(),
            field,
            message: format!("there is no {to_kind} {to_key}"),
        };
    lost.map(fault).collect()
}

/// The rows that refer to this one, `did +81311112222`, each once.
pub(crate) fn users_of(document: &Document, kind: &str, id: &str) -> Vec<String> {
    let all = references(document).into_iter();
    let found = all.filter(|reference| reference.to == (kind, id) && reference.from != (kind, id));
    let names: BTreeSet<String> =
        found.map(|reference| format!("{} {}", reference.from.0, reference.from.1)).collect();
    names.into_iter().collect()
}

fn rows(document: &Document) -> BTreeSet<(&'static str, &str)> {
    let mut rows = BTreeSet::new();
    rows.extend(document.trunks.iter().map(|row| ("trunk", row.id.as_str())));
    rows.extend(document.customers.iter().map(|row| ("customer", row.id.as_str())));
    rows.extend(document.dids.iter().map(|row| ("did", row.number.as_str())));
    rows.extend(document.destinations.iter().map(|row| ("destination", row.id.as_str())));
    rows.extend(document.groups.iter().map(|row| ("group", row.id.as_str())));
    rows.extend(document.extensions.iter().map(|row| ("extension", row.user.as_str())));
    rows.extend(document.schedules.iter().map(|row| ("schedule", row.id.as_str())));
    rows
}

pub(crate) fn references(document: &Document) -> Vec<Reference<'_>> {
    let mut list = List(Vec::new());
    for row in &document.trunks {
        list.to(("trunk", &row.id), "default_did", "did", &row.default_did);
    }
    for row in &document.dids {
        let from = ("did", row.number.as_str());
        list.to(from, "customer", "customer", &row.customer);
        for (at, step) in row.route.iter().enumerate() {
            list.target(from, format!("route[{at}].ring"), &step.ring);
        }
    }
    for row in &document.destinations {
        let from = ("destination", row.id.as_str());
        list.to(from, "customer", "customer", &row.customer);
        list.to(from, "extension", "extension", &row.extension);
        list.to(from, "trunk", "trunk", &row.trunk);
    }
    for row in &document.groups {
        let from = ("group", row.id.as_str());
        list.to(from, "customer", "customer", &row.customer);
        for (at, member) in row.members.iter().enumerate() {
            list.target(from, format!("members[{at}].ring"), &member.ring);
        }
        if let Some(overflow) = &row.overflow {
            list.target(from, "overflow".into(), overflow);
        }
    }
    for row in &document.extensions {
        let from = ("extension", row.user.as_str());
        list.to(from, "customer", "customer", &row.customer);
        list.to(from, "presented_did", "did", &row.presented_did);
    }
    for row in &document.schedules {
        list.to(("schedule", &row.id), "customer", "customer", &row.customer);
    }
    list.0
}

struct List<'a>(Vec<Reference<'a>>);

impl<'a> List<'a> {
    fn to(
        &mut self,
        from: (&'static str, &'a str),
        field: &str,
        kind: &'static str,
        id: &'a Option<String>,
    ) {
        if let Some(id) = id {
            self.0.push(Reference { from, field: field.to_owned(), to: (kind, id) });
        }
    }

    /// `destination:ID`, `group:ID`, `extension:USER`; anything else is named by the conversion.
    fn target(&mut self, from: (&'static str, &'a str), field: String, text: &'a str) {
        let Some((kind, id)) = text.split_once(':') else { return };
        let kind = match kind {
            "destination" => "destination",
            "group" => "group",
            "extension" => "extension",
            _ => return,
        };
        self.0.push(Reference { from, field, to: (kind, id) });
    }
}
