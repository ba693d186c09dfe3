//! The search form of the call records.

use serde::Deserialize;

use crate::app::Flaw;
use crate::app::records::CdrQuery;
use crate::ui::query;
use crate::ui::texts::Texts;

/// What was typed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct SearchForm {
    pub(super) q: String,
    pub(super) did: String,
    pub(super) customer: String,
    pub(super) result: String,
    pub(super) from: String,
    pub(super) to: String,
    /// Where the page begins.
    pub(super) after: String,
}

impl SearchForm {
    /// What the records are searched by.
    pub(super) fn query(&self) -> CdrQuery {
        let q = stored_form(self.q.trim());
        let pairs =
            self.pairs().map(|(name, value)| if name == "q" { (name, &*q) } else { (name, value) });
        CdrQuery::of_pairs(pairs)
    }

    /// Something is looked for.
    pub(super) fn is_filtered(&self) -> bool {
        self.pairs().iter().any(|(_, value)| !value.is_empty())
    }

    /// The same search, from another place.
    pub(super) fn link(&self, after: &str) -> String {
        let mut pairs = self.pairs().to_vec();
        pairs.push(("after", after));
        query::link("/cdrs", &pairs)
    }

    /// All that the search finds, as CSV.
    pub(super) fn csv_link(&self) -> String {
        let q = stored_form(self.q.trim());
        let mut pairs = vec![("format", "csv"), ("q", q.as_str())];
        pairs.extend(self.pairs().into_iter().filter(|(name, _)| *name != "q"));
        query::link("/api/v1/cdrs", &pairs)
    }

    fn pairs(&self) -> [(&'static str, &str); 6] {
        [
            ("q", &self.q),
            ("did", &self.did),
            ("customer", &self.customer),
            ("result", &self.result),
            ("from", &self.from),
            ("to", &self.to),
        ]
    }
}

/// What could not be read, in words of the page.
pub(super) fn problems(flaws: &[Flaw], t: &'static Texts) -> Vec<String> {
    let mut problems: Vec<String> = flaws
        .iter()
        .map(|flaw| match flaw.pointer.as_str() {
            "?did" => t.bad_did.to_owned(),
            "?from" | "?to" => t.bad_day.to_owned(),
            _ => flaw.message.clone(),
        })
        .collect();
    problems.dedup();
    problems
}

/// Part of a number as people write it (`090-1234`) in the form that records hold (`901234` of
/// `+81901234…`); other text as it is.
fn stored_form(text: &str) -> String {
    let separator = |ch: char| matches!(ch, '-' | ' ' | '(' | ')' | '.' | 'ー' | '－' | '‐');
    let digits: String = text.chars().filter(|ch| !separator(*ch)).collect();
    let number = match digits.strip_prefix('0') {
        Some(rest) if !rest.is_empty() => rest,
        _ => &digits,
    };
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.to_owned();
    }
    number.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::texts::Language;

    #[test]
    fn numbers_are_found_as_people_type_them() {
        for (typed, looked_for) in [
            ("03-1234-5678", "312345678"),
            ("090-12", "9012"),
            ("+8190", "+8190"),
            ("yamada", "yamada"),
            ("0", "0"),
            ("山田 0", "山田 0"),
            ("-", "-"),
        ] {
            assert_eq!(stored_form(typed), looked_for);
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_once() {
        let t = Language::English.texts();
        let flaws = [Flaw::query("did", "x"), Flaw::query("from", "y"), Flaw::query("to", "z")];
        assert_eq!(problems(&flaws, t), [t.bad_did, t.bad_day]);
    }

    #[test]
    fn links_keep_the_search() {
        let form = SearchForm {
            q: "090 12".into(),
            from: "2026-11-23".into(),
            after: "old".into(),
            ..SearchForm::default()
        };
        assert_eq!(form.link("1.a"), "/cdrs?q=090%2012&from=2026-11-23&after=1.a");
        assert_eq!(form.csv_link(), "/api/v1/cdrs?format=csv&q=9012&from=2026-11-23");
        assert_eq!(form.query().q.as_deref(), Some("9012"));
        assert!(form.is_filtered() && !SearchForm::default().is_filtered());
    }
}
