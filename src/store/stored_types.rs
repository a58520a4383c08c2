//! The types that a Delta table can hold and every reader understands, and the cast of what the engine makes to them.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};

use crate::diag::{Failure, Result};

/// The schema of a table that holds rows of `schema`: every column nullable, so that a later append may lack a value;
/// strings as `Utf8`, instants in microseconds of UTC, whole numbers signed, decimals of at most 38 digits.
#[must_use]
pub fn stored_schema(schema: &Schema) -> SchemaRef {
    let fields: Vec<Field> =
        schema.fields().iter().map(|field| Field::new(field.name(), stored_type(field.data_type()), true)).collect();
    Arc::new(Schema::new(fields))
}

fn stored_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View | DataType::LargeUtf8 | DataType::Null | DataType::Time32(_) | DataType::Time64(_) => {
            DataType::Utf8
        }
        DataType::BinaryView | DataType::LargeBinary | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Timestamp(_, _) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        DataType::Date64 => DataType::Date32,
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 | DataType::UInt64 => DataType::Int64,
        DataType::Float16 => DataType::Float32,
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Decimal256(precision, scale) => DataType::Decimal128((*precision).min(38), *scale),
        DataType::Dictionary(_, values) => stored_type(values),
        DataType::RunEndEncoded(_, values) => stored_type(values.data_type()),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => DataType::List(element(item)),
        DataType::Struct(fields) => DataType::Struct(
            fields
                .iter()
                .map(|field| Field::new(field.name(), stored_type(field.data_type()), true))
                .collect::<Fields>(),
        ),
        other => other.clone(),
    }
}

/// Delta calls what is in a list its `element`.
fn element(item: &FieldRef) -> FieldRef {
    Arc::new(Field::new("element", stored_type(item.data_type()), true))
}

/// Casts a batch to `schema`, column by column and by name. A column that is missing, or a value that does not fit, is a
/// failure that names the table and the column and never the value.
pub fn conform(table: &str, batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns =
        schema.fields().iter().map(|field| conform_column(table, batch, field)).collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .map_err(|error| unfit(table, "rows", error))
}

fn conform_column(table: &str, batch: &RecordBatch, field: &Field) -> Result<ArrayRef> {
    let column = batch.column_by_name(field.name()).ok_or_else(|| missing(table, field.name()))?;
    if column.data_type() == field.data_type() {
        return Ok(Arc::clone(column));
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(column, field.data_type(), &options).map_err(|_| {
        let cause = format!("a value of type {} does not fit {}", column.data_type(), field.data_type());
        unfit(table, field.name(), cause)
    })
}

/// The input of a write lacks a column of its table.
pub(crate) fn missing(table: &str, column: &str) -> Failure {
    Failure::world("W405", format!("writing the table `{table}`"), format!("its input has no column `{column}`"))
        .help("report this: a model and its table disagree")
}

fn unfit(table: &str, column: &str, cause: impl std::fmt::Display) -> Failure {
    Failure::world("W405", format!("writing the column `{column}` of the table `{table}`"), cause)
        .help("declare or cast the column to the type that its values have")
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Array, Int64Array, StringViewArray, TimestampNanosecondArray, UInt64Array};

    use super::*;

    #[test]
    fn types_that_delta_lacks_become_types_that_it_has() {
        let schema = Schema::new(vec![
            Field::new("a", DataType::Utf8View, false),
            Field::new("b", DataType::Timestamp(TimeUnit::Nanosecond, None), true),
            Field::new("c", DataType::List(Arc::new(Field::new("item", DataType::Utf8View, true))), true),
            Field::new("d", DataType::Decimal128(38, 9), true),
            Field::new("e", DataType::Dictionary(Box::new(DataType::UInt16), Box::new(DataType::Utf8)), true),
            Field::new("f", DataType::UInt64, true),
            Field::new("g", DataType::Null, true),
        ]);
        let stored = stored_schema(&schema);
        let types: Vec<String> = stored.fields().iter().map(|field| field.data_type().to_string()).collect();
        assert_eq!(types[0], "Utf8");
        assert_eq!(stored.field(1).data_type(), &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
        assert_eq!(stored.field(2).data_type(), &DataType::List(Arc::new(Field::new("element", DataType::Utf8, true))));
        assert_eq!(stored.field(3).data_type(), &DataType::Decimal128(38, 9));
        assert_eq!((types[4].as_str(), types[5].as_str(), types[6].as_str()), ("Utf8", "Int64", "Utf8"));
        assert!(stored.fields().iter().all(|field| field.is_nullable()));
    }

    #[test]
    fn a_batch_is_cast_and_its_columns_are_put_in_order() {
        let batch = RecordBatch::try_from_iter([
            ("at", Arc::new(TimestampNanosecondArray::from(vec![1_500])) as ArrayRef),
            ("name", Arc::new(StringViewArray::from(vec!["x"])) as ArrayRef),
        ])
        .unwrap();
        let schema = stored_schema(&Schema::new(vec![
            Field::new("name", DataType::Utf8View, true),
            Field::new("at", DataType::Timestamp(TimeUnit::Nanosecond, None), true),
        ]));
        let stored = conform("t", &batch, &schema).unwrap();
        assert_eq!(stored.schema(), schema);
        assert_eq!(stored.column(1).len(), 1);
    }

    #[test]
    fn w405_a_missing_column_or_a_value_that_does_not_fit() {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
        let other = RecordBatch::try_from_iter([("m", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]).unwrap();
        assert_eq!(conform("t", &other, &schema).unwrap_err().code, "W405");
        let large =
            RecordBatch::try_from_iter([("n", Arc::new(UInt64Array::from(vec![u64::MAX])) as ArrayRef)]).unwrap();
        let failure = conform("t", &large, &schema).unwrap_err();
        assert_eq!(failure.code, "W405");
        assert!(!failure.cause.contains(&u64::MAX.to_string()), "values stay out of messages");
    }
}
