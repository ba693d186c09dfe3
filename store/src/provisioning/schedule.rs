//! Calendars: weekly hours and days that differ.

use super::fields::Faults;
use crate::model::{ExceptionDay, Schedule, WeeklyHours};

const DAYS: &[(&str, ())] =
    &[("mon", ()), ("tue", ()), ("wed", ()), ("thu", ()), ("fri", ()), ("sat", ()), ("sun", ())];

pub(crate) fn check(faults: &mut Faults, row: &Schedule) {
    for (at, hours) in row.weekly.iter().enumerate() {
        check_week(faults, at, hours);
    }
    for (at, day) in row.exceptions.iter().enumerate() {
        check_exception(faults, at, day);
    }
}

fn check_week(faults: &mut Faults, at: usize, hours: &WeeklyHours) {
    if hours.days.is_empty() {
        faults.add(format!("weekly[{at}].days"), "name at least one day, mon to sun");
    }
    for (day_at, day) in hours.days.iter().enumerate() {
        faults.word(&format!("weekly[{at}].days[{day_at}]"), day, DAYS);
    }
    check_span(faults, &format!("weekly[{at}]"), &hours.from, &hours.to);
}

fn check_exception(faults: &mut Faults, at: usize, day: &ExceptionDay) {
    check_date(faults, &format!("exceptions[{at}].date"), &day.date);
    faults.line(&format!("exceptions[{at}].note"), &day.note);
    match (&day.from, &day.to) {
        (None, None) => {}
        (Some(from), Some(to)) => check_span(faults, &format!("exceptions[{at}]"), from, to),
        (Some(_), None) => {
            faults.add(format!("exceptions[{at}].to"), "give both from and to, or neither");
        }
        (None, Some(_)) => {
            faults.add(format!("exceptions[{at}].from"), "give both from and to, or neither");
        }
    }
}

fn check_span(faults: &mut Faults, field: &str, from: &str, to: &str) {
    let start = minute(from).filter(|minute| *minute < 24 * 60);
    let end = minute(to);
    if start.is_none() {
        faults
            .add(format!("{field}.from"), format!("\"{from}\" is no time of day, 00:00 to 23:59"));
    }
    if end.is_none() {
        faults.add(format!("{field}.to"), format!("\"{to}\" is no time of day, 00:00 to 24:00"));
    }
    if let (Some(start), Some(end)) = (start, end)
        && end <= start
    {
        let message = "must be later than from; hours over midnight are two entries";
        faults.add(format!("{field}.to"), message);
    }
}

/// `HH:MM` as minutes of the day; `24:00` is its end.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |part: &str| part.len() == 2 && part.chars().all(|ch| ch.is_ascii_digit());
    if !digits(hour) || !digits(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let of_day = hour * 60 + minute;
    (minute < 60 && of_day <= 24 * 60).then_some(of_day)
}

/// A day that exists, `YYYY-MM-DD`.
pub(crate) fn check_date(faults: &mut Faults, field: &str, text: &str) {
    let day = text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok();
    if !day {
        faults.add(field, format!("\"{text}\" is no day of the calendar, YYYY-MM-DD"));
    }
}
