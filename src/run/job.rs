//! Plan, sync and the main job: a build, then what is due at the destinations.

use std::collections::BTreeSet;

use super::build::{BuildOptions, Built, Why, build};
use super::customers;
use super::identity;
use super::opened::Opened;
use super::publish;
use super::request::Stopped;
use super::segments;
use super::selection::Selection;
use super::sync::{self, How, Preview};
use super::workspace::Workspace;
use crate::diag::{Failure, Finding, nearest};
use crate::project::{Condition, Project, Sync, SyncFrom};
use crate::report::Progress;
use crate::sync::clock::{Cancel, SystemClock};

/// What a plan found.
pub struct Planned {
    /// What a build would do.
    pub built: Built,
    /// What each sync would do after it.
    pub syncs: Vec<Preview>,
}

/// Computes what would be built and sent. Nothing is written.
pub async fn plan(opened: Opened, selection: Selection, progress: &dyn Progress) -> Result<Planned, Stopped> {
    let options = BuildOptions {
        command: "plan".to_owned(),
        plan_only: true,
        selection: selection.clone(),
        ..BuildOptions::default()
    };
    let built = build(opened, &options, progress).await?;
    let mut syncs = Vec::new();
    for sync in built.workspace.opened.project.syncs.values().filter(|sync| selection.sends(&sync.name)) {
        progress.step(&format!("comparing `{}`", sync.name), None);
        syncs.push(sync::preview(&built.workspace, sync).await?);
    }
    progress.finish();
    Ok(Planned { built, syncs })
}

/// How what is due is delivered.
#[derive(Debug, Clone, Default)]
pub struct SyncOptions {
    /// These syncs; all where it is empty.
    pub names: Vec<String>,
    /// Which of them are selected.
    pub selection: Selection,
    /// Guards that may be passed once.
    pub accept: Vec<String>,
    /// Show what would be sent, and send nothing.
    pub dry_run: bool,
}

/// What was delivered.
pub struct Delivered {
    /// Where it worked.
    pub workspace: Workspace,
    /// Warnings.
    pub findings: Vec<Finding>,
    /// Per sync: what became of it, or why it could not begin.
    pub syncs: Vec<(String, Result<sync::Report, Failure>)>,
}

/// Pushes what is due, from what is published; consents are read as fresh as their sources are now.
pub async fn sync(
    opened: Opened,
    options: &SyncOptions,
    cancel: &Cancel,
    progress: &dyn Progress,
) -> Result<Delivered, Stopped> {
    let findings = opened.findings.clone();
    let mut workspace = Workspace::new(opened).await?;
    if workspace.published.run.is_none() {
        return Err(Failure::project("W004", "syncing", "nothing has been built yet")
            .help("`cohorte build` builds, `cohorte run` builds and syncs")
            .into());
    }
    publish::read_published(&mut workspace).await?;
    if let Some(entity) = workspace.opened.project.entities.values().next().cloned() {
        progress.step("reading consents", None);
        identity::resolve_sources(&workspace).await?;
        customers::current_consents(&workspace, &entity).await?;
    }
    let held = segments::held_before(&workspace).await?;
    let syncs = deliver(&workspace, options, &held, cancel, progress).await?;
    Ok(Delivered { workspace, findings, syncs })
}

/// The main job.
pub async fn run(
    opened: Opened,
    build_options: &BuildOptions,
    options: &SyncOptions,
    cancel: &Cancel,
    progress: &dyn Progress,
) -> Result<(Built, Vec<(String, Result<sync::Report, Failure>)>), Stopped> {
    let built = build(opened, build_options, progress).await?;
    let held: Vec<String> = match built.why {
        Why::Nothing => segments::held_before(&built.workspace).await?,
        _ => built.segments.iter().filter(|change| change.is_held()).map(|change| change.segment.clone()).collect(),
    };
    let syncs = deliver(&built.workspace, options, &held, cancel, progress).await?;
    progress.finish();
    Ok((built, syncs))
}

/// One sync after the other; one that fails does not keep the others.
async fn deliver(
    workspace: &Workspace,
    options: &SyncOptions,
    held: &[String],
    cancel: &Cancel,
    progress: &dyn Progress,
) -> Result<Vec<(String, Result<sync::Report, Failure>)>, Stopped> {
    let project = &workspace.opened.project;
    for name in &options.names {
        if !project.syncs.contains_key(name) {
            let help = nearest(name, project.syncs.keys().map(String::as_str)).map_or_else(
                || format!("the project has {}", project.syncs.keys().cloned().collect::<Vec<_>>().join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            return Err(Failure::project("W005", "syncing", format!("there is no sync `{name}`")).help(help).into());
        }
    }
    let held: BTreeSet<&str> = held.iter().map(String::as_str).collect();
    let mut reports = Vec::new();
    for sync in project
        .syncs
        .values()
        .filter(|sync| options.names.is_empty() || options.names.contains(&sync.name))
        .filter(|sync| options.selection.sends(&sync.name))
    {
        if cancel.is_cancelled() {
            break;
        }
        let how = How {
            accept: options.accept.contains(&sync.name),
            held: depends_on(project, sync, &held),
            dry_run: options.dry_run,
            clock: &SystemClock,
            cancel,
            progress,
        };
        reports.push((sync.name.clone(), sync::deliver(workspace, sync, &how).await));
    }
    Ok(reports)
}

/// Which of these segments does a sync send members of, or of a segment that is made from it?
fn depends_on<'a>(project: &Project, sync: &Sync, held: &BTreeSet<&'a str>) -> Option<&'a str> {
    let SyncFrom::Segment(name) = &sync.from else { return None };
    let mut waiting = vec![name.clone()];
    let mut seen = BTreeSet::new();
    while let Some(name) = waiting.pop() {
        if let Some(held) = held.get(name.as_str()) {
            return Some(held);
        }
        if let Some(segment) = project.segments.get(&name).filter(|_| seen.insert(name.clone())) {
            Condition::named_segments(&segment.when, &mut waiting);
        }
    }
    None
}
