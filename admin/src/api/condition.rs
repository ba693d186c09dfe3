//! `ETag`, `If-Match` and `If-None-Match` (RFC 9110 13.1) over row versions.

use axum::http::header::{IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue};

use crate::app::Refusal;

/// The `ETag` of a row's version.
pub(crate) fn etag(version: i64) -> HeaderValue {
    // A number in quotes is always a header value.
    HeaderValue::try_from(format!("\"{version}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// The version that a change is meant for; none when any will do.
///
/// # Errors
/// [`Refusal::Version`] when the header holds what we never gave out, as no version matches it.
pub(crate) fn if_match(headers: &HeaderMap) -> Result<Option<i64>, Refusal> {
    let Some(value) = headers.get(IF_MATCH) else { return Ok(None) };
    match value.to_str().map(str::trim) {
        Ok("*") => Ok(None),
        Ok(tag) => version(tag).map(Some).ok_or(Refusal::Version),
        Err(_) => Err(Refusal::Version),
    }
}

/// The sender has this version already.
pub(crate) fn not_modified(headers: &HeaderMap, current: i64) -> bool {
    let Some(value) = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    value
        .split(',')
        .map(str::trim)
        .any(|tag| tag == "*" || version(tag.strip_prefix("W/").unwrap_or(tag)) == Some(current))
}

fn version(tag: &str) -> Option<i64> {
    tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: axum::http::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn if_match_names_a_version_or_matches_nothing() {
        assert!(matches!(if_match(&HeaderMap::new()), Ok(None)));
        assert!(matches!(if_match(&with(IF_MATCH, "\"7\"")), Ok(Some(7))));
        assert!(matches!(if_match(&with(IF_MATCH, "*")), Ok(None)));
        for odd in ["7", "\"x\"", "W/\"7\"", "\"1\", \"2\"", ""] {
            assert!(matches!(if_match(&with(IF_MATCH, odd)), Err(Refusal::Version)), "{odd}");
        }
        assert_eq!(etag(7), "\"7\"");
    }

    #[test]
    fn a_known_version_is_not_sent_again() {
        assert!(not_modified(&with(IF_NONE_MATCH, "\"6\", W/\"7\""), 7));
        assert!(!not_modified(&with(IF_NONE_MATCH, "\"6\""), 7));
        assert!(!not_modified(&HeaderMap::new(), 7));
    }
}
