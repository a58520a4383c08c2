//! The tables of an entity, column by column, out of the named clusters. Their columns are those of `store::entity_tables`, in order.

use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, ListBuilder, RecordBatch, StringArray, StringBuilder};
use datafusion::arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion::common::stats::Precision;
use datafusion::error::Result;

use super::columns::{ids, instants, some_ids, some_texts, texts, truths, wholes};
use super::devices::{Device, devices};
use super::holders::Holders;
use super::merged_schema;
use super::outcome::{Outcome, dropped_for};
use crate::engine::identity::{CustomerId, LedgerEvent};
use crate::engine::made::{Rows, batch};
use crate::store;

/// `<entity>_records`, by node.
pub(super) struct Records(pub(super) Arc<Outcome>);

impl Rows for Records {
    fn schema(&self) -> SchemaRef {
        store::records(&self.0.telling.entity.name).schema
    }

    fn things(&self) -> usize {
        self.0.partition.seen.len()
    }

    fn count(&self) -> Precision<usize> {
        Precision::Exact(self.things())
    }

    fn make(&self, things: Range<usize>, columns: &[usize]) -> Result<RecordBatch> {
        let of = &self.0;
        let nodes = || things.start as u32..things.end as u32;
        let seen = |node: u32| of.partition.seen[node as usize];
        batch(&self.schema(), columns, things.len(), |column| match column {
            0 => texts(nodes().map(|node| of.source(node))),
            1 => texts(nodes().map(|node| of.key(node))),
            2 => texts(nodes().map(|node| if of.is_link(node) { "link" } else { "record" })),
            3 => ids(nodes().map(|node| of.customer(node))),
            4 => instants(nodes().map(|node| seen(node).first())),
            5 => instants(nodes().map(|node| seen(node).last())),
            _ => texts(nodes().map(|_| of.telling.run_id.as_str())),
        })
    }
}

/// `<entity>_identifiers`, by value.
pub(super) struct Identifiers(pub(super) Arc<Outcome>);

impl Rows for Identifiers {
    fn schema(&self) -> SchemaRef {
        store::identifiers(&self.0.telling.entity.name).schema
    }

    fn things(&self) -> usize {
        self.0.partition.built.values.len() as usize
    }

    /// Most values have one holder.
    fn count(&self) -> Precision<usize> {
        Precision::Inexact(self.things())
    }

    fn make(&self, things: Range<usize>, columns: &[usize]) -> Result<RecordBatch> {
        let of = &self.0;
        let holders = Holders::of(&of.partition, things.start as u32..things.end as u32);
        let rows = || holders.rows.iter();
        batch(&self.schema(), columns, holders.rows.len(), |column| match column {
            0 => ids(rows().map(|row| of.customer(row.node))),
            1 => texts(rows().map(|row| of.kind(row.value))),
            2 => texts(rows().map(|row| of.value(row.value))),
            3 => instants(rows().map(|row| row.seen.first())),
            4 => instants(rows().map(|row| row.seen.last())),
            5 => lists(rows().map(|row| holders.nodes[row.nodes.clone()].iter().map(|&node| of.source(node)))),
            _ => truths(rows().map(|row| row.is_home)),
        })
    }
}

/// `<entity>_links`, by occurrence; then those of values that identify nobody.
pub(super) struct Links(pub(super) Arc<Outcome>);

impl Links {
    /// The value and the node of a link, and why it is cut.
    fn link(&self, place: usize) -> (u32, u32, Option<String>) {
        let (of, built) = (&self.0, &self.0.partition.built);
        if let Some(&(value, node)) = built.evidence.occurrences.get(place) {
            let refused = of.partition.refusal(value, node);
            return (value, node, refused.map(|refused| of.refused_for(refused.reason)));
        }
        let (value, node) = built.junk[place - built.evidence.occurrences.len()];
        let found = built.dropped.binary_search_by_key(&value, |dropped| dropped.value);
        let reason = found.map_or("dropped", |at| dropped_for(built.dropped[at].reason));
        (value, node, Some(reason.to_owned()))
    }
}

impl Rows for Links {
    fn schema(&self) -> SchemaRef {
        store::links(&self.0.telling.entity.name).schema
    }

