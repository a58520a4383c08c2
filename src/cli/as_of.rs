//! `--as-of`: an instant, or a day or a local time in the project's zone.

use std::fmt;
use std::str::FromStr;

use chrono::{
    DateTime, Days, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, TimeDelta, TimeZone as _, Utc,
};
use chrono_tz::Tz;

/// A point in time as it was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsOf {
    /// RFC 3339, with its offset.
    Instant(DateTime<Utc>),
    /// A date (its first moment) or a time without an offset: in the project's zone, which is known later.
    Local(NaiveDateTime),
}

impl AsOf {
    /// The instant, in the project's zone. A time that a zone has twice is the earlier one; one that it skips moves
    /// forward by as much as the clocks do (DESIGN §5.3).
    #[must_use]
    pub fn resolve(self, zone: Tz) -> DateTime<Utc> {
        match self {
            Self::Instant(instant) => instant,
            Self::Local(local) => match zone.from_local_datetime(&local) {
                LocalResult::Single(time) | LocalResult::Ambiguous(time, _) => time.with_timezone(&Utc),
                LocalResult::None => after_gap(local, zone),
            },
        }
    }
}

/// A skipped time, read with the offset that held before the gap. No zone has changed its offset by more than a day.
fn after_gap(local: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    let day_before = local.checked_sub_days(Days::new(1)).unwrap_or(local);
    let gap_free = zone.from_local_datetime(&day_before).earliest().map(|time| time.with_timezone(&Utc));
    gap_free.map_or_else(|| local.and_utc(), |time| time + TimeDelta::days(1))
}

impl fmt::Display for AsOf {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instant(instant) => formatter.write_str(&instant.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
            Self::Local(local) if local.time() == NaiveTime::MIN => write!(formatter, "{}", local.date()),
            Self::Local(local) => write!(formatter, "{}", local.format("%Y-%m-%dT%H:%M:%S%.f")),
        }
    }
}

impl FromStr for AsOf {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self::Instant(instant.with_timezone(&Utc)));
        }
        if let Ok(day) = NaiveDate::from_str(text) {
            return Ok(Self::Local(day.and_time(NaiveTime::MIN)));
        }
        NaiveDateTime::from_str(text)
            .map(Self::Local)
            .map_err(|_| "write a date `2026-01-15` or a time `2026-01-15T09:00:00Z`".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_so_that_it_is_read_again() {
        for text in ["2026-01-15", "2026-01-15T09:30:00", "2026-01-15T09:30:00Z", "2026-01-15T09:30:00.250Z"] {
            assert_eq!(text.parse::<AsOf>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn dates_and_times_are_read_in_the_zone_of_the_project() {
        for (text, expected) in [
            ("2026-01-15T09:00:00Z", "2026-01-15T09:00:00Z"),
            ("2026-01-15T09:00:00+02:00", "2026-01-15T07:00:00Z"),
            ("2026-01-15", "2026-01-14T23:00:00Z"),
            ("2026-07-15", "2026-07-14T22:00:00Z"),
            ("2026-07-15T08:30:00", "2026-07-15T06:30:00Z"),
            // The clocks go back at 03:00: the earlier 02:30. They go forward at 02:00: 02:30 becomes 03:30.
            ("2026-10-25T02:30:00", "2026-10-25T00:30:00Z"),
            ("2026-03-29T02:30:00", "2026-03-29T01:30:00Z"),
        ] {
            let as_of: AsOf = text.parse().unwrap();
            assert_eq!(as_of.resolve(chrono_tz::Europe::Paris).to_rfc3339(), expected.replace('Z', "+00:00"), "{text}");
        }
    }

    #[test]
    fn a_day_that_begins_in_a_gap_begins_after_it() {
        let as_of: AsOf = "2018-11-04".parse().unwrap();
        let start = as_of.resolve(chrono_tz::America::Sao_Paulo);
        assert_eq!(start.with_timezone(&chrono_tz::America::Sao_Paulo).to_rfc3339(), "2018-11-04T01:00:00-02:00");
    }

    #[test]
    fn other_texts_are_refused_with_an_example() {
        for text in ["", "yesterday", "15/01/2026", "2026-02-30", "2026-01-15 9h"] {
            assert!(text.parse::<AsOf>().unwrap_err().contains("2026-01-15"), "{text}");
        }
    }
}
