//! Naming the clusters: ids are a function of the partition and the ledger (DESIGN §5.4, point 4).
//!
//! Each id goes to the cluster that holds most of its former nodes. A cluster to which several go keeps the one that
//! was minted first, and the others are merged into it; a cluster to which none goes mints one. So a full rebuild that
//! reads the ledger keeps every id, and a second run on the same partition has nothing to say.

use std::collections::HashSet;

use super::{CustomerId, NONE};

/// What has become of an id so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It names a customer.
    Living,
    /// None of its nodes exists any more. It returns when one of them does.
    Retired,
    /// It was merged into this id (an index like its own), and means it for ever. It never names a customer again.
    Merged(u32),
}

/// An id that the ledger knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Former {
    /// The id.
    pub id: CustomerId,
    /// Place in the order of minting; earlier ids survive later ones.
    pub minted: u64,
    /// The node that minted it; [`NONE`] where that node does not exist now.
    pub mint_node: u32,
    /// What has become of it.
    pub state: State,
}

/// What the ledger remembers, on the nodes that exist now.
#[derive(Debug, Clone, Copy)]
pub struct Memory<'a> {
    /// Every id that was ever minted, in any order.
    pub ids: &'a [Former],
    /// The last id of each node (index into `ids`), be it from before the node was deleted and came back; [`NONE`] for
    /// new nodes. An id that was merged since stands for the one that it was merged into.
    pub last: &'a [u32],
    /// How often each node has minted.
    pub mints: &'a [u32],
}

/// An event in the life of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LedgerEvent {
    /// A new id.
    Minted {
        /// The id.
        id: CustomerId,
        /// The least node of its cluster, which mints it.
        node: u32,
        /// From now on that node has minted one time more than this.
        ordinal: u32,
    },
    /// An id, just minted, names nodes that had another one until now.
    Split {
        /// The new id.
        id: CustomerId,
        /// The old one, which went with other nodes.
        from: CustomerId,
    },
    /// A retired id names a customer again, because a node of it came back.
    Returned {
        /// The id.
        id: CustomerId,
    },
    /// An id means another one from now on.
    Merged {
        /// The id that names nobody any more.
        id: CustomerId,
        /// The id that survives.
        into: CustomerId,
    },
    /// None of the id's nodes exists any more.
    Retired {
        /// The id.
        id: CustomerId,
    },
}

/// The names of the clusters, and what the ledger is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The clusters, by least node, ascending.
    pub clusters: Vec<u32>,
    /// The id of each of them.
    pub ids: Vec<CustomerId>,
    /// By cluster (minted, split, returned, merged), then the retired ids, ascending.
    pub events: Vec<LedgerEvent>,
}

impl Names {
    /// The id of a cluster, given by its least node.
    #[must_use]
    pub fn id_of(&self, cluster: u32) -> Option<CustomerId> {
        self.clusters.binary_search(&cluster).ok().map(|at| self.ids[at])
    }
}

/// Names the clusters of a partition, in which each node has the least node of its cluster.
///
/// * An id goes to the cluster that holds most of its former nodes; in a tie to the one where its mint node is, else to
///   the one with the least of its former nodes.
/// * Of several ids, the one that was minted first stays (in a tie the lesser text).
/// * A new id is a hash of the entity, the cluster's least node (`node_name` gives its source and key) and how often
///   that node has minted. Should the ledger know that id already, whoever has it, the next ordinal is taken: an id
///   never means two customers.
///
/// Costs 4 bytes per node with a former id and 1 per node; per id 12, and 24 more while they are sorted; per cluster
/// 14; and where anything is minted about 20 bytes per id, old and new.
#[must_use]
pub fn name<'n>(
    entity: &str,
    cluster_of: &[u32],
    memory: &Memory<'_>,
    node_name: impl Fn(u32) -> (&'n str, &'n str),
) -> Names {
    let former = FormerNodes::new(cluster_of.len(), memory);
    let goes_to: Vec<u32> = (0..memory.ids.len() as u32).map(|id| former.destination(id, cluster_of, memory)).collect();
    let mut claims: Vec<(u32, u64, CustomerId, u32)> = (0_u32..)
        .zip(memory.ids.iter().zip(&goes_to))
        .filter(|(_, (_, cluster))| **cluster != NONE)
        .map(|(index, (id, cluster))| (*cluster, id.minted, id.id, index))
        .collect();
    claims.sort_unstable();

    let splits = splits(cluster_of, memory, &former, &goes_to);
    let mut splits = splits.chunk_by(|left, right| left.0 == right.0).peekable();
    let mut claims = claims.chunk_by(|left, right| left.0 == right.0).peekable();
    let mut mint = Mint { entity, known: None };
    let mut names = Names { clusters: Vec::new(), ids: Vec::new(), events: Vec::new() };
    for cluster in (0..cluster_of.len() as u32).filter(|&node| cluster_of[node as usize] == node) {
        let id = if let Some(claimants) = claims.next_if(|claimants| claimants[0].0 == cluster) {
            let (_, _, kept, index) = claimants[0];
            if memory.ids[index as usize].state == State::Retired {
                names.events.push(LedgerEvent::Returned { id: kept });
            }
            names.events.extend(claimants[1..].iter().map(|&(_, _, id, _)| LedgerEvent::Merged { id, into: kept }));
            kept
        } else {
            let minted = memory.mints.get(cluster as usize).copied().unwrap_or(0);
            let (id, ordinal) = mint.mint(memory.ids, node_name(cluster), minted);
            names.events.push(LedgerEvent::Minted { id, node: cluster, ordinal });
            let from = splits.next_if(|splits| splits[0].0 == cluster).unwrap_or_default();
            names.events.extend(from.iter().map(|&(_, from)| LedgerEvent::Split { id, from }));
            id
        };
        names.clusters.push(cluster);
        names.ids.push(id);
    }
    let gone = memory.ids.iter().zip(&goes_to).filter(|(id, to)| **to == NONE && id.state == State::Living);
    let mut gone: Vec<CustomerId> = gone.map(|(id, _)| id.id).collect();
    gone.sort_unstable();
    names.events.extend(gone.into_iter().map(|id| LedgerEvent::Retired { id }));
    names
}

