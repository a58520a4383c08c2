//! Features of one relation, fused into one pass over it; and the same, said in readable SQL.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;

use super::golden;
use super::moment::{asks_the_clock, happened};
use super::pass::{PassFeature, PassSpec, Stream};
use super::sources::on_column;
use super::{Clock, Part};
use crate::project::{Entity, Fact, Feature, Project, Relation, golden_alias};
use crate::sql::{Aggregate, Select, ident, indent, text_literal};

/// One pass: what it reads, the columns that it is fed, and what it computes of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// Its name: that of the source or event.
    pub name: String,
    /// The entity.
    pub entity: String,
    /// The sources whose rows it reads, without those that they belong to; none where it reads the consents.
    pub sources: Vec<String>,
    /// The statement that feeds it: the id, `_time`, `_key`, `filter_0…`, `value_0…`.
    pub input: String,
    /// The same with the customer's place in the roster, `_place`, instead of the id: what a build runs, where rows know it.
    pub placed: String,
    /// What is computed.
    pub spec: PassSpec,
    /// By stream: what tells it from any other, whatever the moment. None of one that asks what time it is otherwise than by its
    /// windows, nor of one whose rows are no source's: what was seen for it says nothing later.
    pub keys: Vec<Option<String>>,
    /// The same result in readable SQL; a test runs both.
    pub readable: String,
}

/// What stands for the customer in rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// The id.
    Id,
    /// The place in the roster.
    Place,
}

impl Key {
    /// Its column in `<source>_resolved`.
    pub(super) fn resolved(self, entity: &Entity) -> String {
        match self {
            Self::Id => entity.resolved_id(),
            Self::Place => entity.resolved_place(),
        }
    }

    /// Its column in what feeds a pass.
    pub(super) fn column(self, entity: &Entity) -> String {
        match self {
            Self::Id => entity.id(),
            Self::Place => PLACE.to_owned(),
        }
    }
}

/// The column of places.
pub const PLACE: &str = "_place";

/// The passes of an entity that a part of the project needs, by the name of what they read.
#[must_use]
pub fn passes(project: &Project, entity: &Entity, clock: &Clock, part: &Part) -> Vec<Pass> {
    let wanted = part.features(project, entity);
    passes_of(project, entity, clock, |feature| wanted.contains(feature.id.as_str()))
}

/// The passes that these features need, and no others.
#[must_use]
pub fn passes_of(project: &Project, entity: &Entity, clock: &Clock, wanted: impl Fn(&Feature) -> bool) -> Vec<Pass> {
    let mut by_relation: BTreeMap<&Relation, Vec<&Feature>> = BTreeMap::new();
    for feature in project.features.iter().filter(|feature| feature.entity == entity.name && wanted(feature)) {
        by_relation.entry(&feature.relation).or_default().push(feature);
    }
    by_relation.into_iter().map(|(relation, features)| pass(project, entity, clock, relation, &features)).collect()
}

/// Which filter, which value, and what is computed of it.
type OneStream = (Option<usize>, Option<usize>, Aggregate);

fn pass(project: &Project, entity: &Entity, clock: &Clock, relation: &Relation, features: &[&Feature]) -> Pass {
    let mut filters: IndexMap<&str, ()> = IndexMap::new();
    let mut values: IndexMap<&str, ()> = IndexMap::new();
    for feature in features {
        filters.extend(feature.filter.as_deref().map(|filter| (filter, ())));
        values.extend(feature.value.as_ref().map(|(value, _)| (value.as_str(), ())));
    }
    // Equal (filter, value, aggregate) are one stream, seen through several windows.
    let mut streams: IndexMap<OneStream, BTreeSet<i64>> = IndexMap::new();
    let of = |feature: &Feature| {
        let filter = feature.filter.as_deref().and_then(|filter| filters.get_index_of(filter));
        let value = feature.value.as_ref().and_then(|(value, _)| values.get_index_of(value.as_str()));
        (filter, value, feature.aggregate)
    };
    let since = |feature: &Feature| feature.within.map_or(i64::MIN, |within| clock.since(within));
    for feature in features {
        streams.entry(of(feature)).or_default().insert(since(feature));
    }
    let columns = features.iter().map(|feature| {
        let key = of(feature);
        let stream = streams.get_index_of(&key).unwrap_or(0);
        let bounds = &streams[stream];
        let window = bounds.iter().rev().position(|bound| *bound == since(feature)).unwrap_or(0);
        PassFeature { name: feature.id.clone(), stream, window, data_type: feature.data_type }
    });
    let columns: Vec<PassFeature> = columns.collect();
    let key = |(stream, ((filter, value, aggregate), _)): (usize, (&OneStream, _))| {
        let own = columns.iter().zip(features).filter(|(column, _)| column.stream == stream);
        let own: Vec<&Feature> = own.map(|(_, feature)| *feature).collect();
        let windows: BTreeSet<(i64, String)> = own
            .iter()
            .map(|feature| (since(feature), feature.within.map_or_else(String::new, |w| w.to_string())))
            .collect();
        // In their order, since that may change; where they begin does, with time.
        let windows: Vec<String> = windows.into_iter().map(|(_, window)| window).collect();
        let rows = rows(project, entity, relation, &own, Key::Place).to_string();
        let at = |all: &IndexMap<&str, ()>, place: &Option<usize>| {
            place.and_then(|place| all.get_index(place)).map_or_else(String::new, |(sql, ())| (*sql).to_owned())
        };
        let says = format!("{rows}\0{}\0{}\0{aggregate:?}", at(&filters, filter), at(&values, value));
        (*relation != Relation::Consents && !asks_the_clock(&says)).then(|| key(&format!("{says}\0{windows:?}")))
    };
    let keys = streams.iter().enumerate().map(key).collect();
    let spec = PassSpec {
        features: columns,
        streams: streams
            .iter()
            .map(|((filter, value, aggregate), bounds)| Stream {
                filter: *filter,
                value: *value,
                order: None,
                aggregate: *aggregate,
                since: bounds.iter().rev().copied().collect(),
            })
            .collect(),
        n_filters: filters.len(),
    };
    let fed = |mut input: Select| {
        for (index, filter) in filters.keys().enumerate() {
            input = input.column(*filter, &format!("filter_{index}"));
        }
        for (index, value) in values.keys().enumerate() {
            input = input.column(*value, &format!("value_{index}"));
        }
        input.to_string()
    };
    let by_id = rows(project, entity, relation, features, Key::Id);
    let placed = fed(rows(project, entity, relation, features, Key::Place));
    let readable = readable(entity, &by_id, features, &since);
    let sources = match relation {
        Relation::Source(source) => vec![source.clone()],
        Relation::Event(event) => project.facts[event].sources.clone(),
        Relation::Consents => Vec::new(),
    };
    let (name, entity) = (name(relation), entity.name.clone());
    Pass { name, entity, sources, input: fed(by_id), placed, spec, keys, readable }
}

