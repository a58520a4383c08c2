//! Nodes and values by number: (group, text) pairs in their total order.

use super::intern::Texts;

/// The sorted nodes, as (source, record key), or the sorted values, as (type of identifier, value).
/// Costs 14 bytes per entry beside the texts. It has no `Debug`: the texts are personal data.
#[derive(Clone)]
pub struct Table {
    /// Names of the groups, in order.
    groups: Vec<String>,
    /// Place in `groups` of each tag.
    rank: Vec<u16>,
    texts: Texts,
    /// Entry of `texts` at each place.
    order: Vec<u32>,
}

impl Table {
    /// Sorts the entries. `names` are those of the tags, `by_rank` the tags in order.
    pub(super) fn new(names: &[String], by_rank: &[u16], texts: Texts) -> Self {
        let groups = by_rank.iter().map(|&tag| names[usize::from(tag)].clone()).collect();
        let mut rank = vec![0; names.len()];
        for (place, &tag) in by_rank.iter().enumerate() {
            rank[usize::from(tag)] = place as u16;
        }
        let order = texts.sorted(&rank);
        Self { groups, rank, texts, order }
    }

    /// The number of each entry of the texts, in the order in which they came.
    pub(super) fn places(&self) -> Vec<u32> {
        let mut places = vec![0; self.order.len()];
        for (place, &entry) in self.order.iter().enumerate() {
            places[entry as usize] = place as u32;
        }
        places
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.order.len() as u32
    }

    /// Are there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The entry's group: a place in the ascending sources, or an index into [`super::Evidence::types`].
    #[must_use]
    pub fn group(&self, index: u32) -> u16 {
        self.rank[usize::from(self.texts.tag(self.order[index as usize]))]
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
        self.texts.text(self.order[index as usize])
    }

    /// Where a pair is, by binary search.
    #[must_use]
    pub fn find(&self, group_name: &str, text: &str) -> Option<u32> {
        let group = self.groups.iter().position(|name| name == group_name)? as u16;
        let found = self.order.binary_search_by(|&entry| {
            let rank = self.rank[usize::from(self.texts.tag(entry))];
            rank.cmp(&group).then_with(|| self.texts.text(entry).cmp(text))
        });
        found.ok().map(|place| place as u32)
    }

    /// All pairs, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        (0..self.len()).map(|index| (self.group_name(index), self.text(index)))
    }
}
