//! The customers of an entity in the order of their ids. A customer's place is a number that stands for it within a run: rows carry
//! it, states are laid out by it, and results are in its order, so that they are put together without looking anybody up.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, StringArray, UInt32Array};

use super::identity::{CustomerId, IdText};

/// Ids, ascending. Costs 10 bytes each.
#[derive(Default, PartialEq, Eq)]
pub struct Roster {
    ids: Vec<CustomerId>,
}

impl Roster {
    /// The customers with these ids.
    #[must_use]
    pub fn of(mut ids: Vec<CustomerId>) -> Self {
        ids.sort_unstable();
        ids.dedup();
        Self { ids }
    }

    /// The same; ids ascend, and each is there once.
    pub(super) fn of_sorted(ids: Vec<CustomerId>) -> Self {
        debug_assert!(ids.is_sorted_by(|left, right| left < right));
        Self { ids }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Is there nobody?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The place of an id. Ids are hashes, so it lies near where the id's share of all possible ones would put it.
    #[must_use]
    pub fn place(&self, id: CustomerId) -> Option<u32> {
        let guess = ((u128::from(id.share()) * self.ids.len() as u128) >> 64) as usize;
        let (mut from, mut to, mut step) = (guess, guess, 32);
        while from > 0 && self.ids[from - 1] >= id {
            from = from.saturating_sub(step);
            step *= 4;
        }
        step = 32;
        while to < self.ids.len() && self.ids[to] <= id {
            to = (to + step).min(self.ids.len());
            step *= 4;
        }
        self.ids[from..to].binary_search(&id).ok().map(|place| (from + place) as u32)
    }

    /// The id at a place.
    #[must_use]
    pub fn id(&self, place: u32) -> Option<CustomerId> {
        self.ids.get(place as usize).copied()
    }

    /// The ids of some places, spelt.
    #[must_use]
    pub fn texts(&self, places: Range<usize>) -> ArrayRef {
        let ids = self.ids[places.start.min(self.len())..places.end.min(self.len())].iter();
        Arc::new(StringArray::from_iter_values(ids.map(|id| IdText::from(*id))))
    }

    /// The ids of these places, spelt.
    pub(super) fn spelt(&self, places: &UInt32Array) -> ArrayRef {
        let text = |place: Option<u32>| place.and_then(|place| self.id(place)).map(IdText::from);
        Arc::new(
            (0..places.len()).map(|row| text(places.is_valid(row).then(|| places.value(row)))).collect::<StringArray>(),
        )
    }
}

/// Ids are surrogates, but there may be many.
impl fmt::Debug for Roster {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} customers", self.len())
    }
}

/// One of several parts of `all` that follow one another and are about as large.
#[must_use]
pub fn part_of(all: usize, part: usize, parts: usize) -> Range<usize> {
    all * part / parts..all * (part + 1) / parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_is_found_and_nobody_else() {
        let all: Vec<CustomerId> = (0..5_000).map(|n| CustomerId::minted("e", "s", &n.to_string(), 0)).collect();
        for count in [0, 1, 2, 63, 1_000, 4_999] {
            let roster = Roster::of(all[..count].to_vec());
            assert!((0..count as u32).all(|place| roster.place(roster.id(place).unwrap()) == Some(place)));
            assert!(all[count..].iter().all(|id| roster.place(*id).is_none()), "{count}");
        }
        // Ids that are no hashes, as a test may have them.
        let near: Vec<CustomerId> = (0..3_000).map(|n| format!("c_{n:020x}").parse().unwrap()).collect();
        let roster = Roster::of(near.clone());
        assert!((0_u32..).zip(&near).all(|(place, id)| roster.place(*id) == Some(place)));
        assert_eq!(roster.place("c_ffffffffffffffffffff".parse().unwrap()), None);
    }

    #[test]
    fn parts_follow_one_another() {
        let parts: Vec<_> = (0..3).map(|part| part_of(10, part, 3)).collect();
        assert_eq!(parts, [0..3, 3..6, 6..10]);
    }
}
