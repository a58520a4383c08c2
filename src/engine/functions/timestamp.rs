//! `cohorte_timestamp`: instants from text.

use std::sync::Arc;

use chrono::format::{Item, Parsed, StrftimeItems, parse};
use chrono::{NaiveDate, NaiveDateTime, TimeDelta};
use chrono_tz::Tz;
use datafusion::arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use datafusion::common::{Result as SqlResult, exec_err};

use super::call::{Arguments, Function, Kind, Takes, Text, UTC, primitives, reasons};
use super::zone::{Zones, to_instant};
use super::{EMPTY, Reason};

pub(super) fn functions() -> Vec<Function> {
    let takes = Takes::Exactly(&[Kind::Text, Kind::Text, Kind::Text]);
    let instant = DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()));
    vec![
        Function::new("cohorte_timestamp", takes, instant, |arguments| {
            let (text, formats, zones) = (arguments.text(0)?, Formats::new(arguments, 1)?, Zones::new(arguments, 2)?);
            let read = |row| parse_timestamp(text.at(row)?, formats.at(row), zones.at(row)).ok();
            Ok(Arc::new(primitives::<TimestampMicrosecondType>(arguments.rows, read).with_timezone(UTC)))
        }),
        Function::new("cohorte_timestamp_reason", takes, DataType::Utf8View, |arguments| {
            let (text, formats, zones) = (arguments.text(0)?, Formats::new(arguments, 1)?, Zones::new(arguments, 2)?);
            Ok(reasons(arguments.rows, |row| Some(parse_timestamp(text.at(row)?, formats.at(row), zones.at(row)))))
        }),
    ]
}

/// A format, taken apart.
pub type Format<'a> = [Item<'a>];

/// The formats of one batch: nearly always one literal, taken apart once.
pub(super) struct Formats<'a>(Vec<Option<Vec<Item<'a>>>>);

impl<'a> Formats<'a> {
    /// The format argument at a place; null is ISO 8601, one that cannot be read is an error.
    pub(super) fn new(arguments: &Arguments<'a>, place: usize) -> SqlResult<Self> {
        let text = arguments.text(place)?;
        let rows = if matches!(text, Text::Constant(_)) { 1 } else { arguments.rows };
        let mut formats = Vec::with_capacity(rows);
        for row in 0..rows {
            let Some(format) = text.at(row) else {
                formats.push(None);
                continue;
            };
            match StrftimeItems::new(format).parse() {
                Ok(items) => formats.push(Some(items)),
                Err(_) => return exec_err!("'{format}' is no date format: one such as %d/%m/%Y is expected"),
            }
        }
        Ok(Self(formats))
    }

    /// The format of a row; none is ISO 8601.
    pub(super) fn at(&self, row: usize) -> Option<&Format<'a>> {
        let place = if self.0.len() == 1 { 0 } else { row };
        self.0.get(place).and_then(Option::as_deref)
    }
}

/// What a text says: an instant by itself, or the reading of a clock somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// With an offset: the clock, and what it is ahead of UTC, in seconds.
    Offset(NaiveDateTime, i32),
    /// Without.
    Clock(NaiveDateTime),
}

impl Reading {
    /// The day that the clock showed.
    pub(super) fn day(self) -> NaiveDate {
        match self {
            Self::Offset(clock, _) | Self::Clock(clock) => clock.date(),
        }
    }
}

/// The instant (microseconds since the epoch) that a text says, or why it says none. What has no offset is a reading of
/// the zone's clocks; a day alone is its midnight.
pub fn parse_timestamp(text: &str, format: Option<&Format<'_>>, zone: Tz) -> Result<i64, Reason> {
    match read(text, format)? {
        Reading::Offset(clock, ahead) => clock
            .checked_sub_signed(TimeDelta::seconds(i64::from(ahead)))
            .map(|instant| instant.and_utc().timestamp_micros())
            .ok_or("out of range"),
        Reading::Clock(clock) => to_instant(clock, zone).ok_or("out of range"),
    }
}

/// Reads a text in a format, or in ISO 8601.
pub(super) fn read(text: &str, format: Option<&Format<'_>>) -> Result<Reading, Reason> {
    let text = text.trim();
    if text.is_empty() {
        return Err(EMPTY);
    }
    let reading = match format {
        Some(format) => read_format(text, format).ok_or("does not fit the format")?,
        None => read_iso(text).ok_or("not an ISO 8601 date or time")?,
    };
    // Two-digit years read as four digits land in antiquity.
    let year = chrono::Datelike::year(&reading.day());
    if (1000..=9999).contains(&year) { Ok(reading) } else { Err("implausible year") }
}

