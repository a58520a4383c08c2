//! `cohorte_years_between` and `cohorte_days_until_anniversary`: ages and birthdays.
//!
//! Both agree on what the 29th of February is in a common year: the first of March.

use std::sync::Arc;

use chrono::{Datelike, NaiveDate};
use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::datatypes::{DataType, Date32Type, Int64Type};
use datafusion::common::Result;

use super::call::{Arguments, Function, Kind, Takes, primitives};

pub(super) fn functions() -> Vec<Function> {
    let takes = Takes::Exactly(&[Kind::Date, Kind::Date]);
    vec![
        Function::new("cohorte_years_between", takes, DataType::Int64, |arguments| each(arguments, years_between)),
        Function::new("cohorte_days_until_anniversary", takes, DataType::Int64, |arguments| {
            each(arguments, days_until_anniversary)
        }),
    ]
}

fn each(arguments: &Arguments<'_>, count: fn(NaiveDate, NaiveDate) -> Option<i64>) -> Result<ArrayRef> {
    let (left, right) = (arguments.primitive::<Date32Type>(0)?, arguments.primitive::<Date32Type>(1)?);
    let value = |row| {
        if left.is_null(row) || right.is_null(row) {
            return None;
        }
        count(NaiveDate::from_epoch_days(left.value(row))?, NaiveDate::from_epoch_days(right.value(row))?)
    };
    Ok(Arc::new(primitives::<Int64Type>(arguments.rows, value)))
}

/// The full years from one day to another: an age. The other way round it is the same number below zero.
#[must_use]
pub fn years_between(from: NaiveDate, to: NaiveDate) -> Option<i64> {
    if to < from {
        return years_between(to, from).map(|years| -years);
    }
    let years = i64::from(to.year()) - i64::from(from.year());
    let complete = (to.month(), to.day()) >= (from.month(), from.day());
    Some(if complete { years } else { years - 1 })
}

/// The days from today until the next anniversary of a day, whatever its year; zero on the anniversary itself.
#[must_use]
pub fn days_until_anniversary(date: NaiveDate, today: NaiveDate) -> Option<i64> {
    let this_year = anniversary(date, today.year())?;
    let next = if this_year < today { anniversary(date, today.year() + 1)? } else { this_year };
    Some((next - today).num_days())
}

fn anniversary(date: NaiveDate, year: i32) -> Option<NaiveDate> {
    date.with_year(year).or_else(|| NaiveDate::from_ymd_opt(year, 3, 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::functions::tests::row;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn ages_turn_on_the_birthday() {
        let vectors = [
            ("1980-07-15", "2026-07-14", 45),
            ("1980-07-15", "2026-07-15", 46),
            ("1980-07-15", "1980-07-15", 0),
            ("1980-07-15", "1981-07-14", 0),
            ("2000-02-29", "2025-02-28", 24),
            ("2000-02-29", "2025-03-01", 25),
            ("2000-02-29", "2024-02-28", 23),
            ("2000-02-29", "2024-02-29", 24),
            ("2026-07-14", "1980-07-15", -45),
            ("2026-07-15", "1980-07-15", -46),
            ("1999-12-31", "2000-01-01", 0),
        ];
        for (from, to, years) in vectors {
            assert_eq!(years_between(day(from), day(to)), Some(years), "{from} {to}");
        }
    }

    #[test]
    fn anniversaries_come_every_year() {
        let vectors = [
            ("1980-07-15", "2026-07-15", 0),
            ("1980-07-15", "2026-07-14", 1),
            ("1980-07-15", "2026-07-16", 364),
            ("1980-01-01", "2026-12-31", 1),
            ("2000-02-29", "2025-02-28", 1),
            ("2000-02-29", "2025-03-01", 0),
            ("2000-02-29", "2025-03-02", 364),
            ("2000-02-29", "2024-02-28", 1),
            ("2000-02-29", "2024-02-29", 0),
            ("2000-02-29", "2024-03-01", 365),
            ("2000-02-29", "2023-03-02", 364),
            ("2030-05-01", "2026-04-30", 1),
        ];
        for (date, today, days) in vectors {
            assert_eq!(days_until_anniversary(day(date), day(today)), Some(days), "{date} {today}");
        }
    }

    #[tokio::test]
    async fn in_sql() {
        let sql = "select cohorte_years_between(d, date '2026-07-14'), cohorte_years_between(d, null), \
                   cohorte_years_between(null, d), cohorte_days_until_anniversary(d, date '2026-07-14'), \
                   cohorte_days_until_anniversary(null, d), cohorte_days_until_anniversary(date '2000-02-29', d), \
                   arrow_typeof(cohorte_years_between(d, d)), arrow_typeof(cohorte_days_until_anniversary(d, d)) \
                   from (values (date '1981-07-15')) v(d)";
        assert_eq!(row(sql).await, ["44", "", "", "1", "", "229", "Int64", "Int64"]);
        // The ends of what a day can be, beyond the calendar.
        let sql = "select cohorte_years_between(arrow_cast(2147483647, 'Date32'), arrow_cast(0, 'Date32')), \
                   cohorte_days_until_anniversary(arrow_cast(0, 'Date32'), arrow_cast(-2147483648, 'Date32'))";
        assert_eq!(row(sql).await, ["", ""]);
    }

    proptest::proptest! {
        #[test]
        fn an_age_grows_by_one_on_the_anniversary_and_never_else(born in -30_000_i32..40_000, age in 0_i32..40_000) {
            let (born, today) = (NaiveDate::from_epoch_days(born).unwrap(), NaiveDate::from_epoch_days(born + age).unwrap());
            let grown = years_between(born, today).unwrap() - years_between(born, today.pred_opt().unwrap()).unwrap();
            let is_anniversary = days_until_anniversary(born, today) == Some(0);
            proptest::prop_assert_eq!(grown == 1, is_anniversary && today > born);
            let days = days_until_anniversary(born, today).unwrap();
            proptest::prop_assert!((0..=365).contains(&days));
            proptest::prop_assert_eq!(years_between(today, born).unwrap(), -years_between(born, today).unwrap());
        }
    }
}