/// A short text that stands for a long one.
pub(super) fn key(says: &str) -> String {
    blake3::hash(says.as_bytes()).to_hex()[..16].to_owned()
}

fn name(relation: &Relation) -> String {
    match relation {
        Relation::Source(name) | Relation::Event(name) => name.clone(),
        Relation::Consents => "consents".into(),
    }
}

/// The rows of a relation that have a customer and happened by `as_of`.
fn rows(project: &Project, entity: &Entity, relation: &Relation, features: &[&Feature], key: Key) -> Select {
    let id = match (relation, key) {
        // The table of consents has one column for whoever a contact point belongs to.
        (Relation::Consents, Key::Id) => "e.\"customer_id\"".to_owned(),
        (Relation::Consents, Key::Place) => format!("cohorte_place_{}(e.\"customer_id\")", entity.name),
        _ => format!("e.{}", ident(&key.resolved(entity))),
    };
    let (from, timed) = match relation {
        Relation::Source(source) => (format!("{} as e", ident(&format!("{source}_resolved"))), true),
        Relation::Event(event) => {
            (format!("(\n{}\n) as e", indent(&parts_of_event(project, &project.facts[event], entity, key))), true)
        }
        Relation::Consents => ("consents as e".to_owned(), false),
    };
    let mut select = Select::from(from).column(&id, &key.column(entity));
    // Keys settle ties of time alone; to spell them for every row costs more than to count it.
    let is_ordered = features.iter().any(|feature| matches!(feature.aggregate, Aggregate::First | Aggregate::Last));
    if timed {
        select = select
            .column("e._time", "_time")
            .column(if is_ordered { "e._key" } else { "''" }, "_key")
            .filter(happened("e"));
    } else {
        select = select
            .column("arrow_cast(null, 'Timestamp(µs, \"UTC\")')", "_time")
            .column("''", "_key")
            .filter(format!("e.entity = {}", text_literal(&entity.name)));
    }
    let joined: BTreeSet<&String> = features.iter().flat_map(|feature| &feature.joins).collect();
    match relation {
        Relation::Source(source) => select.joins.extend(joins(project, source, |parent| joined.contains(parent))),
        Relation::Event(_) => {}
        Relation::Consents => {
            let golden = joined.iter().filter_map(|name| entity.attributes.get(*name));
            select.joins.extend(golden.map(|attribute| {
                let alias = ident(&golden_alias(&attribute.name));
                let table = ident(&golden::table(entity, attribute));
                format!("left join {table} as {alias} on {alias}.{} = e.\"customer_id\"", ident(&entity.id()))
            }));
        }
    }
    // Who has a place needs no filter: a pass leaves out who has none.
    if key == Key::Id { select.filter(format!("{id} is not null")) } else { select }
}

/// Joins of the sources that the rows of `e` belong to.
fn joins(project: &Project, source: &str, wanted: impl Fn(&String) -> bool) -> Vec<String> {
    let parents = project.sources[source].parents.iter().filter(|parent| wanted(&parent.source));
    let join = parents.map(|parent| {
        let alias = ident(&parent.source);
        let on = parent.on.iter().enumerate().map(|(index, (theirs, _))| {
            format!("{alias}.{} = e.{}", ident(theirs), ident(&on_column(&parent.source, index)))
        });
        format!("left join {alias} as {alias} on {}", on.collect::<Vec<_>>().join(" and "))
    });
    join.collect()
}

