//! Facts: what `did:` and the aggregates may name. A source, an event that a source declares, or an event of several sources.

use std::collections::BTreeSet;

use indexmap::IndexMap;

use super::fact_scope::FactScope;
use super::parents::known_source;
use super::{Project, personal};
use crate::diag::{Finding, Findings};
use crate::spec::{EventSource, Spec};
use crate::sql::{DataType, SqlText, bind, bind_value, ident};
use crate::text::{Files, Span};

/// What a pass reads once, for all features over it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Relation {
    /// A source.
    Source(String),
    /// An event that several sources record.
    Event(String),
    /// The current consents.
    Consents,
}

/// Something that customers did or have, row by row.
#[derive(Debug, Clone)]
pub struct Fact {
    /// Its name.
    pub name: String,
    /// Where the name is written.
    pub span: Span,
    /// What is read.
    pub relation: Relation,
    /// Which rows of it, as SQL over `e`.
    pub filter: Option<String>,
    /// Parents that are joined for the filter.
    pub joins: BTreeSet<String>,
    /// Its columns.
    pub columns: IndexMap<String, FactColumn>,
    /// Does it say when?
    pub has_time: bool,
    /// The sources that it reads.
    pub sources: Vec<String>,
    /// Of an event of several sources: SQL of each.
    pub parts: Vec<EventPart>,
}

/// A column of a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactColumn {
    /// SQL over the relation, which is `e`.
    pub sql: String,
    /// Its type.
    pub data_type: DataType,
    /// Does it hold personal data?
    pub personal: bool,
    /// Parents that are joined to read it.
    pub joins: BTreeSet<String>,
}

/// One source of an event of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPart {
    /// The source.
    pub source: String,
    /// Which rows, over `e`.
    pub filter: Option<String>,
    /// The event's columns in order, over `e`.
    pub columns: Vec<(String, String)>,
    /// Parents that are joined to read them.
    pub joins: BTreeSet<String>,
}

pub(super) fn resolve(files: &Files, spec: &Spec, project: &mut Project, findings: &mut Findings) {
    let mut facts: IndexMap<String, Fact> = IndexMap::new();
    for source in project.sources.values() {
        let fact = source_fact(project, &source.name);
        if let Some((column, names)) = &source.event {
            for (name, span) in names {
                let filter = format!("(e.{} = {})", ident(column), crate::sql::text_literal(name));
                let declared = Fact { name: name.clone(), span: *span, filter: Some(filter), ..fact.clone() };
                insert(&mut facts, declared, findings);
            }
        }
        insert(&mut facts, fact, findings);
    }
    let mut broken = Vec::new();
    for named in spec.events.values() {
        if let Some(fact) = event(files, project, &named.name, named.span, &named.spec.from, findings) {
            insert(&mut facts, fact, findings);
        } else {
            broken.push(named.name.clone());
        }
    }
    project.facts = facts;
    project.broken.extend(broken);
}

fn insert(facts: &mut IndexMap<String, Fact>, fact: Fact, findings: &mut Findings) {
    if let Some(first) = facts.get(&fact.name) {
        let finding = Finding::error("E104", format!("`{}` names two things that customers do", fact.name))
            .at(fact.span)
            .label("named again")
            .also(first.span, "named here first")
            .help("sources, events and the names that `event:` declares share one namespace: `did:` must be clear");
        findings.add(finding);
        return;
    }
    facts.insert(fact.name.clone(), fact);
}

fn source_fact(project: &Project, name: &str) -> Fact {
    let source = &project.sources[name];
    let columns = source.columns.iter().map(|(name, column)| {
        let sql = format!("e.{}", ident(name));
        (
            name.clone(),
            FactColumn { sql, data_type: column.data_type, personal: source.is_personal(name), joins: BTreeSet::new() },
        )
    });
    Fact {
        name: name.to_owned(),
        span: source.span,
        relation: Relation::Source(name.to_owned()),
        filter: None,
        joins: BTreeSet::new(),
        columns: columns.collect(),
        has_time: has_time(project, name, 0),
        sources: vec![name.to_owned()],
        parts: Vec::new(),
    }
}

/// A source has a time of its own or inherits one.
fn has_time(project: &Project, source: &str, depth: usize) -> bool {
    project.sources.get(source).is_some_and(|source| {
        source.time.is_some()
            || (depth < 8 && source.parents.iter().any(|parent| has_time(project, &parent.source, depth + 1)))
    })
}