    fn things(&self) -> usize {
        self.0.partition.built.evidence.occurrences.len() + self.0.partition.built.junk.len()
    }

    fn count(&self) -> Precision<usize> {
        Precision::Exact(self.things())
    }

    fn make(&self, things: Range<usize>, columns: &[usize]) -> Result<RecordBatch> {
        let of = &self.0;
        let links: Vec<(u32, u32, Option<String>)> = things.map(|place| self.link(place)).collect();
        let nodes = || links.iter().map(|link| link.1);
        let values = || links.iter().map(|link| link.0);
        batch(&self.schema(), columns, links.len(), |column| match column {
            0 => texts(nodes().map(|node| of.source(node))),
            1 => texts(nodes().map(|node| of.key(node))),
            2 => {
                let kinds: Vec<String> = values().map(|value| format!("type:{}", of.kind(value))).collect();
                texts(kinds.iter().map(String::as_str))
            }
            3 => texts(values().map(|value| of.value(value))),
            4 => texts(values().map(|value| of.kind(value))),
            5 => Arc::new(Float64Array::from(vec![1.0; links.len()])),
            6 => Arc::new(StringArray::new_null(links.len())),
            7 => truths(links.iter().map(|(_, _, cut)| cut.is_none())),
            _ => some_texts(links.iter().map(|(_, _, cut)| cut.as_deref())),
        })
    }
}

/// `<entity>_contested`.
pub(super) struct ContestedRows {
    of: Arc<Outcome>,
    devices: Vec<Device>,
}

impl ContestedRows {
    pub(super) fn of(outcome: &Arc<Outcome>) -> Self {
        let devices = devices(&outcome.partition, |node| outcome.is_link(node));
        Self { of: Arc::clone(outcome), devices }
    }
}

impl Rows for ContestedRows {
    fn schema(&self) -> SchemaRef {
        store::contested(&self.of.telling.entity.name).schema
    }

    fn things(&self) -> usize {
        self.devices.len()
    }

    fn count(&self) -> Precision<usize> {
        Precision::Exact(self.devices.len())
    }

    fn make(&self, things: Range<usize>, columns: &[usize]) -> Result<RecordBatch> {
        let of = &self.of;
        let rows = || self.devices[things.clone()].iter();
        batch(&self.schema(), columns, things.len(), |column| match column {
            0 => texts(rows().map(|row| of.source(row.node))),
            1 => texts(rows().map(|row| of.key(row.node))),
            2 => texts(rows().map(|row| of.kind(row.value))),
            3 => texts(rows().map(|row| of.value(row.value))),
            4 => truths(rows().map(|row| row.settles)),
            _ => ids(rows().map(|row| of.customer(row.node))),
        })
    }
}

/// `<entity>_nodes`, by node; then those that are gone.
pub(super) struct Nodes {
    of: Arc<Outcome>,
    /// By node: how often it has minted.
    mints: Vec<u32>,
}

impl Nodes {
    pub(super) fn of(outcome: &Arc<Outcome>) -> Self {
        let mut mints = outcome.ledger.mints.clone();
        for event in &outcome.names.events {
            if let LedgerEvent::Minted { node, ordinal, .. } = *event {
                mints[node as usize] = ordinal.saturating_add(1);
            }
        }
        Self { of: Arc::clone(outcome), mints }
    }
}

impl Rows for Nodes {
    fn schema(&self) -> SchemaRef {
        store::nodes(&self.of.telling.entity.name).schema
    }

    fn things(&self) -> usize {
        self.mints.len() + self.of.ledger.gone.len()
    }

    fn count(&self) -> Precision<usize> {
        Precision::Exact(self.things())
    }

