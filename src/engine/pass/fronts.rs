//! Least and greatest numbers, dates, instants and truths of windows.

use datafusion::arrow::array::ArrayRef;
use datafusion::common::Result;

use super::batch::{Batch, Kind};
use super::extremes::{Number, is_better};
use super::state::{Hit, State, vec_size, wide_column};
use super::wire::{Wire, push_signed};

/// By group, every number that is the least, or the `GREATEST`, since some time: those to which no later one is equal or better.
/// In the order of their times each is worse than the one before, so the first within a window is its answer, now and when time
/// has passed. Of n numbers in no order about ln n are kept.
#[derive(Debug)]
pub(super) struct Fronts<N, const GREATEST: bool> {
    value: usize,
    kind: Kind,
    since: Vec<i64>,
    groups: Vec<Vec<(i64, N)>>,
    owned: usize,
}

impl<N: Number, const GREATEST: bool> Fronts<N, GREATEST> {
    pub(super) fn new(value: usize, kind: Kind, since: Vec<i64>) -> Self {
        Self { value, kind, since, groups: Vec::new(), owned: 0 }
    }

    fn take(&mut self, group: usize, time: i64, number: N) {
        let front = &mut self.groups[group];
        let later = front.partition_point(|(known, _)| *known < time);
        if front.get(later).is_some_and(|(_, known)| !is_better::<N, GREATEST>(number, *known)) {
            return;
        }
        // Of the same time there is one at most, and it is worse.
        let end = later + usize::from(front.get(later).is_some_and(|(known, _)| *known == time));
        let kept = front[..later].partition_point(|(_, known)| is_better::<N, GREATEST>(*known, number));
        self.owned -= vec_size(front);
        front.splice(kept..end, [(time, number)]);
        self.owned += vec_size(front);
    }
}

impl<N: Number, const GREATEST: bool> State for Fronts<N, GREATEST> {
    fn resize(&mut self, groups: usize) {
        self.groups.resize_with(groups, Vec::new);
    }

    fn update(&mut self, batch: &Batch<'_>, hits: &[Hit]) -> Result<()> {
        let column = &batch.columns[self.value];
        let numbers = N::slice(column);
        for hit in hits {
            let row = hit.row as usize;
            if column.is_valid(row) {
                self.take(batch.groups[row], batch.times[row], numbers[row]);
            }
        }
        Ok(())
    }

    fn is_empty(&self, group: usize) -> bool {
        self.groups[group].is_empty()
    }

    fn write(&self, group: usize, out: &mut Vec<u8>) {
        for (time, number) in &self.groups[group] {
            push_signed(out, (*time).into());
            push_signed(out, (*number).into());
        }
    }

    fn merge(&mut self, group: usize, wire: &mut Wire<'_>) -> Result<()> {
        let oldest = self.since.last().copied().unwrap_or(i64::MIN);
        while !wire.is_empty() {
            let (time, number) = (wire.signed()?, wire.signed()?);
            if time >= oldest {
                self.take(group, time, number);
            }
        }
        Ok(())
    }

    fn column(&self, groups: usize, window: usize) -> Result<ArrayRef> {
        let since = self.since[window];
        let best = |front: &Vec<(i64, N)>| {
            front.get(front.partition_point(|(time, _)| *time < since)).map(|(_, number)| (*number).into())
        };
        wide_column(self.kind, self.groups[..groups].iter().map(best))
    }

    fn truncate(&mut self, groups: usize) {
        self.owned -= self.groups.drain(groups..).map(|front| vec_size(&front)).sum::<usize>();
        self.groups.shrink_to_fit();
    }

    fn drop_first(&mut self, groups: usize) {
        self.owned -= self.groups.drain(..groups).map(|front| vec_size(&front)).sum::<usize>();
    }

    fn size(&self) -> usize {
        vec_size(&self.groups) + self.owned
    }
}
