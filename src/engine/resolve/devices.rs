//! Shared devices: which tuples of link sources hang on values that several customers have, and which settle them.

use super::partition::Partition;
use crate::engine::identity::Clustering;

/// A row of `<entity>_contested`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Device {
    pub(super) node: u32,
    pub(super) value: u32,
    /// Does the node have a better identifier, that no other customer has? Else it has no value but contested ones, and
    /// this is the first of them.
    pub(super) settles: bool,
}

/// The rows, by value and node. Costs 2 bytes per node and an eighth of one per value.
pub(super) fn devices(partition: &Partition, is_link: impl Fn(u32) -> bool) -> Vec<Device> {
    let Partition { built, clustering, .. } = partition;
    if clustering.contested.is_empty() {
        return Vec::new();
    }
    let evidence = &built.evidence;
    // The best type of an identifier that only one customer has. Values ascend by type, so the first is the best.
    let mut own = vec![u16::MAX; evidence.n_nodes as usize];
    for &(value, node) in &evidence.occurrences {
        let own = &mut own[node as usize];
        if *own == u16::MAX && !is_contested(clustering, value) {
            *own = evidence.type_of_value[value as usize];
        }
    }
    let mut hangs = vec![false; evidence.n_nodes as usize];
    let mut devices = Vec::new();
    for contested in &clustering.contested {
        let value = contested.value;
        let kind = evidence.type_of_value[value as usize];
        let from = evidence.occurrences.partition_point(|&(other, _)| other < value);
        let nodes =
            evidence.occurrences[from..].iter().take_while(|&&(other, _)| other == value).map(|&(_, node)| node);
        for node in nodes.filter(|&node| is_link(node)) {
            let place = node as usize;
            if own[place] < kind {
                devices.push(Device { node, value, settles: true });
            } else if own[place] == u16::MAX && !hangs[place] {
                hangs[place] = true;
                devices.push(Device { node, value, settles: false });
            }
        }
    }
    devices
}

fn is_contested(clustering: &Clustering, value: u32) -> bool {
    clustering.contested.binary_search_by_key(&value, |contested| contested.value).is_ok()
}
