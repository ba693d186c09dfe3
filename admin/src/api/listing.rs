//! Lists: query parameters, pages and cursors.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use serde::Serialize;
use tensou_store::{MAX_PAGE, Page};

use crate::app::{Flaw, Refusal};

/// A page of a list.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ListOf<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next: Option<String>,
}

/// All query parameters, as they came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parameters(pub(crate) Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let pairs = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        Ok(Parameters(pairs.map(|Query(pairs)| pairs).unwrap_or_default()))
    }
}

impl Parameters {
    /// The value of the first parameter of this name.
    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The page asked for.
    ///
    /// # Errors
    /// `limit` is no number from 1 to 1000.
    pub(crate) fn page(&self) -> Result<Page, Refusal> {
        let mut page = Page::default();
        if let Some(limit) = self.one("limit") {
            page.limit =
                limit.parse().ok().filter(|limit| (1..=MAX_PAGE).contains(limit)).ok_or_else(
                    || {
                        let message = format!("use a whole number from 1 to {MAX_PAGE}");
                        Refusal::Invalid(vec![Flaw::query("limit", message)])
                    },
                )?;
        }
        page.after = self.one("after").map(str::to_owned);
        Ok(page)
    }

    /// Every parameter that is not about the page: what the list is filtered by.
    pub(crate) fn filters(&self) -> Vec<(String, String)> {
        let about_page = |name: &str| matches!(name, "limit" | "after");
        self.0.iter().filter(|(name, _)| !about_page(name)).cloned().collect()
    }

    /// # Errors
    /// Every parameter that is not among `known`: a mistyped filter would show too much.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), Refusal> {
        let flaws: Vec<Flaw> = self
            .filters()
            .iter()
            .filter(|(name, _)| !known.contains(&name.as_str()))
            .map(|(name, _)| {
                Flaw::query(name, format!("is unknown here; known are {}", known.join(", ")))
            })
            .collect();
        if flaws.is_empty() { Ok(()) } else { Err(Refusal::Invalid(flaws)) }
    }
}
