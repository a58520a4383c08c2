//! Publishing: each table is one commit, and the row in `runs` that lists their versions is the last.

mod histories;
mod tidied;
mod written;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::audit;
use super::build::BuildOptions;
use super::definitions;
use super::expectations::Checked;
use super::kept::Kept;
use super::recorded::{Ending, Run};
use super::renames;
use super::results::{self, Results};
use super::segments::{Moved, SegmentChange};
use super::steps::{self, Ended, Step};
use super::workspace::Workspace;
use crate::diag::{Failure, Finding, Result};
use crate::project::{Entity, Kind};
use crate::store::{Commit, Lease, Published, TableSpec, Written, tables};

/// The key of the project's own fingerprint among the inputs of a run.
pub(super) const PROJECT: &str = "(project)";

/// A table that a run publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedRows {
    /// Its name.
    pub table: String,
    /// Its rows, or those that were added.
    pub rows: u64,
    /// Its version now.
    pub version: u64,
    /// Was it written? A table whose rows are those that are published keeps its version.
    pub is_written: bool,
}

/// Writes what is on the stage, then the run.
pub(super) async fn run(
    results: &Results<'_>,
    lease: &Lease,
    options: &BuildOptions,
    (segments, moved): (&[SegmentChange], Moved),
    kept: &Kept,
    checked: &Checked,
    recorded: &Run,
) -> Result<(Vec<PublishedRows>, Vec<Finding>)> {
    let workspace = results.workspace;
    let mut publisher = Publisher {
        workspace,
        lease,
        options,
        commit: Commit::of_run(&workspace.run_id),
        before: steps::last(workspace).await?,
        there: workspace.published.tables.clone(),
        steps: Vec::new(),
        written: Vec::new(),
    };
    let project = &workspace.opened.project;
    publisher.nothing_is_somebody_elses(results).await?;
    let findings = publisher.roll_back().await?;
    for entity in project.entities.values().filter(|entity| !kept.has_entity(&entity.name)) {
        if results.is_identity_kept(entity) {
            publisher.leave(&tables::entity_tables(&entity.name));
        } else {
            publisher.identity(entity).await?;
        }
        publisher.customers(entity).await?;
    }
    // What was computed of a part would take the place of the whole.
    if kept.is_empty() {
        publisher.results(results).await?;
    }
    publisher.scores(kept).await?;
    publisher.members(moved).await?;
    publisher.sizes(segments).await?;
    publisher.overwrite(&tables::consents(), "consents", &[]).await?;
    publisher.append(&tables::consent_ledger(), "new_consent_events").await?;
    publisher.audit(segments, checked).await?;
    publisher.steps.extend(steps::of_sources(checked, &publisher.before));
    publisher.steps.extend(results.steps());
    publisher.steps(segments, kept, (chrono::Utc::now() - recorded.started).num_milliseconds()).await?;
    publisher.tidy(recorded.started).await?;
    recorded.record(lease, &Ending::Done(&publisher.set(segments, kept))).await?;
    Ok((publisher.written, findings))
}

/// Its rows are not those that a run computed, whatever they are.
fn written_by_another(table: &str, version: u64) -> Finding {
    let message = format!("another program has written to the table `{table}`: what it wrote was taken out again");
    Finding::warning("W414", message).help(format!(
        "it is still in version {version} of the table; let that program write to a table of its own, outside of `warehouse.schema`"
    ))
}

fn description(entity: &Entity) -> String {
    format!("One row per {}: golden record, traits, scores and segments", entity.name)
}

struct Publisher<'a> {
    workspace: &'a Workspace,
    lease: &'a Lease,
    options: &'a BuildOptions,
    commit: Commit,
    /// What the published run did.
    before: BTreeMap<String, Step>,
    /// The versions that hold what is published.
    there: BTreeMap<String, u64>,
    steps: Vec<Step>,
    written: Vec<PublishedRows>,
}

