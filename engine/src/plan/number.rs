//! E.164 numbers and the forms in which Japanese peers write them.

use std::fmt;

/// The longest international number, ITU-T E.164 6.2.1.
const MAX_DIGITS: usize = 15;
/// Shorter strings are service numbers or typing errors, never a subscriber abroad or at home.
const MIN_DIGITS: usize = 4;
/// Country code of Japan, the home of a number written with a trunk 0.
const HOME: &str = "81";
/// Numbers of Japan whose caller pays for a service: 0180, 0570 and 0990, without the 0.
const DEAR: [&str; 3] = ["180", "570", "990"];

/// An international number without its `+`, at most 15 digits, first digit not 0.
/// Eight bytes, so it is copied, compared and hashed like an integer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct E164(u64);

impl E164 {
    /// The digits after `+` as an integer, for compact storage.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The form people in Japan write: trunk 0 for home numbers, `+…` for others.
    pub fn national(self) -> String {
        let digits = self.0.to_string();
        match digits.strip_prefix(HOME) {
            Some(rest) => format!("0{rest}"),
            None => format!("+{digits}"),
        }
    }
}

impl E164 {
    /// Digits that a prefix must have to mean a number like this one: none for ordinary numbers
    /// at home; for those abroad any; for those at home whose caller pays more than for a call
    /// their own.
    pub(crate) fn digits_to_mean(self) -> u32 {
        let digits = self.0.to_string();
        match digits.strip_prefix(HOME) {
            Some(rest) => {
                let dear = DEAR.iter().find(|dear| rest.starts_with(**dear));
                dear.map_or(0, |dear| (HOME.len() + dear.len()) as u32)
            }
            None => 1,
        }
    }
}

impl fmt::Display for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}", self.0)
    }
}

impl fmt::Debug for E164 {
    /// Subscriber numbers are personal data: logs show the last four digits masked.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        write!(f, "+{}****", &digits[..digits.len().saturating_sub(4)])
    }
}

/// How a trunk writes numbers in `From`, `To`, the Request-URI and identity headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NumberFormat {
    /// Reading: every form below is understood. Writing: national, the UNI habit in Japan.
    #[default]
    Auto,
    /// `0312345678`; numbers abroad as `010` + country code.
    National,
    /// `+81312345678`.
    E164,
    /// `81312345678`.
    E164NoPlus,
}

/// Why a text is no telephone number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// Nothing but separators.
    #[error("the number is empty")]
    Empty,
    /// Something besides digits, a leading `+` and separators.
    #[error("only digits, a leading + and separators (- space ( ) .) are allowed")]
    Character,
    /// Fewer than 4 or more than 15 digits.
    #[error("a number has 4 to 15 digits in international form")]
    Length,
    /// An international number cannot begin with 0.
    #[error("an international number cannot begin with 0")]
    LeadingZero,
}

/// Reads a number as the API and the database write it: `+81312345678`. People may also type
/// the national form with or without hyphens (`03-1234-5678`), also in full-width digits.
pub fn parse_e164(text: &str) -> Result<E164, NumberError> {
    read_dialled(text, NumberFormat::Auto)
}

/// Reads a number as a peer with this `format` sends it.
///
/// `Auto`: `+…` international; `010…` and `00…` international access codes followed by a country
/// code; a leading 0 national; anything else international without its plus.
pub fn read_dialled(text: &str, format: NumberFormat) -> Result<E164, NumberError> {
    let mut digits = [0u8; 24];
    let mut len = 0;
    let mut plus = false;
    for ch in text.chars() {
        let digit = match ch {
            '0'..='9' => ch as u8 - b'0',
            '０'..='９' => (ch as u32 - '０' as u32) as u8,
            '+' | '＋' if len == 0 && !plus => {
                plus = true;
                continue;
            }
            '-' | ' ' | '(' | ')' | '.' | 'ー' | '−' | '－' | '‐' | '（' | '）' | '　' => {
                continue;
            }
            _ => return Err(NumberError::Character),
        };
        if len == digits.len() {
            return Err(NumberError::Length);
        }
        digits[len] = digit;
        len += 1;
    }
    let digits = &digits[..len];
    if digits.is_empty() {
        return Err(NumberError::Empty);
    }
    if plus {
        return international(digits);
    }
    match format {
        NumberFormat::E164 | NumberFormat::E164NoPlus if digits[0] != 0 => international(digits),
        _ => match digits {
            [0, 1, 0, rest @ ..] => international(rest),
            [0, 0, rest @ ..] => international(rest),
            [0, rest @ ..] => national(rest),
            _ => international(digits),
        },
    }
}