/// The rows of an event that several sources record; a key carries its source's name, so that ties have one order.
#[must_use]
pub fn event_rows(project: &Project, fact: &Fact, entity: &Entity) -> String {
    parts_of_event(project, fact, entity, Key::Id)
}

fn parts_of_event(project: &Project, fact: &Fact, entity: &Entity, key: Key) -> String {
    let parts = fact.parts.iter().map(|part| {
        let id = key.resolved(entity);
        let mut select = Select::from(format!("{} as e", ident(&format!("{}_resolved", part.source))))
            .column(format!("e.{}", ident(&id)), &id)
            .column("e._time", "_time")
            .column(format!("concat({}, e._key)", text_literal(&format!("{}:", part.source))), "_key");
        for (name, sql) in &part.columns {
            select = select.column(sql, name);
        }
        if let Some(filter) = &part.filter {
            select = select.filter(filter);
        }
        select.joins = joins(project, &part.source, |parent| part.joins.contains(parent));
        select.to_string()
    });
    parts.collect::<Vec<_>>().join("\nunion all\n")
}

fn readable(entity: &Entity, rows: &Select, features: &[&Feature], since: &dyn Fn(&Feature) -> i64) -> String {
    let id = ident(&entity.id());
    let mut inner = rows.clone();
    for (index, feature) in features.iter().enumerate() {
        let mut conditions: Vec<String> = feature.filter.iter().cloned().collect();
        if since(feature) > i64::MIN {
            conditions.push(format!("e._time >= {}", instant(since(feature))));
        }
        let condition = if conditions.is_empty() {
            "true".into()
        } else {
            format!("coalesce({}, false)", conditions.join(" and "))
        };
        inner = inner.column(condition, &format!("when_{index}"));
        if let Some((value, _)) = &feature.value {
            inner = inner.column(value, &format!("value_{index}"));
        }
    }
    let from = format!("(\n{}\n) as e", indent(&inner.to_string()));
    let mut select = Select::from(&from).column(&id, &entity.id());
    let mut modes = Vec::new();
    for (index, feature) in features.iter().enumerate() {
        let (when, value) = (format!("when_{index}"), format!("value_{index}"));
        let filter = format!("filter (where {when} and {value} is not null)");
        let sql = match feature.aggregate {
            Aggregate::Count => format!("count(*) filter (where {when})"),
            Aggregate::CountDistinct => format!("count(distinct {value}) {filter}"),
            Aggregate::Sum => format!("coalesce({}, 0)", double(&format!("sum({value}) {filter}"))),
            Aggregate::Avg => {
                format!("{} / nullif(count({value}) {filter}, 0)", double(&format!("sum({value}) {filter}")))
            }
            Aggregate::Min => format!("min({value}) {filter}"),
            Aggregate::Max => format!("max({value}) {filter}"),
            Aggregate::First => format!("first_value({value} order by _time nulls last, _key) {filter}"),
            Aggregate::Last => format!("last_value({value} order by _time nulls first, _key) {filter}"),
            Aggregate::Mode => {
                modes.push((feature, when, value));
                continue;
            }
        };
        select = select.column(sql, &feature.id);
    }
    select = select.group(&id);
    if modes.is_empty() {
        return select.to_string();
    }
    // SQL has no mode with a rule for ties: each is counted, then ranked.
    let mut whole = Select::from(format!("(\n{}\n) as a", indent(&select.to_string()))).column("a.*", "");
    for (index, (feature, when, value)) in modes.into_iter().enumerate() {
        let counted = format!(
            "select {id}, {value} as v, count(*) as n\nfrom {from}\nwhere {when} and {value} is not null\ngroup by {id}, {value}"
        );
        let picked = format!(
            "select {id}, first_value(v order by n desc, v) as v\nfrom (\n{}\n) as counted\ngroup by {id}",
            indent(&counted)
        );
        whole = whole
            .join(format!("left join (\n{}\n) as m_{index} on m_{index}.{id} = a.{id}", indent(&picked)))
            .column(format!("m_{index}.v"), &feature.id);
    }
    whole.to_string()
}

/// The double nearest to a decimal. A direct cast rounds twice; by way of text it rounds once.
fn double(decimal: &str) -> String {
    format!("cast(cast({decimal} as varchar) as double)")
}

/// An instant as a literal of the engine.
#[must_use]
pub fn instant(micros: i64) -> String {
    let text = chrono::DateTime::from_timestamp_micros(micros)
        .map(|instant| instant.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true));
    format!("arrow_cast('{}', 'Timestamp(µs, \"UTC\")')", text.unwrap_or_default())
}

/// A feature's value where the customer has no row at all.
#[must_use]
pub fn without_rows(feature: &Feature) -> Option<&'static str> {
    match feature.aggregate {
        Aggregate::Count | Aggregate::CountDistinct => Some("cast(0 as bigint)"),
        Aggregate::Sum => Some("cast(0 as double)"),
        _ => None,
    }
}
