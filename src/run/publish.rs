//! Publishing: each table is one commit, and the row in `runs` that lists their versions is the last.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use datafusion::arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, StringViewArray, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::Schema;
use datafusion::common::TableReference;

use super::build::BuildOptions;
use super::recorded::{self, HELD, Recorded};
use super::segments::SegmentChange;
use super::workspace::Workspace;
use crate::compile::customer;
use crate::diag::{Failure, Result};
use crate::project::{Entity, ScoreKind};
use crate::sql::{ident, text_literal};
use crate::store::{Commit, Lease, TableSpec, Written, tables};

/// The key of the project's own fingerprint among the inputs of a run.
pub(super) const PROJECT: &str = "(project)";

/// A table that a run wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedRows {
    /// Its name.
    pub table: String,
    /// Rows that were written.
    pub rows: u64,
    /// Its version now.
    pub version: u64,
}

/// A hash of everything that the project compiles to, whatever the time.
pub(super) fn project_fingerprint(workspace: &Workspace) -> String {
    let project = &workspace.opened.project;
    let mut hasher = blake3::Hasher::new();
    hasher.update(env!("CARGO_PKG_VERSION").as_bytes());
    // The order of maps is that of the files; `Debug` of the resolved project has no addresses and no secrets.
    let parts = (&project.settings.timezone, &project.sources, &project.facts, &project.entities, &project.features);
    hasher.update(format!("{parts:?}").as_bytes());
    let models = (&project.traits, &project.scores, &project.segments, &project.purposes, &project.consents);
    hasher.update(format!("{models:?}").as_bytes());
    hasher.finalize().to_hex().as_str()[..32].to_owned()
}

/// Writes what is on the stage, then the run.
pub(super) async fn run(
    workspace: &Workspace,
    lease: &Lease,
    options: &BuildOptions,
    segments: &[SegmentChange],
    started: Instant,
) -> Result<Vec<PublishedRows>> {
    let mut publisher = Publisher { workspace, lease, commit: Commit::of_run(&workspace.run_id), written: Vec::new() };
    let project = &workspace.opened.project;
    publisher.nothing_is_somebody_elses().await?;
    publisher.roll_back().await?;
    for entity in project.entities.values() {
        for spec in [
            tables::records(&entity.name),
            tables::identifiers(&entity.name),
            tables::links(&entity.name),
            tables::nodes(&entity.name),
        ] {
            publisher.overwrite(&spec, &spec.name).await?;
        }
        // Who a shared device belonged to at what time: whoever reads a source with its customers needs it.
        let contested = tables::contested(&entity.name);
        publisher.overwrite(&contested, &contested.name).await?;
        let ids = tables::ids(&entity.name);
        publisher.append(&ids, &ids.name).await?;
        let spec = TableSpec {
            name: entity.name.clone(),
            schema: workspace.schema(&entity.name).await?,
            partition_by: Vec::new(),
            personal: customer::personal(project, entity),
            description: description(entity),
        };
        publisher.overwrite(&spec, &entity.name).await?;
    }
    publisher.scores().await?;
    publisher.overwrite(&tables::segment_members(), "segment_members").await?;
    publisher.sizes(segments).await?;
    publisher.overwrite(&tables::consents(), "consents").await?;
    publisher.append(&tables::consent_ledger(), "new_consent_events").await?;
    publisher.steps(segments, started).await?;
    publisher.runs(options, segments, started).await?;
    Ok(publisher.written)
}

fn description(entity: &Entity) -> String {
    format!("One row per {}: golden record, traits, scores and segments", entity.name)
}

struct Publisher<'a> {
    workspace: &'a Workspace,
    lease: &'a Lease,
    commit: Commit,
    written: Vec<PublishedRows>,
}

