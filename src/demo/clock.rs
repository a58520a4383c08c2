//! Seconds since the epoch, drawn backwards from the end of the history, and written as the sources write them.

use std::fmt::Write;

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Timelike};
use chrono_tz::Europe::Paris;

use super::dice::Dice;

pub(crate) const HOUR: i64 = 3600;
pub(crate) const DAY: i64 = 24 * HOUR;

/// How busy each hour of the day (UTC) is, from 0 h.
const BUSY: [u32; 24] = [2, 1, 0, 0, 1, 2, 5, 8, 9, 10, 11, 10, 9, 9, 9, 10, 12, 14, 15, 14, 10, 7, 5, 3];

/// The end of the history.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    pub(crate) as_of: i64,
}

impl Clock {
    /// A moment between `latest` and `earliest` days before the end; at least one day before it.
    pub(crate) fn days_ago(self, dice: &mut Dice, latest: i64, earliest: i64) -> i64 {
        let days = dice.between(latest.max(1), earliest.max(1));
        let midnight = self.as_of - self.as_of.rem_euclid(DAY);
        midnight - days * DAY + dice.weighted(&BUSY) as i64 * HOUR + dice.between(0, HOUR - 1)
    }

    /// A moment `low` to `high` seconds after `time`, or just before the end where that would be later.
    pub(crate) fn after(self, dice: &mut Dice, time: i64, low: i64, high: i64) -> i64 {
        (time + dice.between(low, high)).min(self.as_of - 60)
    }
}

/// `2026-10-03T08:15:00Z`.
pub(crate) fn utc(time: i64) -> String {
    let mut text = String::with_capacity(20);
    if let Some(moment) = DateTime::from_timestamp(time, 0) {
        let _ = write!(
            text,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
            moment.year(),
            moment.month(),
            moment.day(),
            moment.hour(),
            moment.minute(),
            moment.second()
        );
    }
    text
}

/// `2026-10-03 10:15:00` on a clock in Paris: the zone is lost.
pub(crate) fn local(time: i64) -> String {
    let mut text = String::with_capacity(19);
    if let Some(moment) = DateTime::from_timestamp(time, 0) {
        let moment = moment.with_timezone(&Paris).naive_local();
        let _ = write!(
            text,
            "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
            moment.year(),
            moment.month(),
            moment.day(),
            moment.hour(),
            moment.minute(),
            moment.second()
        );
    }
    text
}

/// The day of a moment, in UTC.
pub(crate) fn day(time: i64) -> NaiveDate {
    DateTime::from_timestamp(time, 0).unwrap_or_default().date_naive()
}

/// A day of that year.
pub(crate) fn day_in_year(dice: &mut Dice, year: i32) -> NaiveDate {
    let first = NaiveDate::from_yo_opt(year, 1).unwrap_or_default();
    first + TimeDelta::days(dice.between(0, 364))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::dice::Topic;

    #[test]
    fn times_are_written() {
        assert_eq!(utc(1_793_491_200), "2026-11-01T00:00:00Z");
        assert_eq!(local(1_793_491_200), "2026-11-01 01:00:00");
        assert_eq!(local(1_785_000_000), "2026-07-25 19:20:00");
    }

    #[test]
    fn nothing_happens_after_the_end() {
        let clock = Clock { as_of: 1_793_491_200 };
        let mut dice = Dice::new(1, Topic::Web, 1);
        for _ in 0..1000 {
            let time = clock.days_ago(&mut dice, 0, 3);
            assert!(time < clock.as_of && clock.after(&mut dice, time, 0, 9 * DAY) < clock.as_of);
        }
    }
}
