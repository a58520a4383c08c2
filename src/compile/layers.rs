//! Traits, scores and segments in layers of one projection: each needs only what earlier layers give.

use std::collections::{BTreeMap, BTreeSet};

use super::Part;
use super::customer::membership;
use crate::project::{Condition, Entity, Project, Score, ScoreKind, TraitKind};
use crate::sql::ident;

/// The columns of one score over its features, in layers: each needs only what earlier layers give.
pub(super) fn score_layers(project: &Project, entity: &Entity, score: &Score) -> Vec<Vec<(String, String)>> {
    let mut layers = Layers::new(project, entity);
    layers.score(score);
    layers.layers
}

/// Traits, scores and segments sorted into layers: each needs only what earlier layers give.
pub(super) struct Layers<'a> {
    project: &'a Project,
    entity: &'a Entity,
    level: BTreeMap<String, usize>,
    layers: Vec<Vec<(String, String)>>,
}

impl<'a> Layers<'a> {
    fn new(project: &'a Project, entity: &'a Entity) -> Self {
        Self { project, entity, level: BTreeMap::new(), layers: Vec::new() }
    }

    /// What a part of the project needs.
    pub(super) fn all(project: &'a Project, entity: &'a Entity, part: &Part) -> Vec<Vec<(String, String)>> {
        Self::of(project, entity, part, |_| true)
    }

    /// The same; of scores only some, whose columns the others are found beside.
    pub(super) fn of(
        project: &'a Project,
        entity: &'a Entity,
        part: &Part,
        scores: impl Fn(&Score) -> bool,
    ) -> Vec<Vec<(String, String)>> {
        let mut layers = Self::new(project, entity);
        for score in project.scores.values().filter(|one| one.entity == entity.name && part.computes(&one.name)) {
            if scores(score) {
                layers.score(score);
            }
        }
        layers.take(part)
    }

    fn take(&mut self, part: &Part) -> Vec<Vec<(String, String)>> {
        let (project, entity) = (self.project, self.entity);
        for one in project.traits.values().filter(|one| one.entity == entity.name && part.computes(&one.name)) {
            if let TraitKind::Sql(sql, reads) = &one.kind {
                self.add(&one.name, sql.clone(), reads.iter().map(String::as_str));
            }
        }
        for segment in project.segments.values().filter(|segment| segment.entity == entity.name) {
            if part.segments.contains(&segment.name) {
                continue;
            }
            let mut needs: BTreeSet<String> = segment.reads.iter().cloned().collect();
            let mut condition = condition(&segment.when, &mut needs);
            if !segment.anonymous {
                condition = format!("(is_known and {condition})");
            }
            self.add(&membership(&segment.name), condition, needs.iter().map(String::as_str));
        }
        std::mem::take(&mut self.layers)
    }

    fn add<'n>(&mut self, name: &str, sql: String, needs: impl Iterator<Item = &'n str>) {
        let level = needs.filter_map(|need| self.level.get(need)).max().map_or(0, |level| level + 1);
        self.level.insert(name.to_owned(), level);
        if self.layers.len() <= level {
            self.layers.resize_with(level + 1, Vec::new);
        }
        self.layers[level].push((name.to_owned(), sql));
    }

    fn score(&mut self, score: &Score) {
        match &score.kind {
            ScoreKind::Points(rules) => {
                let terms: Vec<String> = rules
                    .iter()
                    .map(|rule| format!("cast({:?} as double) * {}", rule.points, ident(&rule.feature)))
                    .collect();
                // Rounded once: what is left of the binary fractions is no information.
                self.add(&score.name, format!("round({}, 6)", terms.join(" + ")), std::iter::empty());
            }
            ScoreKind::Rfm(rfm) => {
                let id = ident(&self.entity.id());
                let (last, count, sum) = (ident(&rfm.last), ident(&rfm.count), ident(&rfm.sum));
                let zone = &self.project.settings.timezone;
                let day = format!("cohorte_local_date({last}, '{zone}')");
                let someone = format!("{count} > 0");
                let tier = |order: &str| {
                    format!(
                        "case when {someone} then 1 + cast(floor({tiers} * (row_number() over (partition by {someone} order by {order}, {id}) - 1) / count(*) over (partition by {someone})) as bigint) end",
                        tiers = rfm.tiers
                    )
                };
                let parts = [("recency", tier(&day)), ("frequency", tier(&count)), ("monetary", tier(&sum))];
                let names: Vec<String> = parts.iter().map(|(part, _)| format!("{}_{part}", score.name)).collect();
                for ((_, sql), name) in parts.into_iter().zip(&names) {
                    self.add(name, sql, std::iter::empty());
                }
                let digits: Vec<String> =
                    names.iter().map(|name| format!("cast({} as varchar)", ident(name))).collect();
                let sql = format!("case when {someone} then {} end", digits.join(" || "));
                self.add(&score.name, sql, names.iter().map(String::as_str));
            }
        }
    }
}

/// A condition as SQL that is never null: a leaf that compares with null is false, and `not` then inverts it.
pub(super) fn condition(when: &Condition, needs: &mut BTreeSet<String>) -> String {
    match when {
        Condition::All(several) => joined(several, " and ", "true", needs),
        Condition::Any(several) => joined(several, " or ", "false", needs),
        Condition::Not(one) => format!("(not {})", condition(one, needs)),
        Condition::Count { feature, min, max } => {
            let column = ident(feature);
            match max {
                Some(max) => format!("({column} between {min} and {max})"),
                None => format!("({column} >= {min})"),
            }
        }
        Condition::In(segment) => {
            let column = membership(segment);
            let sql = ident(&column);
            needs.insert(column);
            sql
        }
        Condition::Sql(sql) => format!("coalesce({sql}, false)"),
    }
}

fn joined(several: &[Condition], word: &str, none: &str, needs: &mut BTreeSet<String>) -> String {
    match several {
        [] => none.to_owned(),
        [one] => condition(one, needs),
        many => format!("({})", many.iter().map(|one| condition(one, needs)).collect::<Vec<_>>().join(word)),
    }
}
