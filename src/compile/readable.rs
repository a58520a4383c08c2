//! Models as queries that a person can read and run (`cohorte compile`, `cohorte query`): what the engine computes in one
//! fused pass and one projection for all models is said here for one model alone. The rows are the same.
//!
//! These queries read `<source>_resolved` and the published tables.

use std::collections::BTreeSet;

use indexmap::IndexMap;

use super::layers::{condition, score_layers};
use super::passes::{Pass, passes_of, without_rows};
use super::{Clock, customer};
use crate::project::{Condition, Entity, Project, Score, Segment, Trait, TraitKind};
use crate::sql::{Select, ident, indent};

/// A trait: one row per customer that has rows, or SQL over everyone.
#[must_use]
pub fn of_trait(project: &Project, clock: &Clock, one: &Trait) -> Option<String> {
    let entity = project.entities.get(&one.entity)?;
    let id = ident(&entity.id());
    match &one.kind {
        TraitKind::Feature(feature) => {
            let mut query = Query::new(project, entity, clock);
            query.features(&BTreeSet::from([feature.clone()]), &format!("c.{id}"));
            Some(query.finish(
                &Select::from("features").column(&id, &entity.id()).column(ident(feature), &one.name),
                &[(feature, &one.name)],
            ))
        }
        TraitKind::Sql(sql, _) => {
            Some(Select::from(ident(&entity.name)).column(&id, &entity.id()).column(sql, &one.name).to_string())
        }
    }
}

/// A score: one row per customer.
#[must_use]
pub fn of_score(project: &Project, clock: &Clock, score: &Score) -> Option<String> {
    let entity = project.entities.get(&score.entity)?;
    let features = score.kind.features().into_iter().map(str::to_owned).collect();
    let mut query = Query::new(project, entity, clock);
    query.features(&features, &format!("c.{}", ident(&entity.id())));
    let mut previous = "features".to_owned();
    for (index, columns) in score_layers(project, entity, score).into_iter().enumerate() {
        let mut select = Select::from(&previous).column("*", "");
        for (name, sql) in columns {
            select = select.column(sql, &name);
        }
        previous = format!("layer_{}", index + 1);
        query.with(&previous, select.to_string());
    }
    let mut select = Select::from(previous).column(ident(&entity.id()), &entity.id());
    for (name, _) in score.columns() {
        select = select.column(ident(&name), &name);
    }
    Some(query.finish(&select, &[]))
}

/// A segment: the ids of its members, as its definition has them.
#[must_use]
pub fn of_segment(project: &Project, clock: &Clock, segment: &Segment) -> Option<String> {
    let entity = project.entities.get(&segment.entity)?;
    let mut query = Query::new(project, entity, clock);
    let mut features = BTreeSet::new();
    let mut others: IndexMap<String, ()> = IndexMap::new();
    needed(project, segment, &mut features, &mut others);
    query.features(&features, "c.*");
    // Those that are needed come first; the segment itself is last.
    for name in others.keys().filter(|name| **name != segment.name) {
        query.with(&in_segment(name), members(project, entity, &project.segments[name]));
    }
    Some(query.finish_with(&members(project, entity, segment), &[]))
}

fn in_segment(name: &str) -> String {
    format!("in_{name}")
}

fn members(project: &Project, entity: &Entity, segment: &Segment) -> String {
    let mut needs = BTreeSet::new();
    let mut condition = condition(&segment.when, &mut needs);
    let id = ident(&entity.id());
    for other in project.segments.keys() {
        let column = ident(&customer::membership(other));
        condition = condition.replace(&column, &format!("{id} in (select {id} from {})", ident(&in_segment(other))));
    }
    let select = Select::from("features").column(&id, &entity.id());
    let select = if segment.anonymous { select } else { select.filter("is_known") };
    select.filter(condition).to_string()
}

/// The features and segments that a segment needs, the innermost segments first.
fn needed(project: &Project, segment: &Segment, features: &mut BTreeSet<String>, segments: &mut IndexMap<String, ()>) {
    if segments.contains_key(&segment.name) {
        return;
    }
    let mut waiting = vec![&segment.when];
    while let Some(condition) = waiting.pop() {
        match condition {
            Condition::All(several) | Condition::Any(several) => waiting.extend(several),
            Condition::Not(one) => waiting.push(one),
            Condition::Count { feature, .. } => features.extend([feature.clone()]),
            Condition::In(name) => {
                if let Some(other) = project.segments.get(name) {
                    needed(project, other, features, segments);
                }
            }
            Condition::Sql(_) => {}
        }
    }
    segments.insert(segment.name.clone(), ());
}

/// A query under construction: named parts, then the statement that reads them.
struct Query<'a> {
    project: &'a Project,
    entity: &'a Entity,
    clock: &'a Clock,
    parts: Vec<(String, String)>,
    /// Ids of features and the names that stand for them.
    names: Vec<(String, String)>,
}

impl<'a> Query<'a> {
    fn new(project: &'a Project, entity: &'a Entity, clock: &'a Clock) -> Self {
        Self { project, entity, clock, parts: Vec::new(), names: Vec::new() }
    }

    fn with(&mut self, name: &str, sql: String) {
        self.parts.push((name.to_owned(), sql));
    }

    /// A part per pass, and `features`: every customer, with these columns with the features' values, 0 where there are no rows to count.
    fn features(&mut self, wanted: &BTreeSet<String>, columns: &str) {
        let id = ident(&self.entity.id());
        let mut select = Select::from(format!("{} as c", ident(&self.entity.name))).column(columns, "");
        for Pass { name, spec, readable, .. } in
            passes_of(self.project, self.entity, self.clock, |feature| wanted.contains(&feature.id))
        {
            // A name that no table has: the parts below read sources by their names.
            let part = format!("{name}_features");
            select = select.join(format!("left join {part} on {part}.{id} = c.{id}", part = ident(&part)));
            for (index, column) in spec.features.iter().enumerate() {
                self.names.push((column.name.clone(), format!("{name}_{}", index + 1)));
                let value = format!("{}.{}", ident(&part), ident(&column.name));
                select = match self.project.features.get(&column.name).and_then(without_rows) {
                    Some(zero) => select.column(format!("coalesce({value}, {zero})"), &column.name),
                    None => select.column(value, &column.name),
                };
            }
            self.with(&part, readable);
        }
        self.with("features", select.to_string());
    }

    fn finish(self, select: &Select, names: &[(&String, &String)]) -> String {
        self.finish_with(&select.to_string(), names)
    }

    fn finish_with(self, statement: &str, names: &[(&String, &String)]) -> String {
        let parts: Vec<String> =
            (self.parts.iter()).map(|(name, sql)| format!("{} as (\n{}\n)", ident(name), indent(sql))).collect();
        let mut sql =
            if parts.is_empty() { statement.to_owned() } else { format!("with {}\n{statement}", parts.join(",\n")) };
        // Ids of features are hashes, which nobody wants to read.
        for (id, name) in &self.names {
            let shown = names.iter().find(|(wanted, _)| *wanted == id).map_or(name, |(_, name)| name);
            let shown = if names.is_empty() { shown.clone() } else { format!("{shown}_value") };
            sql = sql.replace(&ident(id), &ident(&shown));
        }
        sql
    }
}
