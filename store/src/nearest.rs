//! "Did you mean …": the known word nearest to a mistyped one.

/// The known word that a typing mistake of `word` most likely meant; none when nothing is near.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    // A third of the letters wrong is still a typing mistake; more is another word.
    let allowed = (word.chars().count() / 3).max(1);
    let distances = known.iter().map(|candidate| (distance(word, candidate), *candidate));
    let (best, candidate) = distances.min_by_key(|(distance, _)| *distance)?;
    (best <= allowed).then_some(candidate)
}

/// Letters to insert, delete or replace to turn `a` into `b` (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    // A known word is short; what is far longer is not near, and the cost stays bounded.
    for (at, letter) in a.chars().take(64).enumerate() {
        let mut diagonal = at;
        let mut left = at + 1;
        for (cell, other) in row.iter_mut().skip(1).zip(&b) {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = *cell;
            left = replaced.min(diagonal + 1).min(left + 1);
            *cell = left;
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
    fn distance_counts_single_letter_edits() {
        for (a, b, edits) in [
            ("", "", 0),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("chanels", "channels", 1),
            ("abc", "", 3),
        ] {
            assert_eq!(distance(a, b), edits, "{a} {b}");
        }
    }

    #[test]
    fn a_typing_mistake_finds_its_word_and_another_word_finds_none() {
        let known = ["simultaneous", "sequential"];
        assert_eq!(nearest("simultanous", &known), Some("simultaneous"));
        assert_eq!(nearest("sequentail", &known), Some("sequential"));
        assert_eq!(nearest("random", &known), None);
    }
}
