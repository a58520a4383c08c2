//! The golden record: which value of each attribute survives.

use std::collections::BTreeSet;

use indexmap::IndexMap;

use super::moment::{asks_the_clock, happened};
use super::pass::{PassFeature, PassSpec, Stream};
use super::passes::{Key, Pass, key};
use crate::project::{Attribute, Entity, Project};
use crate::spec::Pick;
use crate::sql::{Aggregate, DataType, Select, ident, indent};

/// The name of the table that holds an attribute.
#[must_use]
pub fn table(entity: &Entity, attribute: &Attribute) -> String {
    match attribute.pick {
        Pick::MostFrequent => format!("{}_golden_{}", entity.name, attribute.name),
        _ => format!("{}_golden", entity.name),
    }
}

/// One row per customer with every attribute but those picked by frequency, which have a statement each.
#[must_use]
pub fn relation(project: &Project, entity: &Entity) -> Option<String> {
    let picked: Vec<&Attribute> =
        entity.attributes.values().filter(|attribute| attribute.pick != Pick::MostFrequent).collect();
    if picked.is_empty() {
        return None;
    }
    let id = ident(&entity.id());
    let rows = union(project, entity, &picked, Key::Id);
    let mut select = Select::from(format!("(\n{}\n) as rows", indent(&rows))).column(&id, &entity.id());
    for attribute in &picked {
        let (value, rank) = (ident(&attribute.name), ident(&format!("_rank_{}", attribute.name)));
        let order = match attribute.pick {
            Pick::SourceOrder => format!("{rank}, _at desc nulls last, _key, {value}"),
            _ => format!("_at desc nulls last, {rank}, _key, {value}"),
        };
        select = select.column(
            format!("first_value({value} order by {order}) filter (where {value} is not null)"),
            &attribute.name,
        );
    }
    Some(select.filter(format!("{id} is not null")).group(&id).to_string())
}

/// The same as [`relation`], as a pass. `None` also where there is an attribute that a pass cannot carry.
#[must_use]
pub fn pass(project: &Project, entity: &Entity) -> Option<Pass> {
    let readable = relation(project, entity)?;
    let picked: Vec<&Attribute> =
        entity.attributes.values().filter(|attribute| attribute.pick != Pick::MostFrequent).collect();
    if picked.iter().any(|attribute| attribute.data_type == DataType::TextList) {
        return None;
    }
    let mut values: IndexMap<String, ()> = IndexMap::new();
    let mut spec = PassSpec { streams: Vec::new(), features: Vec::new(), n_filters: 0 };
    for attribute in picked.iter().copied() {
        let (value, _) = values.insert_full(ident(&attribute.name), ());
        // Attributes that come from the same sources in the same order share the column that orders their rows.
        let ranks: Vec<&str> = attribute.from.iter().map(|(source, _)| source.as_str()).collect();
        let same = picked.iter().find(|other| {
            other.pick == attribute.pick
                && other.from.iter().map(|(source, _)| source.as_str()).eq(ranks.iter().copied())
        });
        let rank = ident(&format!("_rank_{}", same.map_or(&attribute.name, |same| &same.name)));
        let (order, _) = values.insert_full(order(attribute.pick, &rank), ());
        spec.features.push(PassFeature {
            name: attribute.name.clone(),
            stream: spec.streams.len(),
            window: 0,
            data_type: attribute.data_type,
        });
        spec.streams.push(Stream {
            filter: None,
            value: Some(value),
            order: Some(order),
            aggregate: Aggregate::First,
            since: vec![i64::MIN],
        });
    }
    let input = |key: Key| {
        let id = ident(&key.column(entity));
        let mut input = Select::from(format!("(\n{}\n) as rows", indent(&union(project, entity, &picked, key))))
            .column(&id, &key.column(entity))
            .column("arrow_cast(null, 'Timestamp(µs, \"UTC\")')", "_time")
            .column("_key", "_key");
        if key == Key::Id {
            input = input.filter(format!("{id} is not null"));
        }
        for (index, value) in values.keys().enumerate() {
            input = input.column(value, &format!("value_{index}"));
        }
        input.to_string()
    };
    let name = format!("{}_golden", entity.name);
    let (sources, input, placed) = (sources(&picked), input(Key::Id), input(Key::Place));
    let key = |stream: usize| (!asks_the_clock(&placed)).then(|| key(&format!("{placed}\0{stream}")));
    let keys = (0..spec.streams.len()).map(key).collect();
    Some(Pass { name, entity: entity.name.clone(), sources, input, placed, spec, keys, readable })
}

