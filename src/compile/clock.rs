//! Time as a run sees it: `as_of`, and where windows begin (DESIGN §5.3, *Time*).

use chrono::{DateTime, Days, Months, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

use crate::spec::{Duration, Unit};

/// The one instant of a run and the zone of its calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// The instant.
    pub as_of: DateTime<Utc>,
    /// The zone.
    pub timezone: Tz,
}

impl Clock {
    /// The local day of `as_of`.
    #[must_use]
    pub fn today(&self) -> NaiveDate {
        self.as_of.with_timezone(&self.timezone).date_naive()
    }

    /// `as_of` in microseconds since the epoch.
    #[must_use]
    pub fn micros(&self) -> i64 {
        self.as_of.timestamp_micros()
    }

    /// The first instant of a window, in microseconds since the epoch. Days and longer begin at the start of the local day
    /// that many days before `as_of`'s; hours and shorter are exact and open at their beginning.
    #[must_use]
    pub fn since(&self, window: Duration) -> i64 {
        let count = window.count;
        let exact = |seconds: i64| self.micros() - seconds * i64::from(count) * 1_000_000 + 1;
        let today = self.today();
        let day = match window.unit {
            Unit::Second => return exact(1),
            Unit::Minute => return exact(60),
            Unit::Hour => return exact(3_600),
            Unit::Day => today.checked_sub_days(Days::new(u64::from(count))),
            Unit::Week => today.checked_sub_days(Days::new(u64::from(count) * 7)),
            Unit::Month => today.checked_sub_months(Months::new(count)),
            Unit::Year => today.checked_sub_months(Months::new(count.saturating_mul(12))),
        };
        day.map_or(i64::MIN, |day| self.start_of(day).timestamp_micros())
    }

    /// The instant a length of time before `as_of`, to the second: the same wall clock that many days, months or years
    /// earlier. What must not last longer than promised is measured so, not from the start of a day.
    #[must_use]
    pub fn before(&self, length: Duration) -> i64 {
        let count = length.count;
        let wall = self.as_of.with_timezone(&self.timezone).naive_local();
        let earlier = match length.unit {
            Unit::Second | Unit::Minute | Unit::Hour => return self.since(length),
            Unit::Day => wall.checked_sub_days(Days::new(u64::from(count))),
            Unit::Week => wall.checked_sub_days(Days::new(u64::from(count) * 7)),
            Unit::Month => wall.checked_sub_months(Months::new(count)),
            Unit::Year => wall.checked_sub_months(Months::new(count.saturating_mul(12))),
        };
        let instant = earlier.map(|wall| {
            self.timezone.from_local_datetime(&wall).latest().map_or_else(|| wall.and_utc(), |at| at.to_utc())
        });
        instant.map_or(i64::MIN, |at| at.timestamp_micros())
    }

    /// The first instant of a local day; where midnight does not exist, the first that does.
    fn start_of(&self, day: NaiveDate) -> DateTime<Utc> {
        let mut wall = day.and_time(NaiveTime::MIN);
        for _ in 0..96 {
            if let Some(instant) = self.timezone.from_local_datetime(&wall).earliest() {
                return instant.to_utc();
            }
            wall += TimeDelta::minutes(15);
        }
        wall.and_utc()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(as_of: &str, zone: &str) -> Clock {
        Clock { as_of: as_of.parse().unwrap(), timezone: zone.parse().unwrap() }
    }

    fn since(clock: &Clock, window: &str) -> String {
        DateTime::from_timestamp_micros(clock.since(window.parse().unwrap())).unwrap().to_rfc3339()
    }

    #[test]
    fn calendar_windows_begin_with_a_local_day() {
        let clock = clock("2026-11-01T00:30:00Z", "Europe/Paris");
        assert_eq!(since(&clock, "1d"), "2026-10-30T23:00:00+00:00");
        // Across the end of summer time: midnight is two hours from UTC.
        assert_eq!(since(&clock, "30d"), "2026-10-01T22:00:00+00:00");
        assert_eq!(since(&clock, "1mo"), "2026-09-30T22:00:00+00:00");
    }

    #[test]
    fn months_and_years_clamp() {
        assert_eq!(since(&clock("2024-02-29T12:00:00Z", "UTC"), "1y"), "2023-02-28T00:00:00+00:00");
        assert_eq!(since(&clock("2026-03-31T12:00:00Z", "UTC"), "1mo"), "2026-02-28T00:00:00+00:00");
    }

    #[test]
    fn hours_are_exact_and_open() {
        assert_eq!(since(&clock("2026-01-01T12:00:00Z", "UTC"), "2h"), "2026-01-01T10:00:00.000001+00:00");
    }

    #[test]
    fn promises_are_kept_to_the_second() {
        let clock = clock("2026-11-01T00:30:00Z", "Europe/Paris");
        let before = DateTime::from_timestamp_micros(clock.before("3y".parse().unwrap())).unwrap();
        assert_eq!(before.to_rfc3339(), "2023-11-01T00:30:00+00:00");
    }

    #[test]
    fn a_day_whose_midnight_does_not_exist_begins_later() {
        // Cairo, 2023-04-28: clocks jump from 00:00 to 01:00.
        let clock = clock("2023-04-29T12:00:00Z", "Africa/Cairo");
        assert_eq!(since(&clock, "1d"), "2023-04-27T22:00:00+00:00");
    }
}
