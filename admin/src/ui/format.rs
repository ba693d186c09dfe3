//! How numbers, times and durations are shown to people.

use crate::app::Clock;

/// A telephone number as people in Japan write it: `03-1234-5678`. What is no Japanese number
/// (abroad, an extension, a SIP URI) comes back unchanged.
///
/// Area codes of two to five digits cannot be told apart without a table; all but 03 and 06 are
/// shown 3-3-4.
pub(crate) fn hyphenate(text: &str) -> String {
    let digits = match text.strip_prefix("+81") {
        Some(rest) => format!("0{rest}"),
        None => text.to_owned(),
    };
    if !digits.starts_with('0') || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.to_owned();
    }
    let groups: [usize; 2] = match (digits.get(..2), digits.get(2..4), digits.len()) {
        (Some("08"), Some("00"), 11) => [4, 3],
        (Some(_), Some(next), 11) if next.starts_with('0') => [3, 4],
        (Some("03" | "06"), _, 10) => [2, 4],
        (Some("01"), Some("20" | "70" | "80"), 10) | (Some("05"), Some("70"), 10) => [4, 3],
        (Some("09"), Some("90"), 10) => [4, 3],
        (_, _, 10) => [3, 3],
        _ => return digits,
    };
    let (first, rest) = digits.split_at(groups[0]);
    let (second, third) = rest.split_at(groups[1]);
    format!("{first}-{second}-{third}")
}

/// `m:ss`, and `h:mm:ss` from one hour: a talking time, rounded down to the second.
pub(crate) fn duration(millis: i64) -> String {
    let seconds = millis.max(0) / 1000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// `2026-11-23 14:08:11`, on the node's calendar.
pub(crate) fn date_time(clock: &Clock, unix_millis: i64) -> String {
    clock.zoned(unix_millis).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// `14:08:11`, on the node's calendar.
pub(crate) fn time(clock: &Clock, unix_millis: i64) -> String {
    clock.zoned(unix_millis).strftime("%H:%M:%S").to_string()
}

/// Minutes east of UTC at that moment: what a page's clock needs.
pub(crate) fn offset_minutes(clock: &Clock, unix_millis: i64) -> i32 {
    clock.zoned(unix_millis).offset().seconds() / 60
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_as_people_write_them() {
        for (given, shown) in [
            ("+81312345678", "03-1234-5678"),
            ("0612345678", "06-1234-5678"),
            ("+819012345678", "090-1234-5678"),
            ("+816010012345", "060-1001-2345"),
            ("+815012345678", "050-1234-5678"),
            ("+81120123456", "0120-123-456"),
            ("+818001234567", "0800-123-4567"),
            ("+81570012345", "0570-012-345"),
            ("+81451234567", "045-123-4567"),
            ("+12025550123", "+12025550123"),
            ("0110", "0110"),
            ("1001", "1001"),
            ("sip:0312345678@example.com", "sip:0312345678@example.com"),
            ("<img>", "<img>"),
            ("0３", "0３"),
            ("", ""),
        ] {
            assert_eq!(hyphenate(given), shown, "{given}");
        }
    }

    #[test]
    fn durations_read_as_a_clock() {
        assert_eq!(duration(-5), "0:00");
        assert_eq!(duration(59_999), "0:59");
        assert_eq!(duration(754_000), "12:34");
        assert_eq!(duration(3_661_000), "1:01:01");
    }

    #[test]
    fn times_are_the_nodes() {
        let tokyo = Clock::new("Asia/Tokyo");
        // 2026-11-23T14:08:11Z
        let at = 1_795_442_891_000;
        assert_eq!(date_time(&tokyo, at), "2026-11-23 23:08:11");
        assert_eq!(time(&tokyo, at), "23:08:11");
        assert_eq!(offset_minutes(&tokyo, at), 540);
    }
}
