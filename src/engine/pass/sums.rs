//! Exact sums of decimals, and averages.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array};
use datafusion::common::{DataFusionError, Result, exec_datafusion_err};

use super::batch::Batch;
use super::ratio::ratio;
use super::state::{Hit, Move, State, vec_size};
use super::wire::{Wire, broken, push_signed, push_unsigned, push_usize};

/// The decimals' unit: nine digits after the point.
const UNIT: u128 = 1_000_000_000;

/// Sums by (group, class), and for averages the number of values.
#[derive(Debug)]
pub(super) struct Sums {
    value: usize,
    classes: usize,
    totals: Totals,
    counts: Option<Vec<u32>>,
}

/// Nearly all sums fit 64 bits; the first that does not widens them all.
#[derive(Debug)]
enum Totals {
    Narrow(Vec<i64>),
    Wide(Vec<i128>),
}

impl Totals {
    fn at(&self, slot: usize) -> i128 {
        match self {
            Self::Narrow(totals) => totals[slot].into(),
            Self::Wide(totals) => totals[slot],
        }
    }

    fn add(&mut self, slot: usize, value: i128) -> Result<()> {
        if let Self::Narrow(totals) = self {
            if let Some(total) = i64::try_from(value).ok().and_then(|value| totals[slot].checked_add(value)) {
                totals[slot] = total;
                return Ok(());
            }
            *self = Self::Wide(totals.iter().map(|total| i128::from(*total)).collect());
        }
        if let Self::Wide(totals) = self {
            totals[slot] = totals[slot].checked_add(value).ok_or_else(out_of_range)?;
        }
        Ok(())
    }
}

fn out_of_range() -> DataFusionError {
    exec_datafusion_err!("a sum exceeds 29 digits before the point")
}

impl Sums {
    /// Sums, or with `averages` the numbers of values too.
    pub(super) fn new(value: usize, classes: usize, averages: bool) -> Self {
        Self { value, classes, totals: Totals::Narrow(Vec::new()), counts: averages.then(Vec::new) }
    }

    /// One value less.
    fn discount(&mut self, slot: usize) -> Result<()> {
        if let Some(counts) = &mut self.counts {
            counts[slot] = counts[slot].checked_sub(1).ok_or_else(broken)?;
        }
        Ok(())
    }

    fn count(&mut self, slot: usize, values: u32) -> Result<()> {
        if let Some(counts) = &mut self.counts {
            let sum = counts[slot].checked_add(values);
            counts[slot] = sum.ok_or_else(|| exec_datafusion_err!("an average of more than 4 billion values"))?;
        }
        Ok(())
    }

    fn slot_is_empty(&self, slot: usize) -> bool {
        self.totals.at(slot) == 0 && self.counts.as_ref().is_none_or(|counts| counts[slot] == 0)
    }
}

/// Keeps the first items, and no memory for others.
fn shorten<T>(items: &mut Vec<T>, length: usize) {
    items.truncate(length);
    items.shrink_to_fit();
}

impl State for Sums {
    fn resize(&mut self, groups: usize) {
        let slots = groups * self.classes;
        match &mut self.totals {
            Totals::Narrow(totals) => totals.resize(slots, 0),
            Totals::Wide(totals) => totals.resize(slots, 0),
        }
        if let Some(counts) = &mut self.counts {
            counts.resize(slots, 0);
        }
    }

    fn update(&mut self, batch: &Batch<'_>, hits: &[Hit]) -> Result<()> {
        let column = &batch.columns[self.value];
        let values = column.decimals();
        for hit in hits {
            let row = hit.row as usize;
            if column.is_valid(row) {
                let slot = hit.slot(batch, self.classes);
                self.totals.add(slot, values[row])?;
                self.count(slot, 1)?;
            }
        }
        Ok(())
    }

    fn shift(&mut self, batch: &Batch<'_>, moves: &[Move]) -> Result<()> {
        let column = &batch.columns[self.value];
        let values = column.decimals();
        for moved in moves {
            let row = moved.row as usize;
            if column.is_valid(row) {
                let first = batch.groups[row] * self.classes;
                let from = first + moved.from as usize;
                self.totals.add(from, -values[row])?;
                self.discount(from)?;
                if let Some(to) = moved.to {
                    self.totals.add(first + to as usize, values[row])?;
                    self.count(first + to as usize, 1)?;
                }
            }
        }
        Ok(())
    }

    fn is_empty(&self, group: usize) -> bool {
        (group * self.classes..(group + 1) * self.classes).all(|slot| self.slot_is_empty(slot))
    }

    fn write(&self, group: usize, out: &mut Vec<u8>) {
        let slots = group * self.classes..(group + 1) * self.classes;
        push_usize(out, slots.clone().filter(|slot| !self.slot_is_empty(*slot)).count());
        for (class, slot) in slots.enumerate().filter(|(_, slot)| !self.slot_is_empty(*slot)) {
            push_usize(out, class);
            push_signed(out, self.totals.at(slot));
            if let Some(counts) = &self.counts {
                push_unsigned(out, counts[slot].into());
            }
        }
    }

    fn merge(&mut self, group: usize, wire: &mut Wire<'_>) -> Result<()> {
        for _ in 0..wire.place(self.classes + 1)? {
            let slot = group * self.classes + wire.place(self.classes)?;
            self.totals.add(slot, wire.signed()?)?;
            if self.counts.is_some() {
                let values = wire.number()?;
                self.count(slot, values)?;
            }
        }
        Ok(())
    }

    fn column(&self, groups: usize, window: usize) -> Result<ArrayRef> {
        let mut results = Vec::with_capacity(groups);
        for group in 0..groups {
            let slots = group * self.classes..=group * self.classes + window;
            let total = slots.clone().try_fold(0_i128, |sum, slot| sum.checked_add(self.totals.at(slot)));
            let total = total.ok_or_else(out_of_range)?;
            results.push(match &self.counts {
                None => Some(ratio(total, UNIT)),
                Some(counts) => match slots.map(|slot| u128::from(counts[slot])).sum::<u128>() {
                    0 => None,
                    // The sum is rounded, then divided: what `sum / count` gives in every engine.
                    count => Some(ratio(total, UNIT) / count as f64),
                },
            });
        }
        Ok(Arc::new(Float64Array::from(results)))
    }

    fn truncate(&mut self, groups: usize) {
        let slots = groups * self.classes;
        match &mut self.totals {
            Totals::Narrow(totals) => shorten(totals, slots),
            Totals::Wide(totals) => shorten(totals, slots),
        }
        if let Some(counts) = &mut self.counts {
            shorten(counts, slots);
        }
    }

    fn drop_first(&mut self, groups: usize) {
        let slots = groups * self.classes;
        match &mut self.totals {
            Totals::Narrow(totals) => drop(totals.drain(..slots)),
            Totals::Wide(totals) => drop(totals.drain(..slots)),
        }
        if let Some(counts) = &mut self.counts {
            counts.drain(..slots);
        }
    }

    fn size(&self) -> usize {
        let totals = match &self.totals {
            Totals::Narrow(totals) => vec_size(totals),
            Totals::Wide(totals) => vec_size(totals),
        };
        totals + self.counts.as_ref().map_or(0, vec_size)
    }
}
