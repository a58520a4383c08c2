//! Least and greatest numbers, dates, instants and truths of all time.

use datafusion::arrow::array::ArrayRef;
use datafusion::common::Result;

use super::batch::{Batch, Column, Kind};
use super::state::{Hit, State, vec_size, wide_column};
use super::wire::{Wire, push_signed};

/// A number that a column holds.
pub(super) trait Number: Copy + Ord + Default + Send + Sync + Into<i128> + TryFrom<i128> + 'static {
    /// The column's numbers.
    fn slice<'a>(column: &'a Column<'_>) -> &'a [Self];
}

impl Number for i64 {
    fn slice<'a>(column: &'a Column<'_>) -> &'a [Self] {
        column.longs()
    }
}

impl Number for i128 {
    fn slice<'a>(column: &'a Column<'_>) -> &'a [Self] {
        column.decimals()
    }
}

/// Is one number further out than another?
pub(super) fn is_better<N: Copy + Ord, const GREATEST: bool>(one: N, other: N) -> bool {
    if GREATEST { one > other } else { one < other }
}

/// The least, or the `GREATEST`, of all time by group.
#[derive(Debug)]
pub(super) struct Extremes<N, const GREATEST: bool> {
    value: usize,
    kind: Kind,
    numbers: Vec<N>,
    seen: Vec<bool>,
}

impl<N: Number, const GREATEST: bool> Extremes<N, GREATEST> {
    pub(super) fn new(value: usize, kind: Kind) -> Self {
        Self { value, kind, numbers: Vec::new(), seen: Vec::new() }
    }

    fn take(&mut self, group: usize, number: N) {
        let best = &mut self.numbers[group];
        if !self.seen[group] || is_better::<N, GREATEST>(number, *best) {
            *best = number;
            self.seen[group] = true;
        }
    }
}

impl<N: Number, const GREATEST: bool> State for Extremes<N, GREATEST> {
    fn resize(&mut self, groups: usize) {
        self.numbers.resize(groups, N::default());
        self.seen.resize(groups, false);
    }

    fn update(&mut self, batch: &Batch<'_>, hits: &[Hit]) -> Result<()> {
        let column = &batch.columns[self.value];
        let numbers = N::slice(column);
        for hit in hits {
            let row = hit.row as usize;
            if column.is_valid(row) {
                self.take(batch.groups[row], numbers[row]);
            }
        }
        Ok(())
    }

    fn is_empty(&self, group: usize) -> bool {
        !self.seen[group]
    }

    fn write(&self, group: usize, out: &mut Vec<u8>) {
        push_signed(out, self.numbers[group].into());
    }

    fn merge(&mut self, group: usize, wire: &mut Wire<'_>) -> Result<()> {
        self.take(group, wire.signed()?);
        Ok(())
    }

    fn column(&self, groups: usize, _window: usize) -> Result<ArrayRef> {
        wide_column(self.kind, (0..groups).map(|group| self.seen[group].then(|| self.numbers[group].into())))
    }

    fn truncate(&mut self, groups: usize) {
        self.numbers.truncate(groups);
        self.numbers.shrink_to_fit();
        self.seen.truncate(groups);
        self.seen.shrink_to_fit();
    }

    fn drop_first(&mut self, groups: usize) {
        self.numbers.drain(..groups);
        self.seen.drain(..groups);
    }

    fn size(&self) -> usize {
        vec_size(&self.numbers) + vec_size(&self.seen)
    }
}