    fn make(&self, things: Range<usize>, columns: &[usize]) -> Result<RecordBatch> {
        let (of, present) = (&self.of, self.mints.len());
        let nodes = || things.start.min(present) as u32..things.end.min(present) as u32;
        let gone = || of.ledger.gone[things.start.max(present) - present..things.end.max(present) - present].iter();
        batch(&self.schema(), columns, things.len(), |column| match column {
            0 => texts(nodes().map(|node| of.source(node)).chain(gone().map(|gone| gone.source.as_str()))),
            1 => texts(nodes().map(|node| of.key(node)).chain(gone().map(|gone| gone.key.as_str()))),
            2 => ids(nodes().map(|node| of.customer(node)).chain(gone().map(|gone| gone.id))),
            3 => {
                let mints = nodes().map(|node| self.mints[node as usize]).chain(gone().map(|gone| gone.mints));
                wholes(mints.map(|mints| Some(i64::from(mints))))
            }
            _ => truths(things.clone().map(|place| place < present)),
        })
    }
}

/// New rows of `<entity>_ids`, by event.
pub(super) struct Events {
    of: Arc<Outcome>,
    /// By event: how many ids were minted before it.
    minted: Vec<u32>,
}

impl Events {
    pub(super) fn of(outcome: &Arc<Outcome>) -> Self {
        let minted = outcome.names.events.iter().scan(0, |count, event| {
            let before = *count;
            *count += u32::from(matches!(event, LedgerEvent::Minted { .. }));
            Some(before)
        });
        Self { of: Arc::clone(outcome), minted: minted.collect() }
    }
}

impl Rows for Events {
    fn schema(&self) -> SchemaRef {
        store::ids(&self.of.telling.entity.name).schema
    }

    fn things(&self) -> usize {
        self.minted.len()
    }

    fn count(&self) -> Precision<usize> {
        Precision::Exact(self.things())
    }

    fn make(&self, things: Range<usize>, columns: &[usize]) -> Result<RecordBatch> {
        let of = &self.of;
        let events = || of.names.events[things.clone()].iter().copied();
        let mint = |event| match event {
            LedgerEvent::Minted { node, ordinal, .. } => Some((node, ordinal)),
            _ => None,
        };
        let sequence = |(event, minted): (LedgerEvent, &u32)| mint(event).map(|_| of.ledger.next + i64::from(*minted));
        batch(&self.schema(), columns, things.len(), |column| match column {
            0 => ids(events().map(|event| told(event).0)),
            1 => texts(events().map(|event| told(event).1)),
            2 => some_ids(events().map(|event| told(event).2)),
            3 => some_texts(events().map(|event| mint(event).map(|(node, _)| of.source(node)))),
            4 => some_texts(events().map(|event| mint(event).map(|(node, _)| of.key(node)))),
            5 => wholes(events().map(|event| mint(event).map(|(_, ordinal)| i64::from(ordinal)))),
            6 => wholes(events().zip(&self.minted[things.clone()]).map(sequence)),
            7 => instants(events().map(|_| Some(of.telling.at))),
            _ => texts(events().map(|_| of.telling.run_id.as_str())),
        })
    }
}

/// The id that an event is of, its name, and the other id.
fn told(event: LedgerEvent) -> (CustomerId, &'static str, Option<CustomerId>) {
    match event {
        LedgerEvent::Minted { id, .. } => (id, "minted", None),
        LedgerEvent::Split { id, from } => (from, "split", Some(id)),
        LedgerEvent::Merged { id, into } => (id, "merged", Some(into)),
        LedgerEvent::Retired { id } => (id, "retired", None),
        LedgerEvent::Returned { id } => (id, "returned", None),
    }
}

/// The ids that this run merged into others.
pub(super) struct Merged(Vec<(CustomerId, CustomerId)>);

impl Merged {
    pub(super) fn of(outcome: &Outcome) -> Self {
        let merged = outcome.names.events.iter().filter_map(|event| match *event {
            LedgerEvent::Merged { id, into } => Some((id, into)),
            _ => None,
        });
        Self(merged.collect())
    }
}

impl Rows for Merged {
    fn schema(&self) -> SchemaRef {
        merged_schema()
    }

    fn things(&self) -> usize {
        self.0.len()
    }

    fn count(&self) -> Precision<usize> {
        Precision::Exact(self.0.len())
    }

    fn make(&self, things: Range<usize>, columns: &[usize]) -> Result<RecordBatch> {
        let rows = || self.0[things.clone()].iter();
        batch(&self.schema(), columns, things.len(), |column| match column {
            0 => ids(rows().map(|row| row.0)),
            _ => ids(rows().map(|row| row.1)),
        })
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
