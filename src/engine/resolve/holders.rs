//! Who has a value: one row per value and customer.

use std::ops::Range;

use super::gather::Seen;
use super::partition::Partition;

/// A customer's identifier.
pub(super) struct Held {
    pub(super) value: u32,
    /// The least of the customer's nodes that carry it.
    pub(super) node: u32,
    /// Where the nodes are: the least per source, ascending.
    pub(super) nodes: Range<usize>,
    pub(super) seen: Seen,
    pub(super) is_home: bool,
}

/// The holders of some values, by value and by least node.
#[derive(Default)]
pub(super) struct Holders {
    pub(super) rows: Vec<Held>,
    pub(super) nodes: Vec<u32>,
}

impl Holders {
    pub(super) fn of(partition: &Partition, values: Range<u32>) -> Self {
        let Partition { built, clustering, seen, .. } = partition;
        let occurrences = &built.evidence.occurrences;
        let from = occurrences.partition_point(|&(value, _)| value < values.start);
        let to = from + occurrences[from..].partition_point(|&(value, _)| value < values.end);
        let mut holders = Self::default();
        let mut by_customer: Vec<(u32, u32)> = Vec::new();
        for of_value in occurrences[from..to].chunk_by(|left, right| left.0 == right.0) {
            let value = of_value[0].0;
            by_customer.clear();
            by_customer.extend(of_value.iter().map(|&(_, node)| (clustering.cluster_of[node as usize], node)));
            by_customer.sort_unstable();
            for of_customer in by_customer.chunk_by(|left, right| left.0 == right.0) {
                let start = holders.nodes.len();
                // Nodes ascend by source.
                for of_source in
                    of_customer.chunk_by(|left, right| built.nodes.group(left.1) == built.nodes.group(right.1))
                {
                    holders.nodes.push(of_source[0].1);
                }
                let (customer, node) = of_customer[0];
                holders.rows.push(Held {
                    value,
                    node,
                    nodes: start..holders.nodes.len(),
                    seen: of_customer.iter().fold(Seen::NEVER, |all, &(_, node)| all.and(seen[node as usize])),
                    is_home: clustering.home_of_value[value as usize] == customer,
                });
            }
        }
        holders
    }
}
