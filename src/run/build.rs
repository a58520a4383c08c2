//! Build: everything is computed on the stage first; only then, in the order of the tables, it is published.

use std::time::Instant;

use super::customers::{self, Customers};
use super::expectations;
use super::identity;
use super::opened::Opened;
use super::publish;
use super::request::Stopped;
use super::segments::{self, SegmentChange};
use super::selection::Selection;
use super::workspace::Workspace;
use crate::diag::{Failure, Finding, Severity};
use crate::report::Progress;
use crate::store::{Lease, LeaseOptions};

/// How a build is run.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// The verb, for the record.
    pub command: String,
    /// Guards that may be passed once.
    pub accept: Vec<String>,
    /// Which segments may move.
    pub selection: Selection,
    /// Rebuild even what is unchanged.
    pub full_refresh: bool,
    /// Compute everything and publish nothing.
    pub plan_only: bool,
}

/// What a build did, or would do.
pub struct Built {
    /// Where it worked: what was computed is readable there.
    pub workspace: Workspace,
    /// Warnings about the project and its data.
    pub findings: Vec<Finding>,
    /// Why it was built: nothing is said of what is unchanged.
    pub why: Why,
    /// Per entity.
    pub customers: Vec<Customers>,
    /// Per segment.
    pub segments: Vec<SegmentChange>,
    /// Rows and versions of the tables that were written.
    pub tables: Vec<publish::PublishedRows>,
    /// How long it took.
    pub seconds: f64,
}

/// Why a build has something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// Nothing was published before.
    New,
    /// These sources have other data, these models other definitions.
    Changed {
        /// Sources.
        sources: Vec<String>,
        /// Does the project compile to something else?
        definitions: bool,
    },
    /// Only time has passed.
    Time,
    /// Nothing has changed at all: what is published stands.
    Nothing,
}

/// Computes everything, and publishes it unless only a plan is wanted.
pub async fn build(opened: Opened, options: &BuildOptions, progress: &dyn Progress) -> Result<Built, Stopped> {
    let started = Instant::now();
    let lease = if options.plan_only {
        None
    } else {
        Some(
            Lease::acquire(
                &opened.warehouse,
                LeaseOptions::new(format!("cohorte {}", options.command), chrono::Utc::now()),
            )
            .await?,
        )
    };
    let built = compute(opened, options, progress, lease.as_ref(), started).await;
    if let Some(lease) = lease {
        let released = lease.release().await;
        if built.is_ok() {
            released?;
        }
    }
    built
}

async fn compute(
    opened: Opened,
    options: &BuildOptions,
    progress: &dyn Progress,
    lease: Option<&Lease>,
    started: Instant,
) -> Result<Built, Stopped> {
    let mut findings = opened.findings.clone();
    let mut workspace = Workspace::new(opened).await?;
    if let Some(before) = workspace.published.as_of
        && workspace.opened.clock.micros() < before
        && !options.plan_only
    {
        let clock = &workspace.opened.clock;
        let shown =
            |at: chrono::DateTime<chrono::Utc>| at.with_timezone(&clock.timezone).format("%Y-%m-%d %H:%M:%S %Z");
        let at = shown(chrono::DateTime::from_timestamp_micros(before).unwrap_or_default());
        let failure = Failure::project(
            "W003",
            "building",
            format!("`as_of` {} lies before what is published, {at}", shown(clock.as_of)),
        )
        .help("history is not rewritten: leave out `--as-of`, or give a later one");
        return Err(failure.into());
    }
    let why = why(&workspace).await?;
    if why == Why::Nothing && !options.full_refresh {
        let segments = Vec::new();
        publish::read_published(&mut workspace).await?;
        customers::published_consents(&workspace).await?;
        return Ok(Built {
            workspace,
            findings,
            why,
            customers: Vec::new(),
            segments,
            tables: Vec::new(),
            seconds: started.elapsed().as_secs_f64(),
        });
    }
    progress.step("checking the sources", None);
    findings.extend(expectations::check(&workspace).await?);
    if findings.iter().any(|finding| finding.severity == Severity::Error) {
        return Err(Stopped::Findings(Box::new(workspace.opened.files.clone()), findings));
    }
    let entities: Vec<crate::project::Entity> = workspace.opened.project.entities.values().cloned().collect();
    let mut all = Vec::new();
    let mut changes = Vec::new();
    let mut resolved = Vec::with_capacity(entities.len());
    for entity in &entities {
        progress.step(&format!("finding each {}", entity.name), None);
        resolved.push(identity::run(&workspace, entity).await?);
    }
    // A source's rows may find customers of several entities: all of them are known by now.
    identity::resolve_sources(&workspace).await?;
    progress.step("reading consents", None);
    customers::current_consents(&workspace).await?;
    for (entity, report) in entities.iter().zip(resolved) {
        all.push(customers::run(&workspace, entity, report, progress).await?);
        changes.extend(segments::run(&workspace, entity, &options.accept, &options.selection).await?);
    }
    let tables = match lease {
        Some(lease) => {
            progress.step("publishing", None);
            publish::run(&workspace, lease, options, &changes, started).await?
        }
        None => Vec::new(),
    };
    if lease.is_some() {
        workspace.published =
            crate::store::Published::load(&workspace.opened.warehouse, &workspace.opened.session).await?;
    }
    progress.finish();
    Ok(Built {
        workspace,
        findings,
        why,
        customers: all,
        segments: changes,
        tables,
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// Compares what would be computed with what was published.
async fn why(workspace: &Workspace) -> Result<Why, Failure> {
    if workspace.published.run.is_none() {
        return Ok(Why::New);
    }
    let sources: Vec<String> = workspace.changed_inputs().into_iter().map(str::to_owned).collect();
    let definitions = publish::project_fingerprint(workspace)
        != workspace.published.inputs.get(publish::PROJECT).cloned().unwrap_or_default();
    if !sources.is_empty() || definitions {
        return Ok(Why::Changed { sources, definitions });
    }
    let same_instant = workspace.published.as_of == Some(workspace.opened.clock.micros());
    Ok(if same_instant { Why::Nothing } else { Why::Time })
}
