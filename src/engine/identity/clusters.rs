//! Clusters while they grow: a forest of nodes, and what each tree claims.

use std::collections::HashMap;

use super::Evidence;
use super::claims::{Claims, covers, union};
use super::cluster::Reason;

/// A union-find whose roots are the least nodes of their clusters, and the claims of each root.
///
/// Costs 4 bytes per node for the forest, the [`Claims`], and about 80 bytes for a cluster whose claims are not those
/// of its least node. A find is amortised logarithmic (path halving; the root is the least node rather than the
/// heaviest, so that no second array is needed).
#[derive(Debug)]
pub(super) struct Clusters {
    parent: Vec<u32>,
    claims: Claims,
    /// Claims of the roots whose cluster claims more than the root alone. Looked up, never iterated.
    grown: HashMap<u32, Box<[u32]>>,
}

impl Clusters {
    /// Every node is a cluster of its own.
    pub(super) fn new(evidence: &Evidence) -> Self {
        Self { parent: (0..evidence.n_nodes).collect(), claims: Claims::new(evidence), grown: HashMap::new() }
    }

    /// The least node of the node's cluster.
    pub(super) fn find(&mut self, node: u32) -> u32 {
        let mut at = node as usize;
        loop {
            let up = self.parent[at] as usize;
            if up == at {
                return at as u32;
            }
            self.parent[at] = self.parent[up];
            at = self.parent[at] as usize;
        }
    }

    /// The limits and the claims of single nodes.
    pub(super) fn limits(&self) -> &Claims {
        &self.claims
    }

    /// What the cluster claims.
    pub(super) fn claims(&self, root: u32) -> &[u32] {
        self.grown.get(&root).map_or_else(|| self.claims.of(root), AsRef::as_ref)
    }

    /// Why two clusters may not become one; `None` where they may.
    pub(super) fn refusal(&self, left: u32, right: u32) -> Option<Reason> {
        let limit = self.claims.refusal(self.claims(left), self.claims(right))?;
        Some(self.claims.limits()[limit].reason)
    }

    /// Makes one cluster of two; returns its least node. The smaller list of claims is looked up in the larger one, and
    /// a new list is made only where neither covers the other, which legality bounds by the limits.
    pub(super) fn unite(&mut self, left: u32, right: u32) -> u32 {
        let (root, child) = (left.min(right), left.max(right));
        self.parent[child as usize] = root;
        let (ours, theirs) = (self.claims(root), self.claims(child));
        let merged = if covers(ours, theirs) {
            None
        } else if covers(theirs, ours) {
            Some(theirs.into())
        } else {
            Some(union(ours, theirs))
        };
        self.grown.remove(&child);
        if let Some(merged) = merged {
            self.grown.insert(root, merged);
        }
        root
    }

    /// The least node of each node's cluster.
    pub(super) fn into_roots(mut self) -> Vec<u32> {
        // A parent is never greater than its child, so one ascending pass flattens the forest.
        for node in 0..self.parent.len() {
            self.parent[node] = self.parent[self.parent[node] as usize];
        }
        self.parent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_least_nodes() {
        let mut clusters = Clusters::new(&Evidence { n_nodes: 6, ..Evidence::default() });
        assert_eq!(clusters.unite(4, 5), 4);
        assert_eq!(clusters.unite(4, 2), 2);
        assert_eq!(clusters.unite(0, 1), 0);
        assert_eq!(clusters.find(5), 2);
        assert_eq!(clusters.into_roots(), vec![0, 0, 2, 3, 2, 2]);
    }

    #[test]
    fn claims_follow_the_root() {
        let evidence = Evidence { n_nodes: 3, scopes: vec![vec![super::super::NONE, 0, 1]], ..Evidence::default() };
        let mut clusters = Clusters::new(&evidence);
        assert_eq!(clusters.refusal(0, 1), None);
        let root = clusters.unite(0, 1);
        assert_eq!(clusters.claims(root), &[0]);
        assert_eq!(clusters.refusal(root, 2), Some(Reason::NeverAcross(0)));
    }
}
