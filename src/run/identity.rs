//! Identity, then what sources look like with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use super::results::Results;
use super::workspace::Workspace;
use crate::compile::resolved::Finding;
use crate::compile::{golden, resolved};
use crate::diag::Result;
use crate::engine::lookup::{self, Whose};
use crate::engine::resolve::{Now, Remembered, Report, base_schema, merged_schema, resolve};
use crate::engine::{InOrder, Roster};
use crate::project::{Attribute, Entity};
use crate::spec::Pick;
use crate::sql::ident;
use crate::store::tables;

/// The customers of an entity: where it is written whose rows are, and `<entity>_base` in the order of the roster.
pub(super) struct Base {
    pub(super) whose: Whose,
    pub(super) rows: InOrder,
}

/// Resolves an entity's records and makes its tables readable under their published names.
pub(super) async fn run(results: &Results<'_>, entity: &Entity) -> Result<(Report, Base)> {
    let workspace = results.workspace;
    let opened = &workspace.opened;
    let (ids, nodes) = (tables::ids(&entity.name), tables::nodes(&entity.name));
    let remembered = Remembered {
        ids: workspace.before(&ids, &format!("before_{}", ids.name)).await?.then(|| format!("before_{}", ids.name)),
        nodes: workspace
            .before(&nodes, &format!("before_{}", nodes.name))
            .await?
            .then(|| format!("before_{}", nodes.name)),
        tuples: results.known_tuples(entity).await?,
    };
    let now = Now { run_id: &workspace.run_id, as_of: opened.clock.as_of, timings: &workspace.stage.timings };
    let found = resolve(&opened.session, &opened.project, entity, &remembered, &now).await?;
    let made = [
        (tables::records(&entity.name).name, found.records),
        (tables::identifiers(&entity.name).name, found.identifiers),
        (tables::links(&entity.name).name, found.links),
        (tables::contested(&entity.name).name, found.contested),
        (nodes.name, found.nodes),
        (ids.name, found.events),
        (format!("{}_merged", entity.name), found.merged),
        (format!("{}_base", entity.name), found.base.clone()),
    ];
    for (name, rows) in made {
        workspace.register(&name, Arc::new(rows))?;
    }
    Ok((found.report, Base { whose: Whose::Resolved(found.finder), rows: InOrder::made(found.base) }))
}

/// The same as [`run`], where nothing has changed of what the entity is resolved from: all is as it is published.
pub(super) async fn unchanged(workspace: &Workspace, entity: &Entity) -> Result<Base> {
    as_published(workspace, entity).await?;
    let (session, merged) = (&workspace.opened.session, format!("{}_merged", entity.name));
    workspace.stage.hold(session, &merged, merged_schema(), Vec::new())?;
    let columns: Vec<String> = base_schema(entity).fields().iter().map(|field| ident(field.name())).collect();
    let (name, id) = (format!("{}_base", entity.name), ident(&entity.id()));
    let base = format!("select {} from {} order by {id}", columns.join(", "), ident(&entity.name));
    workspace.stage.keep(session, &name, &base).await?;
    let rows = workspace.stage.in_order(&name, workspace.schema(&name).await?)?;
    Ok(Base { whose: Whose::Tables(format!("select {id} from {}", ident(&name))), rows })
}

/// Makes the tables of an entity readable as they are published; they are empty where they never were.
pub(super) async fn as_published(workspace: &Workspace, entity: &Entity) -> Result<Whose> {
    for spec in tables::entity_tables(&entity.name) {
        workspace.before(&spec, &spec.name).await?;
    }
    workspace.published_as(&entity.name, &entity.name).await?;
    Ok(Whose::Tables(format!("select distinct {} from {}_records", ident(&entity.id()), entity.name)))
}

/// As [`resolve_sources`], for a run that reads all of every source: rows are looked up rather than joined. Gives the (entity, source)
/// that have rows of shared devices.
pub(super) async fn look_sources_up(
    workspace: &Workspace,
    whose: &BTreeMap<String, Whose>,
    rosters: &BTreeMap<String, Arc<Roster>>,
) -> Result<BTreeSet<(String, String)>> {
    let started = Instant::now();
    let (session, project) = (&workspace.opened.session, &workspace.opened.project);
    let shared = lookup::register(session, project, whose, rosters).await?;
    workspace.stage.timings.note("learning whose each record is", started, None, None);
    sources(workspace, Finding::Functions(&shared)).await?;
    Ok(shared)
}

/// As [`look_sources_up`], where nothing is to be found: for plans that are only shown.
pub(super) async fn look_up_nobody(workspace: &Workspace) -> Result<()> {
    lookup::register_none(&workspace.opened.session, &workspace.opened.project);
    sources(workspace, Finding::Functions(&BTreeSet::new())).await
}

/// Makes every source readable with its customers, parents before children.
pub(super) async fn resolve_sources(workspace: &Workspace) -> Result<()> {
    sources(workspace, Finding::Joins).await
}

async fn sources(workspace: &Workspace, finding: Finding<'_>) -> Result<()> {
    let project = &workspace.opened.project;
    let mut waiting: Vec<&str> = project.sources.keys().map(String::as_str).collect();
    let mut done: Vec<&str> = Vec::new();
    while !waiting.is_empty() {
        let ready = waiting.iter().position(|name| {
            project.sources[*name]
                .parents
                .iter()
                .all(|parent| done.contains(&parent.source.as_str()) || !waiting.contains(&parent.source.as_str()))
        });
        // A circle of sources ends here; check has told it.
        let Some(index) = ready else { return Ok(()) };
        let name = waiting.remove(index);
        for (name, sql) in resolved::devices(project, &project.sources[name], finding) {
            workspace.stage.keep(&workspace.opened.session, &name, &sql).await?;
        }
        if let Some(sql) = resolved::relation(project, &project.sources[name], finding) {
            workspace.view(&format!("{name}_resolved"), &sql).await?;
        }
        done.push(name);
    }
    Ok(())
}

/// The golden record; in the order of the roster, unless it takes a statement.
pub(super) async fn golden_record(results: &Results<'_>, entity: &Entity) -> Result<Option<InOrder>> {
    let project = &results.workspace.opened.project;
    let name = format!("{}_golden", entity.name);
    let mut in_order = None;
    if let Some(pass) = golden::pass(project, entity) {
        in_order = Some(results.keep_pass(&name, &pass, entity).await?);
    } else if let Some(sql) = golden::relation(project, entity) {
        let picked: Vec<&Attribute> = entity.attributes.values().collect();
        results.keep(&name, &golden::sources(&picked), &sql).await?;
    }
    for attribute in entity.attributes.values().filter(|attribute| attribute.pick == Pick::MostFrequent) {
        let sql = golden::most_frequent(project, entity, attribute);
        results.keep(&golden::table(entity, attribute), &golden::sources(&[attribute]), &sql).await?;
    }
    Ok(in_order)
}
