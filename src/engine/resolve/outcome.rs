//! What the partition and the ledger come to: clusters with names, and what the tables of an entity are made of.

use std::collections::BTreeMap;

use super::memory::Ledger;
use super::partition::Partition;
use super::report::{DroppedValues, Report};
use crate::engine::identity::{CustomerId, Junk, LedgerEvent, Names, Reason, name};
use crate::project::Entity;
use crate::spec::Role;

/// What the rows say beside their contents.
pub(super) struct Telling {
    pub(super) entity: Entity,
    pub(super) run_id: String,
    /// Microseconds.
    pub(super) at: i64,
}

/// The named clusters. Costs 10 bytes per node beside the partition and the ledger.
pub(super) struct Outcome {
    pub(super) telling: Telling,
    pub(super) partition: Partition,
    pub(super) ledger: Ledger,
    pub(super) names: Names,
    /// By node.
    customer_of: Vec<CustomerId>,
    /// By the nodes' groups, which are sources: is it one of link sources?
    is_link: Vec<bool>,
}

impl Outcome {
    /// Bytes that it takes beside the partition and the ledger, and who finds customers by it: per node its customer, and its place.
    pub(super) fn size_of(nodes: u32) -> usize {
        nodes as usize * (size_of::<CustomerId>() + 4 + size_of::<(CustomerId, u32)>())
    }

    /// Names the clusters.
    pub(super) fn of(telling: Telling, partition: Partition, ledger: Ledger) -> Self {
        let nodes = &partition.built.nodes;
        let cluster_of = &partition.clustering.cluster_of;
        let node_name = |node: u32| (nodes.group_name(node), nodes.text(node));
        let names = name(&telling.entity.name, cluster_of, &ledger.memory(), node_name);
        // Both ascend by the least node of a cluster, which is the first of its nodes that is come by.
        let mut customer_of: Vec<CustomerId> = Vec::with_capacity(cluster_of.len());
        let mut ids = names.ids.iter();
        for (node, &cluster) in (0_u32..).zip(cluster_of) {
            let known = if cluster == node { ids.next().copied() } else { customer_of.get(cluster as usize).copied() };
            customer_of.extend(known);
        }
        let is_link = nodes
            .groups()
            .iter()
            .map(|source| telling.entity.source(source).is_some_and(|source| source.role == Role::Link));
        let is_link = is_link.collect();
        Self { telling, partition, ledger, names, customer_of, is_link }
    }

    pub(super) fn source(&self, node: u32) -> &str {
        self.partition.built.nodes.group_name(node)
    }

    pub(super) fn key(&self, node: u32) -> &str {
        self.partition.built.nodes.text(node)
    }

    pub(super) fn kind(&self, value: u32) -> &str {
        self.partition.built.values.group_name(value)
    }

    pub(super) fn value(&self, value: u32) -> &str {
        self.partition.built.values.text(value)
    }

    pub(super) fn customer(&self, node: u32) -> CustomerId {
        self.customer_of[node as usize]
    }

    /// Is the node a tuple of a link source, and no record?
    pub(super) fn is_link(&self, node: u32) -> bool {
        self.is_link[usize::from(self.partition.built.nodes.group(node))]
    }

    pub(super) fn refused_for(&self, reason: Reason) -> String {
        match reason {
            Reason::NeverAcross(scope) => {
                let column = self.telling.entity.never_across.get(usize::from(scope));
                format!("never_across {}", column.map_or("", String::as_str))
            }
            Reason::PerCustomer(kind) => {
                format!("per_customer {}", self.partition.built.evidence.types[usize::from(kind)].name)
            }
        }
    }

    pub(super) fn report(&self) -> Report {
        let Partition { built, clustering, refused, .. } = &self.partition;
        let mut report = Report { customers: self.names.clusters.len() as u64, ..Report::default() };
        let mut is_known = vec![false; clustering.cluster_of.len()];
        let mut by_source = vec![0_u64; self.is_link.len()];
        for (node, &cluster) in (0_u32..).zip(&clustering.cluster_of) {
            by_source[usize::from(built.nodes.group(node))] += 1;
            is_known[cluster as usize] |= !self.is_link(node);
        }
        let of_sources = built.nodes.groups().iter().cloned().zip(by_source);
        report.nodes = of_sources.filter(|(_, count)| *count > 0).collect();
        report.known = is_known.into_iter().filter(|&known| known).count() as u64;
        for refused in refused {
            *report.refused.entry(self.refused_for(refused.reason)).or_default() += 1;
        }
        let mut dropped: BTreeMap<(u16, &str), (u64, u64)> = BTreeMap::new();
        for value in &built.dropped {
            let (values, links) = dropped.entry((value.kind, dropped_for(value.reason))).or_default();
            *values += 1;
            *links += u64::from(value.nodes);
        }
        let named = dropped.into_iter().map(|((kind, reason), (values, links))| DroppedValues {
            identifier: built.evidence.types[usize::from(kind)].name.clone(),
            reason: reason.to_owned(),
            values,
            links,
        });
        report.dropped = named.collect();
        for event in &self.names.events {
            let count = match event {
                LedgerEvent::Minted { .. } => &mut report.minted,
                LedgerEvent::Split { .. } => &mut report.split,
                LedgerEvent::Merged { .. } => &mut report.merged,
                LedgerEvent::Retired { .. } => &mut report.retired,
                LedgerEvent::Returned { .. } => &mut report.returned,
            };
            *count += 1;
        }
        report
    }
}

/// Why a value identifies nobody.
pub(super) fn dropped_for(reason: Junk) -> &'static str {
    match reason {
        Junk::Empty => "empty",
        Junk::Ignored(_) => "ignored",
        Junk::Shared => "shared",
    }
}
