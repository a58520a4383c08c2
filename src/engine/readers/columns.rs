//! Columns under construction: cells go in one by one, a batch comes out.

use std::sync::Arc;

use chrono_tz::Tz;
use datafusion::arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int64Builder, ListBuilder,
    StringViewBuilder, TimestampMicrosecondBuilder,
};

use super::cells::{CellType, boolean, date, decimal, integer, number, timestamp};

/// One column under construction.
pub(super) enum Column {
    Text(StringViewBuilder),
    Integer(Int64Builder),
    Number(Float64Builder),
    Decimal(Decimal128Builder),
    Boolean(BooleanBuilder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder, Option<Tz>),
    TextList(ListBuilder<StringViewBuilder>),
}

/// A value does not fit its column's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unfit;

impl Column {
    pub(super) fn new(cell_type: CellType, zone: Option<Tz>) -> Self {
        match cell_type {
            CellType::Text => Self::Text(StringViewBuilder::new()),
            CellType::Integer => Self::Integer(Int64Builder::new()),
            CellType::Number => Self::Number(Float64Builder::new()),
            CellType::Decimal => Self::Decimal(Decimal128Builder::new().with_data_type(CellType::Decimal.arrow())),
            CellType::Boolean => Self::Boolean(BooleanBuilder::new()),
            CellType::Date => Self::Date(Date32Builder::new()),
            CellType::Timestamp => {
                Self::Timestamp(TimestampMicrosecondBuilder::new().with_data_type(CellType::Timestamp.arrow()), zone)
            }
            CellType::TextList => Self::TextList(ListBuilder::new(StringViewBuilder::new())),
        }
    }

    pub(super) fn null(&mut self) {
        match self {
            Self::Text(builder) => builder.append_null(),
            Self::Integer(builder) => builder.append_null(),
            Self::Number(builder) => builder.append_null(),
            Self::Decimal(builder) => builder.append_null(),
            Self::Boolean(builder) => builder.append_null(),
            Self::Date(builder) => builder.append_null(),
            Self::Timestamp(builder, _) => builder.append_null(),
            Self::TextList(builder) => builder.append_null(),
        }
    }

    /// A cell that was written as text. An empty one is null.
    pub(super) fn text(&mut self, text: &str) -> Result<(), Unfit> {
        if text.is_empty() || (!matches!(self, Self::Text(_)) && text.trim().is_empty()) {
            self.null();
            return Ok(());
        }
        self.string(text)
    }

    /// A string: an empty one stays empty where the column is text.
    pub(super) fn string(&mut self, text: &str) -> Result<(), Unfit> {
        match self {
            Self::Text(builder) => builder.append_value(text),
            Self::Integer(builder) => builder.append_value(integer(text).ok_or(Unfit)?),
            Self::Number(builder) => builder.append_value(number(text).ok_or(Unfit)?),
            Self::Decimal(builder) => builder.append_value(decimal(text).ok_or(Unfit)?),
            Self::Boolean(builder) => builder.append_value(boolean(text).ok_or(Unfit)?),
            Self::Date(builder) => builder.append_value(date(text).ok_or(Unfit)?),
            Self::Timestamp(builder, zone) => builder.append_value(timestamp(text, *zone).ok_or(Unfit)?),
            Self::TextList(_) => {
                let list: Vec<Option<String>> = serde_json::from_str(text).map_err(|_| Unfit)?;
                return self.list(list);
            }
        }
        Ok(())
    }

    /// An empty JSON string: empty where the column is text, null elsewhere.
    pub(super) fn text_or_empty(&mut self, text: &str) -> Result<(), Unfit> {
        if matches!(self, Self::Text(_)) { self.string(text) } else { self.text(text) }
    }

    /// A JSON array or object, as text.
    pub(super) fn nested(&mut self, json: &str) -> Result<(), Unfit> {
        if matches!(self, Self::Text(_)) { self.string(json) } else { Err(Unfit) }
    }

    /// A JSON number.
    pub(super) fn json_number(&mut self, value: &serde_json::Number) -> Result<(), Unfit> {
        match self {
            Self::Number(builder) => builder.append_value(value.as_f64().ok_or(Unfit)?),
            Self::Integer(builder) => {
                let whole = |value: f64| value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0;
                let float = || value.as_f64().filter(|value| whole(*value)).map(|value| value as i64);
                builder.append_value(value.as_i64().or_else(float).ok_or(Unfit)?);
            }
            Self::Boolean(_) | Self::Date(_) | Self::Timestamp(..) | Self::TextList(_) => return Err(Unfit),
            Self::Text(_) | Self::Decimal(_) => return self.string(&value.to_string()),
        }
        Ok(())
    }

    /// A JSON truth value.
    pub(super) fn json_boolean(&mut self, value: bool) -> Result<(), Unfit> {
        match self {
            Self::Boolean(builder) => builder.append_value(value),
            Self::Text(builder) => builder.append_value(if value { "true" } else { "false" }),
            _ => return Err(Unfit),
        }
        Ok(())
    }

    /// A list of texts.
    pub(super) fn list(&mut self, list: Vec<Option<String>>) -> Result<(), Unfit> {
        let Self::TextList(builder) = self else { return Err(Unfit) };
        for item in list {
            builder.values().append_option(item);
        }
        builder.append(true);
        Ok(())
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Integer(builder) => Arc::new(builder.finish()),
            Self::Number(builder) => Arc::new(builder.finish()),
            Self::Decimal(builder) => Arc::new(builder.finish()),
            Self::Boolean(builder) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
            Self::Timestamp(builder, _) => Arc::new(builder.finish()),
            Self::TextList(builder) => Arc::new(builder.finish()),
        }
    }
}
