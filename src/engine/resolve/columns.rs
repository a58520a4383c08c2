//! Typed columns out of batches, and batches out of rows.

use std::fmt::{Display, Write};
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray, StringBuilder, StringViewArray,
    TimestampMicrosecondArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type, SchemaRef, TimeUnit, TimestampMicrosecondType};
use datafusion::error::DataFusionError;

use crate::diag::Result;
use crate::store::failure_from;

/// Rows per batch.
const ROWS: usize = 1 << 16;

/// A batch whose columns are read by name; `doing` is for its failures.
pub(super) struct Columns<'a> {
    pub(super) batch: &'a RecordBatch,
    pub(super) doing: &'a str,
}

impl Columns<'_> {
    /// A column as text.
    pub(super) fn text(&self, name: &str) -> Result<StringViewArray> {
        Ok(self.column(name, &DataType::Utf8View)?.as_string_view().clone())
    }

    /// A column as whole numbers.
    pub(super) fn whole(&self, name: &str) -> Result<Int64Array> {
        Ok(self.column(name, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
    }

    /// A column as microseconds of UTC.
    pub(super) fn instant(&self, name: &str) -> Result<TimestampMicrosecondArray> {
        let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        Ok(self.column(name, &instant)?.as_primitive::<TimestampMicrosecondType>().clone())
    }

    fn column(&self, name: &str, data_type: &DataType) -> Result<ArrayRef> {
        let failed = |error: DataFusionError| failure_from(self.doing, &error);
        let index = self.batch.schema_ref().index_of(name).map_err(|error| failed(error.into()))?;
        let column = self.batch.column(index);
        if column.data_type() == data_type {
            return Ok(Arc::clone(column));
        }
        cast(column, data_type).map_err(|error| failed(error.into()))
    }
}

/// A cell; `None` where it is null.
pub(super) fn cell(column: &StringViewArray, row: usize) -> Option<&str> {
    column.is_valid(row).then(|| column.value(row))
}

/// Cuts rows into batches: `columns` makes the columns of some of them.
pub(super) fn batches<T>(
    table: &str,
    schema: &SchemaRef,
    mut rows: impl Iterator<Item = T>,
    columns: impl Fn(&[T]) -> Vec<ArrayRef>,
) -> Result<Vec<RecordBatch>> {
    let mut batches = Vec::new();
    loop {
        let some: Vec<T> = rows.by_ref().take(ROWS).collect();
        if some.is_empty() {
            return Ok(batches);
        }
        let batch = RecordBatch::try_new(Arc::clone(schema), columns(&some))
            .map_err(|error| failure_from(format!("making the table `{table}`"), &error.into()))?;
        batches.push(batch);
    }
}

/// Texts.
pub(super) fn texts<T: Display>(values: impl Iterator<Item = T>) -> ArrayRef {
    let mut texts = StringBuilder::with_capacity(values.size_hint().0, 0);
    for value in values {
        // Writing to a builder cannot fail; what was written so far becomes the value.
        let _ = write!(texts, "{value}");
        texts.append_value("");
    }
    Arc::new(texts.finish())
}

/// Texts, some of them null.
pub(super) fn some_texts<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

/// Whole numbers, some of them null.
pub(super) fn wholes(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<Int64Array>())
}

/// Truths.
pub(super) fn truths(values: impl Iterator<Item = bool>) -> ArrayRef {
    Arc::new(values.map(Some).collect::<BooleanArray>())
}

/// Instants in microseconds, some of them null.
pub(super) fn instants(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}
