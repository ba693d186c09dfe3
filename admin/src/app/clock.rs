//! Calendar time at the edge: Unix milliseconds inside, RFC 3339 with the node's offset outside.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// The node's calendar.
#[derive(Clone, Debug)]
pub struct Clock {
    zone: TimeZone,
}

impl Clock {
    /// The calendar of this IANA time zone (`Asia/Tokyo`); UTC when there is no such zone, which
    /// the configuration has refused before.
    pub fn new(zone: &str) -> Self {
        Clock { zone: TimeZone::get(zone).unwrap_or(TimeZone::UTC) }
    }

    /// Its zone.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Unix milliseconds now.
    pub fn now_millis(&self) -> i64 {
        Timestamp::now().as_millisecond()
    }

    /// `2026-11-23T14:07:24.123+09:00`: always with milliseconds, so that texts sort as times do.
    /// Milliseconds beyond the calendar's range are brought to its ends.
    pub fn rfc3339(&self, unix_millis: i64) -> String {
        self.zoned(unix_millis).strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string()
    }

    /// The moment in the node's zone.
    pub fn zoned(&self, unix_millis: i64) -> Zoned {
        let clamped =
            unix_millis.clamp(Timestamp::MIN.as_millisecond(), Timestamp::MAX.as_millisecond());
        Timestamp::from_millisecond(clamped).unwrap_or_default().to_zoned(self.zone.clone())
    }

    /// Reads what people and programs give as a moment: RFC 3339 with an offset, a local time
    /// `2026-11-23T14:07`, or a day `2026-11-23`, of which `edge` says which end is meant.
    ///
    /// # Errors
    /// A text for people when it is none of these.
    pub fn read(&self, text: &str, edge: DayEdge) -> Result<i64, String> {
        if let Ok(timestamp) = text.parse::<Timestamp>() {
            return Ok(timestamp.as_millisecond());
        }
        let local = if let Ok(day) = text.parse::<jiff::civil::Date>()
            && text.len() == DAY_LENGTH
        {
            let day = match edge {
                DayEdge::Start => Ok(day),
                DayEdge::End => day.tomorrow(),
            };
            day.map(|day| day.at(0, 0, 0, 0))
        } else {
            text.parse::<jiff::civil::DateTime>()
        };
        local
            .and_then(|local| local.to_zoned(self.zone.clone()))
            .map(|zoned| zoned.timestamp().as_millisecond())
            .map_err(|_| {
                "write a time as 2026-11-23T14:07:00+09:00 or a day as 2026-11-23".to_owned()
            })
    }
}

/// `YYYY-MM-DD`.
const DAY_LENGTH: usize = 10;

/// Which end of a day a bare date means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DayEdge {
    /// Its first moment.
    Start,
    /// The first moment of the day after: the day itself is still in.
    End,
}

#[cfg(test)]
mod tests {
    use super::{Clock, DayEdge};

    #[test]
    fn times_leave_with_the_nodes_offset_and_come_back() {
        let clock = Clock::new("Asia/Tokyo");
        let text = clock.rfc3339(1_795_000_000_123);
        assert_eq!(text, "2026-11-18T20:06:40.123+09:00");
        assert_eq!(clock.read(&text, DayEdge::Start), Ok(1_795_000_000_123));
        assert_eq!(clock.rfc3339(0), "1970-01-01T09:00:00.000+09:00");
        assert!(!clock.rfc3339(i64::MAX).is_empty());
    }

    #[test]
    fn days_are_the_zones_own_over_clock_changes_leap_days_and_ends_of_months_and_years() {
        let hours = |zone: &str, day: &str| {
            let clock = Clock::new(zone);
            let start = clock.read(day, DayEdge::Start).expect("a day");
            let end = clock.read(day, DayEdge::End).expect("a day");
            (clock.zoned(start).timestamp().to_string(), (end - start) / 3_600_000)
        };
        for (zone, day, start, length) in [
            ("Asia/Tokyo", "2026-11-30", "2026-11-29T15:00:00Z", 24),
            ("Asia/Tokyo", "2026-12-31", "2026-12-30T15:00:00Z", 24),
            ("Asia/Tokyo", "2028-02-29", "2028-02-28T15:00:00Z", 24),
            ("Europe/Berlin", "2026-03-29", "2026-03-28T23:00:00Z", 23),
            ("Europe/Berlin", "2026-10-25", "2026-10-24T22:00:00Z", 25),
            // Where the clocks change at midnight, the day begins at one.
            ("America/Santiago", "2026-09-06", "2026-09-06T04:00:00Z", 23),
        ] {
            assert_eq!(hours(zone, day), (start.to_owned(), length), "{zone} {day}");
        }
        let clock = Clock::new("Asia/Tokyo");
        assert!(clock.read("2027-02-29", DayEdge::Start).is_err(), "no leap year");
    }

    #[test]
    fn a_day_means_its_start_or_the_whole_of_it() {
        let clock = Clock::new("Asia/Tokyo");
        let start = clock.read("2026-11-23", DayEdge::Start).expect("a day");
        let end = clock.read("2026-11-23", DayEdge::End).expect("a day");
        assert_eq!(end - start, 86_400_000);
        assert_eq!(clock.rfc3339(start), "2026-11-23T00:00:00.000+09:00");
        assert_eq!(clock.read("2026-11-23T00:00", DayEdge::End), Ok(start));
        assert!(clock.read("yesterday", DayEdge::Start).is_err());
    }
}