/// The nodes that each id named last.
struct FormerNodes {
    /// What each id means today: itself, or what it was merged into.
    meaning: Vec<u32>,
    /// Where the nodes of each id start, with one more entry at the end.
    start: Vec<u32>,
    /// Nodes by id, ascending within each.
    nodes: Vec<u32>,
}

impl FormerNodes {
    fn new(n_nodes: usize, memory: &Memory<'_>) -> Self {
        let meaning = meanings(memory.ids);
        let last = || {
            (0_u32..)
                .zip(memory.last.iter().take(n_nodes))
                .filter(|(_, id)| **id != NONE)
                .map(|(node, &id)| (node, meaning[id as usize]))
        };
        let mut start = vec![0_u32; memory.ids.len() + 1];
        for (_, id) in last() {
            start[id as usize + 1] += 1;
        }
        let mut total = 0;
        for slot in &mut start[1..] {
            let count = std::mem::replace(slot, total);
            total += count;
        }
        let mut nodes = vec![0; total as usize];
        for (node, id) in last() {
            let slot = &mut start[id as usize + 1];
            nodes[*slot as usize] = node;
            *slot += 1;
        }
        Self { meaning, start, nodes }
    }

    fn of(&self, id: u32) -> &[u32] {
        let id = id as usize;
        &self.nodes[self.start[id] as usize..self.start[id + 1] as usize]
    }

    /// The cluster that the id goes to; [`NONE`] where it has no node left.
    fn destination(&self, id: u32, cluster_of: &[u32], memory: &Memory<'_>) -> u32 {
        let nodes = self.of(id);
        let Some(&least) = nodes.first() else { return NONE };
        let home = cluster_of[least as usize];
        if nodes.iter().all(|&node| cluster_of[node as usize] == home) {
            return home;
        }
        let minted_in = cluster_of.get(memory.ids[id as usize].mint_node as usize).copied();
        let mut held: Vec<(u32, u32)> = nodes.iter().map(|&node| (cluster_of[node as usize], node)).collect();
        held.sort_unstable();
        held.chunk_by(|left, right| left.0 == right.0)
            .map(|held| {
                let (cluster, least) = held[0];
                (held.len(), minted_in == Some(cluster), std::cmp::Reverse(least), cluster)
            })
            .max()
            .map_or(NONE, |(_, _, _, cluster)| cluster)
    }
}

/// What each id means today. Chains of merges are halved at each round, so that 32 rounds suffice for any.
fn meanings(ids: &[Former]) -> Vec<u32> {
    let into = |(index, id): (u32, &Former)| match id.state {
        State::Merged(into) if (into as usize) < ids.len() => into,
        _ => index,
    };
    let mut meaning: Vec<u32> = (0..).zip(ids).map(into).collect();
    for _ in 0..u32::BITS {
        let next: Vec<u32> = meaning.iter().map(|&id| meaning[id as usize]).collect();
        if next == meaning {
            break;
        }
        meaning = next;
    }
    meaning
}

/// (cluster, id): the cluster gets no id from before, and some of its nodes were `id`, which went elsewhere. Ascending,
/// distinct.
fn splits(cluster_of: &[u32], memory: &Memory<'_>, former: &FormerNodes, goes_to: &[u32]) -> Vec<(u32, CustomerId)> {
    let mut claimed = vec![false; cluster_of.len()];
    for &cluster in goes_to.iter().filter(|&&cluster| cluster != NONE) {
        claimed[cluster as usize] = true;
    }
    let mut splits: Vec<(u32, CustomerId)> = cluster_of
        .iter()
        .zip(memory.last)
        .filter(|(cluster, id)| **id != NONE && !claimed[**cluster as usize])
        .map(|(&cluster, &id)| (cluster, memory.ids[former.meaning[id as usize] as usize].id))
        .collect();
    splits.sort_unstable();
    splits.dedup();
    splits
}

/// Mints ids that the ledger does not know.
struct Mint<'e> {
    entity: &'e str,
    /// Every id there is, from the first minting on. Looked up, never iterated.
    known: Option<HashSet<CustomerId>>,
}

impl Mint<'_> {
    fn mint(&mut self, ids: &[Former], (source, key): (&str, &str), minted: u32) -> (CustomerId, u32) {
        let known = self.known.get_or_insert_with(|| ids.iter().map(|id| id.id).collect());
        let mut ordinal = minted;
        loop {
            let id = CustomerId::minted(self.entity, source, key, ordinal);
            if known.insert(id) {
                return (id, ordinal);
            }
            ordinal = ordinal.wrapping_add(1);
        }
    }
}

#[cfg(test)]
#[path = "ids_tests.rs"]
mod tests;
