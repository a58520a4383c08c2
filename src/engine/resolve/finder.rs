//! Whose records, tuples and identifiers are, from what is in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::outcome::Outcome;
use crate::engine::digest::{Digest, Digests};
use crate::engine::identity::NONE;
use crate::engine::roster::Roster;

/// Finds the places of customers. Costs 4 bytes per node, beside the roster.
#[derive(Clone)]
pub struct Finder {
    of: Arc<Outcome>,
    roster: Arc<Roster>,
    /// By cluster, which is its least node.
    places: Arc<[u32]>,
}

impl Finder {
    pub(super) fn of(outcome: &Arc<Outcome>) -> Self {
        let names = &outcome.names;
        let mut by_id: Vec<_> = names.ids.iter().copied().zip(names.clusters.iter().copied()).collect();
        by_id.sort_unstable();
        let mut places = vec![0_u32; outcome.partition.clustering.cluster_of.len()];
        for (place, (_, cluster)) in (0_u32..).zip(&by_id) {
            places[*cluster as usize] = place;
        }
        let roster = Roster::of_sorted(by_id.into_iter().map(|(id, _)| id).collect());
        Self { of: Arc::clone(outcome), roster: Arc::new(roster), places: places.into() }
    }

    /// The place of a node's customer.
    pub(super) fn place(&self, node: u32) -> u32 {
        self.places[self.of.partition.clustering.cluster_of[node as usize] as usize]
    }

    pub(super) fn outcome(&self) -> &Outcome {
        &self.of
    }

    /// Everybody.
    #[must_use]
    pub fn roster(&self) -> Arc<Roster> {
        Arc::clone(&self.roster)
    }

    /// The place of who is at home with a value.
    pub(super) fn home(&self, value: u32) -> Option<u32> {
        let home = self.of.partition.clustering.home_of_value[value as usize];
        (home != NONE).then(|| self.places[home as usize])
    }

    /// The place of each record, or tuple of a link source, by source.
    pub(crate) fn records(&self) -> BTreeMap<String, Digests> {
        let nodes = &self.of.partition.built.nodes;
        let mut sources: Vec<Digests> = nodes.groups().iter().map(|_| Digests::default()).collect();
        for node in 0..nodes.len() {
            sources[usize::from(nodes.group(node))].insert(Digest::of(nodes.text(node)), self.place(node));
        }
        nodes.groups().iter().cloned().zip(sources).collect()
    }

    /// The place of who is at home with each value of these types, by type.
    pub(crate) fn holders(&self, kinds: &BTreeSet<String>) -> BTreeMap<String, Digests> {
        let built = &self.of.partition.built;
        let types = || built.values.groups().iter();
        let mut held: Vec<Option<Digests>> = types().map(|kind| kinds.contains(kind).then(Digests::default)).collect();
        for value in 0..built.values.len() {
            if let (Some(places), Some(home)) =
                (held[usize::from(built.values.group(value))].as_mut(), self.home(value))
            {
                places.insert(Digest::of(built.values.text(value)), home);
            }
        }
        types().cloned().zip(held).filter_map(|(kind, places)| Some((kind, places?))).collect()
    }
}

impl fmt::Debug for Finder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a finder of {:?}", self.roster)
    }
}
