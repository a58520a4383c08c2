//! What a stream remembers of each group.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, StringViewArray,
    TimestampMicrosecondArray,
};
use datafusion::common::Result;

use super::batch::{Batch, Kind, Long, long_to_number};
use super::wire::Wire;

/// A row that a tap takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hit {
    /// Its place in the batch.
    pub(super) row: u32,
    /// Its age class.
    pub(super) class: u32,
}

impl Hit {
    /// The place of its state, where each group has a number of classes.
    pub(super) fn slot(self, batch: &Batch<'_>, classes: usize) -> usize {
        batch.groups[self.row as usize] * classes + self.class as usize
    }
}

/// A row that was taken before, and is in another age class by now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Move {
    /// Its place in the batch.
    pub(super) row: u32,
    /// The class that it was in.
    pub(super) from: u32,
    /// That which it is in; none where it is too old for every window.
    pub(super) to: Option<u32>,
}

/// The states of one stream, for all groups. Groups are 0 to their number; `resize` makes room for more.
pub(super) trait State: Send + Sync {
    /// Makes room for so many groups.
    fn resize(&mut self, groups: usize);
    /// Takes the rows of a batch.
    fn update(&mut self, batch: &Batch<'_>, hits: &[Hit]) -> Result<()>;
    /// Takes rows out of one class and into another. What remembers when things happened knows by itself.
    fn shift(&mut self, _batch: &Batch<'_>, _moves: &[Move]) -> Result<()> {
        Ok(())
    }
    /// Whether the group has seen nothing.
    fn is_empty(&self, group: usize) -> bool;
    /// Writes what the group has seen.
    fn write(&self, group: usize, out: &mut Vec<u8>);
    /// Adds what was written elsewhere.
    fn merge(&mut self, group: usize, wire: &mut Wire<'_>) -> Result<()>;
    /// The result of the first groups, seen through a window: the classes up to it.
    fn column(&self, groups: usize, window: usize) -> Result<ArrayRef>;
    /// Forgets all groups but the first, and gives their memory back.
    fn truncate(&mut self, groups: usize);
    /// Forgets the first groups; the others move down.
    fn drop_first(&mut self, groups: usize);
    /// Bytes in use.
    fn size(&self) -> usize;
}

/// Longs as a column of what they stand for.
pub(super) fn long_column(long: Long, values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    match long {
        Long::Integer => Arc::new(values.collect::<Int64Array>()),
        Long::Timestamp => Arc::new(values.collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
        Long::Date => Arc::new(values.map(|day| day.map(|day| day as i32)).collect::<Date32Array>()),
        Long::Boolean => Arc::new(values.map(|truth| truth.map(|truth| truth != 0)).collect::<BooleanArray>()),
        Long::Number => Arc::new(values.map(|number| number.map(long_to_number)).collect::<Float64Array>()),
    }
}

/// Decimals as a column.
pub(super) fn decimal_column(values: impl Iterator<Item = Option<i128>>) -> Result<ArrayRef> {
    Ok(Arc::new(values.collect::<Decimal128Array>().with_precision_and_scale(38, 9)?))
}

/// Numbers that were widened to `i128`, as a column of their kind.
pub(super) fn wide_column(kind: Kind, values: impl Iterator<Item = Option<i128>>) -> Result<ArrayRef> {
    match kind {
        Kind::Long(long) => Ok(long_column(long, values.map(|value| value.map(|value| value as i64)))),
        Kind::Decimal | Kind::Text => decimal_column(values),
    }
}

/// Texts as a column.
pub(super) fn text_column<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(values.collect::<StringViewArray>())
}

/// Bytes that a vector holds, without what its items own.
pub(super) fn vec_size<T>(vec: &Vec<T>) -> usize {
    vec.capacity() * size_of::<T>()
}
