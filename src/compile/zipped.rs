//! The customer as a build computes it: what is known of each stands side by side already, in one relation that needs no join.

use super::Part;
use super::customer::{OF_EVERYONE, beside, carried, features, layered, picked};
use super::golden;
use super::layers::{Layers, score_layers};
use super::passes::{Pass, without_rows};
use crate::project::{Entity, Project, Score, ScoreKind};
use crate::sql::{Select, ident, indent};

/// The name of the relation with all columns of the base, the golden record, the passes and the ranks.
#[must_use]
pub fn name(entity: &Entity) -> String {
    format!("{}_zipped", entity.name)
}

/// As [`super::customer::wide`], over [`name`]. Only a golden record that is no pass is joined.
#[must_use]
pub fn wide(project: &Project, entity: &Entity, passes: &[Pass], part: &Part) -> String {
    let layers = Layers::of(project, entity, part, |score| !is_ranked(score));
    layered(project, entity, part, &first(project, entity, passes, part), layers)
}

/// A score that compares everybody with everybody: its columns for each customer, in the order of ids. It reads a few columns of
/// [`name`], and what it holds in memory is as narrow. `None` for scores that look at one customer at a time.
#[must_use]
pub fn ranks(project: &Project, entity: &Entity, score: &Score) -> Option<String> {
    if !is_ranked(score) {
        return None;
    }
    let id = ident(&entity.id());
    let mut select = Select::from(format!("{} as b", ident(&name(entity)))).column(format!("b.{id}"), &entity.id());
    for feature in score.kind.features() {
        let value = format!("b.{}", ident(feature));
        select = match project.features.get(feature).and_then(without_rows) {
            Some(zero) => select.column(format!("coalesce({value}, {zero})"), feature),
            None => select.column(value, feature),
        };
    }
    for columns in score_layers(project, entity, score) {
        let mut next = Select::from(format!("(\n{}\n) as s", indent(&select.to_string()))).column("*", "");
        for (name, sql) in columns {
            next = next.column(sql, &name);
        }
        select = next;
    }
    let mut ranked = Select::from(format!("(\n{}\n) as s", indent(&select.to_string()))).column(&id, &entity.id());
    for (name, _) in score.columns() {
        ranked = ranked.column(ident(&name), &name);
    }
    Some(format!("{ranked}\norder by {id}"))
}

fn is_ranked(score: &Score) -> bool {
    matches!(score.kind, ScoreKind::Rfm(_))
}

fn first(project: &Project, entity: &Entity, passes: &[Pass], part: &Part) -> String {
    let mut select = Select::from(format!("{} as b", ident(&name(entity))));
    let ranked = project.scores.values().filter(|score| score.entity == entity.name && part.computes(&score.name));
    let ranked = ranked.filter(|score| is_ranked(score)).flat_map(Score::columns).map(|(name, _)| name);
    for name in std::iter::once(entity.id()).chain(OF_EVERYONE.map(str::to_owned)).chain(ranked) {
        select = select.column(format!("b.{}", ident(&name)), &name);
    }
    let is_sql = golden::pass(project, entity).is_none() && golden::relation(project, entity).is_some();
    if is_sql {
        select = select.join(beside(entity, &format!("{}_golden", entity.name), "g"));
    }
    select = picked(select, entity, if is_sql { "g" } else { "b" });
    for pass in passes {
        select = features(select, project, entity, pass, part, "b");
    }
    carried(select, project, entity, part)
}
