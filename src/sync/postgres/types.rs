//! Arrow types against PostgreSQL types: what a new column gets, what an existing one may be, how a value is written.

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::arrow::error::ArrowError;
use serde_json::Value;

use super::table::Column;
use crate::sync::cell;

/// The type of a column that we create.
pub(super) fn created(kind: &DataType) -> String {
    match kind {
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => "smallint".to_owned(),
        DataType::UInt16 | DataType::Int32 => "integer".to_owned(),
        DataType::UInt32 | DataType::Int64 => "bigint".to_owned(),
        DataType::UInt64 => "numeric(20)".to_owned(),
        DataType::Float16 | DataType::Float32 => "real".to_owned(),
        DataType::Float64 => "double precision".to_owned(),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale)
            if *scale >= 0 =>
        {
            format!("numeric({precision}, {scale})")
        }
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => {
            "numeric".to_owned()
        }
        DataType::Date32 | DataType::Date64 => "date".to_owned(),
        DataType::Timestamp(
            TimeUnit::Second | TimeUnit::Millisecond | TimeUnit::Microsecond | TimeUnit::Nanosecond,
            zone,
        ) => if zone.is_some() { "timestamp with time zone" } else { "timestamp without time zone" }.to_owned(),
        DataType::List(item) | DataType::LargeList(item) if is_text(item.data_type()) => "text[]".to_owned(),
        kind if kind.is_nested() => "jsonb".to_owned(),
        _ => "text".to_owned(),
    }
}

/// Can every value of `kind` be put into a column of this type without loss, save that a value may be too long or out of range?
/// `category` and `name` are the catalogue's `typcategory` and `typname`.
pub(super) fn fits(kind: &DataType, category: &str, name: &str) -> bool {
    let whole = matches!(name, "int2" | "int4" | "int8");
    let json = matches!(name, "json" | "jsonb");
    match kind {
        // A null literal: any column can be cleared.
        DataType::Null => true,
        kind if is_text(kind) => matches!(category, "S" | "E" | "I") || name == "uuid" || json || category == "U",
        kind if kind.is_integer() => matches!(category, "N" | "S"),
        kind if kind.is_floating() || kind.is_decimal() => {
            category == "S" || (category == "N" && !whole && name != "money")
        }
        DataType::Boolean => matches!(category, "B" | "S"),
        DataType::Date32 | DataType::Date64 => category == "S" || matches!(name, "date" | "timestamp" | "timestamptz"),
        DataType::Timestamp(..) => category == "S" || matches!(name, "timestamp" | "timestamptz"),
        DataType::List(item) | DataType::LargeList(item) if is_text(item.data_type()) => category == "A" || json,
        kind if kind.is_nested() => json || category == "S",
        _ => category == "S",
    }
}

fn is_text(kind: &DataType) -> bool {
    matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// A column's values as the server reads them.
pub(super) fn texts(values: &ArrayRef, column: &Column) -> Result<Vec<Option<String>>, ArrowError> {
    if column.category == "A" && values.data_type().is_nested() {
        return (0..values.len())
            .map(|row| {
                Ok(match cell::json(values, row)? {
                    Value::Null => None,
                    value => Some(array_literal(&value)),
                })
            })
            .collect();
    }
    cell::texts(values)
}

/// `{"a","b\"c",NULL}`.
fn array_literal(value: &Value) -> String {
    let items = value.as_array().map_or(&[][..], Vec::as_slice).iter().map(|item| match item {
        Value::Null => "NULL".to_owned(),
        Value::String(text) => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        other => format!("\"{}\"", other.to_string().replace('\\', "\\\\").replace('"', "\\\"")),
    });
    format!("{{{}}}", items.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::datatypes::Field;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_created_column_takes_what_is_sent() {
        let list = DataType::List(Arc::new(Field::new("item", DataType::Utf8View, true)));
        for (kind, expected, category, name) in [
            (DataType::Utf8View, "text", "S", "text"),
            (DataType::Int64, "bigint", "N", "int8"),
            (DataType::Float64, "double precision", "N", "float8"),
            (DataType::Decimal128(38, 9), "numeric(38, 9)", "N", "numeric"),
            (DataType::Boolean, "boolean", "B", "bool"),
            (DataType::Date32, "date", "D", "date"),
            (
                DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
                "timestamp with time zone",
                "D",
                "timestamptz",
            ),
            (list, "text[]", "A", "_text"),
        ] {
            assert_eq!(created(&kind), expected);
            assert!(fits(&kind, category, name), "{kind}");
        }
    }

    #[test]
    fn a_column_that_would_lose_something_does_not_fit() {
        assert!(!fits(&DataType::Float64, "N", "int4"), "a fraction would be rounded away");
        assert!(!fits(&DataType::Utf8View, "N", "int4"));
        assert!(!fits(&DataType::Timestamp(TimeUnit::Microsecond, None), "D", "date"));
        assert!(!fits(&DataType::Int64, "B", "bool"));
        assert!(fits(&DataType::Utf8View, "E", "mood"));
        assert!(fits(&DataType::Utf8View, "U", "uuid"));
    }

    #[test]
    fn array_literals_escape_quotes_and_backslashes() {
        assert_eq!(array_literal(&json!(["a,b", "c\"d\\", null, ""])), r#"{"a,b","c\"d\\",NULL,""}"#);
    }
}
