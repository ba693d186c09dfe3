//! What somebody searches records by, as they typed it.

use serde::Deserialize;
use tensou_engine::plan::parse_e164;
use tensou_engine::{CallResult, Direction};
use tensou_store::{CdrFilter, Scope};

use super::super::refusal::Flaw;
use super::super::{Clock, DayEdge};

/// A search; empty texts are as good as none, so that a form can be sent as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct CdrQuery {
    /// Started not before: a time, or a day from its beginning.
    pub from: Option<String>,
    /// Started before: a time, or a day to its end.
    pub to: Option<String>,
    /// DID, in any form people write numbers.
    pub did: Option<String>,
    /// Customer id.
    pub customer: Option<String>,
    /// Caller, in any form people write numbers.
    pub caller: Option<String>,
    /// Trunk id it came by.
    pub trunk: Option<String>,
    /// Outcome.
    pub result: Option<String>,
    /// `in`, `out` or `forward`.
    pub direction: Option<String>,
    /// Stands somewhere in DID, caller, customer, answering destination or id.
    pub q: Option<String>,
}

impl CdrQuery {
    /// The names of its fields: the query parameters.
    pub const FIELDS: [&'static str; 9] =
        ["from", "to", "did", "customer", "caller", "trunk", "result", "direction", "q"];

    /// The search that these query parameters make; others than [`CdrQuery::FIELDS`] are ignored.
    pub fn of_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut query = CdrQuery::default();
        for (name, value) in pairs {
            let field = match name {
                "from" => &mut query.from,
                "to" => &mut query.to,
                "did" => &mut query.did,
                "customer" => &mut query.customer,
                "caller" => &mut query.caller,
                "trunk" => &mut query.trunk,
                "result" => &mut query.result,
                "direction" => &mut query.direction,
                "q" => &mut query.q,
                _ => continue,
            };
            *field = Some(value.to_owned());
        }
        query
    }

    /// The store's filter.
    ///
    /// # Errors
    /// Every field that cannot be read.
    pub fn filter(&self, scope: Scope, clock: &Clock) -> Result<CdrFilter, Vec<Flaw>> {
        let mut flaws = Vec::new();
        let mut filter = CdrFilter::within(scope);
        filter.from = read(&mut flaws, "from", &self.from, |text| clock.read(text, DayEdge::Start));
        filter.to = read(&mut flaws, "to", &self.to, |text| clock.read(text, DayEdge::End));
        filter.did = read(&mut flaws, "did", &self.did, number);
        filter.caller = read(&mut flaws, "caller", &self.caller, number);
        filter.customer = given(&self.customer).map(str::to_owned);
        filter.trunk_in = given(&self.trunk).map(str::to_owned);
        filter.result = read(&mut flaws, "result", &self.result, |text| {
            let known =
                "answered, no_answer, busy, rejected, cancelled, unreachable, failed, blocked";
            let word = CallResult::parse(text).map(|word| word.as_str().to_owned());
            word.ok_or_else(|| format!("use one of {known}"))
        });
        filter.direction = read(&mut flaws, "direction", &self.direction, |text| {
            let word = Direction::parse(text).map(|word| word.as_str().to_owned());
            word.ok_or_else(|| "use in, out or forward".to_owned())
        });
        filter.text = given(&self.q).map(str::to_owned);
        if flaws.is_empty() { Ok(filter) } else { Err(flaws) }
    }
}

fn given(field: &Option<String>) -> Option<&str> {
    field.as_deref().map(str::trim).filter(|text| !text.is_empty())
}

fn read<T>(
    flaws: &mut Vec<Flaw>,
    name: &str,
    field: &Option<String>,
    reader: impl Fn(&str) -> Result<T, String>,
) -> Option<T> {
    reader(given(field)?).map_err(|message| flaws.push(Flaw::query(name, message))).ok()
}

fn number(text: &str) -> Result<String, String> {
    // In a query string an unescaped plus arrives as a space; the trim has taken it away.
    parse_e164(text).map(|number| number.to_string()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_read_as_people_type_it() {
        let query = CdrQuery::of_pairs([
            ("from", "2026-11-23"),
            ("did", "03-1234-5678"),
            ("caller", " 819000001111"),
            ("result", "no_answer"),
            ("customer", ""),
            ("limit", "7"),
        ]);
        let filter = query.filter(Scope::All, &Clock::new("Asia/Tokyo")).expect("readable");
        assert_eq!(filter.did.as_deref(), Some("+81312345678"));
        assert_eq!(filter.caller.as_deref(), Some("+819000001111"));
        assert_eq!(filter.result.as_deref(), Some("no_answer"));
        assert_eq!((filter.customer, filter.to), (None, None));
        assert!(filter.from.is_some());
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let query = CdrQuery::of_pairs([
            ("from", "yesterday"),
            ("did", "x'; DROP TABLE cdrs; --"),
            ("result", "great"),
            ("direction", "up"),
        ]);
        let flaws = query.filter(Scope::All, &Clock::new("UTC")).expect_err("unreadable");
        let places: Vec<_> = flaws.iter().map(|flaw| flaw.pointer.as_str()).collect();
        assert_eq!(places, ["?from", "?did", "?result", "?direction"]);
    }
}
