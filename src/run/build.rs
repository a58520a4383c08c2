//! Build: everything is computed on the stage first; only then, in the order of the tables, it is published.

use std::collections::BTreeSet;
use std::time::Instant;

use super::customers::{self, Customers};
use super::definitions::{self, Edit};
use super::expectations;
use super::identity;
use super::kept::Kept;
use super::opened::Opened;
use super::publish;
use super::recorded::{self, Ending, Run};
use super::request::Stopped;
use super::results::Results;
use super::segments::{self, SegmentChange};
use super::selection::Selection;
use super::workspace::{Workspace, new_run_id};
use crate::diag::{Failure, Finding};
use crate::project::Kind;
use crate::report::Progress;
use crate::store::{Lease, LeaseOptions, Published};
use crate::text::Files;

/// How a build is run.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// The verb, for the record.
    pub command: String,
    /// Guards that may be passed once.
    pub accept: Vec<String>,
    /// Which models are built.
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
    /// What was not built.
    pub kept: Kept,
    /// Rows and versions of the tables that are published.
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
        /// Sources, apart from new ones.
        sources: Vec<String>,
        /// Models by their ids, in the order of the project.
        models: Vec<(Edit, String)>,
        /// Is it the settings, the order of the models, or cohorte itself?
        otherwise: bool,
    },
    /// The last run left models as they were.
    Unfinished,
    /// Only time has passed.
    Time,
    /// Everything was to be built anew.
    Refresh,
    /// Nothing has changed at all: what is published stands.
    Nothing,
}

/// Computes everything, and publishes it unless only a plan is wanted.
pub async fn build(opened: Opened, options: &BuildOptions, progress: &dyn Progress) -> Result<Built, Stopped> {
    let run = Run {
        warehouse: opened.warehouse.clone(),
        session: opened.session.clone(),
        id: new_run_id(),
        command: options.command.clone(),
        as_of: opened.clock.micros(),
        started: chrono::Utc::now(),
    };
    let mut build = Build { options, progress, run: &run, lease: None, started: Instant::now() };
    if options.plan_only {
        return build.compute(opened).await;
    }
    let terms =
        LeaseOptions::new(format!("cohorte {}", options.command), run.started).of_run(&run.id).waiting(opened.wait);
    let lease = Lease::acquire(&opened.warehouse, terms).await?;
    build.lease = Some(&lease);
    let built = build.compute(opened).await;
    if let Err(stopped) = &built {
        run.record_stop(&lease, stopped).await;
    }
    let released = lease.release().await;
    if built.is_ok() {
        released?;
    }
    built
}

struct Build<'a> {
    options: &'a BuildOptions,
    progress: &'a dyn Progress,
    run: &'a Run,
    /// None where only a plan is wanted.
    lease: Option<&'a Lease>,
    started: Instant,
}