impl Publisher<'_> {
    /// A table that no run has published is there already: either a run that was killed made it, or another program, whose
    /// rows are neither replaced nor added to.
    async fn nothing_is_somebody_elses(&self) -> Result<()> {
        let mut ours = vec![
            tables::segment_members(),
            tables::segment_sizes(),
            tables::score_values(),
            tables::consents(),
            tables::consent_ledger(),
            tables::run_steps(),
        ];
        ours.extend(
            self.workspace.opened.project.entities.values().flat_map(|entity| tables::entity_tables(&entity.name)),
        );
        let mut ours: Vec<(String, String)> = ours.into_iter().map(|spec| (spec.name, spec.description)).collect();
        let entities = self.workspace.opened.project.entities.values();
        ours.extend(entities.map(|entity| (entity.name.clone(), description(entity))));
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

    /// What a run that was killed wrote ahead of the published set is undone before anything is added to it.
    async fn roll_back(&mut self) -> Result<()> {
        let warehouse = &self.workspace.opened.warehouse;
        let mut names: Vec<String> = self.workspace.published.tables.keys().cloned().collect();
        // Tables that are added to count even where none was published yet: half a run must not be added to twice.
        names.extend(self.workspace.opened.project.entities.values().map(|entity| tables::ids(&entity.name).name));
        names.extend(["consent_ledger", "segment_sizes", "score_values", "run_steps"].map(str::to_owned));
        names.sort();
        names.dedup();
        for name in names.iter().filter(|name| *name != "runs") {
            let published = self.workspace.published.version(name);
            let actual = warehouse.version(name).await?;
            if actual > published && actual.is_some() {
                self.lease.check().await?;
                warehouse.roll_back(name, published, &self.commit).await?;
            }
        }
        Ok(())
    }

    async fn overwrite(&mut self, spec: &TableSpec, from: &str) -> Result<()> {
        let plan = self.workspace.plan(from).await?;
        self.lease.check().await?;
        let written =
            self.workspace.opened.warehouse.overwrite(spec, plan, &self.commit, &self.workspace.opened.session).await?;
        self.note(spec, written);
        Ok(())
    }

    async fn append(&mut self, spec: &TableSpec, from: &str) -> Result<()> {
        let plan = self.workspace.plan(from).await?;
        self.lease.check().await?;
        let written =
            self.workspace.opened.warehouse.append(spec, plan, &self.commit, &self.workspace.opened.session).await?;
        self.note(spec, written);
        Ok(())
    }

    async fn append_batch(&mut self, spec: &TableSpec, batch: RecordBatch) -> Result<()> {
        self.lease.check().await?;
        let written =
            self.workspace.opened.warehouse.append(spec, batch, &self.commit, &self.workspace.opened.session).await?;
        self.note(spec, written);
        Ok(())
    }

    fn note(&mut self, spec: &TableSpec, written: Written) {
        self.written.push(PublishedRows { table: spec.name.clone(), rows: written.rows, version: written.version });
    }

    /// Adds rows to what is remembered under names of models; where models take over old names, all of it is written anew.
    async fn remember(&mut self, spec: &TableSpec, new: &str, renamed: Option<(&str, String)>) -> Result<()> {
        let Some((name_column, renamed)) = renamed else { return self.append(spec, new).await };
        let before = format!("before_{}", spec.name);
        self.workspace.before(spec, &before).await?;
        let names: Vec<String> = spec.schema.fields().iter().map(|field| ident(field.name())).collect();
        let kept: Vec<String> = (names.iter())
            .map(|name| if *name == ident(name_column) { format!("{renamed} as {name}") } else { name.clone() })
            .collect();
        let whole = format!("all_{}", spec.name);
        let sql =
            format!("select {} from {before}\nunion all\nselect {} from {new}", kept.join(", "), names.join(", "));
        self.workspace.view(&whole, &sql).await?;
        self.overwrite(spec, &whole).await
    }

    async fn scores(&mut self) -> Result<()> {
        let project = &self.workspace.opened.project;
        let mut parts = Vec::new();
        for score in project.scores.values() {
            let Some(entity) = project.entities.get(&score.entity) else { continue };
            let (id, column) = (ident(&entity.id()), ident(&score.name));
            let (value, tier) = match score.kind {
                ScoreKind::Points(_) => (format!("cast({column} as double)"), "cast(null as varchar)".to_owned()),
                ScoreKind::Rfm(_) => ("cast(null as double)".to_owned(), column.clone()),
            };
            parts.push(format!(
                "select {} as score, {} as entity, {id} as entity_id, {value} as value, {tier} as tier, cast(null as varchar) as reasons, cohorte_now() as as_of, {} as run_id from {} where {column} is not null",
                text_literal(&score.name),
                text_literal(&entity.name),
                text_literal(&self.workspace.run_id),
                ident(&entity.name)
            ));
        }
        if parts.is_empty() {
            return Ok(());
        }
        self.workspace.view("new_score_values", &parts.join("\nunion all\n")).await?;
        let spec = tables::score_values();
        self.workspace.before(&spec, "before_score_values").await?;
        let named = project.scores.values().map(|score| (&score.entity, &score.name, score.was.as_ref()));
        let recorded = Recorded::load(self.workspace, "score").await?;
        let renames = recorded.renames(self.workspace, "before_score_values", "score", named).await?;
        let renamed = (!renames.is_empty()).then(|| ("score", renames.sql("score", Some("entity"))));
        self.remember(&spec, "new_score_values", renamed).await
    }

    async fn sizes(&mut self, segments: &[SegmentChange]) -> Result<()> {
        if segments.is_empty() {
            return Ok(());
        }
        let spec = tables::segment_sizes();
        let n = segments.len();
        let figures = |of: fn(&SegmentChange) -> u64| -> ArrayRef {
            Arc::new(segments.iter().map(|change| Some(of(change) as i64)).collect::<Int64Array>())
        };
        let columns: BTreeMap<&str, ArrayRef> = BTreeMap::from([
            ("segment", texts(segments.iter().map(|change| Some(change.segment.as_str())))),
            ("as_of", instants(n, self.workspace.opened.clock.micros())),
            ("members", figures(|change| change.members)),
            ("entered", figures(|change| change.entered)),
            ("exited", figures(|change| change.exited)),
            ("run_id", texts((0..n).map(|_| Some(self.workspace.run_id.as_str())))),
        ]);
        let batch = batch(&spec.schema, columns)?;
        let session = &self.workspace.opened.session;
        self.workspace.stage.hold(session, "new_segment_sizes", Arc::clone(&spec.schema), vec![batch])?;
        let mut cases = String::new();
        for change in segments {
            if let Some(old) = &change.old_name {
                cases.push_str(&format!(" when {} then {}", text_literal(old), text_literal(&change.segment)));
            }
        }
        let renamed = (!cases.is_empty()).then(|| ("segment", format!("case segment{cases} else segment end")));
        self.remember(&spec, "new_segment_sizes", renamed).await
    }

    async fn steps(&mut self, segments: &[SegmentChange], started: Instant) -> Result<()> {
        let spec = tables::run_steps();
        let project = &self.workspace.opened.project;
        let mut rows: Vec<(String, String, String, Option<u64>, &str)> = self
            .written
            .iter()
            .map(|table| (format!("table:{}", table.table), String::new(), String::new(), Some(table.rows), "done"))
            .collect();
        rows.extend(project.scores.values().map(|score| {
            (format!("score:{}", score.name), recorded::why(score.was.as_ref()), String::new(), None, "done")
        }));
        rows.extend(segments.iter().map(|change| {
            // A later `sync` has to know whose members were held back.
            let outcome = if change.is_held() { HELD } else { "done" };
            let why = recorded::why(project.segments.get(&change.segment).and_then(|segment| segment.was.as_ref()));
            (format!("segment:{}", change.segment), why, change.hash.clone(), Some(change.members), outcome)
        }));
        let n = rows.len();
        let same = |text: &'static str| texts((0..n).map(move |_| Some(text)));
        let millis = started.elapsed().as_millis() as i64;
        let columns: BTreeMap<&str, ArrayRef> = BTreeMap::from([
            ("run_id", texts((0..n).map(|_| Some(self.workspace.run_id.as_str())))),
            ("model", texts(rows.iter().map(|(model, ..)| Some(model.as_str())))),
            ("action", same("built")),
            ("why", texts(rows.iter().map(|(_, why, ..)| Some(why.as_str())))),
            ("fingerprint", texts(rows.iter().map(|(_, _, print, ..)| Some(print.as_str())))),
            (
                "rows",
                Arc::new(rows.iter().map(|(.., rows, _)| rows.map(|rows| rows as i64)).collect::<Int64Array>())
                    as ArrayRef,
            ),
            ("duration_ms", Arc::new(Int64Array::from(vec![millis; n])) as ArrayRef),
            ("outcome", texts(rows.iter().map(|(.., outcome)| Some(*outcome)))),
        ]);
        let batch = batch(&spec.schema, columns)?;
        self.append_batch(&spec, batch).await
    }

    async fn runs(&mut self, options: &BuildOptions, segments: &[SegmentChange], started: Instant) -> Result<()> {
        let spec = tables::runs();
        let mut published = self.workspace.published.clone();
        published.tables.extend(self.written.iter().map(|table| (table.table.clone(), table.version)));
        published.inputs.clone_from(&self.workspace.opened.inputs);
        // What was built in part, or held back by a guard, is to be built again.
        let whole = options.selection.segments.is_none() && !segments.iter().any(SegmentChange::is_held);
        let fingerprint = if whole { project_fingerprint(self.workspace) } else { String::new() };
        published.inputs.insert(PROJECT.to_owned(), fingerprint);
        let (tables_json, inputs_json) = (published.tables_json(), published.inputs_json());
        let finished = chrono::Utc::now();
        let began = finished - chrono::TimeDelta::from_std(started.elapsed()).unwrap_or_default();
        let one = |text: &str| texts(std::iter::once(Some(text)));
        let columns: BTreeMap<&str, ArrayRef> = BTreeMap::from([
            ("run_id", one(&self.workspace.run_id)),
            ("started_at", instants(1, began.timestamp_micros())),
            ("as_of", instants(1, self.workspace.opened.clock.micros())),
            ("finished_at", instants(1, finished.timestamp_micros())),
            ("command", one(&options.command)),
            ("outcome", one("done")),
            ("published", one(&tables_json)),
            ("inputs", one(&inputs_json)),
            ("cohorte_version", one(env!("CARGO_PKG_VERSION"))),
        ]);
        let batch = batch(&spec.schema, columns)?;
        self.append_batch(&spec, batch).await
    }
}

