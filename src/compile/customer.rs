//! The customer: golden record, features, then traits, scores and segments as layers of one projection.

use std::collections::{BTreeMap, BTreeSet};

use super::Part;
use super::layers::Layers;
use super::passes::{Pass, without_rows};
use crate::project::{Entity, Project, TraitKind};
use crate::spec::{ColumnType, Pick};
use crate::sql::{Select, ident, indent, text_literal};

/// The column of a segment's membership inside the wide relation.
#[must_use]
pub fn membership(segment: &str) -> String {
    format!("_in_{segment}")
}

/// The name under which the customers are found as they were published before.
#[must_use]
pub fn before(entity: &Entity) -> String {
    format!("before_{}", entity.name)
}

/// The name under which a pass's result is found.
#[must_use]
pub fn pass_table(pass: &Pass) -> String {
    format!("pass_{}_{}", pass.entity, pass.name)
}

/// One row per customer: what identity knows of it. Reads `<entity>_records` and `<entity>_identifiers`.
#[must_use]
pub fn base(entity: &Entity) -> String {
    let id = ident(&entity.id());
    let records = Select::from(ident(&format!("{}_records", entity.name)))
        .column(&id, &entity.id())
        .column("bool_or(role = 'record')", "is_known")
        .column("min(first_seen_at)", "first_seen_at")
        .column("max(last_seen_at)", "last_seen_at")
        .column("count(*) filter (where role = 'record')", "n_records")
        .group(&id);
    let list = |kind: ColumnType| {
        let types: Vec<String> = entity
            .identifiers
            .iter()
            .filter(|identifier| identifier.kind == Some(kind))
            .map(|identifier| text_literal(&identifier.name))
            .collect();
        let types = if types.is_empty() { "''".to_owned() } else { types.join(", ") };
        format!("array_agg(\"value\" order by \"value\") filter (where \"type\" in ({types}))")
    };
    let points = Select::from(ident(&format!("{}_identifiers", entity.name)))
        .column(&id, &entity.id())
        .column(list(ColumnType::Email), "emails")
        .column(list(ColumnType::Phone), "phones")
        .group(&id);
    Select::from(format!("(\n{}\n) as r", indent(&records.to_string())))
        .join(format!("left join (\n{}\n) as i on i.{id} = r.{id}", indent(&points.to_string())))
        .column(format!("r.{id}"), &entity.id())
        .column("r.is_known", "is_known")
        .column("r.first_seen_at", "first_seen_at")
        .column("r.last_seen_at", "last_seen_at")
        .column("r.n_records", "n_records")
        .column("i.emails", "emails")
        .column("i.phones", "phones")
        .to_string()
}

/// The wide relation, with the segments that hold as `_segments` (null for none). Reads `<entity>_base`, `<entity>_golden`, `<entity>_golden_<attribute>`, the passes' results and, where something is carried, the customer as published,
/// `before_<entity>`.
#[must_use]
pub fn wide(project: &Project, entity: &Entity, passes: &[Pass], part: &Part) -> String {
    let layers = Layers::all(project, entity, part);
    layered(project, entity, part, &first(project, entity, passes, part), layers)
}

/// Traits, scores and segments over a first layer.
pub(super) fn layered(
    project: &Project,
    entity: &Entity,
    part: &Part,
    first: &str,
    layers: Vec<Vec<(String, String)>>,
) -> String {
    let mut sql = format!("with base as (\n{}\n)", indent(first));
    let mut previous = "base".to_owned();
    for (index, columns) in layers.into_iter().enumerate() {
        let mut select = Select::from(&previous).column("*", "");
        for (name, expression) in columns {
            select = select.column(expression, &name);
        }
        previous = format!("layer_{}", index + 1);
        sql.push_str(&format!(",\n{previous} as (\n{}\n)", indent(&select.to_string())));
    }
    let mut select = Select::from(previous);
    for name in columns(project, entity) {
        select = select.column(ident(&name), &name);
    }
    let segments: BTreeSet<&String> = project
        .segments
        .values()
        .filter(|segment| segment.entity == entity.name && !part.segments.contains(&segment.name))
        .map(|segment| &segment.name)
        .collect();
    let names: Vec<String> =
        segments.iter().map(|name| format!("{}, {}", text_literal(name), ident(&membership(name)))).collect();
    let list = match names.as_slice() {
        [] => "cohorte_names('', false)".to_owned(),
        some => format!("cohorte_names({})", some.join(", ")),
    };
    select = select.column(list, "_segments");
    format!("{sql}\n{select}")
}

/// The columns of the customer that models define or everyone has, but `segments` and `updated_at`.
#[must_use]
pub fn columns(project: &Project, entity: &Entity) -> Vec<String> {
    let mut names = vec![entity.id()];
    names.extend(entity.attributes.keys().cloned());
    names.extend(project.traits.values().filter(|one| one.entity == entity.name).map(|one| one.name.clone()));
    for score in project.scores.values().filter(|score| score.entity == entity.name) {
        names.extend(score.columns().into_iter().map(|(name, _)| name));
    }
    names.extend(OF_EVERYONE.map(str::to_owned));
    names
}

/// Columns with personal data.
#[must_use]
pub fn personal(project: &Project, entity: &Entity) -> Vec<String> {
    let attributes =
        entity.attributes.values().filter(|attribute| attribute.personal).map(|attribute| attribute.name.clone());
    let traits =
        project.traits.values().filter(|one| one.entity == entity.name && one.personal).map(|one| one.name.clone());
    attributes.chain(traits).chain(["emails".to_owned(), "phones".to_owned()]).collect()
}