/// The order of [`relation`] as one whole number, less for better: the time in microseconds, the latest first, and which source
/// it is. Times more than two thousand years from now count as the last of them, sources beyond the thirtieth as one.
fn order(pick: Pick, rank: &str) -> String {
    let (rank, last) = (format!("least({rank}, 31)"), 1_i64 << 56);
    let age = format!("greatest(least(-arrow_cast(_at, 'Int64'), {last}), -{last})");
    match pick {
        Pick::SourceOrder => {
            format!("{rank} * {} + coalesce({age} + {}, {})", 1_i64 << 58, 1_i64 << 57, (1_i64 << 58) - 1)
        }
        _ => format!("coalesce({age}, {}) * 32 + {rank}", (1_i64 << 57) - 1),
    }
}

/// One row per customer: the value that most rows carry; ties go to the most recent, then to the first in `from`.
#[must_use]
pub fn most_frequent(project: &Project, entity: &Entity, attribute: &Attribute) -> String {
    let id = ident(&entity.id());
    let (value, rank) = (ident(&attribute.name), ident(&format!("_rank_{}", attribute.name)));
    let rows = union(project, entity, &[attribute], Key::Id);
    let counted = Select::from(format!("(\n{}\n) as rows", indent(&rows)))
        .column(&id, &entity.id())
        .column(&value, &attribute.name)
        .column("count(*)", "_n")
        .column("max(_at)", "_last")
        .column(format!("min({rank})"), "_rank")
        .filter(format!("{id} is not null"))
        .filter(format!("{value} is not null"))
        .group(&id)
        .group(&value);
    Select::from(format!("(\n{}\n) as counted", indent(&counted.to_string())))
        .column(&id, &entity.id())
        .column(
            format!("first_value({value} order by _n desc, _last desc nulls last, _rank, {value})"),
            &attribute.name,
        )
        .group(&id)
        .to_string()
}

/// The sources that attributes are read from.
#[must_use]
pub fn sources(attributes: &[&Attribute]) -> Vec<String> {
    let all: BTreeSet<&String> =
        attributes.iter().flat_map(|attribute| &attribute.from).map(|(source, _)| source).collect();
    all.into_iter().cloned().collect()
}

/// The rows of every source that an attribute is read from. Several columns of one source count in their order: the first
/// that is there.
fn union(project: &Project, entity: &Entity, attributes: &[&Attribute], key: Key) -> String {
    let parts = sources(attributes).into_iter().map(|name| {
        let source = &project.sources[&name];
        let at = source.updated_at.as_ref().map_or("_time".to_owned(), |column| ident(column));
        let mut part = Select::from(ident(&format!("{name}_resolved")))
            .column(ident(&key.resolved(entity)), &key.column(entity))
            .column("_key", "_key")
            .column(at, "_at");
        for attribute in attributes {
            let own: Vec<String> =
                attribute.from.iter().filter(|(source, _)| *source == name).map(|(_, column)| ident(column)).collect();
            let rank = attribute.from.iter().position(|(source, _)| *source == name);
            let null = format!("cast(null as {})", type_name(attribute));
            let value = match own.as_slice() {
                [] => null,
                [one] => one.clone(),
                many => format!("coalesce({})", many.join(", ")),
            };
            part = part
                .column(value, &attribute.name)
                .column(format!("cast({} as bigint)", rank.unwrap_or(0)), &format!("_rank_{}", attribute.name));
        }
        if source.time.is_some() {
            part = part.filter(happened(""));
        }
        part.to_string()
    });
    parts.collect::<Vec<_>>().join("\nunion all\n")
}

fn type_name(attribute: &Attribute) -> &'static str {
    crate::project::sql_type(attribute.data_type)
}
