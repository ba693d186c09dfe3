//! The provisioned documents, seen alike: what the repositories need to know of each.

use std::borrow::Cow;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tensou_engine::plan::parse_e164;
use tensou_engine::route::Fault;

use crate::model::{Customer, Destination, Did, Document, Extension, Group, Schedule, Trunk};
use crate::provisioning::convert;
use crate::shape;

mod sealed {
    use crate::shape::Field;

    /// How a document is kept. Only this crate's documents have a table.
    pub trait Stored {
        #[doc(hidden)]
        const LAYOUT: Layout;
    }

    /// Table and columns. The first field is the id.
    #[derive(Clone, Copy, Debug)]
    pub struct Layout {
        pub(crate) table: &'static str,
        pub(crate) fields: &'static [Field],
        /// The column that says whose row it is; none: no customer sees it.
        pub(crate) customer: Option<&'static str>,
    }
}

pub(crate) use sealed::{Layout, Stored};

/// A provisioned document: [`Trunk`], [`Customer`], [`Did`], [`Destination`], [`Group`],
/// [`Extension`] or [`Schedule`].
pub trait Resource:
    Stored + Serialize + DeserializeOwned + Clone + PartialEq + Send + Sync + 'static
{
    /// The word in faults, audit and messages, `trunk`.
    const KIND: &'static str;
    /// The word in REST paths and documents, `trunks`.
    const PLURAL: &'static str;

    /// Its id: chosen by the operator, the number of a DID, the user name of an extension.
    fn id(&self) -> &str;

    /// The customer whose row it is.
    fn customer(&self) -> Option<&str>;

    /// Without secrets, as REST, audit and screens show it.
    fn redacted(&self) -> Self {
        self.clone()
    }

    /// Everything wrong with this document alone; references are judged with the whole.
    fn check(&self) -> Vec<Fault>;

    /// With telephone numbers in E.164, however they were typed. What is no number stays as it
    /// is and is named by [`Resource::check`].
    #[must_use]
    fn normalised(self) -> Self {
        self
    }

    /// The id as stored, from an id as a person may type it.
    fn key(id: &str) -> Cow<'_, str> {
        Cow::Borrowed(id)
    }

    /// Takes from the stored row what a document leaves out because it is write only.
    fn keep_secret_of(&mut self, _stored: &Self) {}

    /// Its rows in a document.
    fn rows(document: &Document) -> &Vec<Self>;

    /// Its rows in a document, to change them.
    fn rows_mut(document: &mut Document) -> &mut Vec<Self>;
}

macro_rules! layout {
    ($type:ty, $table:literal, $fields:expr, $customer:expr) => {
        impl Stored for $type {
            const LAYOUT: Layout = Layout { table: $table, fields: $fields, customer: $customer };
        }
    };
}

layout!(Trunk, "trunks", shape::TRUNK, None);
layout!(Customer, "customers", shape::CUSTOMER, Some("id"));
layout!(Did, "dids", shape::DID, Some("customer"));
layout!(Destination, "destinations", shape::DESTINATION, Some("customer"));
// GROUPS is a reserved word of SQL.
layout!(Group, "hunt_groups", shape::GROUP, Some("customer"));
layout!(Extension, "extensions", shape::EXTENSION, Some("customer"));
layout!(Schedule, "schedules", shape::SCHEDULE, Some("customer"));

macro_rules! rows {
    ($field:ident) => {
        fn rows(document: &Document) -> &Vec<Self> {
            &document.$field
        }

        fn rows_mut(document: &mut Document) -> &mut Vec<Self> {
            &mut document.$field
        }
    };
}

impl Resource for Trunk {
    const KIND: &'static str = "trunk";
    const PLURAL: &'static str = "trunks";

    fn id(&self) -> &str {
        &self.id
    }

    fn customer(&self) -> Option<&str> {
        None
    }

    fn check(&self) -> Vec<Fault> {
        convert::trunk(self).faults
    }

    fn normalised(mut self) -> Self {
        normalise(&mut self.default_did);
        self
    }