/// The customer as it is published: `segments` are those that hold or, where `is_kept` says that some were kept as they were, the
/// open stays; `updated_at` is the last run that changed anything, which is what `_digest` is for. Reads `<entity>_wide` and
/// `segment_members`.
#[must_use]
pub fn published(project: &Project, entity: &Entity, is_kept: bool) -> String {
    let id = ident(&entity.id());
    let mut now = Select::from(format!("{} as w", ident(&format!("{}_wide", entity.name))));
    let segments = if is_kept {
        let stays = format!(
            "(\n  select entity_id, array_agg(segment order by segment) as segments\n  from segment_members where exited_at is null and entity = {} group by entity_id\n)",
            text_literal(&entity.name)
        );
        now = now.join(format!("left join {stays} as m on m.entity_id = w.{id}"));
        "m.segments"
    } else {
        "w._segments"
    };
    let mut names = columns(project, entity);
    for name in &names {
        now = now.column(format!("w.{}", ident(name)), name);
    }
    now = now.column(segments, "segments");
    names.push("segments".to_owned());
    let all: Vec<String> = names.iter().map(|name| ident(name)).collect();
    let digested = format!(
        "select *, cohorte_digest({}) as _digest from (\n{}\n) as now",
        all.join(", "),
        indent(&now.to_string())
    );
    let mut select = Select::from(format!("(\n{}\n) as digested", indent(&digested)));
    for name in &names {
        select = select.column(ident(name), name);
    }
    select
        .column(format!("coalesce(cohorte_since_{}({id}, _digest), cohorte_now())", entity.name), "updated_at")
        .column(DIGEST, DIGEST)
        .to_string()
}

/// The column that tells rows apart which are not the same.
pub const DIGEST: &str = "_digest";

/// What everyone has, beside the id.
pub(super) const OF_EVERYONE: [&str; 6] =
    ["is_known", "emails", "phones", "first_seen_at", "last_seen_at", "n_records"];

/// The first layer: identity, golden record, features, and the traits that are features.
fn first(project: &Project, entity: &Entity, passes: &[Pass], part: &Part) -> String {
    let mut select = Select::from(format!("{} as b", ident(&format!("{}_base", entity.name)))).column("b.*", "");
    let golden = entity.attributes.values().any(|attribute| attribute.pick != Pick::MostFrequent);
    let golden = if golden {
        select = select.join(beside(entity, &format!("{}_golden", entity.name), "g"));
        "g"
    } else {
        "b"
    };
    select = picked(select, entity, golden);
    for (index, pass) in passes.iter().enumerate() {
        let alias = format!("p_{index}");
        select = select.join(beside(entity, &pass_table(pass), &alias));
        select = features(select, project, entity, pass, part, &alias);
    }
    carried(select, project, entity, part)
}

/// Joins what is known of each customer.
pub(super) fn beside(entity: &Entity, table: &str, alias: &str) -> String {
    let id = ident(&entity.id());
    format!("left join {} as {alias} on {alias}.{id} = b.{id}", ident(table))
}

/// Adds the golden record, which is `alias`; values picked by frequency have a table each.
pub(super) fn picked(mut select: Select, entity: &Entity, golden: &str) -> Select {
    for (index, attribute) in entity.attributes.values().enumerate() {
        let alias = if attribute.pick == Pick::MostFrequent {
            let alias = format!("g_{index}");
            select = select.join(beside(entity, &super::golden::table(entity, attribute), &alias));
            alias
        } else {
            golden.to_owned()
        };
        select = select.column(format!("{alias}.{}", ident(&attribute.name)), &attribute.name);
    }
    select
}

/// Adds the features of a pass, whose result is `alias`, and the traits that are features.
pub(super) fn features(
    mut select: Select,
    project: &Project,
    entity: &Entity,
    pass: &Pass,
    part: &Part,
    alias: &str,
) -> Select {
    let traits: BTreeMap<&str, Vec<&str>> =
        project.traits.values().filter(|one| one.entity == entity.name).fold(BTreeMap::new(), |mut all, one| {
            if let (TraitKind::Feature(feature), true) = (&one.kind, part.computes(&one.name)) {
                all.entry(feature.as_str()).or_insert_with(Vec::new).push(one.name.as_str());
            }
            all
        });
    for column in &pass.spec.features {
        let value = format!("{alias}.{}", ident(&column.name));
        let value = match project.features.get(&column.name).and_then(without_rows) {
            Some(zero) => format!("coalesce({value}, {zero})"),
            None => value,
        };
        for name in traits.get(column.name.as_str()).into_iter().flatten() {
            select = select.column(&value, name);
        }
        select = select.column(value, &column.name);
    }
    select
}

/// Adds what is not computed.
pub(super) fn carried(mut select: Select, project: &Project, entity: &Entity, part: &Part) -> String {
    let own: Vec<String> = columns(project, entity);
    let carried: Vec<(&String, &String)> = part.carried.iter().filter(|(name, _)| own.contains(name)).collect();
    // Values that are not known yet are typed nulls, which need no table.
    if carried.iter().any(|(_, sql)| sql.starts_with("k.")) {
        select = select.join(beside(entity, &before(entity), "k"));
    }
    for (name, sql) in carried {
        select = select.column(sql, name);
    }
    select.to_string()
}
