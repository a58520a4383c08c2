//! Who is in which segment: a bit per customer and segment.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::stats::Precision;
use datafusion::common::{Result, exec_err};

use super::functions::call::Text;
use super::identity::IdText;
use super::made::{Made, Rows, batch};
use super::roster::Roster;

/// Members of segments. Costs a bit per customer for each segment that has any.
#[derive(Debug, Clone)]
pub struct Members {
    roster: Arc<Roster>,
    segments: BTreeMap<String, Segment>,
}

#[derive(Debug, Clone, Default)]
struct Segment {
    /// By place, 64 to a word.
    bits: Vec<u64>,
    /// Members who are no customers any more.
    gone: u64,
}

/// How many members a segment has, had, and who came and went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Members now.
    pub members: u64,
    /// Members before.
    pub before: u64,
    /// Those who were not.
    pub entered: u64,
    /// Those who were, and are no more.
    pub exited: u64,
}

impl Members {
    /// Nobody is in anything.
    #[must_use]
    pub fn new(roster: Arc<Roster>) -> Self {
        Self { roster, segments: BTreeMap::new() }
    }

    /// Bytes in use.
    #[must_use]
    pub fn size(&self) -> usize {
        self.segments.values().map(|segment| segment.bits.capacity() * size_of::<u64>()).sum()
    }

    fn segment(&mut self, name: &str) -> &mut Segment {
        if !self.segments.contains_key(name) {
            let bits = vec![0; self.roster.len().div_ceil(64)];
            self.segments.insert(name.to_owned(), Segment { bits, gone: 0 });
        }
        // It is there by now.
        self.segments.entry(name.to_owned()).or_default()
    }

    fn place(&self, id: Option<&str>) -> Option<usize> {
        id.and_then(|id| id.parse().ok()).and_then(|id| self.roster.place(id)).map(|place| place as usize)
    }

    /// Adds rows: a segment, and a member of it.
    pub fn add(&mut self, rows: &RecordBatch) -> Result<()> {
        let [segments, ids] = rows.columns() else { return exec_err!("members are two columns") };
        let (segments, ids) = (Text::of(segments.as_ref())?, Text::of(ids.as_ref())?);
        let mut row = 0;
        while row < rows.num_rows() {
            let name = segments.at(row).unwrap_or_default();
            let places: Vec<Option<usize>> = (row..rows.num_rows())
                .take_while(|row| segments.at(*row).unwrap_or_default() == name)
                .map(|row| self.place(ids.at(row)))
                .collect();
            row += places.len();
            let segment = self.segment(name);
            for place in places {
                match place {
                    Some(place) => segment.bits[place / 64] |= 1 << (place % 64),
                    None => segment.gone += 1,
                }
            }
        }
        Ok(())
    }

    /// Adds rows: a customer, and a list of segments.
    pub fn add_lists(&mut self, rows: &RecordBatch) -> Result<()> {
        let [ids, lists] = rows.columns() else { return exec_err!("members are two columns") };
        let (ids, lists) = (Text::of(ids.as_ref())?, cast(lists, &DataType::new_large_list(DataType::Utf8View, true))?);
        let lists = lists.as_list::<i64>();
        let (names, offsets) = (lists.values().as_string_view(), lists.value_offsets());
        for row in (0..rows.num_rows()).filter(|row| lists.is_valid(*row)) {
            let Some(place) = self.place(ids.at(row)) else { continue };
            for entry in offsets[row] as usize..offsets[row + 1] as usize {
                match self.segments.get_mut(names.value(entry)) {
                    Some(segment) => segment.bits[place / 64] |= 1 << (place % 64),
                    None => self.segment(names.value(entry)).bits[place / 64] |= 1 << (place % 64),
                }
            }
        }
        Ok(())
    }

    /// Adds all members of another such thing, of the same customers.
    pub fn merge(&mut self, other: &Self) {
        for (name, theirs) in &other.segments {
            let ours = self.segment(name);
            ours.bits.iter_mut().zip(&theirs.bits).for_each(|(ours, theirs)| *ours |= theirs);
            ours.gone += theirs.gone;
        }
    }

    /// The segments that have members.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.segments.keys().map(String::as_str)
    }

    /// What became of a segment.
    #[must_use]
    pub fn counts(&self, before: &Self, name: &str) -> Counts {
        let none = Segment::default();
        let (now, then) = (self.segments.get(name).unwrap_or(&none), before.segments.get(name).unwrap_or(&none));
        let count = |bits: &[u64]| bits.iter().map(|word| u64::from(word.count_ones())).sum::<u64>();
        let (members, before) = (count(&now.bits), count(&then.bits));
        let both: u64 = now.bits.iter().zip(&then.bits).map(|(now, then)| u64::from((now & then).count_ones())).sum();
        Counts { members, before: before + then.gone, entered: members - both, exited: before - both + then.gone }
    }

    pub(super) fn has(&self, name: &str, id: Option<&str>) -> bool {
        let segment = self.segments.get(name).filter(|segment| !segment.bits.is_empty());
        segment.zip(self.place(id)).is_some_and(|(segment, place)| segment.bits[place / 64] >> (place % 64) & 1 == 1)
    }

    /// Those who were not members before, as a table of `segment` and `entity_id`: by segment, in the order of ids.
    #[must_use]
    pub fn entered(&self, before: &Self) -> Made {
        let new = self.segments.iter().map(|(name, segment)| {
            let mut bits = segment.bits.clone();
            if let Some(then) = before.segments.get(name) {
                bits.iter_mut().zip(&then.bits).for_each(|(now, then)| *now &= !then);
            }
            (name.clone(), bits)
        });
        Made::of(Entered { roster: Arc::clone(&self.roster), segments: new.collect() })
    }
}

