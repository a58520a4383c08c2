//! Least and greatest numbers, dates, instants and truths.

use datafusion::arrow::array::ArrayRef;
use datafusion::common::Result;

use super::batch::{Batch, Column, Kind};
use super::state::{Hit, State, vec_size, wide_column};
use super::wire::{Wire, push_signed, push_usize};

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

/// The least, or the `GREATEST`, by (group, class).
#[derive(Debug)]
pub(super) struct Extremes<N, const GREATEST: bool> {
    value: usize,
    kind: Kind,
    classes: usize,
    numbers: Vec<N>,
    seen: Vec<bool>,
}

impl<N: Number, const GREATEST: bool> Extremes<N, GREATEST> {
    pub(super) fn new(value: usize, kind: Kind, classes: usize) -> Self {
        Self { value, kind, classes, numbers: Vec::new(), seen: Vec::new() }
    }

    fn take(&mut self, slot: usize, number: N) {
        let best = &mut self.numbers[slot];
        let better = if GREATEST { number > *best } else { number < *best };
        if better || !self.seen[slot] {
            *best = number;
            self.seen[slot] = true;
        }
    }

    fn at(&self, slot: usize) -> Option<N> {
        self.seen[slot].then(|| self.numbers[slot])
    }
}

impl<N: Number, const GREATEST: bool> State for Extremes<N, GREATEST> {
    fn resize(&mut self, groups: usize) {
        self.numbers.resize(groups * self.classes, N::default());
        self.seen.resize(groups * self.classes, false);
    }

    fn update(&mut self, batch: &Batch<'_>, hits: &[Hit]) -> Result<()> {
        let column = &batch.columns[self.value];
        let numbers = N::slice(column);
        for hit in hits {
            let row = hit.row as usize;
            if column.is_valid(row) {
                self.take(hit.slot(batch, self.classes), numbers[row]);
            }
        }
        Ok(())
    }

    fn is_empty(&self, group: usize) -> bool {
        !self.seen[group * self.classes..(group + 1) * self.classes].contains(&true)
    }

    fn write(&self, group: usize, out: &mut Vec<u8>) {
        let numbers = (0..self.classes).filter_map(|class| Some((class, self.at(group * self.classes + class)?)));
        push_usize(out, numbers.clone().count());
        for (class, number) in numbers {
            push_usize(out, class);
            push_signed(out, number.into());
        }
    }

    fn merge(&mut self, group: usize, wire: &mut Wire<'_>) -> Result<()> {
        for _ in 0..wire.place(self.classes + 1)? {
            let slot = group * self.classes + wire.place(self.classes)?;
            self.take(slot, wire.signed()?);
        }
        Ok(())
    }

    fn column(&self, groups: usize, window: usize) -> Result<ArrayRef> {
        let best = |group: usize| {
            let numbers = (0..=window).filter_map(|class| self.at(group * self.classes + class));
            if GREATEST { numbers.max() } else { numbers.min() }.map(Into::into)
        };
        wide_column(self.kind, (0..groups).map(best))
    }

    fn truncate(&mut self, groups: usize) {
        self.numbers.truncate(groups * self.classes);
        self.numbers.shrink_to_fit();
        self.seen.truncate(groups * self.classes);
        self.seen.shrink_to_fit();
    }

    fn drop_first(&mut self, groups: usize) {
        self.numbers.drain(..groups * self.classes);
        self.seen.drain(..groups * self.classes);
    }

    fn size(&self) -> usize {
        vec_size(&self.numbers) + vec_size(&self.seen)
    }
}
