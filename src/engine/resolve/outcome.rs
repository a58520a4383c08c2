//! The tables of an entity, from its partition and the ledger.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, ListBuilder, RecordBatch, StringArray, StringBuilder};
use datafusion::arrow::datatypes::{DataType, Field};

use super::base::base;
use super::columns::{batches, instants, some_texts, texts, truths, wholes};
use super::devices::{Device, devices};
use super::gather::Seen;
use super::memory::Ledger;
use super::partition::Partition;
use super::report::{DroppedValues, Report};
use super::{Resolved, merged_schema};
use crate::diag::Result;
use crate::engine::identity::{CustomerId, Junk, LedgerEvent, Names, Reason, name};
use crate::project::Entity;
use crate::spec::Role;
use crate::store;

/// What the rows say beside their contents.
pub(super) struct Telling {
    pub(super) entity: Entity,
    pub(super) run_id: String,
    /// Microseconds.
    pub(super) at: i64,
}

/// Names the clusters and makes the tables.
pub(super) fn tables(telling: &Telling, partition: &Partition, ledger: &Ledger) -> Result<Resolved> {
    let nodes = &partition.built.nodes;
    let cluster_of = &partition.clustering.cluster_of;
    let node_name = |node: u32| (nodes.group_name(node), nodes.text(node));
    let names = name(&telling.entity.name, cluster_of, &ledger.memory(), node_name);
    let place = |cluster: &u32| names.clusters.partition_point(|other| other < cluster);
    let customer_of: Vec<CustomerId> = cluster_of.iter().map(|cluster| names.ids[place(cluster)]).collect();
    let outcome = Outcome { telling, partition, ledger, names: &names, customer_of };
    Ok(Resolved {
        records: outcome.records()?,
        identifiers: outcome.identifiers()?,
        links: outcome.links()?,
        contested: outcome.contested()?,
        nodes: outcome.nodes()?,
        events: outcome.events()?,
        merged: outcome.merged()?,
        base: outcome.base()?,
        report: outcome.report(),
    })
}

struct Outcome<'a> {
    telling: &'a Telling,
    partition: &'a Partition,
    ledger: &'a Ledger,
    names: &'a Names,
    /// By node.
    customer_of: Vec<CustomerId>,
}

/// A customer's identifier.
struct Held {
    value: u32,
    /// The least of the customer's nodes that carry it, one per source, ascending.
    nodes: Vec<u32>,
    seen: Seen,
    is_home: bool,
}