fn national(rest: &[u8]) -> Result<E164, NumberError> {
    let mut full = [0u8; 26];
    let Some(room) = full.get_mut(2..2 + rest.len()) else { return Err(NumberError::Length) };
    room.copy_from_slice(rest);
    full[0] = 8;
    full[1] = 1;
    international(&full[..2 + rest.len()])
}

fn international(digits: &[u8]) -> Result<E164, NumberError> {
    if digits.first() == Some(&0) {
        return Err(NumberError::LeadingZero);
    }
    if !(MIN_DIGITS..=MAX_DIGITS).contains(&digits.len()) {
        return Err(NumberError::Length);
    }
    Ok(E164(digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(*digit))))
}

/// Writes `number` into `out` as a peer with this `format` expects it.
pub fn write_number(number: E164, format: NumberFormat, out: &mut Vec<u8>) {
    let mut text = [0u8; 20];
    let digits = decimal(number.0, &mut text);
    match format {
        NumberFormat::E164 => {
            out.push(b'+');
            out.extend_from_slice(digits);
        }
        NumberFormat::E164NoPlus => out.extend_from_slice(digits),
        NumberFormat::Auto | NumberFormat::National => match digits.strip_prefix(HOME.as_bytes()) {
            Some(rest) => {
                out.push(b'0');
                out.extend_from_slice(rest);
            }
            None => {
                out.extend_from_slice(b"010");
                out.extend_from_slice(digits);
            }
        },
    }
}

fn decimal(mut value: u64, text: &mut [u8; 20]) -> &[u8] {
    let mut at = text.len();
    loop {
        at -= 1;
        text[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            return &text[at..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        match read_dialled(text, NumberFormat::Auto) {
            Ok(number) => number.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn every_form_a_japanese_peer_or_person_writes_reads_as_e164() {
        for (text, number) in [
            ("0312345678", "+81312345678"),
            ("03-1234-5678", "+81312345678"),
            ("０３−１２３４−５６７８", "+81312345678"),
            ("+81312345678", "+81312345678"),
            ("81312345678", "+81312345678"),
            ("0081312345678", "+81312345678"),
            ("01081312345678", "+81312345678"),
            ("09000001111", "+819000001111"),
            ("15550111", "+15550111"),
        ] {
            assert_eq!(read(text), number, "{text}");
        }
    }

    #[test]
    fn what_is_no_number_says_why() {
        assert_eq!(read(""), NumberError::Empty.to_string());
        assert_eq!(read("--"), NumberError::Empty.to_string());
        assert_eq!(read("sales"), NumberError::Character.to_string());
        assert_eq!(read("03;drop"), NumberError::Character.to_string());
        assert_eq!(read("+0312"), NumberError::LeadingZero.to_string());
        assert_eq!(read("110"), NumberError::Length.to_string());
        assert_eq!(read("1234567890123456"), NumberError::Length.to_string());
        assert_eq!(read(&"9".repeat(4000)), NumberError::Length.to_string());
    }

    #[test]
    fn a_number_is_written_in_each_peers_form() {
        let number = parse_e164("+81312345678").unwrap();
        let abroad = parse_e164("+12025550123").unwrap();
        let write = |number, format| {
            let mut out = Vec::new();
            write_number(number, format, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(write(number, NumberFormat::National), "0312345678");
        assert_eq!(write(number, NumberFormat::E164), "+81312345678");
        assert_eq!(write(number, NumberFormat::E164NoPlus), "81312345678");
        assert_eq!(write(abroad, NumberFormat::National), "01012025550123");
    }

    #[test]
    fn logs_mask_the_last_four_digits() {
        assert_eq!(format!("{:?}", parse_e164("0312345678").unwrap()), "+8131234****");
    }
}
