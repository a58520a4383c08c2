//! `cohorte_date` and `cohorte_birth_date`: calendar days.

use std::sync::Arc;

use chrono::{Datelike, NaiveDate};
use datafusion::arrow::array::{Array, ArrayRef, Date32Array};
use datafusion::arrow::datatypes::{DataType, Date32Type};
use datafusion::common::Result as SqlResult;

use super::Reason;
use super::call::{Arguments, Function, Kind, Takes, Text, primitives, reasons};
use super::timestamp::{Format, Formats, read};

/// Days from the first of January of the year 1 (its number one) to the epoch.
const EPOCH: i32 = 719_163;
/// The first of January 1900, in days since the epoch: nobody alive was born before.
const OLDEST: i32 = -25_567;

pub(super) fn functions() -> Vec<Function> {
    let date = Takes::Exactly(&[Kind::Text, Kind::Text]);
    let birth = Takes::LastOptional(&[Kind::TextOrDate, Kind::Text, Kind::Date]);
    vec![
        Function::new("cohorte_date", date, DataType::Date32, |arguments| {
            let (text, formats) = (arguments.text(0)?, Formats::new(arguments, 1)?);
            let read = |row| parse_date(text.at(row)?, formats.at(row)).ok();
            Ok(Arc::new(primitives::<Date32Type>(arguments.rows, read)))
        }),
        Function::new("cohorte_date_reason", date, DataType::Utf8View, |arguments| {
            let (text, formats) = (arguments.text(0)?, Formats::new(arguments, 1)?);
            Ok(reasons(arguments.rows, |row| Some(parse_date(text.at(row)?, formats.at(row)))))
        }),
        Function::new("cohorte_birth_date", birth, DataType::Date32, |arguments| {
            let births = Births::new(arguments)?;
            Ok(Arc::new(primitives::<Date32Type>(arguments.rows, |row| births.at(row)?.ok())))
        }),
        Function::new("cohorte_birth_date_reason", birth, DataType::Utf8View, |arguments| {
            let births = Births::new(arguments)?;
            Ok(reasons(arguments.rows, |row| births.at(row)))
        }),
    ]
}

/// The day (since the epoch) that a text says in a format, else in ISO 8601; or why it says none. A time is cut off.
pub fn parse_date(text: &str, format: Option<&Format<'_>>) -> Result<i32, Reason> {
    Ok(days(read(text, format)?.day()))
}

/// As [`parse_date`], but only a day on which a customer can have been born: from 1900 to today, where it is known.
pub fn parse_birth_date(text: &str, format: Option<&Format<'_>>, today: Option<i32>) -> Result<i32, Reason> {
    plausible_birth(parse_date(text, format)?, today)
}

fn plausible_birth(day: i32, today: Option<i32>) -> Result<i32, Reason> {
    if day < OLDEST {
        return Err("before 1900");
    }
    match today {
        Some(today) if day > today => Err("in the future"),
        _ => Ok(day),
    }
}

fn days(day: NaiveDate) -> i32 {
    day.num_days_from_ce() - EPOCH
}

/// The birth dates of one batch: days already, or texts.
struct Births<'a> {
    days: Option<ArrayRef>,
    text: Text<'a>,
    formats: Formats<'a>,
    today: Option<Date32Array>,
}

impl<'a> Births<'a> {
    fn new(arguments: &Arguments<'a>) -> SqlResult<Self> {
        let is_day = arguments.data_type(0) == DataType::Date32;
        let today = match arguments.data_type(2) {
            DataType::Null => None,
            _ => Some(arguments.primitive::<Date32Type>(2)?),
        };
        Ok(Self {
            days: if is_day { Some(arguments.column(0)?) } else { None },
            text: if is_day { Text::Constant(None) } else { arguments.text(0)? },
            formats: Formats::new(arguments, 1)?,
            today,
        })
    }

    fn at(&self, row: usize) -> Option<Result<i32, Reason>> {
        let today = self.today.as_ref().filter(|today| today.is_valid(row)).map(|today| today.value(row));
        match &self.days {
            Some(days) => {
                let days = datafusion::arrow::array::AsArray::as_primitive_opt::<Date32Type>(days)?;
                days.is_valid(row).then(|| plausible_birth(days.value(row), today))
            }
            None => Some(parse_birth_date(self.text.at(row)?, self.formats.at(row), today)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::functions::tests::row;

    #[test]
    fn days_are_counted_from_the_epoch() {
        assert_eq!(parse_date("1970-01-01", None), Ok(0));
        assert_eq!(parse_date("1969-12-31T23:00:00-05:00", None), Ok(-1));
        assert_eq!(parse_date("1900-01-01", None), Ok(OLDEST));
    }

    #[tokio::test]
    async fn dates_in_sql() {
        let sql = "select cohorte_date('15/07/1980', '%d/%m/%Y'), cohorte_date('1980-07-15', null), \
                   cohorte_date('31/02/1980', '%d/%m/%Y'), cohorte_date_reason('31/02/1980', '%d/%m/%Y'), \
                   cohorte_date(19800715, null), cohorte_date_reason('', null), cohorte_date_reason(null, null)";
        assert_eq!(
            row(sql).await,
            ["1980-07-15", "1980-07-15", "", "does not fit the format", "1980-07-15", "empty", ""]
        );
    }

    #[tokio::test]
    async fn births_are_plausible() {
        let sql = "select cohorte_birth_date(d, null), cohorte_birth_date('01/02/1985', '%d/%m/%Y'), \
                   cohorte_birth_date_reason(date '1899-12-31', null), \
                   cohorte_birth_date_reason(date '2026-01-02', null, date '2026-01-01'), \
                   cohorte_birth_date(date '2026-01-01', null, date '2026-01-01'), \
                   cohorte_birth_date(date '2090-01-01', null) from (values (date '1980-07-15')) v(d)";
        assert_eq!(
            row(sql).await,
            ["1980-07-15", "1985-02-01", "before 1900", "in the future", "2026-01-01", "2090-01-01"]
        );
    }
}