impl Outcome<'_> {
    fn entity(&self) -> &str {
        &self.telling.entity.name
    }

    fn source(&self, node: u32) -> &str {
        self.partition.built.nodes.group_name(node)
    }

    fn key(&self, node: u32) -> &str {
        self.partition.built.nodes.text(node)
    }

    fn kind(&self, value: u32) -> &str {
        self.partition.built.values.group_name(value)
    }

    fn value(&self, value: u32) -> &str {
        self.partition.built.values.text(value)
    }

    fn customer(&self, node: u32) -> CustomerId {
        self.customer_of[node as usize]
    }

    /// The role of each node's source, for sources in the order of the nodes' groups.
    fn is_link(&self) -> Vec<bool> {
        let mut is_link = Vec::new();
        for node in 0..self.partition.built.nodes.len() {
            let group = usize::from(self.partition.built.nodes.group(node));
            if group >= is_link.len() {
                is_link.resize(group + 1, false);
                let source = self.telling.entity.source(self.source(node));
                is_link[group] = source.is_some_and(|source| source.role == Role::Link);
            }
        }
        is_link
    }

    fn records(&self) -> Result<Vec<RecordBatch>> {
        let table = store::records(self.entity());
        let is_link = self.is_link();
        let role = |node: u32| {
            if is_link[usize::from(self.partition.built.nodes.group(node))] { "link" } else { "record" }
        };
        let seen = |node: &u32| self.partition.seen[*node as usize];
        batches(&table.name, &table.schema, 0..self.partition.built.nodes.len(), |nodes: &[u32]| {
            vec![
                texts(nodes.iter().map(|&node| self.source(node))),
                texts(nodes.iter().map(|&node| self.key(node))),
                texts(nodes.iter().map(|&node| role(node))),
                texts(nodes.iter().map(|&node| self.customer(node))),
                instants(nodes.iter().map(|node| seen(node).first())),
                instants(nodes.iter().map(|node| seen(node).last())),
                texts(nodes.iter().map(|_| &self.telling.run_id)),
            ]
        })
    }

    fn identifiers(&self) -> Result<Vec<RecordBatch>> {
        let table = store::identifiers(self.entity());
        let of_values = self.partition.built.evidence.occurrences.chunk_by(|left, right| left.0 == right.0);
        let rows = of_values.flat_map(|of_value| self.held(of_value));
        batches(&table.name, &table.schema, rows, |rows: &[Held]| {
            vec![
                texts(rows.iter().map(|row| self.customer(row.nodes[0]))),
                texts(rows.iter().map(|row| self.kind(row.value))),
                texts(rows.iter().map(|row| self.value(row.value))),
                instants(rows.iter().map(|row| row.seen.first())),
                instants(rows.iter().map(|row| row.seen.last())),
                lists(rows.iter().map(|row| row.nodes.iter().map(|&node| self.source(node)))),
                truths(rows.iter().map(|row| row.is_home)),
            ]
        })
    }

    /// Who has a value, by least node.
    fn held(&self, of_value: &[(u32, u32)]) -> Vec<Held> {
        let Partition { built, clustering, seen, .. } = self.partition;
        let mut nodes: Vec<(u32, u32)> =
            of_value.iter().map(|&(_, node)| (clustering.cluster_of[node as usize], node)).collect();
        nodes.sort_unstable();
        let value = of_value[0].0;
        let held = nodes.chunk_by(|left, right| left.0 == right.0).map(|of_customer| {
            let mut nodes: Vec<u32> = of_customer.iter().map(|&(_, node)| node).collect();
            nodes.dedup_by_key(|node| built.nodes.group(*node));
            let seen = of_customer.iter().fold(Seen::NEVER, |all, &(_, node)| all.and(seen[node as usize]));
            Held { value, nodes, seen, is_home: clustering.home_of_value[value as usize] == of_customer[0].0 }
        });
        held.collect()
    }

    fn links(&self) -> Result<Vec<RecordBatch>> {
        let table = store::links(self.entity());
        let Partition { built, .. } = self.partition;
        let linked = built.evidence.occurrences.iter().map(|&(value, node)| {
            (value, node, self.partition.refusal(value, node).map(|refused| self.refused_for(refused.reason)))
        });
        let junk = built.junk.iter().map(|&(value, node)| {
            let found = built.dropped.binary_search_by_key(&value, |dropped| dropped.value);
            let reason = found.map_or("dropped", |at| dropped_for(built.dropped[at].reason));
            (value, node, Some(reason.to_owned()))
        });
        let rows = linked.chain(junk);
        batches(&table.name, &table.schema, rows, |rows: &[(u32, u32, Option<String>)]| {
            vec![
                texts(rows.iter().map(|&(_, node, _)| self.source(node))),
                texts(rows.iter().map(|&(_, node, _)| self.key(node))),
                texts(rows.iter().map(|&(value, _, _)| format!("type:{}", self.kind(value)))),
                texts(rows.iter().map(|&(value, _, _)| self.value(value))),
                texts(rows.iter().map(|&(value, _, _)| self.kind(value))),
                Arc::new(Float64Array::from(vec![1.0; rows.len()])),
                Arc::new(StringArray::new_null(rows.len())),
                truths(rows.iter().map(|(_, _, cut)| cut.is_none())),
                some_texts(rows.iter().map(|(_, _, cut)| cut.as_deref())),
            ]
        })
    }

    fn refused_for(&self, reason: Reason) -> String {
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

    fn contested(&self) -> Result<Vec<RecordBatch>> {
        let table = store::contested(self.entity());
        let is_link = self.is_link();
        let devices = devices(self.partition, |node| is_link[usize::from(self.partition.built.nodes.group(node))]);
        batches(&table.name, &table.schema, devices.into_iter(), |rows: &[Device]| {
            vec![
                texts(rows.iter().map(|row| self.source(row.node))),
                texts(rows.iter().map(|row| self.key(row.node))),
                texts(rows.iter().map(|row| self.kind(row.value))),
                texts(rows.iter().map(|row| self.value(row.value))),
                truths(rows.iter().map(|row| row.settles)),
                texts(rows.iter().map(|row| self.customer(row.node))),
            ]
        })
    }

    fn nodes(&self) -> Result<Vec<RecordBatch>> {
        struct Row<'a> {
            source: &'a str,
            key: &'a str,
            id: CustomerId,
            mints: u32,
            present: bool,
        }
        let table = store::nodes(self.entity());
        let mut mints = self.ledger.mints.clone();
        for event in &self.names.events {
            if let LedgerEvent::Minted { node, ordinal, .. } = *event {
                mints[node as usize] = ordinal.saturating_add(1);
            }
        }
        let present = (0_u32..).zip(&mints).map(|(node, &mints)| Row {
            source: self.source(node),
            key: self.key(node),
            id: self.customer(node),
            mints,
            present: true,
        });
        let gone = self.ledger.gone.iter().map(|gone| Row {
            source: &gone.source,
            key: &gone.key,
            id: gone.id,
            mints: gone.mints,
            present: false,
        });
        batches(&table.name, &table.schema, present.chain(gone), |rows: &[Row<'_>]| {
            vec![
                texts(rows.iter().map(|row| row.source)),
                texts(rows.iter().map(|row| row.key)),
                texts(rows.iter().map(|row| row.id)),
                wholes(rows.iter().map(|row| Some(i64::from(row.mints)))),
                truths(rows.iter().map(|row| row.present)),
            ]
        })
    }

    fn events(&self) -> Result<Vec<RecordBatch>> {
        struct Row<'a> {
            id: CustomerId,
            event: &'static str,
            into: Option<CustomerId>,
            /// Source, key, ordinal, sequence.
            mint: Option<(&'a str, &'a str, u32, i64)>,
        }
        let table = store::ids(self.entity());
        let mut sequence = self.ledger.next;
        let mut rows = Vec::with_capacity(self.names.events.len());
        for event in &self.names.events {
            let (id, event, into) = match *event {
                LedgerEvent::Minted { id, node, ordinal } => {
                    let mint = Some((self.source(node), self.key(node), ordinal, sequence));
                    sequence += 1;
                    rows.push(Row { id, event: "minted", into: None, mint });
                    continue;
                }
                LedgerEvent::Split { id, from } => (from, "split", Some(id)),
                LedgerEvent::Merged { id, into } => (id, "merged", Some(into)),
                LedgerEvent::Retired { id } => (id, "retired", None),
                LedgerEvent::Returned { id } => (id, "returned", None),
            };
            rows.push(Row { id, event, into, mint: None });
        }
        batches(&table.name, &table.schema, rows.into_iter(), |rows: &[Row<'_>]| {
            let into: Vec<Option<String>> = rows.iter().map(|row| row.into.map(|id| id.to_string())).collect();
            vec![
                texts(rows.iter().map(|row| row.id)),
                texts(rows.iter().map(|row| row.event)),
                some_texts(into.iter().map(Option::as_deref)),
                some_texts(rows.iter().map(|row| row.mint.map(|(source, ..)| source))),
                some_texts(rows.iter().map(|row| row.mint.map(|(_, key, ..)| key))),
                wholes(rows.iter().map(|row| row.mint.map(|(_, _, ordinal, _)| i64::from(ordinal)))),
                wholes(rows.iter().map(|row| row.mint.map(|(_, _, _, sequence)| sequence))),
                instants(rows.iter().map(|_| Some(self.telling.at))),
                texts(rows.iter().map(|_| &self.telling.run_id)),
            ]
        })
    }

    fn merged(&self) -> Result<Vec<RecordBatch>> {
        let rows = self.names.events.iter().filter_map(|event| match *event {
            LedgerEvent::Merged { id, into } => Some((id, into)),
            _ => None,
        });
        batches("merged_ids", &merged_schema(), rows, |rows: &[(CustomerId, CustomerId)]| {
            vec![texts(rows.iter().map(|row| row.0)), texts(rows.iter().map(|row| row.1))]
        })
    }

    fn base(&self) -> Result<Vec<RecordBatch>> {
        let is_link = self.is_link();
        let is_link = |node| is_link[usize::from(self.partition.built.nodes.group(node))];
        base(&self.telling.entity, self.partition, &self.names.clusters, &self.names.ids, is_link)
    }

    fn report(&self) -> Report {
        let Partition { built, clustering, refused, .. } = self.partition;
        let mut report = Report { customers: self.names.clusters.len() as u64, ..Report::default() };
        let mut is_known = vec![false; clustering.cluster_of.len()];
        let is_link = self.is_link();
        let mut by_source = vec![0_u64; is_link.len()];
        for (node, &cluster) in (0_u32..).zip(&clustering.cluster_of) {
            let group = usize::from(built.nodes.group(node));
            by_source[group] += 1;
            is_known[cluster as usize] |= !is_link[group];
            if by_source[group] == 1 {
                report.nodes.insert(self.source(node).to_owned(), 0);
            }
        }
        // Groups and names ascend together.
        for (count, n) in report.nodes.values_mut().zip(by_source.into_iter().filter(|&n| n > 0)) {
            *count = n;
        }
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

fn dropped_for(reason: Junk) -> &'static str {
    match reason {
        Junk::Empty => "empty",
        Junk::Ignored(_) => "ignored",
        Junk::Shared => "shared",
    }
}

/// Lists of texts, as tables hold them.
fn lists<'a>(rows: impl Iterator<Item = impl Iterator<Item = &'a str>>) -> ArrayRef {
    let element = Field::new("element", DataType::Utf8, true);
    let mut lists = ListBuilder::new(StringBuilder::new()).with_field(element);
    for row in rows {
        row.for_each(|text| lists.values().append_value(text));
        lists.append(true);
    }
    Arc::new(lists.finish())
}
