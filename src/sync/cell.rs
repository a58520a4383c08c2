//! Single values of a column as text or JSON, for destinations that take neither Arrow nor Parquet.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringArray};
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::{Number, Value};

/// Writes values the way that both people and servers read them: ISO dates, RFC 3339 instants, `true` and `false`.
const OPTIONS: FormatOptions<'static> = FormatOptions::new().with_null("");

/// One text per row, null where the row is null. Nested values are JSON.
pub(super) fn texts(column: &ArrayRef) -> Result<Vec<Option<String>>, ArrowError> {
    if column.data_type().is_nested() {
        return (0..column.len()).map(|row| json_text(column, row)).collect();
    }
    let formatter = ArrayFormatter::try_new(column.as_ref(), &OPTIONS)?;
    (0..column.len())
        .map(|row| if column.is_null(row) { Ok(None) } else { formatter.value(row).try_to_string().map(Some) })
        .collect()
}

/// JSON text per row, null where the row is null.
pub(super) fn json_texts(column: &ArrayRef) -> Result<StringArray, ArrowError> {
    (0..column.len()).map(|row| json_text(column, row)).collect()
}

/// One value as JSON: numbers and truth values keep their type, decimals and times are strings.
pub(super) fn json(column: &ArrayRef, row: usize) -> Result<Value, ArrowError> {
    if column.is_null(row) {
        return Ok(Value::Null);
    }
    Ok(match column.data_type() {
        DataType::List(_) => array(&column.as_list::<i32>().value(row))?,
        DataType::LargeList(_) => array(&column.as_list::<i64>().value(row))?,
        DataType::Struct(fields) => {
            let columns = column.as_struct();
            let mut object = serde_json::Map::with_capacity(fields.len());
            for (field, child) in fields.iter().zip(columns.columns()) {
                object.insert(field.name().clone(), json(child, row)?);
            }
            Value::Object(object)
        }
        DataType::Map(..) => {
            let entries = column.as_map().value(row);
            let mut object = serde_json::Map::with_capacity(entries.len());
            let keys = texts(entries.column(0))?;
            for (entry, key) in keys.into_iter().enumerate() {
                object.insert(key.unwrap_or_default(), json(entries.column(1), entry)?);
            }
            Value::Object(object)
        }
        DataType::Boolean => Value::Bool(column.as_boolean().value(row)),
        DataType::Utf8View => Value::from(column.as_string_view().value(row)),
        DataType::Utf8 => Value::from(column.as_string::<i32>().value(row)),
        DataType::Int64 => Value::from(column.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => {
            let number = column.as_primitive::<Float64Type>().value(row);
            // NaN and the infinities are no JSON numbers: they stay strings.
            Number::from_f64(number).map_or_else(|| Value::String(number.to_string()), Value::Number)
        }
        kind => {
            let text = ArrayFormatter::try_new(column.as_ref(), &OPTIONS)?.value(row).try_to_string()?;
            if kind.is_integer() || kind.is_floating() {
                serde_json::from_str(&text).unwrap_or(Value::String(text))
            } else {
                Value::String(text)
            }
        }
    })
}

fn array(values: &ArrayRef) -> Result<Value, ArrowError> {
    (0..values.len()).map(|row| json(values, row)).collect::<Result<Vec<_>, _>>().map(Value::Array)
}

/// JSON text of one value; null is absent, not the word `null`.
fn json_text(column: &ArrayRef, row: usize) -> Result<Option<String>, ArrowError> {
    Ok(match json(column, row)? {
        Value::Null => None,
        value => Some(value.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{
        BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, ListArray, StringViewArray, StructArray,
        TimestampMicrosecondArray,
    };
    use datafusion::arrow::datatypes::Field;

    use super::*;

    fn first(column: ArrayRef) -> Option<String> {
        texts(&column).unwrap().remove(0)
    }

    #[test]
    fn scalars_are_written_the_way_servers_read_them() {
        assert_eq!(first(Arc::new(StringViewArray::from(vec!["é\n\"x\""]))), Some("é\n\"x\"".to_owned()));
        assert_eq!(first(Arc::new(StringViewArray::from(vec![""]))), Some(String::new()), "empty is not null");
        assert_eq!(first(Arc::new(StringViewArray::from(vec![None::<&str>]))), None);
        assert_eq!(first(Arc::new(Int64Array::from(vec![-7]))), Some("-7".to_owned()));
        assert_eq!(first(Arc::new(Float64Array::from(vec![0.1]))), Some("0.1".to_owned()));
        assert_eq!(first(Arc::new(BooleanArray::from(vec![true]))), Some("true".to_owned()));
        assert_eq!(first(Arc::new(Date32Array::from(vec![19_723]))), Some("2024-01-01".to_owned()));
        let instant = TimestampMicrosecondArray::from(vec![1_704_067_200_500_000]).with_timezone("UTC");
        assert_eq!(first(Arc::new(instant)), Some("2024-01-01T00:00:00.500Z".to_owned()));
        let decimal = Decimal128Array::from(vec![1_500_000_000]).with_precision_and_scale(38, 9).unwrap();
        assert_eq!(first(Arc::new(decimal)), Some("1.500000000".to_owned()));
    }

    #[test]
    fn nested_values_are_json() {
        let list: ArrayRef =
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None]), None]));
        assert_eq!(texts(&list).unwrap(), [Some("[1,null]".to_owned()), None]);
        let name: ArrayRef = Arc::new(StringViewArray::from(vec!["a\"b"]));
        let record: ArrayRef =
            Arc::new(StructArray::from(vec![(Arc::new(Field::new("n", DataType::Utf8View, true)), name)]));
        assert_eq!(texts(&record).unwrap(), [Some(r#"{"n":"a\"b"}"#.to_owned())]);
    }
}
