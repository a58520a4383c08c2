//! `cohorte_zoned` and `cohorte_local_date`: between the clock on a wall and instants.

use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, Offset, TimeDelta, TimeZone};
use chrono_tz::{GapInfo, Tz};
use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::datatypes::{DataType, Date32Type, TimeUnit, TimestampMicrosecondType};
use datafusion::common::{Result, exec_err};

use super::call::{Arguments, Function, Kind, Takes, Text, UTC, primitives};

const MICROS_PER_DAY: i64 = 86_400_000_000;

pub(super) fn functions() -> Vec<Function> {
    let instant = DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()));
    vec![
        Function::new("cohorte_zoned", Takes::Exactly(&[Kind::Timestamp, Kind::Text]), instant, zoned),
        Function::new(
            "cohorte_local_date",
            Takes::Exactly(&[Kind::Instant, Kind::Text]),
            DataType::Date32,
            |arguments| {
                let instants = arguments.primitive::<TimestampMicrosecondType>(0)?;
                let zones = Zones::new(arguments, 1)?;
                let day =
                    |row| if instants.is_valid(row) { local_day(instants.value(row), zones.at(row)) } else { None };
                Ok(Arc::new(primitives::<Date32Type>(arguments.rows, day)))
            },
        ),
    ]
}

fn zoned(arguments: &Arguments<'_>) -> Result<ArrayRef> {
    let clock = arguments.primitive::<TimestampMicrosecondType>(0)?;
    // What has a zone already is an instant.
    if matches!(arguments.data_type(0), DataType::Timestamp(_, Some(_))) {
        return Ok(Arc::new(clock));
    }
    let zones = Zones::new(arguments, 1)?;
    let instant = |row| {
        if clock.is_null(row) {
            return None;
        }
        let naive = DateTime::from_timestamp_micros(clock.value(row))?.naive_utc();
        to_instant(naive, zones.at(row))
    };
    Ok(Arc::new(primitives::<TimestampMicrosecondType>(arguments.rows, instant).with_timezone(UTC)))
}

/// The zones of one batch.
pub(super) struct Zones(Vec<Tz>);

impl Zones {
    /// The zone argument at a place; null is UTC, an unknown name is an error.
    pub(super) fn new(arguments: &Arguments<'_>, place: usize) -> Result<Self> {
        let text = arguments.text(place)?;
        let rows = if matches!(text, Text::Constant(_)) { 1 } else { arguments.rows };
        let mut zones: Vec<Tz> = Vec::with_capacity(rows);
        let mut last: Option<&str> = None;
        for row in 0..rows {
            let zone = match (text.at(row), zones.last()) {
                (None, _) => Tz::UTC,
                (Some(name), Some(zone)) if last == Some(name) => *zone,
                (Some(name), _) => match Tz::from_str(name.trim()) {
                    Ok(zone) => zone,
                    Err(_) => return exec_err!("'{name}' is no time zone: a name such as Europe/Paris is expected"),
                },
            };
            last = text.at(row);
            zones.push(zone);
        }
        Ok(Self(zones))
    }

    /// The zone of a row.
    pub(super) fn at(&self, row: usize) -> Tz {
        match self.0.as_slice() {
            [zone] => *zone,
            zones => zones.get(row).copied().unwrap_or(Tz::UTC),
        }
    }
}

/// The instant (microseconds since the epoch) at which clocks of the zone showed this. Where they showed it twice, the
/// earlier; where they skipped it, as long after the skip as it is into it (02:30 becomes 03:30).
#[must_use]
pub fn to_instant(clock: NaiveDateTime, zone: Tz) -> Option<i64> {
    let offset = match zone.offset_from_local_datetime(&clock) {
        MappedLocalTime::Single(offset) | MappedLocalTime::Ambiguous(offset, _) => offset.fix(),
        MappedLocalTime::None => GapInfo::new(&clock, &zone)?.begin?.1.fix(),
    };
    let instant = clock.checked_sub_signed(TimeDelta::seconds(i64::from(offset.local_minus_utc())))?;
    Some(instant.and_utc().timestamp_micros())
}

/// The day (since the epoch) on calendars of the zone at an instant.
#[must_use]
pub fn local_day(instant: i64, zone: Tz) -> Option<i32> {
    let moment = DateTime::from_timestamp_micros(instant)?.naive_utc();
    let offset = i64::from(zone.offset_from_utc_datetime(&moment).fix().local_minus_utc());
    i32::try_from(instant.checked_add(offset * 1_000_000)?.div_euclid(MICROS_PER_DAY)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::functions::tests::row;

    fn instant(clock: &str, zone: Tz) -> String {
        let micros = to_instant(clock.parse().unwrap(), zone).unwrap();
        DateTime::from_timestamp_micros(micros).unwrap().to_rfc3339()
    }

    #[test]
    fn an_overlap_is_the_earlier_and_a_gap_moves_forward() {
        let paris = Tz::Europe__Paris;
        assert_eq!(instant("2026-01-15T10:00:00", paris), "2026-01-15T09:00:00+00:00");
        assert_eq!(instant("2026-07-15T10:00:00", paris), "2026-07-15T08:00:00+00:00");
        assert_eq!(instant("2025-10-26T02:30:00", paris), "2025-10-26T00:30:00+00:00");
        assert_eq!(instant("2025-10-26T03:00:00", paris), "2025-10-26T02:00:00+00:00");
        assert_eq!(instant("2025-03-30T02:30:00", paris), "2025-03-30T01:30:00+00:00");
        assert_eq!(instant("2025-03-30T02:00:00", paris), "2025-03-30T01:00:00+00:00");
        // Samoa skipped a whole day.
        assert_eq!(instant("2011-12-30T12:00:00", Tz::Pacific__Apia), "2011-12-30T22:00:00+00:00");
    }

    #[tokio::test]
    async fn in_sql_the_day_is_the_zones_own() {
        let sql = "select cohorte_zoned(timestamp '2026-07-15 10:00:00', 'Europe/Paris'), \
                   cohorte_zoned(to_timestamp('2026-07-15T10:00:00Z') at time zone 'Europe/Paris', 'Asia/Tokyo'), \
                   cohorte_local_date(timestamp '2025-12-31 23:30:00', 'Europe/Paris'), \
                   cohorte_local_date(timestamp '1969-12-31 23:30:00', null), \
                   cohorte_zoned(null, 'Europe/Paris')";
        assert_eq!(row(sql).await, ["2026-07-15T08:00:00Z", "2026-07-15T08:00:00Z", "2026-01-01", "1969-12-31", ""]);
    }
}
