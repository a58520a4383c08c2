//! The prose of DESIGN §5.4, point 3, as slowly and literally as it can be written: sets of nodes, everything
//! recomputed.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{Clustering, Contested, Evidence, IdentifierType, NONE, Reason, Refused};

type Nodes = BTreeSet<u32>;

/// Distinct values of a type that any of the nodes carries.
fn values(evidence: &Evidence, nodes: &Nodes, kind: usize) -> BTreeSet<u32> {
    let of_type = |value: u32| usize::from(evidence.type_of_value[value as usize]) == kind;
    evidence.occurrences.iter().filter(|(value, node)| of_type(*value) && nodes.contains(node)).map(|o| o.0).collect()
}

fn illegal(evidence: &Evidence, left: &Nodes, right: &Nodes) -> Option<Reason> {
    let both: Nodes = left.union(right).copied().collect();
    for (index, scope) in evidence.scopes.iter().enumerate() {
        let found: BTreeSet<u32> = both.iter().map(|&node| scope[node as usize]).filter(|&v| v != NONE).collect();
        if found.len() > 1 {
            return Some(Reason::NeverAcross(index as u16));
        }
    }
    for (index, kind) in evidence.types.iter().enumerate() {
        if let Some(limit) = kind.per_customer {
            let count = |nodes: &Nodes| values(evidence, nodes, index).len();
            if count(&both) > (limit as usize).max(count(left)).max(count(right)) {
                return Some(Reason::PerCustomer(index as u16));
            }
        }
    }
    None
}

pub(super) fn oracle(evidence: &Evidence) -> Clustering {
    let mut partition: Vec<Nodes> = (0..evidence.n_nodes).map(|node| Nodes::from([node])).collect();
    let mut refused = Vec::new();
    for value in 0..evidence.type_of_value.len() as u32 {
        // A seen cluster is remembered by any of its nodes, and looked up anew each time.
        let mut seen: Vec<u32> = Vec::new();
        for node in 0..evidence.n_nodes {
            if !evidence.occurrences.contains(&(value, node)) {
                continue;
            }
            let own = partition.iter().find(|nodes| nodes.contains(&node)).cloned().unwrap();
            let mut there: Vec<Nodes> =
                partition.iter().filter(|nodes| seen.iter().any(|seen| nodes.contains(seen))).cloned().collect();
            there.sort_by_key(|nodes| *nodes.first().unwrap());
            seen.push(node);
            if there.contains(&own) || there.is_empty() {
                continue;
            }
            match there.iter().find(|other| illegal(evidence, other, &own).is_none()) {
                Some(other) => {
                    partition.retain(|nodes| *nodes != own && nodes != other);
                    partition.push(own.union(other).copied().collect());
                }
                None => refused.push(Refused {
                    value,
                    node,
                    with: *there[0].first().unwrap(),
                    reason: illegal(evidence, &there[0], &own).unwrap(),
                }),
            }
        }
    }
    let cluster_of: Vec<u32> = (0..evidence.n_nodes)
        .map(|node| *partition.iter().find(|nodes| nodes.contains(&node)).unwrap().first().unwrap())
        .collect();
    let holders = |value: u32| evidence.occurrences.iter().filter(move |o| o.0 == value).map(|o| o.1);
    let n_values = evidence.type_of_value.len() as u32;
    let home_of_value =
        (0..n_values).map(|value| holders(value).min().map_or(NONE, |node| cluster_of[node as usize])).collect();
    let contested = (0..n_values)
        .map(|value| {
            let clusters: BTreeSet<u32> = holders(value).map(|node| cluster_of[node as usize]).collect();
            Contested { value, clusters: clusters.into_iter().collect() }
        })
        .filter(|contested| contested.clusters.len() > 1)
        .collect();
    Clustering { cluster_of, refused, home_of_value, contested }
}

/// Small graphs with few values, so that refusals are frequent.
pub(super) fn graphs() -> impl Strategy<Value = Evidence> {
    let limit = prop_oneof![2 => Just(None), 3 => (0..4_u32).prop_map(Some)];
    (1..14_u32, prop::collection::vec((limit, 1..5_usize), 1..4), 0..3_usize).prop_flat_map(|(n, types, n_scopes)| {
        let type_of_value: Vec<u16> =
            types.iter().enumerate().flat_map(|(kind, (_, count))| vec![kind as u16; *count]).collect();
        let n_values = type_of_value.len() as u32;
        let types: Vec<IdentifierType> = types
            .iter()
            .enumerate()
            .map(|(index, (per_customer, _))| IdentifierType { name: format!("t{index}"), per_customer: *per_customer })
            .collect();
        let occurrences = prop::collection::btree_set((0..n_values, 0..n), 0..40);
        let scope = prop::collection::vec(prop_oneof![2 => Just(NONE), 3 => 0..3_u32], n as usize);
        (occurrences, prop::collection::vec(scope, n_scopes)).prop_map(move |(occurrences, scopes)| Evidence {
            n_nodes: n,
            types: types.clone(),
            type_of_value: type_of_value.clone(),
            occurrences: occurrences.into_iter().collect(),
            scopes,
        })
    })
}
