//! The two encodings that spreadsheets of Japanese offices open by a double click.

use encoding_rs::{EncoderResult, SHIFT_JIS};

/// How CSV text becomes bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CsvEncoding {
    /// UTF-8 with a byte order mark, by which Excel knows it.
    #[default]
    Utf8,
    /// Shift_JIS with the NEC and IBM characters (CP932), for programs that know nothing else.
    ShiftJis,
}

impl CsvEncoding {
    /// Reads `utf-8` or `shift_jis`.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "utf-8" | "utf8" => Some(CsvEncoding::Utf8),
            "shift_jis" | "sjis" => Some(CsvEncoding::ShiftJis),
            _ => None,
        }
    }

    /// Value of `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            CsvEncoding::Utf8 => "text/csv; charset=utf-8; header=present",
            CsvEncoding::ShiftJis => "text/csv; charset=shift_jis; header=present",
        }
    }
}

/// Turns the text of one file into bytes, piece by piece.
#[derive(Clone, Copy, Debug)]
pub struct Encoder {
    encoding: CsvEncoding,
}

impl Encoder {
    /// For one file.
    pub const fn new(encoding: CsvEncoding) -> Self {
        Encoder { encoding }
    }

    /// What the file begins with.
    pub const fn mark(&self) -> &'static [u8] {
        match self.encoding {
            CsvEncoding::Utf8 => b"\xEF\xBB\xBF",
            CsvEncoding::ShiftJis => b"",
        }
    }

    /// The bytes of `text`. What Shift_JIS does not have becomes `〓`, the printers' mark for a
    /// missing type.
    pub fn encode(&self, text: &str) -> Vec<u8> {
        match self.encoding {
            CsvEncoding::Utf8 => text.as_bytes().to_vec(),
            CsvEncoding::ShiftJis => shift_jis(text),
        }
    }
}

/// 〓 in Shift_JIS.
const GETA: [u8; 2] = [0x81, 0xAC];

fn shift_jis(text: &str) -> Vec<u8> {
    let folded: String = text.chars().map(as_cp932_writes_it).collect();
    let mut encoder = SHIFT_JIS.new_encoder();
    let mut out = Vec::with_capacity(folded.len() + 16);
    let mut rest = folded.as_str();
    loop {
        let room = encoder
            .max_buffer_length_from_utf8_without_replacement(rest.len())
            .unwrap_or(rest.len().saturating_mul(2));
        out.reserve(room);
        let (result, read) =
            encoder.encode_from_utf8_to_vec_without_replacement(rest, &mut out, true);
        rest = rest.get(read..).unwrap_or_default();
        match result {
            EncoderResult::InputEmpty => return out,
            EncoderResult::OutputFull => {}
            EncoderResult::Unmappable(_) => out.extend_from_slice(&GETA),
        }
    }
}

/// Characters that CP932 has under another code point than Unicode text uses. U+00A5 would pass
/// as 0x5C, a backslash, and change a price into a path.
const fn as_cp932_writes_it(ch: char) -> char {
    match ch {
        '\u{00A5}' => '\u{FFE5}',
        '\u{203E}' => '\u{FFE3}',
        '\u{301C}' => '\u{FF5E}',
        '\u{2016}' => '\u{2225}',
        '\u{2212}' => '\u{FF0D}',
        '\u{2014}' => '\u{2015}',
        '\u{00A2}' => '\u{FFE0}',
        '\u{00A3}' => '\u{FFE1}',
        '\u{00AC}' => '\u{FFE2}',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_back(text: &str) -> String {
        let bytes = Encoder::new(CsvEncoding::ShiftJis).encode(text);
        let (read, _, faulty) = SHIFT_JIS.decode(&bytes);
        assert!(!faulty, "{text}");
        read.into_owned()
    }

    #[test]
    fn names_and_prices_survive_shift_jis() {
        assert_eq!(read_back("髙橋﨑①㈱〜"), "髙橋﨑①㈱～");
        assert_eq!(read_back("¥1,200"), "￥1,200");
        assert_eq!(Encoder::new(CsvEncoding::ShiftJis).encode("山"), [0x8E, 0x52]);
    }

    #[test]
    fn what_shift_jis_lacks_is_marked_and_the_rest_goes_on() {
        assert_eq!(read_back("a😀b한c"), "a〓b〓c");
    }

    #[test]
    fn utf_8_begins_with_its_mark() {
        let encoder = Encoder::new(CsvEncoding::Utf8);
        assert_eq!(encoder.mark(), "\u{FEFF}".as_bytes());
        assert_eq!(encoder.encode("山"), "山".as_bytes());
    }
}
