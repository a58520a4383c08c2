//! What identity knows of each customer, as `compile::customer::base` says in SQL: a list of one's addresses is cheap to make while
//! everything is still numbered.

use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, ListBuilder, RecordBatch, StringBuilder};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::common::stats::Precision;
use datafusion::error::Result;

use super::columns::{instants, truths, wholes};
use super::finder::Finder;
use super::gather::Seen;
use super::outcome::Outcome;
use super::partition::Partition;
use crate::engine::made::{Rows, batch};
use crate::project::Entity;
use crate::spec::ColumnType;

/// The columns of `<entity>_base`.
#[must_use]
pub fn base_schema(entity: &Entity) -> SchemaRef {
    let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let list = DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)));
    Arc::new(Schema::new(vec![
        Field::new(entity.id(), DataType::Utf8, true),
        Field::new("is_known", DataType::Boolean, true),
        Field::new("first_seen_at", instant.clone(), true),
        Field::new("last_seen_at", instant, true),
        Field::new("n_records", DataType::Int64, true),
        Field::new("emails", list.clone(), true),
        Field::new("phones", list, true),
    ]))
}

/// `<entity>_base`, by customer. Costs 36 bytes per customer and 4 per address.
pub(super) struct Base {
    of: Arc<Outcome>,
    finder: Finder,
    seen: Vec<Seen>,
    /// How many of the customer's nodes are records.
    records: Vec<u32>,
    emails: Addresses,
    phones: Addresses,
}

impl Base {
    pub(super) fn of(outcome: &Arc<Outcome>, finder: &Finder) -> Self {
        let (entity, partition) = (&outcome.telling.entity, &outcome.partition);
        let place = |node: u32| finder.place(node) as usize;
        let customers = finder.roster().len();
        let mut seen = vec![Seen::NEVER; customers];
        let mut records = vec![0_u32; customers];
        for (node, here) in (0_u32..).zip(&partition.seen) {
            let place = place(node);
            seen[place] = seen[place].and(*here);
            records[place] += u32::from(!outcome.is_link(node));
        }
        let emails = Addresses::of(entity, partition, ColumnType::Email, customers, place);
        let phones = Addresses::of(entity, partition, ColumnType::Phone, customers, place);
        Self { of: Arc::clone(outcome), finder: finder.clone(), seen, records, emails, phones }
    }
}

impl Rows for Base {
    fn schema(&self) -> SchemaRef {
        base_schema(&self.of.telling.entity)
    }

    fn things(&self) -> usize {
        self.records.len()
    }

    fn count(&self) -> Precision<usize> {
        Precision::Exact(self.records.len())
    }

    fn make(&self, things: Range<usize>, columns: &[usize]) -> Result<RecordBatch> {
        let (seen, records) = (|| self.seen[things.clone()].iter(), || self.records[things.clone()].iter());
        batch(&self.schema(), columns, things.len(), |column| match column {
            0 => self.finder.roster().texts(things.clone()),
            1 => truths(records().map(|records| *records > 0)),
            2 => instants(seen().map(|seen| seen.first())),
            3 => instants(seen().map(|seen| seen.last())),
            4 => wholes(records().map(|records| Some(i64::from(*records)))),
            5 => self.emails.column(&self.of.partition, things.clone()),
            _ => self.phones.column(&self.of.partition, things.clone()),
        })
    }
}

/// The values of one semantic type, by customer.
struct Addresses {
    /// Where those of each customer end.
    ends: Vec<u32>,
    /// In the order of their texts.
    values: Vec<u32>,
}

impl Addresses {
    fn of(
        entity: &Entity,
        partition: &Partition,
        kind: ColumnType,
        customers: usize,
        place: impl Fn(u32) -> usize,
    ) -> Self {
        let evidence = &partition.built.evidence;
        let is_meant: Vec<bool> = evidence
            .types
            .iter()
            .map(|one| entity.identifiers.iter().any(|rule| rule.name == one.name && rule.kind == Some(kind)))
            .collect();
        let meant = || {
            let of_values = evidence.occurrences.chunk_by(|left, right| left.0 == right.0);
            of_values.filter(|of_value| is_meant[usize::from(evidence.type_of_value[of_value[0].0 as usize])])
        };
        let holders = |of_value: &[(u32, u32)]| {
            let mut places: Vec<usize> = of_value.iter().map(|&(_, node)| place(node)).collect();
            places.sort_unstable();
            places.dedup();
            places
        };
        let mut ends = vec![0_u32; customers];
        for of_value in meant() {
            for place in holders(of_value) {
                ends[place] += 1;
            }
        }
        let mut total = 0;
        for end in &mut ends {
            // For now where those of the customer begin; filling them in moves it to where they end.
            (*end, total) = (total, total + *end);
        }
        let mut values = vec![0_u32; total as usize];
        for of_value in meant() {
            for place in holders(of_value) {
                values[ends[place] as usize] = of_value[0].0;
                ends[place] += 1;
            }
        }
        let mut addresses = Self { ends, values };
        if is_meant.iter().filter(|meant| **meant).count() > 1 {
            addresses.sort(partition);
        }
        addresses
    }

    /// Values ascend by type, then by text: those of several types are put into one order.
    fn sort(&mut self, partition: &Partition) {
        let text = |value: &u32| partition.built.values.text(*value);
        for place in 0..self.ends.len() {
            let (from, to) = self.range(place);
            self.values[from..to].sort_by(|left, right| text(left).cmp(text(right)));
        }
    }

    fn range(&self, place: usize) -> (usize, usize) {
        let from = if place == 0 { 0 } else { self.ends[place - 1] };
        (from as usize, self.ends[place] as usize)
    }

    /// Null where a customer has none.
    fn column(&self, partition: &Partition, places: Range<usize>) -> ArrayRef {
        let mut lists = ListBuilder::with_capacity(StringBuilder::new(), places.len());
        for place in places {
            let (from, to) = self.range(place);
            for &value in &self.values[from..to] {
                lists.values().append_value(partition.built.values.text(value));
            }
            lists.append(to > from);
        }
        Arc::new(lists.finish())
    }
}
