//! From resolved sources to the wide relation: consents, features, then every trait, score and segment at once.

use std::sync::Arc;

use futures::StreamExt;

use super::identity;
use super::kept::Kept;
use super::results::Results;
use super::workspace::Workspace;
use crate::compile::{consents, customer, passes, zipped};
use crate::diag::Result;
use crate::engine::functions::since::{self, Since};
use crate::engine::{InOrder, Zipped, resolve};
use crate::project::{Entity, Project};
use crate::report::Progress;
use crate::sql::ident;
use crate::store::{failure_from, tables};

/// What was computed of an entity.
#[derive(Debug, Clone)]
pub struct Customers {
    /// The entity.
    pub entity: String,
    /// What identity did; none where nothing has changed of what it is made of.
    pub identity: Option<resolve::Report>,
    /// How many there are.
    pub count: u64,
    /// Features by pass: its name, and how many.
    pub passes: Vec<(String, usize)>,
}

/// Leaves `<entity>_wide` on the stage. Identity has left its tables there, every source is resolved, and consents are read.
pub(super) async fn run(
    workspace: &Workspace,
    results: &Results<'_>,
    entity: &Entity,
    (report, base): (Option<resolve::Report>, InOrder),
    kept: &Kept,
    progress: &dyn Progress,
) -> Result<Customers> {
    let (project, session) = (&workspace.opened.project, &workspace.opened.session);
    progress.step("choosing the golden record", None);
    let mut relations = vec![base];
    relations.extend(identity::golden_record(results, entity).await?);
    let part = kept.part(&entity.name);
    let all = passes::passes(project, entity, &workspace.opened.clock, &part);
    let mut computed = Vec::with_capacity(all.len());
    for pass in &all {
        progress.step(&format!("reading `{}` for {} features", pass.name, pass.spec.features.len()), None);
        relations.push(results.keep_pass(&customer::pass_table(pass), pass, entity).await?);
        computed.push((pass.name.clone(), pass.spec.features.len()));
    }
    progress.step("computing traits, scores and segments", None);
    workspace.published_as(&entity.name, &customer::before(entity)).await?;
    since(workspace, results, entity).await?;
    put_together(workspace, entity, &relations)?;
    let scores = project.scores.values().filter(|score| score.entity == entity.name && part.computes(&score.name));
    for (score, sql) in scores.filter_map(|score| Some((score, zipped::ranks(project, entity, score)?))) {
        let name = format!("rank_{}_{}", entity.name, score.name);
        workspace.stage.keep(session, &name, &sql).await?;
        relations.push(workspace.stage.in_order(&name, workspace.schema(&name).await?)?);
    }
    put_together(workspace, entity, &relations)?;
    let wide = zipped::wide(project, entity, &all, &part);
    let count = workspace.stage.keep(session, &format!("{}_wide", entity.name), &wide).await?;
    Ok(Customers { entity: entity.name.clone(), identity: report, count, passes: computed })
}

/// Makes what is known of each customer readable side by side.
fn put_together(workspace: &Workspace, entity: &Entity, relations: &[InOrder]) -> Result<()> {
    let zipped = Zipped::of(relations.to_vec());
    let zipped = zipped.map_err(|error| failure_from("putting together what is known of each customer", &error))?;
    workspace.register(&zipped::name(entity), Arc::new(zipped))
}

/// Makes it known since when customers have been as they are published.
async fn since(workspace: &Workspace, results: &Results<'_>, entity: &Entity) -> Result<()> {
    let session = &workspace.opened.session;
    let mut since = Since::new(results.roster(entity).await?);
    since.count(session).map_err(|error| failure_from("comparing customers with those before", &error))?;
    let (seen, before) = (tables::seen(&entity.name), format!("before_{}_seen", entity.name));
    if results.fits(&seen.name, &entity.name) && workspace.published_as(&seen.name, &before).await? {
        let failed = |error| failure_from(format!("reading the table `{}`", seen.name), &error);
        let sql = format!("select {}, _digest, updated_at from {}", ident(&entity.id()), ident(&before));
        let mut rows = session.sql(&sql).await.map_err(failed)?.execute_stream().await.map_err(failed)?;
        while let Some(batch) = rows.next().await {
            since.add(&batch.map_err(failed)?).map_err(failed)?;
        }
    }
    since::register(session, &entity.name, since);
    Ok(())
}

/// Leaves `consents`, `consent_history` and `new_consent_events` on the stage. Identity of every entity is readable, and every
/// source is resolved, or will be by `results` if need be. From a source that failed nothing is taken.
pub(super) async fn current_consents(
    workspace: &Workspace,
    failed: &[String],
    results: Option<&Results<'_>>,
) -> Result<()> {
    let session = &workspace.opened.session;
    let mut project = Project::clone(&workspace.opened.project);
    project.consents.retain(|_, consent| !failed.contains(&consent.source));
    let project = &project;
    workspace.before(&tables::consent_ledger(), "ledger").await?;
    let events = match consents::events(project) {
        // What they gave is in the ledger.
        Some(events) if results.is_some_and(|results| results.has_consent_events(project, &events)) => None,
        Some(events) => {
            if let Some(results) = results {
                results.resolve_sources().await?;
            }
            Some(events)
        }
        None => None,
    };
    workspace.stage.keep(session, "events", &events.unwrap_or_else(|| consents::NO_EVENTS.to_owned())).await?;
    workspace.stage.keep(session, "consent_history", &consents::history(project)).await?;
    workspace.stage.keep(session, "consents", &consents::state(project, &workspace.opened.clock)).await?;
    workspace.stage.keep(session, "new_consent_events", &consents::new_events(project, &workspace.run_id)).await?;
    Ok(())
}

/// Makes `consent_history` readable as it was published.
pub(super) async fn published_consents(workspace: &Workspace) -> Result<()> {
    workspace.before(&tables::consent_ledger(), "ledger").await?;
    workspace.view("events", consents::NO_EVENTS).await?;
    workspace.view("consent_history", &consents::history(&workspace.opened.project)).await
}
