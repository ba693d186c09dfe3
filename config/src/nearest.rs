//! The known keys, and the one that a mistyped key most likely meant.

/// Every key of `tensou.toml`.
pub(crate) const KNOWN: &[&str] = &[
    "node.name",
    "node.data_dir",
    "node.time_zone",
    "node.drain_seconds",
    "sip.listen",
    "sip.advertise",
    "sip.domain",
    "sip.tls.certificate",
    "sip.tls.key",
    "sip.tls.client_ca",
    "sip.tls.ca",
    "sip.nameserver",
    "sip.dscp",
    "sip.unknown_peer",
    "sip.digest",
    "sip.contacts",
    "sip.contacts_full",
    "media.listen",
    "media.advertise",
    "media.ports",
    "media.workers",
    "media.fast_path",
    "media.idle_timeout_seconds",
    "media.dscp",
    "admin.listen",
    "admin.tls.certificate",
    "admin.tls.key",
    "database.url",
    "journal.calls",
    "journal.fsync_ms",
    "records.keep_months",
    "log.level",
    "log.format",
    "metrics.listen",
    "hep.target",
];

/// Whether `key` is a section (or a table in one) and so has no value of its own.
pub(crate) fn is_section(key: &str) -> bool {
    KNOWN.iter().any(|known| known.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
}

/// The known key with the smallest edit distance to `key`; the first of equals.
pub(crate) fn nearest(key: &str) -> &'static str {
    KNOWN.iter().min_by_key(|known| distance(key, known)).copied().unwrap_or_default()
}

/// Levenshtein distance by characters.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (at, ch) in left.chars().enumerate() {
        let mut diagonal = at;
        let mut before = at + 1;
        for (column, other) in row.iter_mut().skip(1).zip(&right) {
            let changed = diagonal + usize::from(ch != *other);
            diagonal = *column;
            before = changed.min(*column + 1).min(before + 1);
            *column = before;
        }
        if let Some(first) = row.first_mut() {
            *first = at + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_key_names_the_one_that_was_meant() {
        for (typed, meant) in [
            ("sip.lisen", "sip.listen"),
            ("sipp.listen", "sip.listen"),
            ("media.port", "media.ports"),
            ("node.datadir", "node.data_dir"),
            ("databse.url", "database.url"),
            ("sip.tls.cert", "sip.tls.key"),
            ("sip.tls.certificat", "sip.tls.certificate"),
        ] {
            assert_eq!(nearest(typed), meant, "{typed}");
        }
    }

    #[test]
    fn distances_are_those_of_levenshtein() {
        assert_eq!(distance("", ""), 0);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("転送", "転"), 1);
    }

    #[test]
    fn a_section_is_told_from_a_key() {
        assert!(is_section("sip") && is_section("sip.tls"));
        assert!(!is_section("sip.listen") && !is_section("si") && !is_section("sip.tls.key"));
    }
}