impl Build<'_> {
    async fn compute(&self, opened: Opened) -> Result<Built, Stopped> {
        let findings = opened.findings.clone();
        let workspace = Workspace::of_run(opened, self.run.id.clone()).await?;
        if let Some(lease) = self.lease {
            recorded::killed(&self.run.warehouse, &self.run.session, lease).await?;
            not_before_published(&workspace)?;
        }
        let why = why(&workspace, self.options.full_refresh);
        let mut built = Built {
            workspace,
            findings,
            why,
            customers: Vec::new(),
            segments: Vec::new(),
            kept: Kept::default(),
            tables: Vec::new(),
            seconds: 0.0,
        };
        if built.why == Why::Nothing {
            publish::read_published(&built.workspace).await?;
            customers::published_consents(&built.workspace).await?;
            if let Some(lease) = self.lease {
                self.run.record(lease, &Ending::Unchanged).await?;
            }
        } else {
            self.everything(&mut built).await?;
        }
        self.progress.finish();
        built.seconds = self.started.elapsed().as_secs_f64();
        Ok(built)
    }

    async fn everything(&self, built: &mut Built) -> Result<(), Stopped> {
        let (workspace, progress) = (&built.workspace, self.progress);
        let project = &workspace.opened.project;
        progress.step("checking the sources", None);
        let checked =
            expectations::check(workspace, &self.options.accept, !self.options.full_refresh, |_| true).await?;
        built.findings.extend(checked.findings.iter().cloned());
        let kept = Kept::of(workspace, &self.options.selection, &checked.failed).await?;
        let nothing_is_left = project.entities.keys().all(|entity| kept.has_entity(entity));
        if !checked.failed.is_empty() && nothing_is_left && workspace.published.run.is_none() {
            return Err(Stopped::Findings(
                Box::new(Files::clone(&workspace.opened.files)),
                std::mem::take(&mut built.findings),
            ));
        }
        let mut results = Results::of(workspace, &checked, !self.options.full_refresh).await?;
        let mut found_of = Vec::with_capacity(project.entities.len());
        for entity in project.entities.values() {
            let found = if kept.has_entity(&entity.name) {
                results.keep_identity(entity, identity::as_published(workspace, entity).await?);
                None
            } else if results.has_identity(entity) {
                let base = identity::unchanged(workspace, entity).await?;
                results.keep_identity(entity, base.whose);
                Some((None, base.rows))
            } else {
                progress.step(&format!("finding each {}", entity.name), None);
                let (report, base) = identity::run(&results, entity).await?;
                results.new_identity(entity, base.whose);
                Some((Some(report), base.rows))
            };
            found_of.push(found);
        }
        // A source's rows may find customers of several entities: all of them are known by now.
        progress.step("reading consents", None);
        customers::current_consents(workspace, &checked.failed, Some(&results)).await?;
        let mut moved = Some(BTreeSet::new());
        for (entity, found) in project.entities.values().zip(found_of) {
            if let Some(found) = found {
                built.customers.push(customers::run(workspace, &results, entity, found, &kept, progress).await?);
            }
            let changes = segments::run(&results, entity, &self.options.accept, &kept, &mut moved).await?;
            built.segments.extend(changes);
        }
        built.findings.extend(results.said());
        if let Some(lease) = self.lease {
            progress.step("publishing", None);
            let moved = moved.filter(|_| !self.options.full_refresh);
            let (tables, findings) =
                publish::run(&results, lease, self.options, (&built.segments, moved), &kept, &checked, self.run)
                    .await?;
            built.tables = tables;
            built.findings.extend(findings);
        }
        built.kept = kept;
        if self.lease.is_some() {
            built.workspace.published = Published::load(&self.run.warehouse, &self.run.session).await?;
        }
        Ok(())
    }
}

/// History is not rewritten.
fn not_before_published(workspace: &Workspace) -> Result<(), Failure> {
    let clock = &workspace.opened.clock;
    let Some(before) = workspace.published.as_of.filter(|before| clock.micros() < *before) else { return Ok(()) };
    let shown = |at: chrono::DateTime<chrono::Utc>| at.with_timezone(&clock.timezone).format("%Y-%m-%d %H:%M:%S %Z");
    let at = shown(chrono::DateTime::from_timestamp_micros(before).unwrap_or_default());
    let cause = format!("`as_of` {} lies before what is published, {at}", shown(clock.as_of));
    Err(Failure::project("W003", "building", cause)
        .help("history is not rewritten: leave out `--as-of`, or give a later one"))
}

/// Compares what would be computed with what was published.
fn why(workspace: &Workspace, full_refresh: bool) -> Why {
    if workspace.published.run.is_none() {
        return Why::New;
    }
    if full_refresh {
        return Why::Refresh;
    }
    let mut sources: Vec<String> = workspace.changed_inputs().into_iter().map(str::to_owned).collect();
    let edits = definitions::edits(&workspace.opened, &workspace.published);
    if !sources.is_empty() || edits.is_some() {
        let otherwise = edits.as_ref().is_some_and(Vec::is_empty);
        let models = edits.unwrap_or_default();
        sources.retain(|source| !models.contains(&(Edit::New, Kind::Source.id(source))));
        return Why::Changed { sources, models, otherwise };
    }
    if workspace.published.inputs.get(publish::PROJECT).is_none_or(String::is_empty) {
        return Why::Unfinished;
    }
    let same_instant = workspace.published.as_of == Some(workspace.opened.clock.micros());
    if same_instant { Why::Nothing } else { Why::Time }
}
