//! Nodes, values and clusters: what is known before the clusters have names.

use super::gather::{Gathered, Seen};
use crate::engine::identity::{Built, Clustering, Refused, cluster};

/// The clustered nodes.
pub(super) struct Partition {
    pub(super) built: Built,
    pub(super) clustering: Clustering,
    /// Refusals that stand: the two clusters did not come together by another value.
    pub(super) refused: Vec<Refused>,
    /// By node.
    pub(super) seen: Vec<Seen>,
}

impl Partition {
    pub(super) fn of(gathered: Gathered) -> Self {
        let built = gathered.builder.build();
        let mut seen = vec![Seen::NEVER; built.node_of.len()];
        for (&node, &here) in built.node_of.iter().zip(&gathered.seen) {
            seen[node as usize] = here;
        }
        let clustering = cluster(&built.evidence);
        let cluster_of = |node: u32| clustering.cluster_of[node as usize];
        let stands = |refused: &&Refused| cluster_of(refused.node) != cluster_of(refused.with);
        let mut refused: Vec<Refused> = clustering.refused.iter().filter(stands).copied().collect();
        refused.sort_by_key(|refused| (refused.value, refused.node));
        Self { built, clustering, refused, seen }
    }

    /// The refusal of a link between a value and a node, where it stands.
    pub(super) fn refusal(&self, value: u32, node: u32) -> Option<&Refused> {
        let found = self.refused.binary_search_by_key(&(value, node), |refused| (refused.value, refused.node));
        found.ok().map(|at| &self.refused[at])
    }
}
