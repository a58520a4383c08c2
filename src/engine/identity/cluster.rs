//! Clustering under constraints, greedily and in one total order (DESIGN §5.4, point 3).

use super::clusters::Clusters;
use super::seen::Seen;
use super::{Evidence, NONE};

/// Why a union was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Nodes with different values in this `never_across` column (index into [`Evidence::scopes`]) would meet.
    NeverAcross(u16),
    /// The customer would have more values of this type (index into [`Evidence::types`]) than `per_customer` allows.
    PerCustomer(u16),
}

/// A node's cluster that could be united with no cluster seen before it at a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// The value that links them.
    pub value: u32,
    /// The node through which the refused cluster came to the value.
    pub node: u32,
    /// The least node, at that time, of the first cluster seen at the value.
    pub with: u32,
    /// Why not with that cluster. The others seen there were tried too, and each refused for a reason of its own.
    pub reason: Reason,
}

/// A value whose nodes ended in more than one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contested {
    /// The value.
    pub value: u32,
    /// The clusters that hold it, by least node.
    pub clusters: Vec<u32>,
}

/// The partition. A cluster is named by its least node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clustering {
    /// The cluster of each node.
    pub cluster_of: Vec<u32>,
    /// Refused unions, in the order in which they were refused: by value, then by node.
    pub refused: Vec<Refused>,
    /// The home of each value, where an attach row that carries it belongs: the cluster of the least node that carries
    /// it. [`NONE`] where no node carries it (junk).
    pub home_of_value: Vec<u32>,
    /// Values whose nodes ended in more than one cluster, ascending. A refused union is missing here when a later value
    /// brought the two together after all.
    pub contested: Vec<Contested>,
}

impl Clustering {
    /// The customer of an attach row, by least node: the home of the first of its values (ascending, so by priority)
    /// that any node carries.
    #[must_use]
    pub fn home_of(&self, values: &[u32]) -> Option<u32> {
        values.iter().filter_map(|&value| self.home_of_value.get(value as usize)).copied().find(|&home| home != NONE)
    }
}

/// Clusters the nodes.
///
/// Values ascend and within a value nodes ascend. Each node's cluster joins the first cluster already seen at the
/// value, by least node, where the union is legal; where it is legal with none, it is another cluster seen at the
/// value, and the refusal is recorded. A node whose cluster is seen at the value already changes nothing. A union is
/// legal when
/// * in each `never_across` column it has at most one distinct value (nulls do not count), and
/// * for each type with `per_customer: k` it has at most k distinct values, or no more than its larger side has
///   already: one record may carry more than k, and a union that brings it nothing new is not refused for that.
///
/// Costs, beside the evidence: 8 bytes per node, 4 per node and non-null scope, 4 per occurrence of a limited type, 4
/// per value, about 80 per cluster that claims more than its least node, 16 per refusal. A value with n nodes takes n
/// steps; `seen.rs` tells of values at which many clusters refuse one another.
#[must_use]
pub fn cluster(evidence: &Evidence) -> Clustering {
    cluster_with(evidence, Seen::new())
}

fn cluster_with(evidence: &Evidence, mut seen: Seen) -> Clustering {
    let mut clusters = Clusters::new(evidence);
    let mut refused = Vec::new();
    for of_value in evidence.occurrences.chunk_by(|left, right| left.0 == right.0) {
        seen.clear();
        for &(value, node) in of_value {
            let newcomer = clusters.find(node);
            if seen.contains(newcomer) {
                continue;
            }
            if let Some(first_legal) = seen.first_legal(&clusters, newcomer) {
                seen.join(&mut clusters, first_legal, newcomer);
                continue;
            }
            if let Some(with) = seen.first()
                && let Some(reason) = clusters.refusal(with, newcomer)
            {
                refused.push(Refused { value, node, with, reason });
            }
            seen.insert(&clusters, newcomer);
        }
    }
    let cluster_of = clusters.into_roots();
    let (home_of_value, contested) = holders(evidence, &cluster_of);
    Clustering { cluster_of, refused, home_of_value, contested }
}

