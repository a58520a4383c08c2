//! Nodes and values by number: (group, text) pairs in their total order.

use std::cmp::Ordering;

use super::intern::Texts;

/// The sorted nodes, as (source, record key), or the sorted values, as (type of identifier, value): they lie in their order, so that
/// going through them goes through memory. Costs 10 bytes per entry beside the texts. It has no `Debug`: the texts are personal data.
#[derive(Clone)]
pub struct Table {
    /// Names of the groups, in order.
    groups: Vec<String>,
    /// Where each group ends.
    ends: Vec<u32>,
    texts: Texts,
}

impl Table {
    /// Sorts the entries, and gives the number of each in the order in which they came. `names` are those of the tags, `by_rank` the
    /// tags in order. Costs the texts once more while they are moved.
    pub(super) fn new(names: &[String], by_rank: &[u16], texts: &Texts) -> (Self, Vec<u32>) {
        let groups = by_rank.iter().map(|&tag| names[usize::from(tag)].clone()).collect();
        let mut rank = vec![0; names.len()];
        for (place, &tag) in by_rank.iter().enumerate() {
            rank[usize::from(tag)] = place as u16;
        }
        let order = texts.sorted(&rank);
        let mut places = vec![0; order.len()];
        let mut ends = vec![0; by_rank.len()];
        for (place, &entry) in (0_u32..).zip(&order) {
            places[entry as usize] = place;
            ends[usize::from(rank[usize::from(texts.tag(entry))])] = place + 1;
        }
        // A group without entries ends where the one before does.
        for group in 1..ends.len() {
            ends[group] = ends[group].max(ends[group - 1]);
        }
        (Self { groups, ends, texts: texts.arranged(&order) }, places)
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.texts.len() as u32
    }

    /// Bytes in use.
    #[must_use]
    pub fn size(&self) -> usize {
        self.texts.size()
    }

    /// Are there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entry's group: a place in the ascending sources, or an index into [`super::Evidence::types`].
    #[must_use]
    pub fn group(&self, index: u32) -> u16 {
        self.ends.partition_point(|&end| end <= index) as u16
    }

    /// The names of the groups, by their numbers.
    #[must_use]
    pub fn groups(&self) -> &[String] {
        &self.groups
    }

    /// Name of the entry's source or type.
    #[must_use]
    pub fn group_name(&self, index: u32) -> &str {
        &self.groups[usize::from(self.group(index))]
    }

    /// The record key, or the value.
    #[must_use]
    pub fn text(&self, index: u32) -> &str {
        self.texts.text(index)
    }

    /// Where a pair is.
    #[must_use]
    pub fn find(&self, group_name: &str, text: &str) -> Option<u32> {
        self.search().find(group_name, text)
    }

    /// Finds many pairs; the faster, the more they come in the order of the table.
    #[must_use]
    pub fn search(&self) -> Search<'_> {
        Search { table: self, at: 0 }
    }

    /// All pairs, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        (0..self.len()).map(|index| (self.group_name(index), self.text(index)))
    }
}

/// Where the last pair was found: the next one is looked for from there on, in steps that double.
pub struct Search<'t> {
    table: &'t Table,
    at: u32,
}

impl Search<'_> {
    /// Where a pair is.
    pub fn find(&mut self, group_name: &str, text: &str) -> Option<u32> {
        let table = self.table;
        let group = table.groups.iter().position(|name| name == group_name)?;
        let (first, end) = (if group == 0 { 0 } else { table.ends[group - 1] }, table.ends[group]);
        let is_less = |index: u32| table.text(index) < text;
        let (mut from, mut to) = (first, end);
        let start = self.at.clamp(first, end);
        if start < end && is_less(start) {
            from = start + 1;
            let mut step = 1;
            while from < end {
                let next = from.saturating_add(step).min(end) - 1;
                if !is_less(next) {
                    to = next + 1;
                    break;
                }
                from = next + 1;
                step *= 2;
            }
        } else {
            to = (start + 1).min(end);
        }
        while from < to {
            let middle = from + (to - from) / 2;
            match table.text(middle).cmp(text) {
                Ordering::Less => from = middle + 1,
                Ordering::Greater => to = middle,
                Ordering::Equal => {
                    self.at = middle;
                    return Some(middle);
                }
            }
        }
        self.at = from;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::intern::Interner;
    use super::*;

    proptest::proptest! {
        #[test]
        fn pairs_are_found_in_any_order(
            there in proptest::collection::btree_set((0_u16..3, "[a-c]{0,3}"), 0..60),
            asked in proptest::collection::vec((0_u16..4, "[a-c]{0,3}"), 0..80),
        ) {
            let mut interner = Interner::default();
            for (tag, text) in there.iter().rev() {
                interner.intern(*tag, text);
            }
            let names = ["x", "y", "z"].map(str::to_owned);
            let (table, _) = Table::new(&names, &[0, 1, 2], interner.texts());
            let mut search = table.search();
            for (tag, text) in asked {
                let name = names.get(usize::from(tag)).map_or("none", String::as_str);
                let place = there.iter().position(|(group, known)| *group == tag && *known == text);
                proptest::prop_assert_eq!(search.find(name, &text), place.map(|place| place as u32));
                proptest::prop_assert_eq!(table.find(name, &text), place.map(|place| place as u32));
            }
        }
    }
}
