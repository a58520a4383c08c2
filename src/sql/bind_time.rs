//! Times, intervals and casts: what depends on the zone of calendar days.

use sqlparser::ast::{DataType as SqlType, DateTimeField, Expr, Interval, TimezoneInfo, Value};

use super::bind::{Binder, Typed};
use super::print::text_literal;
use super::types::DataType;

impl Binder<'_> {
    pub(super) fn typed_string(&mut self, expr: &Expr, data_type: &SqlType, text: &str) -> Option<Typed> {
        match data_type {
            SqlType::Date => {
                if chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_err() {
                    return self.refuse(expr, "a date is written `date '2026-01-31'`");
                }
                Some((format!("cast({} as date)", text_literal(text)), DataType::Date))
            }
            SqlType::Timestamp(..) => {
                if !is_instant(text) {
                    return self
                        .refuse(expr, "an instant is written `'2026-01-31 09:00:00'` or `'2026-01-31T09:00:00Z'`");
                }
                let zone = text_literal(self.scope.timezone());
                Some((format!("cohorte_timestamp({}, null, {zone})", text_literal(text)), DataType::Timestamp))
            }
            _ => self.refuse(expr, "this form of literal is not allowed here"),
        }
    }

    pub(super) fn literal_time(&mut self, literal: &Expr, wanted: DataType) -> Option<String> {
        let Expr::Value(value) = literal else { return None };
        let text = value.value.clone().into_string()?;
        let written = match wanted {
            DataType::Date => SqlType::Date,
            _ => SqlType::Timestamp(None, TimezoneInfo::None),
        };
        self.typed_string(literal, &written, &text).map(|(sql, _)| sql)
    }

    /// What a branch or an item gives, as the type that all have: a day among instants is its first instant.
    pub(super) fn given_as(&self, wanted: DataType, (sql, found): &Typed) -> String {
        match (wanted, found) {
            (DataType::Timestamp, DataType::Date) => self.start_of_day(sql),
            _ => sql.clone(),
        }
    }

    pub(super) fn start_of_day(&self, sql: &str) -> String {
        format!("cohorte_zoned(cast({sql} as timestamp), {})", text_literal(self.scope.timezone()))
    }

    pub(super) fn cast(&mut self, whole: &Expr, inner: &Expr, data_type: &SqlType) -> Option<Typed> {
        let (sql, found) = self.expr(inner)?;
        if matches!(found, DataType::TextList | DataType::Interval) {
            return self.refuse(whole, format!("a cast of {found} is not allowed here"));
        }
        let zone = text_literal(self.scope.timezone());
        let (name, wanted) = match data_type {
            SqlType::Text | SqlType::Varchar(_) | SqlType::String(_) | SqlType::Char(_) => ("varchar", DataType::Text),
            SqlType::Int(_) | SqlType::Integer(_) | SqlType::BigInt(_) | SqlType::SmallInt(_) => {
                ("bigint", DataType::Integer)
            }
            SqlType::Double(_) | SqlType::DoublePrecision | SqlType::Float(_) | SqlType::Real => {
                ("double", DataType::Number)
            }
            SqlType::Decimal(_) | SqlType::Numeric(_) => ("decimal(38, 9)", DataType::Decimal),
            SqlType::Boolean | SqlType::Bool => ("boolean", DataType::Boolean),
            SqlType::Date if found == DataType::Timestamp => {
                return Some((format!("cohorte_local_date({sql}, {zone})"), DataType::Date));
            }
            SqlType::Date => ("date", DataType::Date),
            SqlType::Timestamp(..) if found == DataType::Text => {
                return Some((format!("cohorte_timestamp({sql}, null, {zone})"), DataType::Timestamp));
            }
            SqlType::Timestamp(..) if found == DataType::Date => {
                return Some((self.start_of_day(&sql), DataType::Timestamp));
            }
            SqlType::Timestamp(..) if found == DataType::Timestamp => return Some((sql, DataType::Timestamp)),
            _ => return self.refuse(whole, format!("a cast to `{data_type}` is not allowed here")),
        };
        // What cannot be converted is null: one odd row must not end a run.
        Some((format!("try_cast({sql} as {name})"), wanted))
    }

    pub(super) fn date_part(&mut self, whole: &Expr, field: &str, inner: &Expr) -> Option<Typed> {
        let field = field.trim_matches('\'').to_ascii_lowercase();
        if !["year", "quarter", "month", "week", "day", "dow", "isodow", "doy", "hour", "minute", "second"]
            .contains(&field.as_str())
        {
            return self.refuse(whole, format!("`{field}` is not a part of a time: year, quarter, month, week, day, dow, isodow, doy, hour, minute, second"));
        }
        let (sql, found) = self.expr(inner)?;
        if !found.is_time() && found != DataType::Unknown {
            return self.fits(inner, found, DataType::Timestamp).then_some((sql, found));
        }
        let sql = self.in_zone(&sql, found);
        Some((format!("cast(date_part('{field}', {sql}) as bigint)"), DataType::Integer))
    }

    /// An instant as the wall clock of the project's zone shows it.
    pub(super) fn in_zone(&self, sql: &str, found: DataType) -> String {
        match found {
            DataType::Timestamp => format!("({sql} at time zone {})", text_literal(self.scope.timezone())),
            _ => sql.to_owned(),
        }
    }

    pub(super) fn interval(&mut self, whole: &Expr, interval: &Interval) -> Option<Typed> {
        let text = match &*interval.value {
            Expr::Value(value) => match &value.value {
                Value::SingleQuotedString(text) => text.clone(),
                Value::Number(digits, _) => digits.clone(),
                _ => String::new(),
            },
            _ => String::new(),
        };
        let field = match &interval.leading_field {
            Some(field) => field_name(field),
            None => "",
        };
        let text = format!("{text} {field}");
        let words: Vec<&str> = text.split_whitespace().collect();
        let ok = !words.is_empty()
            && words.len().is_multiple_of(2)
            && words.chunks(2).all(|pair| {
                pair[0].parse::<i32>().is_ok()
                    && ["second", "minute", "hour", "day", "week", "month", "year"]
                        .contains(&pair[1].trim_end_matches('s').to_ascii_lowercase().as_str())
            });
        if !ok {
            return self.refuse(whole, "an interval is written `interval '30 days'` or `interval '30' day`");
        }
        Some((format!("interval {}", text_literal(&words.join(" "))), DataType::Interval))
    }
}

/// Does the text read as an instant in ISO 8601, with or without a zone? A literal that does not would be null in silence.
fn is_instant(text: &str) -> bool {
    let text = text.trim().replacen(' ', "T", 1);
    text.parse::<chrono::NaiveDate>().is_ok()
        || text.parse::<chrono::NaiveDateTime>().is_ok()
        || chrono::NaiveDateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M").is_ok()
        || ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M%#z"]
            .iter()
            .any(|format| chrono::DateTime::parse_from_str(&text, format).is_ok())
}

fn field_name(field: &DateTimeField) -> &'static str {
    match field {
        DateTimeField::Second | DateTimeField::Seconds => "second",
        DateTimeField::Minute | DateTimeField::Minutes => "minute",
        DateTimeField::Hour | DateTimeField::Hours => "hour",
        DateTimeField::Day | DateTimeField::Days => "day",
        DateTimeField::Week(_) | DateTimeField::Weeks => "week",
        DateTimeField::Month | DateTimeField::Months => "month",
        DateTimeField::Year | DateTimeField::Years => "year",
        _ => "",
    }
}
