//! Whose rows are not where they were: what an earlier run remembers of rows goes with the customer, as long as all of a customer's
//! nodes stay together.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::common::{Result, exec_err};

use super::finder::Finder;
use crate::engine::functions::call::Text;
use crate::engine::identity::{CustomerId, LedgerEvent, NONE, State};

/// Where customers are that had some id when the run before resolved the entity.
pub struct Former {
    finder: Finder,
    merged: BTreeMap<CustomerId, CustomerId>,
}

/// Some customers, by place.
#[derive(Debug, Clone)]
pub struct Places(Vec<bool>);

impl Former {
    /// Of the entity that this run has resolved.
    #[must_use]
    pub fn of(finder: &Finder) -> Self {
        let merged = finder.outcome().names.events.iter().filter_map(|event| match event {
            LedgerEvent::Merged { id, into } => Some((*id, *into)),
            _ => None,
        });
        Self { finder: finder.clone(), merged: merged.collect() }
    }

    /// The place of who had this id.
    #[must_use]
    pub fn place(&self, id: CustomerId) -> Option<u32> {
        let id = self.merged.get(&id).copied().unwrap_or(id);
        self.finder.roster().place(id)
    }

    /// Nobody.
    #[must_use]
    pub fn nobody(&self) -> Places {
        Places(vec![false; self.finder.roster().len()])
    }

    /// Who has lost a node, and who has got one otherwise than together with all others of a customer.
    #[must_use]
    pub fn parted(&self) -> Places {
        let memory = self.finder.outcome().ledger.memory();
        let living = |mut last: u32| {
            // What was merged before this run means another one already.
            while let Some(State::Merged(into)) = memory.ids.get(last as usize).map(|former| former.state) {
                last = into;
            }
            last
        };
        let expected: Vec<Option<u32>> = memory.ids.iter().map(|former| self.place(former.id)).collect();
        let mut parted = self.nobody();
        for (node, &last) in (0_u32..).zip(memory.last).filter(|(_, last)| **last != NONE) {
            let (was, is) = (expected[living(last) as usize], self.finder.place(node));
            if was != Some(is) {
                parted.add(was);
                parted.add(Some(is));
            }
        }
        parted
    }

    /// The customers that had the ids of a batch; some may have none of them.
    pub fn places(&self, ids: &RecordBatch, column: usize) -> Result<Vec<Option<u32>>> {
        let texts = Text::of(ids.column(column).as_ref())?;
        let place = |row| texts.at(row).and_then(|id| id.parse().ok()).and_then(|id| self.place(id));
        Ok((0..ids.num_rows()).map(place).collect())
    }
}

impl Places {
    /// The customer of a place, too.
    pub fn add(&mut self, place: Option<u32>) {
        if let Some(one) = place.and_then(|place| self.0.get_mut(place as usize)) {
            *one = true;
        }
    }

    /// All of others, too.
    pub fn add_all(&mut self, others: &Self) {
        self.0.iter_mut().zip(&others.0).for_each(|(one, other)| *one |= other);
    }

    /// How many they are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.iter().filter(|one| **one).count()
    }

    /// As bits; none where it is nobody.
    #[must_use]
    pub fn bits(&self) -> Option<BooleanBuffer> {
        self.0.contains(&true).then(|| self.0.iter().copied().collect())
    }
}

/// Who is at home with values now, compared with who was.
pub struct Homes<'f> {
    former: &'f Former,
    /// By value: was anybody at home with it?
    known: Vec<bool>,
}

impl<'f> Homes<'f> {
    /// Nothing is known of before.
    #[must_use]
    pub fn of(former: &'f Former) -> Self {
        let values = &former.finder.outcome().partition.built.values;
        Self { former, known: vec![false; values.len() as usize] }
    }

    /// Compares with who was at home before: type, value, id.
    pub fn compare(&mut self, before: &RecordBatch, moved: &mut Places) -> Result<()> {
        let [kinds, values, _] = before.columns() else { return exec_err!("a home is a type, a value and an id") };
        let (kinds, values, places) =
            (Text::of(kinds.as_ref())?, Text::of(values.as_ref())?, self.former.places(before, 2)?);
        let finder = &self.former.finder;
        let mut search = finder.outcome().partition.built.values.search();
        for (row, was) in places.into_iter().enumerate() {
            let (Some(kind), Some(value)) = (kinds.at(row), values.at(row)) else { continue };
            let found = search.find(kind, value);
            let is = found.and_then(|value| finder.home(value));
            if let Some(value) = found {
                self.known[value as usize] = true;
            }
            if was != is {
                moved.add(was);
                moved.add(is);
            }
        }
        Ok(())
    }

    /// Rows may have waited for the values of these types that nobody had before.
    pub fn finish(self, kinds: &BTreeSet<String>, moved: &mut Places) {
        let values = &self.former.finder.outcome().partition.built.values;
        let of_kind: Vec<bool> = values.groups().iter().map(|kind| kinds.contains(kind)).collect();
        let new =
            (0_u32..).zip(&self.known).filter(|(value, known)| !**known && of_kind[usize::from(values.group(*value))]);
        for (value, _) in new {
            moved.add(self.former.finder.home(value));
        }
    }
}