fn read_format(text: &str, format: &Format<'_>) -> Option<Reading> {
    let mut parsed = Parsed::new();
    parse(&mut parsed, text, format.iter()).ok()?;
    if let Some(ahead) = parsed.offset() {
        return Some(Reading::Offset(parsed.to_naive_datetime_with_offset(ahead).ok()?, ahead));
    }
    if parsed.timestamp().is_some() {
        return Some(Reading::Offset(parsed.to_naive_datetime_with_offset(0).ok()?, 0));
    }
    let day = parsed.to_naive_date().ok()?;
    let has_time = parsed.hour_mod_12().is_some() || parsed.hour_div_12().is_some() || parsed.minute().is_some();
    let time = if has_time { parsed.to_naive_time().ok()? } else { chrono::NaiveTime::MIN };
    Some(Reading::Clock(day.and_time(time)))
}

/// `YYYY-MM-DD`, then nothing or `T` or a space and `HH:MM[:SS[.f]]`, then nothing or `Z`, `UTC`, `±HH[[:]MM]`;
/// the date may also be written `YYYYMMDD`. Digits beyond microseconds are cut.
fn read_iso(text: &str) -> Option<Reading> {
    let mut scan = Scan(text.as_bytes());
    let year = scan.digits(4)?;
    let dashes = scan.take(b"-");
    let month = scan.digits(2)?;
    if dashes && !scan.take(b"-") {
        return None;
    }
    let day = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, scan.digits(2)?)?;
    let midnight = day.and_time(chrono::NaiveTime::MIN);
    if scan.0.is_empty() {
        return Some(Reading::Clock(midnight));
    }
    if !(scan.take(b"T") || scan.take(b"t") || scan.take(b" ")) {
        return None;
    }
    let hour = scan.digits(2)?;
    if !scan.take(b":") {
        return None;
    }
    let minute = scan.digits(2)?;
    let (mut second, mut micros) = (0, 0);
    if scan.take(b":") {
        second = scan.digits(2)?;
        if scan.take(b".") || scan.take(b",") {
            micros = scan.fraction()?;
        }
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // A leap second is read as the first of the next minute.
    let into_day = TimeDelta::seconds(i64::from(hour * 3600 + minute * 60 + second)) + TimeDelta::microseconds(micros);
    let clock = midnight.checked_add_signed(into_day)?;
    if scan.0.is_empty() {
        return Some(Reading::Clock(clock));
    }
    scan.take(b" ");
    Some(Reading::Offset(clock, scan.offset()?))
}

/// What is left of a text.
struct Scan<'a>(&'a [u8]);

