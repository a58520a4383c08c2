//! Plan, sync and the main job: a build, then what is due at the destinations.

use std::sync::Arc;

use datafusion::common::TableReference;
use futures::future::join_all;

use super::alerts::{self, Teller};
use super::build::{BuildOptions, Built, Why, build};
use super::customers;
use super::expectations;
use super::holds::Holds;
use super::identity;
use super::kept::Kept;
use super::opened::Opened;
use super::publish;
use super::recorded;
use super::request::Stopped;
use super::selection::Selection;
use super::steps::{self, Step};
use super::sync::{self, How, Order, Preview, Turn};
use super::workspace::Workspace;
use crate::diag::{Failure, Finding, Severity, nearest};
use crate::project::{Connection, Project, Sync};
use crate::report::Progress;
use crate::store::{Lease, LeaseOptions, failure_from};
use crate::sync::clock::{Cancel, Clock as _, SystemClock};
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
    /// Attempt rows, too, that failed and wait for a later attempt.
    pub retry: bool,
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
    let (workspace, findings, holds) = to_send(opened, &options.accept, progress).await?;
    let syncs = deliver(&workspace, options, &holds, false, cancel, progress).await?;
    Ok(Delivered { workspace, findings, syncs })
}

/// What is published, ready to be sent, what is wrong with it, and what that holds back.
pub(super) async fn to_send(
    opened: Opened,
    accept: &[String],
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
    let checked = expectations::check(&workspace, accept, true, |source| {
        project.consents.values().any(|consent| consent.source == source.name)
    });
    let checked = checked.await?;
    findings.extend(checked.findings.into_iter().filter(|finding| finding.severity == Severity::Error));
    identity::resolve_sources(&workspace).await?;
    customers::current_consents(&workspace, &checked.failed, None).await?;
    let kept = Kept::of(&workspace, &Selection::default(), &checked.failed).await?;
    let mut steps: Vec<Step> = steps::last(&workspace).await?.into_values().collect();
    steps.extend(steps::of_models(&[], &kept));
    let holds = Holds::of(&workspace.opened, &steps);
    Ok((workspace, findings, holds))
}

/// A build alone, after which those are told who want to know whether it works.
pub async fn build_alone(
    opened: Opened,
    options: &BuildOptions,
    cancel: &Cancel,
    progress: &dyn Progress,
) -> Result<Built, Stopped> {
    let mut built = build_or_tell(opened, options, cancel, progress).await?;
    let untold = alerts::of_built(&built.workspace, cancel).await?;
    built.findings.extend(untold);
    Ok(built)
}

async fn build_or_tell(
    opened: Opened,
    options: &BuildOptions,
    cancel: &Cancel,
    progress: &dyn Progress,
) -> Result<Built, Stopped> {
    let again = opened.clone();
    match build(opened, options, progress).await {
        Ok(built) => Ok(built),
        Err(stopped) => Err(alerts::of_build(again, stopped, cancel).await),
    }
}

/// The main job.
pub async fn run(
    opened: Opened,
    build_options: &BuildOptions,
    options: &SyncOptions,
    cancel: &Cancel,
    progress: &dyn Progress,
) -> Result<(Built, Vec<(String, Result<sync::Report, Failure>)>), Stopped> {
    let built = build_or_tell(opened, build_options, cancel, progress).await?;
    let holds = holds(&built).await?;
    let syncs = deliver(&built.workspace, options, &holds, true, cancel, progress).await?;
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

/// Several syncs at once, in the order of [`Order`]; one that fails does not keep the others.
async fn deliver(
    workspace: &Workspace,
    options: &SyncOptions,
    holds: &Holds,
    has_built: bool,
    cancel: &Cancel,
    progress: &dyn Progress,
) -> Result<Vec<(String, Result<sync::Report, Failure>)>, Stopped> {
    let project = &workspace.opened.project;
    for name in &options.names {
        named(project, name)?;
    }
    let chosen = project
        .syncs
        .values()
        .filter(|sync| options.names.is_empty() || options.names.contains(&sync.name))
        .filter(|sync| options.selection.sends(&sync.name));
    let chosen: Vec<(&Sync, &Connection)> =
        chosen.filter_map(|sync| Some((sync, project.connections.get(&sync.connection)?))).collect();
    let sends = !options.dry_run && chosen.iter().any(|(_, connection)| connection.deliver);
    let lease = if sends { Some(take_lease(workspace).await?) } else { None };
    let (accounts, order) = (Accounts::default(), Order::of(chosen.iter().copied()));
    let one = async |sync: &Sync, mut turn: Turn<'_>| {
        turn.begin().await;
        if cancel.is_cancelled() {
            return None;
        }
        let progress = progress.beside();
        let how = How {
            accept: options.accept.contains(&sync.name),
            hold: holds.on(&sync.name),
            lease: lease.as_ref(),
            retry: options.retry,
            clock: Arc::new(SystemClock),
            cancel,
            accounts: &accounts,
            progress: progress.as_ref(),
        };
        let delivered = deliver_one(workspace, sync, &how, turn).await;
        progress.finish();
        Some((sync.name.clone(), delivered))
    };
    progress.finish();
    let all = chosen.iter().map(|(sync, connection)| one(sync, order.turn(sync, connection)));
    let mut reports: Vec<_> = join_all(all).await.into_iter().flatten().collect();
    if let Some(lease) = lease {
        let teller = Teller { lease: &lease, cancel, accounts: &accounts };
        let untold = alerts::of_syncs(workspace, &teller, &reports, has_built).await;
        reports.extend(untold.into_iter().map(|(name, failure)| (format!("alert {name}"), Err(failure))));
        lease.release().await?;
    }
    Ok(reports)
}

async fn deliver_one(
    workspace: &Workspace,
    sync: &Sync,
    how: &How<'_>,
    turn: Turn<'_>,
) -> Result<sync::Report, Failure> {
    if !is_there(workspace, sync)? {
        return Err(unbuilt());
    }
    // Every sync gives the same names to what it computes on its way.
    sync::deliver(&workspace.apart().await?, sync, how, turn).await
}

/// One for all syncs; they commit one after the other.
pub(super) async fn take_lease(workspace: &Workspace) -> Result<Lease, Failure> {
    let opened = &workspace.opened;
    let terms = LeaseOptions::new("cohorte sync", SystemClock.now()).waiting(opened.wait);
    let lease = Lease::acquire(&opened.warehouse, terms).await?;
    recorded::killed(&opened.warehouse, &opened.session, &lease).await?;
    Ok(lease)
}
