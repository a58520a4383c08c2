//! From resolved sources to the wide relation: consents, features, then every trait, score and segment at once.

use super::identity;
use super::kept::Kept;
use super::workspace::Workspace;
use crate::compile::{consents, customer, passes};
use crate::diag::Result;
use crate::engine::{fused, resolve};
use crate::project::{Entity, Project};
use crate::report::Progress;
use crate::store::tables;

/// What was computed of an entity.
#[derive(Debug, Clone)]
pub struct Customers {
    /// The entity.
    pub entity: String,
    /// What identity did.
    pub identity: resolve::Report,
    /// Features by pass: name, features, customers with rows.
    pub passes: Vec<(String, usize, u64)>,
}

/// Leaves `<entity>_wide` on the stage. Identity has left its tables there, every source is resolved, and consents are read.
pub(super) async fn run(
    workspace: &Workspace,
    entity: &Entity,
    report: resolve::Report,
    kept: &Kept,
    progress: &dyn Progress,
) -> Result<Customers> {
    let (project, session) = (&workspace.opened.project, &workspace.opened.session);
    progress.step("choosing the golden record", None);
    identity::golden_record(workspace, entity).await?;
    let part = kept.part(&entity.name);
    let all = passes::passes(project, entity, &workspace.opened.clock, &part);
    let mut computed = Vec::with_capacity(all.len());
    for pass in &all {
        progress.step(&format!("reading `{}` for {} features", pass.name, pass.spec.features.len()), None);
        let frame = fused(session, pass, &entity.id()).await?;
        let rows = workspace.stage.keep_frame(session, &customer::pass_table(pass), frame).await?;
        computed.push((pass.name.clone(), pass.spec.features.len(), rows));
    }
    progress.step("computing traits, scores and segments", None);
    workspace.published_as(&entity.name, &customer::before(entity)).await?;
    workspace
        .stage
        .keep(session, &format!("{}_wide", entity.name), &customer::wide(project, entity, &all, &part))
        .await?;
    Ok(Customers { entity: entity.name.clone(), identity: report, passes: computed })
}

/// Leaves `consents`, `consent_history` and `new_consent_events` on the stage. Identity of every entity is readable, and every
/// source is resolved. From a source that failed nothing is taken.
pub(super) async fn current_consents(workspace: &Workspace, failed: &[String]) -> Result<()> {
    let session = &workspace.opened.session;
    let mut project = Project::clone(&workspace.opened.project);
    project.consents.retain(|_, consent| !failed.contains(&consent.source));
    let project = &project;
    workspace.before(&tables::consent_ledger(), "ledger").await?;
    let events = consents::events(project).unwrap_or_else(|| consents::NO_EVENTS.to_owned());
    workspace.stage.keep(session, "events", &events).await?;
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