impl Publisher<'_> {
    /// A table that no run has published is there already: either a run that was killed made it, or another program, whose
    /// rows are neither replaced nor added to.
    async fn nothing_is_somebody_elses(&self, results: &Results<'_>) -> Result<()> {
        let mut ours = vec![
            tables::segment_members(),
            tables::segment_sizes(),
            tables::score_values(),
            tables::consents(),
            tables::consent_ledger(),
            tables::run_steps(),
            tables::audit(),
        ];
        ours.extend(
            self.workspace.opened.project.entities.values().flat_map(|entity| tables::entity_tables(&entity.name)),
        );
        let mut ours: Vec<(String, String)> = ours.into_iter().map(|spec| (spec.name, spec.description)).collect();
        let entities = self.workspace.opened.project.entities.values();
        ours.extend(entities.map(|entity| (entity.name.clone(), description(entity))));
        ours.extend(results.made().into_iter().map(|made| (made.name, results::DESCRIPTION.to_owned())));
        ours.retain(|(name, _)| self.workspace.published.version(name).is_none());
        for (name, description) in ours {
            let Some(table) = self.workspace.opened.warehouse.table(&name, None).await? else { continue };
            if table.description()?.as_deref() != Some(description.as_str()) {
                let doing = format!("writing the table `{name}`");
                let failure =
                    Failure::world("W404", doing, "another program has made a table of this name").help(format!(
                        "move `{}` away, or set `warehouse.schema` to a folder of cohorte's own",
                        self.workspace.opened.warehouse.place(&name)
                    ));
                return Err(failure);
            }
        }
        Ok(())
    }

    /// What a run that was killed wrote ahead of the published set is undone before anything is added to it. So is what another
    /// program wrote, and that is said.
    async fn roll_back(&mut self) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        let warehouse = &self.workspace.opened.warehouse;
        let mut names: Vec<String> = self.workspace.published.tables.keys().cloned().collect();
        // Tables that are added to count even where none was published yet: half a run must not be added to twice.
        names.extend(self.workspace.opened.project.entities.values().map(|entity| tables::ids(&entity.name).name));
        names.extend(["consent_ledger", "segment_sizes", "score_values", "run_steps"].map(str::to_owned));
        names.sort();
        names.dedup();
        // What was accepted stays written, whatever became of the run.
        for name in names.iter().filter(|name| *name != "runs" && *name != "audit") {
            let published = self.workspace.published.version(name);
            let Some(table) = warehouse.table(name, None).await? else { continue };
            let actual = table.version();
            if published.is_none_or(|published| actual > published) {
                let ahead = actual - published.unwrap_or(0);
                if published.is_some() && table.commits_of_others(ahead as usize).await? > 0 {
                    findings.push(written_by_another(name, actual));
                }
                let _turn = self.lease.turn().await?;
                let version = warehouse.roll_back(name, published, &self.commit).await?;
                if let (Some(_), Some(version)) = (published, version) {
                    self.there.insert(name.clone(), version);
                }
            }
        }
        Ok(findings)
    }

    fn timed(&self, spec: &TableSpec, since: Instant, rows: u64) {
        self.workspace.stage.timings.note(format!("writing `{}`", spec.name), since, Some(rows), None);
    }

    fn note(&mut self, spec: &TableSpec, fingerprint: Option<String>, table: PublishedRows) {
        let ended = if table.is_written { Ended::Done } else { Ended::Unchanged };
        self.steps.push(Step {
            fingerprint: fingerprint.unwrap_or_default(),
            rows: Some(table.rows),
            ..Step::new(steps::of_table(&spec.name), ended)
        });
        self.written.push(table);
    }

    /// Guards that were passed on request.
    async fn audit(&mut self, segments: &[SegmentChange], checked: &Checked) -> Result<()> {
        let passed = segments.iter().filter(|change| change.accepted);
        let emptied = checked.accepted.iter().map(|(source, before)| {
            audit::Act::accept(Kind::Source.id(source), format!("it has no rows any more; it had {before}"))
        });
        let acts: Vec<audit::Act> = passed
            .filter_map(|change| {
                let subject = Kind::Segment.id(&change.segment);
                Some(audit::Act::accept(subject, change.tripped.as_ref()?.reason.clone()))
            })
            .chain(emptied)
            .collect();
        if let Some(Written { rows, version, .. }) = audit::write(self.workspace, self.lease, &acts).await? {
            let spec = tables::audit();
            self.note(&spec, None, PublishedRows { table: spec.name.clone(), rows, version, is_written: true });
        }
        Ok(())
    }

    /// Adds what became of each model and table.
    async fn steps(&mut self, segments: &[SegmentChange], kept: &Kept, millis: i64) -> Result<()> {
        let mut all = std::mem::take(&mut self.steps);
        // Tables that this run leaves alone are still those that their fingerprints speak of.
        let noted: BTreeSet<&str> = all.iter().map(|step| step.model.as_str()).collect();
        let left = self.before.values().filter(|step| step.is_lasting() && !noted.contains(step.model.as_str()));
        let left: Vec<Step> = left.map(|step| Step { ended: Ended::Kept, ..step.clone() }).collect();
        all.extend(left);
        // What became of sources is among the steps already.
        let is_source = |step: &Step| step.model.starts_with(&Kind::Source.id(""));
        all.extend(steps::of_models(segments, kept).into_iter().filter(|step| !is_source(step)));
        renames::record(&mut all, &self.workspace.opened.project, kept, &self.before);
        let rows = steps::rows(&self.workspace.run_id, &all, millis)?;
        self.add(&tables::run_steps(), rows.into()).await
    }

    /// The set that readers see once the run is recorded.
    fn set(&self, segments: &[SegmentChange], kept: &Kept) -> Published {
        let opened = &self.workspace.opened;
        let mut set = self.workspace.published.clone();
        set.tables.extend(self.there.clone());
        set.tables.extend(self.written.iter().map(|table| (table.table.clone(), table.version)));
        set.inputs = opened.inputs.clone();
        // A source that not everything was built from has still to be read.
        set.inputs.retain(|name, _| !kept.is_behind(name));
        let before = self.workspace.published.inputs.iter().filter(|(name, _)| kept.is_behind(name));
        set.inputs.extend(before.map(|(name, fingerprint)| (name.clone(), fingerprint.clone())));
        // What was built in part, or held back by a guard, is to be built again.
        let whole = kept.is_empty() && !segments.iter().any(SegmentChange::is_held);
        let fingerprint = if whole { definitions::fingerprint(opened) } else { String::new() };
        set.inputs.extend(definitions::of(opened));
        set.inputs.insert(PROJECT.to_owned(), fingerprint);
        set
    }
}

/// Registers what is published under its names, for verbs that read it. Nothing is computed.
pub(super) async fn read_published(workspace: &Workspace) -> Result<()> {
    for table in workspace.published.list() {
        workspace.published_as(&table.name, &table.name).await?;
    }
    Ok(())
}
