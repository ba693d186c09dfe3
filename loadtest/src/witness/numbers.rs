//! Numbers as the witness compares them, whatever form a trunk uses.

/// Shorter users are names of extensions or service codes, not subscriber numbers.
const FEWEST_DIGITS: usize = 9;

/// A number in E.164 (`+81312345678`) from any form that a Japanese trunk uses; text that is no
/// subscriber number comes back as it is, without its parameters.
pub fn e164(user: &str) -> String {
    let user = user.split(';').next().unwrap_or_default();
    let digits: String = user.chars().filter(char::is_ascii_digit).collect();
    let others = user.chars().any(|ch| !ch.is_ascii_digit() && !"+-.() ".contains(ch));
    if others || digits.len() < FEWEST_DIGITS {
        return user.to_owned();
    }
    if user.starts_with('+') {
        return format!("+{digits}");
    }
    match (digits.strip_prefix("010"), digits.strip_prefix('0'), digits.strip_prefix("81")) {
        (Some(abroad), _, _) => format!("+{abroad}"),
        (None, Some(national), _) => format!("+81{national}"),
        (None, None, Some(_)) => format!("+{digits}"),
        (None, None, None) => digits,
    }
}

#[cfg(test)]
mod tests {
    use super::e164;

    #[test]
    fn one_number_in_every_form_is_one_number() {
        for form in ["03-1000-1002", "0310001002", "+81310001002", "81310001002;npdi"] {
            assert_eq!(e164(form), "+81310001002", "{form}");
        }
        assert_eq!(e164("0108215550123"), "+8215550123");
        assert_eq!(e164("301"), "301");
        assert_eq!(e164("alice"), "alice");
    }
}
