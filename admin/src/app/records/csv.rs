//! Records as CSV that a spreadsheet opens right, and runs nothing of.
//!
//! Quoting is RFC 4180. A field that a spreadsheet would take for a formula gets an apostrophe in
//! front. Telephone numbers are written as people in Japan write them, with the last four digits
//! set off: a spreadsheet takes `0312345678` for the number 312345678 and `+81312345678` for a
//! formula, but `03-1234-5678` for the text it is.

use std::borrow::Cow;

use tensou_engine::plan::{NumberFormat, parse_e164, write_number};

use super::view::CdrView;

/// The columns, named as in JSON. `legs` holds the JSON of the legs.
pub const COLUMNS: [&str; 22] = [
    "id",
    "node",
    "direction",
    "did",
    "customer_id",
    "caller",
    "caller_class",
    "trunk_in",
    "started_at",
    "ringing_at",
    "answered_at",
    "ended_at",
    "duration_ms",
    "result",
    "sip_status",
    "q850_cause",
    "ended_by",
    "answered_by",
    "recording_id",
    "price",
    "cost",
    "legs",
];

/// The header line.
pub fn csv_header() -> String {
    line(COLUMNS.map(Cow::Borrowed))
}

/// One record as one line with its CR LF.
pub fn csv_row(record: &CdrView) -> String {
    let legs = serde_json::to_string(&record.legs).unwrap_or_default();
    line([
        text(&record.id),
        text(&record.node),
        text(&record.direction),
        number(record.did.as_deref()),
        optional(record.customer_id.as_ref()),
        number(Some(&record.caller)),
        text(&record.caller_class),
        optional(record.trunk_in.as_ref()),
        text(&record.started_at),
        optional(record.ringing_at.as_ref()),
        optional(record.answered_at.as_ref()),
        text(&record.ended_at),
        Cow::Owned(record.duration_ms.to_string()),
        text(&record.result),
        Cow::Owned(record.sip_status.to_string()),
        Cow::Owned(record.q850_cause.to_string()),
        text(&record.ended_by),
        optional(record.answered_by.as_ref()),
        optional(record.recording_id.as_ref()),
        optional(record.price.as_ref()),
        optional(record.cost.as_ref()),
        text(&legs),
    ])
}

/// Services whose numbers are written in groups of four, three and three digits.
const SERVICES: [&str; 5] = ["0120", "0170", "0180", "0570", "0990"];
/// Stands for the place before the last four digits, wherever that is.
const LAST_FOUR: usize = usize::MAX;

/// A number as people in Japan write it, so that it stays text in a spreadsheet: `03-1234-5678`,
/// `090-1234-5678`, `0120-123-456`; where the area code's length is not told by the first digits,
/// `042212-3456`; abroad `010-12025550123`. What is no number is escaped as any text.
pub fn spreadsheet_number(number: &str) -> String {
    let Ok(parsed) = parse_e164(number) else { return text(number).into_owned() };
    let mut written = Vec::new();
    write_number(parsed, NumberFormat::National, &mut written);
    let digits = String::from_utf8_lossy(&written);
    let groups: &[usize] = match digits.as_bytes() {
        [b'0', b'1', b'0', ..] => &[3],
        [b'0', b'3' | b'6', ..] if digits.len() == 10 => &[2, 6],
        [b'0', b'5' | b'7' | b'8' | b'9', b'0', ..] if digits.len() == 11 => {
            if digits.starts_with("0800") { &[4, 7] } else { &[3, 7] }
        }
        _ if SERVICES.iter().any(|prefix| digits.starts_with(prefix)) => &[4, 7],
        _ => &[LAST_FOUR],
    };
    let mut out = String::with_capacity(digits.len() + 2);
    for (at, digit) in digits.char_indices() {
        let last_four = groups == [LAST_FOUR] && at > 0 && at + 4 == digits.len();
        if groups.contains(&at) || last_four {
            out.push('-');
        }
        out.push(digit);
    }
    out
}

fn number(number: Option<&str>) -> Cow<'_, str> {
    match number {
        None | Some("") => Cow::Borrowed(""),
        Some(number) => Cow::Owned(spreadsheet_number(number)),
    }
}

fn optional(field: Option<&String>) -> Cow<'_, str> {
    field.map_or(Cow::Borrowed(""), |field| text(field))
}

/// The full-width signs are formulas too to a Japanese spreadsheet.
fn text(field: &str) -> Cow<'_, str> {
    const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];
    if field.starts_with(FORMULA) { Cow::Owned(format!("'{field}")) } else { Cow::Borrowed(field) }
}

fn line<const N: usize>(fields: [Cow<'_, str>; N]) -> String {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::with_capacity(512));
    // Writing into memory cannot fail, and every line has the same number of fields.
    let written = writer.write_record(fields.iter().map(|field| field.as_bytes()));
    let bytes = written.ok().and_then(|()| writer.into_inner().ok()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_text_in_a_spreadsheet() {
        for (number, written) in [
            ("+81312345678", "03-1234-5678"),
            ("+81612345678", "06-1234-5678"),
            ("+819012345678", "090-1234-5678"),
            ("+815012345678", "050-1234-5678"),
            ("+81120123456", "0120-123-456"),
            ("+81570012345", "0570-012-345"),
            ("+818001234567", "0800-123-4567"),
            ("+81422123456", "042212-3456"),
            ("+12025550123", "010-12025550123"),
            ("=1+1", "'=1+1"),
        ] {
            assert_eq!(spreadsheet_number(number), written);
        }
    }

    #[test]
    fn what_begins_like_a_formula_is_escaped() {
        for field in ["=1", "+1", "-1", "@x", "\tx", "\rx", "\nx", "＝1", "＋1", "－1", "＠x"] {
            assert_eq!(text(field), format!("'{field}"));
        }
        assert_eq!(text("山田"), "山田");
        assert_eq!(text(""), "");
    }

    #[test]
    fn a_line_is_quoted_as_rfc_4180_asks() {
        let fields = [text("a,b"), text("say \"hi\""), text("two\r\nlines"), text("plain")];
        assert_eq!(line(fields), "\"a,b\",\"say \"\"hi\"\"\",\"two\r\nlines\",plain\r\n");
    }
}
