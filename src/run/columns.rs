//! A few rows for a table of ours, column by column.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, Int64Array, RecordBatch, StringViewArray, TimestampMicrosecondArray, new_null_array,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::SchemaRef;

use crate::diag::{Failure, Result};

pub(super) fn texts<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(values.collect::<StringViewArray>())
}

pub(super) fn wholes(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<Int64Array>())
}

pub(super) fn instants(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}

/// Columns by name, in the order of a schema; what is missing is null.
pub(super) fn batch(schema: &SchemaRef, mut columns: BTreeMap<&str, ArrayRef>) -> Result<RecordBatch> {
    let n = columns.values().next().map_or(0, Array::len);
    let arrays = schema.fields().iter().map(|field| match columns.remove(field.name().as_str()) {
        Some(column) => cast(&column, field.data_type()),
        None => Ok(new_null_array(field.data_type(), n)),
    });
    let arrays: std::result::Result<Vec<ArrayRef>, _> = arrays.collect();
    let made = arrays.and_then(|arrays| RecordBatch::try_new(Arc::clone(schema), arrays));
    made.map_err(|error| Failure::world("W001", "recording the run", error))
}