    fn redacted(&self) -> Self {
        let mut shown = self.clone();
        if let Some(auth) = &mut shown.auth {
            auth.password = None;
        }
        if let Some(auth) = &mut shown.auth_in {
            auth.password = None;
        }
        shown
    }

    fn keep_secret_of(&mut self, stored: &Self) {
        if let (Some(auth), Some(stored)) = (&mut self.auth, &stored.auth)
            && auth.password.is_none()
        {
            auth.password.clone_from(&stored.password);
        }
        if let (Some(auth), Some(stored)) = (&mut self.auth_in, &stored.auth_in)
            && auth.password.is_none()
        {
            auth.password.clone_from(&stored.password);
        }
    }

    rows!(trunks);
}

impl Resource for Customer {
    const KIND: &'static str = "customer";
    const PLURAL: &'static str = "customers";

    fn id(&self) -> &str {
        &self.id
    }

    fn customer(&self) -> Option<&str> {
        Some(&self.id)
    }

    fn check(&self) -> Vec<Fault> {
        convert::customer(self).faults
    }

    rows!(customers);
}

impl Resource for Did {
    const KIND: &'static str = "did";
    const PLURAL: &'static str = "dids";

    fn id(&self) -> &str {
        &self.number
    }

    fn customer(&self) -> Option<&str> {
        self.customer.as_deref()
    }

    fn check(&self) -> Vec<Fault> {
        convert::did(self).faults
    }

    fn normalised(mut self) -> Self {
        self.number = e164(&self.number).into_owned();
        self
    }

    fn key(id: &str) -> Cow<'_, str> {
        e164(id)
    }

    rows!(dids);
}

impl Resource for Destination {
    const KIND: &'static str = "destination";
    const PLURAL: &'static str = "destinations";

    fn id(&self) -> &str {
        &self.id
    }

    fn customer(&self) -> Option<&str> {
        self.customer.as_deref()
    }

    fn check(&self) -> Vec<Fault> {
        convert::destination(self).faults
    }

    fn normalised(mut self) -> Self {
        normalise(&mut self.number);
        self
    }

    rows!(destinations);
}

impl Resource for Group {
    const KIND: &'static str = "group";
    const PLURAL: &'static str = "groups";

    fn id(&self) -> &str {
        &self.id
    }

    fn customer(&self) -> Option<&str> {
        self.customer.as_deref()
    }

    fn check(&self) -> Vec<Fault> {
        convert::group(self).faults
    }

    rows!(groups);
}

impl Resource for Extension {
    const KIND: &'static str = "extension";
    const PLURAL: &'static str = "extensions";

    fn id(&self) -> &str {
        &self.user
    }

    fn customer(&self) -> Option<&str> {
        self.customer.as_deref()
    }

    fn redacted(&self) -> Self {
        Extension { secret: None, ..self.clone() }
    }

    fn check(&self) -> Vec<Fault> {
        convert::extension(self).faults
    }

    fn normalised(mut self) -> Self {
        normalise(&mut self.presented_did);
        self
    }

    fn keep_secret_of(&mut self, stored: &Self) {
        if self.secret.is_none() {
            self.secret.clone_from(&stored.secret);
        }
    }

    rows!(extensions);
}

impl Resource for Schedule {
    const KIND: &'static str = "schedule";
    const PLURAL: &'static str = "schedules";

    fn id(&self) -> &str {
        &self.id
    }

    fn customer(&self) -> Option<&str> {
        self.customer.as_deref()
    }

    fn check(&self) -> Vec<Fault> {
        convert::schedule(self)
    }

    rows!(schedules);
}

fn e164(text: &str) -> Cow<'_, str> {
    match parse_e164(text) {
        Ok(number) => Cow::Owned(number.to_string()),
        Err(_) => Cow::Borrowed(text),
    }
}

fn normalise(number: &mut Option<String>) {
    if let Some(text) = number {
        *text = e164(text).into_owned();
    }
}
