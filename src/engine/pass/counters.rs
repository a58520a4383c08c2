//! The counters of all streams, side by side per group: sixteen bits each, and a note where one went round.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array};
use datafusion::common::Result;

use super::state::vec_size;
use super::wire::{Wire, broken, push_unsigned, push_usize};

/// One row of `width` counters per group.
#[derive(Debug)]
pub(super) struct Counters {
    width: usize,
    low: Vec<u16>,
    /// How often the counter at a place went round. Few customers have 65,536 events of a kind.
    rounds: BTreeMap<usize, u64>,
}

impl Counters {
    pub(super) fn new(width: usize) -> Self {
        Self { width, low: Vec::new(), rounds: BTreeMap::new() }
    }

    pub(super) fn resize(&mut self, groups: usize) {
        self.low.resize(groups * self.width, 0);
    }

    /// Counts one row.
    #[inline]
    pub(super) fn add_one(&mut self, group: usize, counter: usize) {
        let place = group * self.width + counter;
        let low = &mut self.low[place];
        *low = low.wrapping_add(1);
        if *low == 0 {
            *self.rounds.entry(place).or_default() += 1;
        }
    }

    /// Counts one row less.
    pub(super) fn take_one(&mut self, group: usize, counter: usize) -> Result<()> {
        let place = group * self.width + counter;
        let low = &mut self.low[place];
        if *low == 0 {
            match self.rounds.get_mut(&place) {
                Some(rounds) if *rounds > 0 => *rounds -= 1,
                _ => return Err(broken()),
            }
        }
        *low = low.wrapping_sub(1);
        Ok(())
    }

    fn add(&mut self, group: usize, counter: usize, count: u64) {
        let place = group * self.width + counter;
        let sum = u64::from(self.low[place]) + (count & 0xffff);
        self.low[place] = sum as u16;
        let rounds = (sum >> 16) + (count >> 16);
        if rounds > 0 {
            *self.rounds.entry(place).or_default() += rounds;
        }
    }

    fn at(&self, place: usize) -> u64 {
        let low = u64::from(self.low[place]);
        if self.rounds.is_empty() { low } else { low + (self.rounds.get(&place).copied().unwrap_or(0) << 16) }
    }

    /// Writes some neighbouring counters of a group, those that are not zero; nothing where all are.
    pub(super) fn write(&self, group: usize, counters: Range<usize>, out: &mut Vec<u8>) {
        let start = group * self.width + counters.start;
        for class in 0..counters.len() {
            let count = self.at(start + class);
            if count > 0 {
                push_usize(out, class);
                push_unsigned(out, count.into());
            }
        }
    }

    /// Adds such counters that were written elsewhere.
    pub(super) fn merge(&mut self, group: usize, counters: Range<usize>, wire: &mut Wire<'_>) -> Result<()> {
        while !wire.is_empty() {
            let class = wire.place(counters.len())?;
            self.add(group, counters.start + class, wire.number()?);
        }
        Ok(())
    }

    /// The sums of neighbouring counters, for the first groups.
    pub(super) fn column(&self, groups: usize, first: usize, window: usize) -> ArrayRef {
        let count = |group: usize| {
            let start = group * self.width + first;
            (start..=start + window).map(|place| self.at(place)).sum::<u64>() as i64
        };
        Arc::new(Int64Array::from_iter_values((0..groups).map(count)))
    }

    pub(super) fn truncate(&mut self, groups: usize) {
        let places = groups * self.width;
        self.low.truncate(places);
        self.low.shrink_to_fit();
        self.rounds.split_off(&places);
    }

    pub(super) fn drop_first(&mut self, groups: usize) {
        let places = groups * self.width;
        self.low.drain(..places);
        let kept = self.rounds.split_off(&places);
        self.rounds = kept.into_iter().map(|(place, rounds)| (place - places, rounds)).collect();
    }

    pub(super) fn size(&self) -> usize {
        vec_size(&self.low) + self.rounds.len() * 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::AsArray;
    use datafusion::arrow::datatypes::Int64Type;

    fn counts(counters: &Counters, groups: usize) -> Vec<i64> {
        counters.column(groups, 0, 1).as_primitive::<Int64Type>().values().to_vec()
    }

    #[test]
    fn counters_go_round_and_are_not_lost() {
        let mut counters = Counters::new(2);
        counters.resize(2);
        (0..65_536).for_each(|_| counters.add_one(1, 0));
        counters.add_one(1, 1);
        assert_eq!(counts(&counters, 2), [0, 65_537]);
        let mut state = Vec::new();
        counters.write(1, 0..2, &mut state);
        for _ in 0..2 {
            counters.merge(0, 0..2, &mut Wire(&state)).unwrap();
        }
        assert_eq!(counts(&counters, 2), [131_074, 65_537]);
        counters.drop_first(1);
        (0..65_536).for_each(|_| counters.take_one(0, 0).unwrap());
        assert_eq!(counts(&counters, 1), [1]);
        assert!(counters.take_one(0, 0).is_err(), "what was not counted is not taken");
    }

    #[test]
    fn another_functions_state_is_refused() {
        let mut counters = Counters::new(2);
        counters.resize(1);
        for noise in [&[3_u8][..], &[2, 1], &[1, 1, 2, 1], &[1]] {
            assert!(counters.merge(0, 0..2, &mut Wire(noise)).is_err(), "{noise:?}");
        }
    }
}
