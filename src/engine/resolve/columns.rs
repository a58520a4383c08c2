//! Typed columns out of batches, and columns out of rows.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray, StringViewArray,
    TimestampMicrosecondArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type, TimeUnit, TimestampMicrosecondType};
use datafusion::error::DataFusionError;

use crate::diag::Result;
use crate::engine::identity::{CustomerId, IdText};
use crate::store::failure_from;

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

/// Texts.
pub(super) fn texts<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

/// Ids as texts.
pub(super) fn ids(values: impl Iterator<Item = CustomerId>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values.map(IdText::from)))
}

/// Ids as texts, some of them null.
pub(super) fn some_ids(values: impl Iterator<Item = Option<CustomerId>>) -> ArrayRef {
    Arc::new(values.map(|id| id.map(IdText::from)).collect::<StringArray>())
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
