//! Nodes, values and clusters: what is known before the clusters have names.

use std::sync::Arc;

use datafusion::error::Result as EngineResult;

use super::gather::{Gathered, Seen};
use crate::engine::Held;
use crate::engine::identity::{Built, Clustering, Refused, cluster};

/// The nodes and values in their order.
pub(super) struct Sorted {
    pub(super) built: Arc<Built>,
    /// By node.
    seen: Vec<Seen>,
    held: Held,
}

impl Sorted {
    pub(super) fn of(gathered: Gathered) -> Self {
        let built = gathered.builder.build();
        let mut seen = vec![Seen::NEVER; built.node_of.len()];
        for (&node, &here) in built.node_of.iter().zip(&gathered.seen) {
            seen[node as usize] = here;
        }
        Self { built: Arc::new(built), seen, held: gathered.held }
    }
}

/// The clustered nodes.
pub(super) struct Partition {
    pub(super) built: Arc<Built>,
    pub(super) clustering: Clustering,
    /// Refusals that stand: the two clusters did not come together by another value.
    pub(super) refused: Vec<Refused>,
    /// By node.
    pub(super) seen: Vec<Seen>,
    /// The memory of it, and of what is made of it.
    pub(super) held: Held,
}

impl Partition {
    pub(super) fn of(sorted: Sorted) -> EngineResult<Self> {
        let Sorted { built, seen, held } = sorted;
        let clustering = cluster(&built.evidence);
        let cluster_of = |node: u32| clustering.cluster_of[node as usize];
        let stands = |refused: &&Refused| cluster_of(refused.node) != cluster_of(refused.with);
        let mut refused: Vec<Refused> = clustering.refused.iter().filter(stands).copied().collect();
        refused.sort_by_key(|refused| (refused.value, refused.node));
        let made = Self { built, clustering, refused, seen, held };
        made.held.resize(made.size())?;
        Ok(made)
    }

    /// Bytes in use.
    pub(super) fn size(&self) -> usize {
        let Clustering { cluster_of, home_of_value, .. } = &self.clustering;
        let numbers = (cluster_of.capacity() + home_of_value.capacity()) * 4;
        self.built.size() + numbers + self.seen.capacity() * size_of::<Seen>()
    }

    /// The refusal of a link between a value and a node, where it stands.
    pub(super) fn refusal(&self, value: u32, node: u32) -> Option<&Refused> {
        let found = self.refused.binary_search_by_key(&(value, node), |refused| (refused.value, refused.node));
        found.ok().map(|at| &self.refused[at])
    }
}