/// Who holds each value in the end.
fn holders(evidence: &Evidence, cluster_of: &[u32]) -> (Vec<u32>, Vec<Contested>) {
    let mut home_of_value = vec![NONE; evidence.type_of_value.len()];
    let mut contested = Vec::new();
    for of_value in evidence.occurrences.chunk_by(|left, right| left.0 == right.0) {
        let (value, least) = of_value[0];
        let home = cluster_of[least as usize];
        home_of_value[value as usize] = home;
        if of_value.iter().any(|&(_, node)| cluster_of[node as usize] != home) {
            let mut clusters: Vec<u32> = of_value.iter().map(|&(_, node)| cluster_of[node as usize]).collect();
            clusters.sort_unstable();
            clusters.dedup();
            contested.push(Contested { value, clusters });
        }
    }
    (home_of_value, contested)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::IdentifierType;
    use super::super::cluster_oracle::{graphs, oracle};
    use super::*;

    fn kind(name: &str, per_customer: Option<u32>) -> IdentifierType {
        IdentifierType { name: name.into(), per_customer }
    }

    #[test]
    fn an_empty_project_has_no_clusters() {
        let clustering = cluster(&Evidence::default());
        assert!(clustering.cluster_of.is_empty() && clustering.refused.is_empty());
    }

    #[test]
    fn values_chain_nodes() {
        let evidence = Evidence {
            n_nodes: 4,
            types: vec![kind("email", None)],
            type_of_value: vec![0, 0, 0],
            occurrences: vec![(0, 1), (0, 3), (1, 0), (1, 3)],
            scopes: Vec::new(),
        };
        let clustering = cluster(&evidence);
        assert_eq!(clustering.cluster_of, vec![0, 0, 2, 0]);
        assert_eq!(clustering.home_of_value, vec![0, 0, NONE]);
        assert_eq!(
            (clustering.home_of(&[2, 1]), clustering.home_of(&[2, 9]), clustering.home_of(&[])),
            (Some(0), None, None)
        );
        assert!(clustering.contested.is_empty());
    }

    #[test]
    fn a_shared_device_keeps_two_accounts_apart() {
        // Accounts 0 and 1 (one per customer), cookie 2 on both and on an anonymous node.
        let evidence = Evidence {
            n_nodes: 3,
            types: vec![kind("account", Some(1)), kind("cookie", None)],
            type_of_value: vec![0, 0, 1],
            occurrences: vec![(0, 0), (1, 1), (2, 0), (2, 1), (2, 2)],
            scopes: Vec::new(),
        };
        let clustering = cluster(&evidence);
        assert_eq!(clustering.cluster_of, vec![0, 1, 0]);
        assert_eq!(clustering.refused, vec![Refused { value: 2, node: 1, with: 0, reason: Reason::PerCustomer(0) }]);
        assert_eq!(clustering.contested, vec![Contested { value: 2, clusters: vec![0, 1] }]);
        assert_eq!(clustering.home_of_value, vec![0, 1, 0]);
    }

    #[test]
    fn brands_never_meet_even_through_a_third() {
        let evidence = Evidence {
            n_nodes: 3,
            types: vec![kind("email", None)],
            type_of_value: vec![0],
            occurrences: vec![(0, 0), (0, 1), (0, 2)],
            scopes: vec![vec![NONE, 0, 1]],
        };
        let clustering = cluster(&evidence);
        assert_eq!(clustering.cluster_of, vec![0, 0, 2]);
        assert_eq!(clustering.refused, vec![Refused { value: 0, node: 2, with: 0, reason: Reason::NeverAcross(0) }]);
    }

    #[test]
    fn a_record_with_more_than_the_limit_still_takes_what_is_not_new() {
        let evidence = Evidence {
            n_nodes: 3,
            types: vec![kind("email", Some(2))],
            type_of_value: vec![0; 4],
            occurrences: vec![(0, 0), (0, 1), (1, 0), (2, 0), (2, 2), (3, 2)],
            scopes: Vec::new(),
        };
        let clustering = cluster(&evidence);
        assert_eq!(clustering.cluster_of, vec![0, 0, 2]);
        assert_eq!(clustering.refused, vec![Refused { value: 2, node: 2, with: 0, reason: Reason::PerCustomer(0) }]);
    }

    /// A value with a million nodes takes a million steps, not their square: this test ends.
    #[test]
    fn a_value_with_a_million_nodes() {
        let n = 1_000_000;
        let evidence = Evidence {
            n_nodes: n,
            types: vec![kind("account", Some(1)), kind("phone", None)],
            type_of_value: vec![0, 1],
            occurrences: (0..n).map(|node| (1, node)).collect(),
            scopes: vec![(0..n).map(|node| if node % 2 == 0 { 0 } else { NONE }).collect()],
        };
        let clustering = cluster(&evidence);
        assert!(clustering.cluster_of.iter().all(|&root| root == 0) && clustering.refused.is_empty());
    }

    /// Two hundred thousand accounts on one telephone: each refuses all the others. And their anonymous visits follow
    /// the first, while second records of the accounts find their own.
    #[test]
    fn a_hot_value_with_refusals_is_not_quadratic() {
        let accounts = 200_000;
        let n = 3 * accounts;
        let mut occurrences: Vec<(u32, u32)> = (0..accounts).map(|node| (node, node)).collect();
        occurrences.extend((0..accounts).map(|account| (accounts, account)));
        occurrences.extend((accounts..n).map(|node| (accounts, node)));
        occurrences.extend((2 * accounts..n).map(|node| (node - 2 * accounts, node)));
        occurrences.sort_unstable();
        let mut type_of_value = vec![0; accounts as usize];
        type_of_value.push(1);
        let types = vec![kind("account", Some(1)), kind("phone", Some(5))];
        let clustering = cluster(&Evidence { n_nodes: n, types, type_of_value, occurrences, scopes: Vec::new() });
        assert_eq!(clustering.refused.len(), accounts as usize - 1);
        assert_eq!(clustering.contested.len(), 1);
        assert!((accounts..2 * accounts).all(|node| clustering.cluster_of[node as usize] == 0));
        assert!((0..accounts).all(|node| clustering.cluster_of[(2 * accounts + node) as usize] == node));
    }

    /// Distinct brands, and full sets of addresses, on one telephone.
    #[test]
    fn other_limits_are_not_quadratic_either() {
        let n = 100_000;
        let mut occurrences: Vec<(u32, u32)> = (0..2 * n).map(|value| (value, value / 2)).collect();
        occurrences.extend((0..n).map(|node| (2 * n, node)));
        let mut type_of_value = vec![0; 2 * n as usize];
        type_of_value.push(1);
        let types = vec![kind("email", Some(3)), kind("phone", None)];
        let mut evidence = Evidence { n_nodes: n, types, type_of_value, occurrences, scopes: Vec::new() };
        let of_emails = cluster(&evidence);
        assert_eq!(of_emails.refused.len(), n as usize - 1);
        evidence.types[0].per_customer = None;
        evidence.scopes = vec![(0..n).rev().collect()];
        assert_eq!(cluster(&evidence).contested[0].clusters.len(), n as usize);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn agrees_with_the_oracle(evidence in graphs()) {
            let expected = oracle(&evidence);
            prop_assert_eq!(&cluster(&evidence), &expected, "tried one after the other");
            prop_assert_eq!(&cluster_with(&evidence, Seen::with_threshold(0)), &expected, "through the index");
            prop_assert_eq!(&cluster_with(&evidence, Seen::with_threshold(2)), &expected, "from one to the other");
        }
    }
}