/// Members, made as they are read: a thing is a customer of a segment, a member or not.
struct Entered {
    roster: Arc<Roster>,
    segments: Vec<(String, Vec<u64>)>,
}

impl Rows for Entered {
    fn schema(&self) -> SchemaRef {
        let text = |name: &str| Field::new(name, DataType::Utf8, true);
        Arc::new(Schema::new(vec![text("segment"), text("entity_id")]))
    }

    fn things(&self) -> usize {
        self.segments.len() * self.roster.len()
    }

    fn count(&self) -> Precision<usize> {
        let words = self.segments.iter().flat_map(|(_, bits)| bits);
        Precision::Exact(words.map(|word| word.count_ones() as usize).sum())
    }

    fn make(&self, things: Range<usize>, columns: &[usize]) -> Result<RecordBatch> {
        let all = self.roster.len();
        let mut found: Vec<(usize, u32)> = Vec::new();
        let mut next = things.start;
        while next < things.end {
            let (segment, place) = (next / all, next % all);
            // To the end of the word, of the segment, or of what is asked for.
            let until = (64 - place % 64).min(all - place).min(things.end - next);
            let mut word = self.segments[segment].1[place / 64] >> (place % 64);
            if until < 64 {
                word &= (1 << until) - 1;
            }
            while word != 0 {
                found.push((segment, (place + word.trailing_zeros() as usize) as u32));
                word &= word - 1;
            }
            next += until;
        }
        let ids = found.iter().map(|(_, place)| self.roster.id(*place).map(IdText::from));
        batch(&self.schema(), columns, found.len(), |column| -> ArrayRef {
            match column {
                0 => {
                    Arc::new(StringArray::from_iter_values(found.iter().map(|(segment, _)| &self.segments[*segment].0)))
                }
                _ => Arc::new(ids.clone().collect::<StringArray>()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{ListBuilder, StringBuilder};

    use super::*;
    use crate::engine::identity::CustomerId;

    fn id(number: usize) -> String {
        CustomerId::minted("e", "s", &number.to_string(), 0).to_string()
    }

    fn rows(rows: &[(&str, usize)]) -> RecordBatch {
        let segments: StringArray = rows.iter().map(|row| Some(row.0)).collect();
        let ids: StringArray = rows.iter().map(|row| Some(id(row.1))).collect();
        RecordBatch::try_from_iter([("segment", Arc::new(segments) as ArrayRef), ("id", Arc::new(ids))]).unwrap()
    }

    #[test]
    fn who_came_and_who_went() {
        let all = 300;
        let roster = Arc::new(Roster::of((0..all).map(|number| id(number).parse().unwrap()).collect()));
        let mut before = Members::new(Arc::clone(&roster));
        // One is no customer any more; some come in another part.
        before.add(&rows(&[("a", 1), ("a", 2), ("a", 999), ("b", 5)])).unwrap();
        let mut other = Members::new(Arc::clone(&roster));
        other.add(&rows(&[("a", 3), ("c", 7)])).unwrap();
        before.merge(&other);
        let mut now = Members::new(roster);
        let mut lists = ListBuilder::new(StringBuilder::new());
        for number in 0..all {
            // Everybody but 1 is in a; 5 is in nothing; multiples of 100 are in d, too.
            let segments = [("a", number != 1 && number != 5), ("d", number % 100 == 0)];
            segments.iter().filter(|(_, is_in)| *is_in).for_each(|(name, _)| lists.values().append_value(name));
            lists.append(number != 5);
        }
        let ids: StringArray = (0..all).map(|number| Some(id(number))).collect();
        let batch = [("id", Arc::new(ids) as ArrayRef), ("segments", Arc::new(lists.finish()))];
        now.add_lists(
            &RecordBatch::try_from_iter_with_nullable(batch.map(|(name, column)| (name, column, true))).unwrap(),
        )
        .unwrap();

        let counts = |name| now.counts(&before, name);
        assert_eq!(counts("a"), Counts { members: 298, before: 4, entered: 296, exited: 2 });
        assert_eq!(counts("b"), Counts { members: 0, before: 1, entered: 0, exited: 1 });
        assert_eq!(counts("d"), Counts { members: 3, before: 0, entered: 3, exited: 0 });
        assert_eq!(counts("nothing"), Counts::default());
        assert_eq!(before.names().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert!(now.has("a", Some(&id(2))) && !now.has("a", Some(&id(1))) && !now.has("b", Some(&id(5))));
        assert!(!now.has("a", Some(&id(999))) && !now.has("a", None));

        let entered = now.entered(&before);
        let mut members: Vec<(String, String)> = Vec::new();
        for batch in entered.batches() {
            let (segments, ids) = (batch.column(0).as_string::<i32>(), batch.column(1).as_string::<i32>());
            members
                .extend((0..batch.num_rows()).map(|row| (segments.value(row).to_owned(), ids.value(row).to_owned())));
        }
        assert_eq!(members.len(), 299);
        assert!(members.is_sorted());
        let of_d: Vec<&String> = members.iter().filter(|(segment, _)| segment == "d").map(|(_, id)| id).collect();
        let mut wanted = [id(0), id(100), id(200)];
        wanted.sort();
        assert_eq!(of_d, wanted.iter().collect::<Vec<_>>());
        // However it is cut.
        for from in [0, 1, 63, 64, 65, 290, 299, 300, 301] {
            let made = entered.make(from..(from + 77).min(entered.things()), &[0, 1]).unwrap();
            let whole = entered.make(0..from, &[]).unwrap().num_rows();
            let of_cut = made.column(1).as_string::<i32>().iter().flatten();
            assert!(of_cut.eq(members[whole..].iter().take(made.num_rows()).map(|(_, id)| id.as_str())), "{from}");
        }
    }
}
