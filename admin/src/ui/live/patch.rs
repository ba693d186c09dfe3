//! What a browser is sent: only what changed since it was last told.

use std::collections::BTreeMap;

use serde::Serialize;

/// The board at one moment, as one viewer sees it.
#[derive(Debug, Default)]
pub(crate) struct Frame {
    /// Figures by place.
    pub(crate) texts: Vec<(&'static str, String)>,
    /// Lists by place: key and HTML of each row, in order.
    pub(crate) lists: Vec<(&'static str, Vec<(String, String)>)>,
}

/// What one browser shows.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    texts: BTreeMap<&'static str, String>,
    lists: BTreeMap<&'static str, Vec<(String, String)>>,
}

/// The difference of two frames; `assets/live.js` applies it.
#[derive(Debug, Serialize)]
pub(crate) struct Patch {
    /// The server's clock, Unix milliseconds.
    at: i64,
    /// The stream ends here: open another.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    renew: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    texts: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    lists: BTreeMap<&'static str, ListPatch>,
}

#[derive(Debug, Serialize)]
struct ListPatch {
    order: Vec<String>,
    rows: BTreeMap<String, String>,
}

impl Patch {
    /// Nothing changed; says only that the stream lives, and the time.
    pub(crate) fn beat(at: i64) -> Self {
        Patch { at, renew: false, texts: BTreeMap::new(), lists: BTreeMap::new() }
    }

    /// The stream is over, another one may be opened.
    pub(crate) fn renewal(at: i64) -> Self {
        Patch { renew: true, ..Patch::beat(at) }
    }

    /// Says nothing but the time.
    pub(crate) fn is_empty(&self) -> bool {
        self.texts.is_empty() && self.lists.is_empty()
    }
}

impl Shown {
    /// Takes in a frame and tells what is new in it.
    pub(crate) fn update(&mut self, at: i64, frame: Frame) -> Patch {
        let mut patch = Patch::beat(at);
        for (place, text) in frame.texts {
            if self.texts.get(place) != Some(&text) {
                self.texts.insert(place, text.clone());
                patch.texts.insert(place, text);
            }
        }
        for (place, rows) in frame.lists {
            let old = self.lists.insert(place, Vec::new()).unwrap_or_default();
            if old != rows {
                patch.lists.insert(place, ListPatch::between(&old, &rows));
            }
            self.lists.insert(place, rows);
        }
        patch
    }
}

impl ListPatch {
    fn between(old: &[(String, String)], new: &[(String, String)]) -> Self {
        let before: BTreeMap<&str, &str> =
            old.iter().map(|(key, html)| (key.as_str(), html.as_str())).collect();
        let changed = new.iter().filter(|(key, html)| before.get(key.as_str()) != Some(&&**html));
        ListPatch {
            order: new.iter().map(|(key, _)| key.clone()).collect(),
            rows: changed.cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(talking: &str, rows: &[(&str, &str)]) -> Frame {
        let row = |(key, html): &(&str, &str)| ((*key).to_owned(), (*html).to_owned());
        Frame {
            texts: vec![("talking", talking.to_owned())],
            lists: vec![("calls", rows.iter().map(row).collect())],
        }
    }

    fn told(shown: &mut Shown, frame: Frame) -> String {
        serde_json::to_string(&shown.update(7, frame)).unwrap()
    }

    #[test]
    fn the_first_patch_is_the_whole_board() {
        let told = told(&mut Shown::default(), frame("1", &[("a", "<tr>")]));
        assert_eq!(
            told,
            r#"{"at":7,"texts":{"talking":"1"},"lists":{"calls":{"order":["a"],"rows":{"a":"<tr>"}}}}"#
        );
    }

    #[test]
    fn later_patches_hold_only_what_changed() {
        let mut shown = Shown::default();
        told(&mut shown, frame("1", &[("a", "A"), ("b", "B")]));
        assert_eq!(told(&mut shown, frame("1", &[("a", "A"), ("b", "B")])), r#"{"at":7}"#);
        assert_eq!(
            told(&mut shown, frame("1", &[("c", "C"), ("a", "A"), ("b", "B2")])),
            r#"{"at":7,"lists":{"calls":{"order":["c","a","b"],"rows":{"b":"B2","c":"C"}}}}"#
        );
        assert_eq!(
            told(&mut shown, frame("0", &[])),
            r#"{"at":7,"texts":{"talking":"0"},"lists":{"calls":{"order":[],"rows":{}}}}"#
        );
    }

    #[test]
    fn a_patch_without_change_is_empty() {
        let mut shown = Shown::default();
        assert!(!shown.update(1, frame("1", &[])).is_empty());
        assert!(shown.update(2, frame("1", &[])).is_empty());
    }
}