fn event(
    files: &Files,
    project: &Project,
    name: &str,
    span: Span,
    from: &[EventSource],
    findings: &mut Findings,
) -> Option<Fact> {
    let mut parts: Vec<(EventPart, IndexMap<String, FactColumn>)> = Vec::new();
    let mut whole = true;
    if from.is_empty() {
        findings.add(Finding::error("E102", format!("the event `{name}` names no source")).at(span));
    }
    for written in from {
        let Some(source) = known_source(project, &written.source.value, written.source.span, findings) else {
            whole = false;
            continue;
        };
        let fact = source_fact(project, &source.name);
        let scope = FactScope { project, fact: &fact };
        let filter = written
            .filter
            .as_ref()
            .map(|filter| bind(SqlText::new(files, filter), &scope, Some(DataType::Boolean), findings));
        let mut columns = fact.columns.clone();
        for (column, value) in written.columns.iter() {
            match bind_value(files, value, &scope, findings) {
                Some(bound) => {
                    let personal =
                        bound.data_type != DataType::Boolean && personal::of_fact(project, &fact, &bound.reads);
                    let joins = parents_of(&bound.reads);
                    columns.insert(
                        column.value.clone(),
                        FactColumn { sql: bound.sql, data_type: bound.data_type, personal, joins },
                    );
                }
                None => whole = false,
            }
        }
        let (filter, joins) = match filter {
            Some(None) => {
                whole = false;
                (None, BTreeSet::new())
            }
            Some(Some(bound)) => (Some(bound.sql), parents_of(&bound.reads)),
            None => (None, BTreeSet::new()),
        };
        parts.push((EventPart { source: source.name.clone(), filter, columns: Vec::new(), joins }, columns));
    }
    if !whole || parts.is_empty() {
        return None;
    }
    let sources: Vec<String> = parts.iter().map(|(part, _)| part.source.clone()).collect();
    let timed = sources.iter().all(|source| has_time(project, source, 0));
    if let [(part, columns)] = parts.as_slice() {
        let fact = Fact {
            name: name.to_owned(),
            span,
            relation: Relation::Source(part.source.clone()),
            filter: part.filter.clone(),
            joins: part.joins.clone(),
            columns: columns.clone(),
            has_time: timed,
            sources,
            parts: Vec::new(),
        };
        return Some(fact);
    }
    // Several sources: the columns that all have, with one type.
    let mut columns = IndexMap::new();
    for (column, first) in &parts[0].1 {
        let others: Option<Vec<&FactColumn>> = parts[1..].iter().map(|(_, columns)| columns.get(column)).collect();
        let Some(others) = others else { continue };
        let Some(data_type) = others.iter().try_fold(first.data_type, |sofar, other| wider(sofar, other.data_type))
        else {
            let written = from.iter().any(|part| part.columns.get(column).is_some());
            if written {
                let message = format!(
                    "the column `{column}` of the event `{name}` has different types: {} and {}",
                    first.data_type,
                    others.iter().map(|other| other.data_type.to_string()).collect::<Vec<_>>().join(", ")
                );
                findings.add(
                    Finding::error("E204", message)
                        .at(span)
                        .help("convert it with `cast(… as …)` in one of the sources"),
                );
            }
            continue;
        };
        columns.insert(
            column.clone(),
            FactColumn {
                sql: format!("e.{}", ident(column)),
                data_type,
                personal: first.personal || others.iter().any(|other| other.personal),
                joins: BTreeSet::new(),
            },
        );
    }
    // Columns that only some sources have are an error only where they were written for the event.
    for part in from {
        for (column, _) in part.columns.iter() {
            if !columns.contains_key(&column.value) && !parts.iter().all(|(_, own)| own.contains_key(&column.value)) {
                let message =
                    format!("the column `{}` is not given by every source of the event `{name}`", column.value);
                findings
                    .add(Finding::error("E115", message).at(column.span).help("name it in every source's `columns`"));
            }
        }
    }
    let parts = parts
        .into_iter()
        .map(|(part, own)| {
            let columns = columns.iter().map(|(column, wanted)| {
                let own = &own[column];
                let sql = if own.data_type == wanted.data_type {
                    own.sql.clone()
                } else {
                    format!("cast({} as {})", own.sql, super::sources::sql_type(wanted.data_type))
                };
                (column.clone(), sql)
            });
            let columns: Vec<(String, String)> = columns.collect();
            let read = columns.iter().flat_map(|(column, _)| own[column].joins.iter().cloned());
            let joins = part.joins.iter().cloned().chain(read).collect();
            EventPart { columns, joins, ..part }
        })
        .collect();
    Some(Fact {
        name: name.to_owned(),
        span,
        relation: Relation::Event(name.to_owned()),
        filter: None,
        joins: BTreeSet::new(),
        columns,
        has_time: timed,
        sources,
        parts,
    })
}

/// The parents among what an expression reads.
pub(super) fn parents_of(reads: &BTreeSet<String>) -> BTreeSet<String> {
    reads.iter().filter_map(|read| read.split_once('.').map(|(parent, _)| parent.to_owned())).collect()
}

fn wider(left: DataType, right: DataType) -> Option<DataType> {
    match (left, right) {
        _ if left == right => Some(left),
        (DataType::Unknown, other) | (other, DataType::Unknown) => Some(other),
        _ if left.is_number() && right.is_number() => Some(if left == DataType::Number || right == DataType::Number {
            DataType::Number
        } else {
            DataType::Decimal
        }),
        _ => None,
    }
}
