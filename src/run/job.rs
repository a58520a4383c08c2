//! Plan, sync and the main job: a build, then what is due at the destinations.

use std::sync::Arc;

use datafusion::common::TableReference;

use super::build::{BuildOptions, Built, Why, build};
use super::customers;
use super::expectations;
use super::holds::Holds;
use super::identity;
use super::kept::Kept;
use super::opened::Opened;
use super::publish;
use super::request::Stopped;
use super::selection::Selection;
use super::steps::{self, Step};
use super::sync::{self, How, Preview};
use super::workspace::Workspace;
use crate::diag::{Failure, Finding, Severity, nearest};
use crate::project::{Project, Sync};
use crate::report::Progress;
use crate::store::failure_from;
use crate::sync::clock::{Cancel, SystemClock};
use crate::sync::http::Accounts;

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
    let (workspace, holds) = (&built.workspace, holds(&built).await?);
    let mut syncs = Vec::new();
    for sync in workspace.opened.project.syncs.values().filter(|sync| selection.sends(&sync.name)) {
        if !is_there(workspace, sync)? {
            continue;
        }
        progress.step(&format!("comparing `{}`", sync.name), None);
        let preview = sync::preview(workspace, sync).await?;
        syncs.push(Preview { hold: holds.on(&sync.name), ..preview });
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
    let (workspace, findings, holds) = to_send(opened, progress).await?;
    let syncs = deliver(&workspace, options, &holds, cancel, progress).await?;
    Ok(Delivered { workspace, findings, syncs })
}

/// What is published, ready to be sent, what is wrong with it, and what that holds back.
pub(super) async fn to_send(
    opened: Opened,
    progress: &dyn Progress,
) -> Result<(Workspace, Vec<Finding>, Holds), Stopped> {
    let mut findings = opened.findings.clone();
    let workspace = Workspace::new(opened).await?;
    if workspace.published.run.is_none() {
        return Err(unbuilt().into());
    }
    publish::read_published(&workspace).await?;
    let project = &workspace.opened.project;
    for entity in project.entities.values() {
        identity::as_published(&workspace, entity).await?;
    }
    progress.step("reading consents", None);
    // Of the sources, those of consents alone are read: what is wrong with them holds back who relies on them.
    let checked = expectations::check(&workspace, |source| {
        project.consents.values().any(|consent| consent.source == source.name)
    });
    let checked = checked.await?;
    findings.extend(checked.findings.into_iter().filter(|finding| finding.severity == Severity::Error));
    identity::resolve_sources(&workspace).await?;
    customers::current_consents(&workspace, &checked.failed).await?;
    let kept = Kept::of(&workspace, &Selection::default(), &checked.failed).await?;
    let mut steps: Vec<Step> = steps::last(&workspace).await?.into_values().collect();
    steps.extend(steps::of_models(&[], &kept));
    let holds = Holds::of(&workspace.opened, &steps);
    Ok((workspace, findings, holds))
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
    let holds = holds(&built).await?;
    let syncs = deliver(&built.workspace, options, &holds, cancel, progress).await?;
    progress.finish();
    Ok((built, syncs))
}

/// What a build, or where nothing had changed the one before, left behind that holds syncs back.
async fn holds(built: &Built) -> Result<Holds, Failure> {
    let opened = &built.workspace.opened;
    Ok(match built.why {
        Why::Nothing => Holds::of(opened, steps::last(&built.workspace).await?.values()),
        _ => Holds::of(opened, &steps::of_models(&built.segments, &built.kept)),
    })
}

pub(super) fn unbuilt() -> Failure {
    Failure::project("W004", "syncing", "nothing has been built yet")
        .help("`cohorte build` builds, `cohorte run` builds and syncs")
}

/// The sync of that name.
pub(super) fn named<'a>(project: &'a Project, name: &str) -> Result<&'a Sync, Failure> {
    project.syncs.get(name).ok_or_else(|| {
        let help = nearest(name, project.syncs.keys().map(String::as_str)).map_or_else(
            || format!("the project has {}", project.syncs.keys().cloned().collect::<Vec<_>>().join(", ")),
            |near| format!("did you mean `{near}`?"),
        );
        Failure::project("W005", "syncing", format!("there is no sync `{name}`")).help(help)
    })
}

/// Are there customers to send? An entity that could not be built yet has no table.
pub(super) fn is_there(workspace: &Workspace, sync: &Sync) -> Result<bool, Failure> {
    let found = workspace.opened.session.table_exist(TableReference::bare(sync.entity.as_str()));
    found.map_err(|error| failure_from(format!("reading the table `{}`", sync.entity), &error))
}

/// One sync after the other; one that fails does not keep the others.
async fn deliver(
    workspace: &Workspace,
    options: &SyncOptions,
    holds: &Holds,
    cancel: &Cancel,
    progress: &dyn Progress,
) -> Result<Vec<(String, Result<sync::Report, Failure>)>, Stopped> {
    let project = &workspace.opened.project;
    for name in &options.names {
        named(project, name)?;
    }
    let accounts = Accounts::default();
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
        if !is_there(workspace, sync)? {
            reports.push((sync.name.clone(), Err(unbuilt())));
            continue;
        }
        let how = How {
            accept: options.accept.contains(&sync.name),
            hold: holds.on(&sync.name),
            dry_run: options.dry_run,
            clock: Arc::new(SystemClock),
            cancel,
            accounts: &accounts,
            progress,
        };
        reports.push((sync.name.clone(), sync::deliver(workspace, sync, &how).await));
    }
    Ok(reports)
}
