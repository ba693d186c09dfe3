//! Trunk profiles: defaults for the fields that a trunk leaves out.

use std::sync::LazyLock;

use serde_json::{Map, Value as Json};

use crate::model::Trunk;

/// The profiles as data, each setting with its reason.
const PROFILES: &str = include_str!("profiles.toml");

/// Fields by profile.
static FIELDS: LazyLock<Map<String, Json>> = LazyLock::new(|| {
    // The text is a part of this program, and a test reads it: it cannot fail at run time.
    toml::from_str(PROFILES).unwrap_or_default()
});

/// The profiles there are.
pub(super) fn names() -> Vec<&'static str> {
    FIELDS.keys().map(String::as_str).collect()
}

/// The trunk with what it leaves out taken from its profile; none when there is no such profile.
pub(super) fn completed(row: &Trunk) -> Option<Trunk> {
    let Some(profile) = &row.profile else { return Some(row.clone()) };
    let fields = FIELDS.get(profile)?;
    let mut own = serde_json::to_value(row).ok()?;
    complete(&mut own, fields);
    serde_json::from_value(own).ok()
}

/// Puts what `fields` has into the places where `own` has nothing; inside tables too.
fn complete(own: &mut Json, fields: &Json) {
    let (Json::Object(own), Json::Object(fields)) = (own, fields) else { return };
    for (name, value) in fields {
        match own.get_mut(name) {
            None => drop(own.insert(name.clone(), value.clone())),
            Some(place @ Json::Null) => *place = value.clone(),
            Some(place) => complete(place, value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Identity;
    use crate::provisioning::convert;

    fn trunk(profile: &str) -> Trunk {
        Trunk {
            id: "t".into(),
            enabled: true,
            profile: Some(profile.into()),
            peers: vec!["192.0.2.1:5060".into()],
            ..Trunk::default()
        }
    }

    #[test]
    fn every_profile_is_a_trunk_without_a_fault() {
        assert_eq!(names(), ["itsp", "ntt_ngn", "pri_gateway"]);
        let known = serde_json::to_value(Trunk::default()).unwrap();
        for (profile, fields) in FIELDS.iter() {
            for field in fields.as_object().unwrap().keys() {
                assert!(known.get(field).is_some(), "{profile}: {field} is no field of a trunk");
            }
            let converted = convert::trunk(&trunk(profile));
            assert_eq!(converted.faults, [], "{profile}");
        }
    }

    #[test]
    fn a_profile_fills_what_is_left_out_and_nothing_else() {
        let identity = Identity { from: Some("caller".into()), ..Identity::default() };
        let own = Trunk { identity, number_format_out: Some("e164".into()), ..trunk("ntt_ngn") };
        let whole = completed(&own).unwrap();
        assert_eq!(whole.number_format_out.as_deref(), Some("e164"));
        assert_eq!(whole.did_source.as_deref(), Some("p_called_party_id"));
        assert_eq!(whole.identity.from.as_deref(), Some("caller"));
        assert_eq!(whole.identity.asserted.as_deref(), Some("none"));
        assert_eq!(whole.codecs.unwrap(), ["PCMU", "telephone-event"]);
        assert_eq!(whole.compact_headers, Some(true));
        assert!(!whole.trusted, "a profile trusts nobody");
    }
}