impl Scan<'_> {
    fn digits(&mut self, count: usize) -> Option<u32> {
        let digits = self.0.get(..count).filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
        self.0 = &self.0[count..];
        Some(digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
    }

    fn take(&mut self, expected: &[u8]) -> bool {
        let found = self.0.starts_with(expected);
        if found {
            self.0 = &self.0[expected.len()..];
        }
        found
    }

    fn fraction(&mut self) -> Option<i64> {
        let length = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if length == 0 {
            return None;
        }
        let micros = (0..6).fold(0, |micros, place| {
            let digit = if place < length { self.0[place] - b'0' } else { 0 };
            micros * 10 + i64::from(digit)
        });
        self.0 = &self.0[length..];
        Some(micros)
    }

    fn offset(&mut self) -> Option<i32> {
        let ahead = if self.take(b"Z") || self.take(b"z") || self.take(b"UTC") || self.take(b"GMT") {
            0
        } else {
            let sign = if self.take(b"+") {
                1
            } else if self.take(b"-") {
                -1
            } else {
                return None;
            };
            let hours = i32::try_from(self.digits(2)?).ok()?;
            let colon = self.take(b":");
            let minutes = if colon || !self.0.is_empty() { i32::try_from(self.digits(2)?).ok()? } else { 0 };
            if hours > 23 || minutes > 59 {
                return None;
            }
            sign * (hours * 3600 + minutes * 60)
        };
        self.0.is_empty().then_some(ahead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::functions::tests::row;

    fn instant(text: &str, format: Option<&str>) -> Result<String, Reason> {
        let items = format.map(|format| StrftimeItems::new(format).parse().unwrap());
        let micros = parse_timestamp(text, items.as_deref(), Tz::Europe__Paris)?;
        Ok(chrono::DateTime::from_timestamp_micros(micros).unwrap().to_rfc3339())
    }

    #[test]
    fn iso_texts() {
        let vectors = [
            ("2026-01-15", "2026-01-14T23:00:00+00:00"),
            ("20260115", "2026-01-14T23:00:00+00:00"),
            ("2026-01-15 10:00", "2026-01-15T09:00:00+00:00"),
            ("2026-01-15T10:00:05", "2026-01-15T09:00:05+00:00"),
            (" 2026-07-15T10:00:05.1234567 ", "2026-07-15T08:00:05.123456+00:00"),
            ("2026-01-15T10:00:00Z", "2026-01-15T10:00:00+00:00"),
            ("2026-01-15 10:00:00 UTC", "2026-01-15T10:00:00+00:00"),
            ("2026-01-15T10:00:00+02", "2026-01-15T08:00:00+00:00"),
            ("2026-01-15T10:00:00-0230", "2026-01-15T12:30:00+00:00"),
            ("2026-01-15T10:00:00,5+02:00", "2026-01-15T08:00:00.500+00:00"),
            ("2025-10-26 02:30:00", "2025-10-26T00:30:00+00:00"),
            ("2025-03-30 02:30:00", "2025-03-30T01:30:00+00:00"),
            ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00+00:00"),
        ];
        for (given, wanted) in vectors {
            assert_eq!(instant(given, None).as_deref(), Ok(wanted), "{given}");
        }
        for given in
            ["2026-13-01", "2026-02-30", "2026-01-15T", "2026-01-15 25:00", "15/01/2026", "2026-01-15T10:00+", "x"]
        {
            assert_eq!(instant(given, None), Err("not an ISO 8601 date or time"), "{given}");
        }
        assert_eq!(instant("0026-01-15", None), Err("implausible year"));
        assert_eq!(instant(" ", None), Err("empty"));
    }

    #[test]
    fn texts_in_a_format() {
        let vectors = [
            ("15/07/2026 10:05", "%d/%m/%Y %H:%M", "2026-07-15T08:05:00+00:00"),
            ("15/07/2026", "%d/%m/%Y", "2026-07-14T22:00:00+00:00"),
            ("7/15/2026 1:05 PM", "%m/%d/%Y %I:%M %p", "2026-07-15T11:05:00+00:00"),
            ("15.07.26", "%d.%m.%y", "2026-07-14T22:00:00+00:00"),
            ("2026-07-15 10:00:00 +0100", "%Y-%m-%d %H:%M:%S %z", "2026-07-15T09:00:00+00:00"),
            ("1784109600", "%s", "2026-07-15T10:00:00+00:00"),
        ];
        for (given, format, wanted) in vectors {
            assert_eq!(instant(given, Some(format)).as_deref(), Ok(wanted), "{given}");
        }
        assert_eq!(instant("2026-07-15", Some("%d/%m/%Y")), Err("does not fit the format"));
        assert_eq!(instant("15/07/26", Some("%d/%m/%Y")), Err("implausible year"));
    }

    #[tokio::test]
    async fn in_sql() {
        let sql = "select cohorte_timestamp(t, null, 'Europe/Paris'), cohorte_timestamp(t, '%d/%m/%Y', z), \
                   cohorte_timestamp_reason(t, '%d/%m/%Y', z), cohorte_timestamp_reason(t, null, z), \
                   arrow_typeof(cohorte_timestamp(t, null, z)) from (values ('2026-07-15', 'Europe/Paris')) v(t, z)";
        assert_eq!(
            row(sql).await,
            ["2026-07-14T22:00:00Z", "", "does not fit the format", "", "Timestamp(µs, \"UTC\")"]
        );
        let ctx = datafusion::prelude::SessionContext::new();
        crate::engine::functions::register(&ctx);
        for sql in [
            "select cohorte_timestamp(t, '%!', null) from (values ('x')) v(t)",
            "select cohorte_timestamp(t, null, 'Europe/Lutetia') from (values ('x')) v(t)",
        ] {
            assert!(ctx.sql(sql).await.unwrap().collect().await.is_err());
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_answered(text in "[0-9TZ:+. -]{0,30}|.{0,20}") {
            let _ = instant(&text, None);
            let _ = instant(&text, Some("%d/%m/%Y %H:%M"));
        }
    }
}
