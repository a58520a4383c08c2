//! The clusters that have been seen at one value and could not be united, and the first of them that a newcomer may
//! join.
//!
//! A value seldom has more than one. But a switchboard number with a hundred thousand accounts has a hundred thousand,
//! and to try each newcomer against each of them is quadratic. So beyond a few they are indexed by what limits look at:
//! a newcomer that claims c values under a limit of k can only join clusters that claim none there, or have room for c
//! more, or share a value with it. The shortest such list over all limits is walked, in order; the rest is never looked
//! at.
//!
//! m clusters that refuse one another at a value thus cost m·log m where a single limit tells each pair apart (distinct
//! accounts, distinct brands, full sets of addresses). Still quadratic: many clusters that all share a limited value
//! with the newcomer, or all have room for it, under *every* limit that it claims, and yet each refuse it under
//! another.

use std::collections::{BTreeMap, BTreeSet};

use super::clusters::Clusters;

/// As many as this are tried one after the other.
const FEW: usize = 16;

/// Clusters (by least node, ascending) seen at one value, pairwise refused when they came.
#[derive(Debug)]
pub(super) struct Seen {
    few: Vec<u32>,
    many: Option<Index>,
    /// From how many on the index is used.
    threshold: usize,
}

impl Seen {
    pub(super) fn new() -> Self {
        Self::with_threshold(FEW)
    }

    /// Tests set the threshold to walk both ways.
    pub(super) fn with_threshold(threshold: usize) -> Self {
        Self { few: Vec::new(), many: None, threshold }
    }

    /// Forgets the last value.
    pub(super) fn clear(&mut self) {
        self.few.clear();
        self.many = None;
    }

    /// The seen cluster with the least node.
    pub(super) fn first(&self) -> Option<u32> {
        self.many.as_ref().map_or_else(|| self.few.first(), |index| index.all.first()).copied()
    }

    pub(super) fn contains(&self, root: u32) -> bool {
        self.many.as_ref().map_or_else(|| self.few.binary_search(&root).is_ok(), |index| index.all.contains(&root))
    }

    /// Another cluster is seen at the value.
    pub(super) fn insert(&mut self, clusters: &Clusters, root: u32) {
        if let Some(index) = &mut self.many {
            index.insert(clusters, root);
            return;
        }
        let at = self.few.partition_point(|&seen| seen < root);
        self.few.insert(at, root);
        if self.few.len() > self.threshold {
            let mut index = Index::new(clusters);
            for root in self.few.drain(..) {
                index.insert(clusters, root);
            }
            self.many = Some(index);
        }
    }

    /// The first seen cluster, by least node, with which the newcomer may be united.
    pub(super) fn first_legal(&self, clusters: &Clusters, newcomer: u32) -> Option<u32> {
        match &self.many {
            Some(index) => index.first_legal(clusters, newcomer),
            None => self.few.iter().copied().find(|&seen| clusters.refusal(seen, newcomer).is_none()),
        }
    }

    /// Unites a seen cluster with a newcomer that is not seen yet.
    pub(super) fn join(&mut self, clusters: &mut Clusters, seen: u32, newcomer: u32) {
        if let Some(index) = &mut self.many {
            let unchanged = seen < newcomer && super::claims::covers(clusters.claims(seen), clusters.claims(newcomer));
            if unchanged {
                clusters.unite(seen, newcomer);
            } else {
                index.remove(clusters, seen);
                let root = clusters.unite(seen, newcomer);
                index.insert(clusters, root);
            }
            return;
        }
        let root = clusters.unite(seen, newcomer);
        if root != seen {
            self.few.retain(|&other| other != seen);
            let at = self.few.partition_point(|&other| other < root);
            self.few.insert(at, root);
        }
    }
}

/// Seen clusters by what they claim.
#[derive(Debug)]
struct Index {
    all: BTreeSet<u32>,
    /// Per limit: the clusters that claim fewer than it allows, by how many they claim.
    with_room: Vec<BTreeMap<u32, BTreeSet<u32>>>,
    /// Clusters by token that they claim.
    claiming: BTreeMap<u32, BTreeSet<u32>>,
}

impl Index {
    fn new(clusters: &Clusters) -> Self {
        let with_room = vec![BTreeMap::new(); clusters.limits().limits().len()];
        Self { all: BTreeSet::new(), with_room, claiming: BTreeMap::new() }
    }

    fn insert(&mut self, clusters: &Clusters, root: u32) {
        self.all.insert(root);
        for &token in clusters.claims(root) {
            self.claiming.entry(token).or_default().insert(root);
        }
        for (room, size) in self.with_room.iter_mut().zip(sizes(clusters, root)) {
            if let Some(size) = size {
                room.entry(size).or_default().insert(root);
            }
        }
    }

    fn remove(&mut self, clusters: &Clusters, root: u32) {
        self.all.remove(&root);
        for token in clusters.claims(root) {
            if let Some(roots) = self.claiming.get_mut(token) {
                roots.remove(&root);
            }
        }
        for (room, size) in self.with_room.iter_mut().zip(sizes(clusters, root)) {
            if let Some(roots) = size.and_then(|size| room.get_mut(&size)) {
                roots.remove(&root);
            }
        }
    }

    fn first_legal(&self, clusters: &Clusters, newcomer: u32) -> Option<u32> {
        let limits = clusters.limits();
        let lists = limits
            .by_limit(clusters.claims(newcomer))
            .map(|(limit, run)| {
                let spare = limits.limits()[limit].most.saturating_sub(run.len() as u32);
                let room = self.with_room[limit].range(0..=spare).map(|(_, roots)| roots);
                room.chain(run.iter().filter_map(|token| self.claiming.get(token))).collect::<Vec<_>>()
            })
            .min_by_key(|lists| lists.iter().map(|roots| roots.len()).sum::<usize>());
        // Who claims nothing is welcome everywhere.
        let Some(lists) = lists else { return self.all.first().copied() };
        let mut heads: Vec<_> = lists.into_iter().map(|roots| roots.iter().copied().peekable()).collect();
        loop {
            let least = heads.iter_mut().filter_map(|head| head.peek().copied()).min()?;
            if clusters.refusal(least, newcomer).is_none() {
                return Some(least);
            }
            for head in &mut heads {
                head.next_if_eq(&least);
            }
        }
    }
}

/// Per limit: how much the cluster claims, where that is less than the limit allows (or nothing).
fn sizes(clusters: &Clusters, root: u32) -> Vec<Option<u32>> {
    let limits = clusters.limits();
    let mut sizes = vec![Some(0); limits.limits().len()];
    for (limit, run) in limits.by_limit(clusters.claims(root)) {
        let size = run.len() as u32;
        sizes[limit] = (size < limits.limits()[limit].most).then_some(size);
    }
    sizes
}
