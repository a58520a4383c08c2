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

    /// The place of an id.
    #[must_use]
    pub fn place(&self, id: CustomerId) -> Option<u32> {
        self.ids.binary_search(&id).ok().map(|place| place as u32)
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
