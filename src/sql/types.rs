//! The types that models speak of: few, and the same for every format and engine.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The type of a column or an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataType {
    /// Strings. Arrow: `Utf8View` (`Utf8` is accepted).
    Text,
    /// Whole numbers. Arrow: `Int64`.
    Integer,
    /// Numbers with a fraction. Arrow: `Float64`.
    Number,
    /// Exact decimals with nine digits after the point. Arrow: `Decimal128(38, 9)`.
    Decimal,
    /// Truth values. Arrow: `Boolean`.
    Boolean,
    /// Calendar days. Arrow: `Date32`.
    Date,
    /// Instants. Arrow: `Timestamp(Microsecond, "UTC")`.
    Timestamp,
    /// Lists of strings. Arrow: `List<Utf8View>`.
    TextList,
    /// A span of time, as in `interval '30' day`. Only inside expressions.
    Interval,
    /// JSON text, a map or a struct: reachable with `->>`. Arrow: any nested type or `Utf8View`.
    Json,
    /// The type of `null`, and of what could not be typed: compares with everything.
    Unknown,
}

impl fmt::Display for DataType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Decimal => "decimal",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::TextList => "list of text",
            Self::Interval => "interval",
            Self::Json => "json",
            Self::Unknown => "unknown",
        })
    }
}
