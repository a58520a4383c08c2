//! Rows as named cells. A row says once which columns it has; text and Parquet are both written from that.

use chrono::NaiveDate;

use super::ids::Code;

/// What a cell holds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'a> {
    Null,
    Text(&'a str),
    Serial(u64),
    /// Seconds since the epoch, in text `2026-10-03T08:15:00Z`.
    Utc(i64),
    /// Seconds since the epoch, in text as a clock in Paris shows them: the zone is lost.
    Local(i64),
    Day(NaiveDate),
    Cents(i64),
    Count(i64),
    Flag(bool),
}

/// What the cells of a column hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Serial,
    Time,
    Day,
    Euros,
    Count,
    Flag,
}

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) nullable: bool,
}

/// A number that was counted up, written as text: no two rows have the same.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Serial(pub(crate) u64);

/// A moment that is written with its zone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Utc(pub(crate) i64);

/// A moment that is written as a clock in Paris shows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Local(pub(crate) i64);

/// A sum of money.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cents(pub(crate) i64);

/// What takes the cells of a row, one after the other.
pub(crate) trait Cells {
    /// A group of cells begins; the outermost group is the row.
    fn open(&mut self, _name: &'static str) {}
    /// The next cell.
    fn cell(&mut self, name: &'static str, value: Value);
    /// The group ends.
    fn close(&mut self) {}
}

/// A cell, or a group of them.
pub(crate) trait Cell {
    /// Adds the columns that it goes to.
    fn columns(name: &'static str, columns: &mut Vec<Column>);
    /// Hands itself over.
    fn put(&self, name: &'static str, cells: &mut impl Cells);
}

/// A type whose values are one cell each.
pub(crate) trait Scalar {
    const KIND: Kind;
    fn value(&self) -> Value<'_>;
}

impl<T: Scalar> Cell for T {
    fn columns(name: &'static str, columns: &mut Vec<Column>) {
        columns.push(Column { name, kind: T::KIND, nullable: false });
    }

    fn put(&self, name: &'static str, cells: &mut impl Cells) {
        cells.cell(name, self.value());
    }
}

impl<T: Scalar> Cell for Option<T> {
    fn columns(name: &'static str, columns: &mut Vec<Column>) {
        columns.push(Column { name, kind: T::KIND, nullable: true });
    }

    fn put(&self, name: &'static str, cells: &mut impl Cells) {
        cells.cell(name, self.as_ref().map_or(Value::Null, Scalar::value));
    }
}

/// Says of a type which kind of column it goes to, and as which value.
macro_rules! scalar {
    ($($type:ty, $kind:ident, $name:ident => $value:expr;)*) => {$(
        impl Scalar for $type {
            const KIND: Kind = Kind::$kind;

            fn value(&self) -> Value<'_> {
                let $name = self;
                $value
            }
        }
    )*};
}

scalar! {
    &str, Text, text => Value::Text(text);
    Code, Text, code => Value::Text(code.as_str());
    Serial, Serial, serial => Value::Serial(serial.0);
    Utc, Time, time => Value::Utc(time.0);
    Local, Time, time => Value::Local(time.0);
    NaiveDate, Day, day => Value::Day(*day);
    Cents, Euros, sum => Value::Cents(sum.0);
    i64, Count, count => Value::Count(*count);
    bool, Flag, flag => Value::Flag(*flag);
}

/// A text that is there, or none.
pub(crate) fn filled(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