fn texts<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(values.collect::<StringViewArray>())
}

fn instants(n: usize, micros: i64) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(vec![micros; n]).with_timezone("UTC"))
}

/// Columns by name, in the order of a schema; what is missing is null.
fn batch(schema: &Arc<Schema>, mut columns: BTreeMap<&str, ArrayRef>) -> Result<RecordBatch> {
    let n = columns.values().next().map_or(0, Array::len);
    let arrays = schema.fields().iter().map(|field| match columns.remove(field.name().as_str()) {
        Some(column) => datafusion::arrow::compute::cast(&column, field.data_type()),
        None => Ok(datafusion::arrow::array::new_null_array(field.data_type(), n)),
    });
    let arrays: std::result::Result<Vec<ArrayRef>, _> = arrays.collect();
    let made = arrays.and_then(|arrays| RecordBatch::try_new(Arc::clone(schema), arrays));
    made.map_err(|error| Failure::world("W001", "recording the run", error))
}

/// Registers what is published under its names, for verbs that read it. Nothing is computed.
pub(super) async fn read_published(workspace: &mut Workspace) -> Result<()> {
    let session = &workspace.opened.session;
    for table in workspace.published.list() {
        if let Some(provider) = workspace.published.provider(&workspace.opened.warehouse, &table.name).await? {
            let name = TableReference::bare(table.name.clone());
            let registered =
                session.deregister_table(name.clone()).and_then(|_| session.register_table(name, provider));
            registered
                .map_err(|error| crate::store::failure_from(format!("reading the table `{}`", table.name), &error))?;
        }
    }
    Ok(())
}
