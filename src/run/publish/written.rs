//! Tables as a run leaves them: replaced, added to, or left as they are published.

use std::sync::Arc;
use std::time::Instant;

use datafusion::common::ScalarValue;
use datafusion::execution::SendableRecordBatchStream;

use super::{PublishedRows, Publisher, description};
use crate::compile::customer::{self, DIGEST};
use crate::diag::Result;
use crate::project::Entity;
use crate::run::fingerprint::{self, Rows, Tally, Told};
use crate::run::results::Results;
use crate::run::segments::Moved;
use crate::run::steps::{self, Ended, Step};
use crate::sql::{ident, text_literal};
use crate::store::{Input, TableSpec, Written, failure_from, tables};

impl Publisher<'_> {
    /// The tables of an entity that was resolved.
    pub(super) async fn identity(&mut self, entity: &Entity) -> Result<()> {
        let records = tables::records(&entity.name);
        self.overwrite(&records, &records.name, &["run_id"]).await?;
        // Who a shared device belonged to at what time: whoever reads a source with its customers needs it.
        for spec in [tables::identifiers, tables::links, tables::nodes, tables::contested] {
            let spec = spec(&entity.name);
            self.overwrite(&spec, &spec.name, &[]).await?;
        }
        let ids = tables::ids(&entity.name);
        self.append(&ids, &ids.name).await
    }

    /// The stays in segments: those of the segments alone whose members have changed, unless all are to be written.
    pub(super) async fn members(&mut self, moved: Moved) -> Result<()> {
        let (spec, from, workspace) = (tables::segment_members(), "segment_members", self.workspace);
        let Some(moved) = moved.filter(|_| self.there.contains_key(&spec.name)) else {
            return self.overwrite(&spec, from, &[]).await;
        };
        if moved.is_empty() {
            self.leave(&[spec]);
            return Ok(());
        }
        let names: Vec<String> = moved.iter().map(|name| text_literal(name)).collect();
        let sql = format!("select * from {} where segment in ({})", ident(from), names.join(", "));
        workspace.view("moved_members", &sql).await?;
        let (plan, started, opened) = (workspace.plan("moved_members").await?, Instant::now(), &workspace.opened);
        let values: Vec<ScalarValue> = moved.into_iter().map(ScalarValue::from).collect();
        let turn = self.lease.turn().await?;
        let warehouse = &opened.warehouse;
        let written = warehouse.replace_where(&spec, "segment", &values, plan, &self.commit, &opened.session).await?;
        drop(turn);
        self.timed(&spec, started, written.rows);
        let (table, rows, version) = (spec.name.clone(), written.rows, written.version);
        // What a part of the rows says, nothing is ever compared with.
        let fingerprint = Some(format!("part of {}", workspace.run_id));
        self.note(&spec, fingerprint, PublishedRows { table, rows, version, is_written: true });
        Ok(())
    }

    /// Leaves tables as they are published: what they would be made of has not changed.
    pub(super) fn leave(&mut self, specs: &[TableSpec]) {
        for spec in specs {
            let before = self.before.get(&steps::of_table(&spec.name));
            let fingerprint = before.map(|step| step.fingerprint.clone());
            let rows = before.and_then(|step| step.rows);
            let (table, version) = (spec.name.clone(), self.there.get(&spec.name).copied().unwrap_or_default());
            let table = PublishedRows { table, rows: rows.unwrap_or_default(), version, is_written: false };
            self.note(spec, fingerprint, table);
        }
    }

    /// What later runs may read instead of computing it.
    pub(super) async fn results(&mut self, results: &Results<'_>) -> Result<()> {
        for made in results.made() {
            let Some((spec, files)) = results.table(&made).await? else { continue };
            let mut table = PublishedRows { table: made.name, rows: made.rows, version: 0, is_written: !made.is_found };
            table.version = if made.is_found {
                self.there.get(&spec.name).copied().unwrap_or_default()
            } else {
                let _turn = self.lease.turn().await?;
                let started = Instant::now();
                let written = self.workspace.opened.warehouse.adopt(&spec, &files, &self.commit).await?;
                self.timed(&spec, started, written.rows);
                written.version
            };
            if let Some(states) = made.states {
                let step = Step::new(steps::of_states(&spec.name), Ended::Done);
                self.steps.push(Step { fingerprint: states, ..step });
            }
            self.note(&spec, Some(made.basis), table);
        }
        Ok(())
    }

    /// The customers, and what the next run needs to know who of them has changed.
    pub(super) async fn customers(&mut self, entity: &Entity) -> Result<()> {
        let workspace = self.workspace;
        let all = workspace.schema(&entity.name).await?;
        let columns: Vec<usize> = (0..all.fields().len()).filter(|place| all.field(*place).name() != DIGEST).collect();
        let schema = all.project(&columns).map_err(|error| failure_from("publishing", &error.into()))?;
        let spec = TableSpec {
            name: entity.name.clone(),
            schema: Arc::new(schema),
            partition_by: Vec::new(),
            personal: customer::personal(&workspace.opened.project, entity),
            description: description(entity),
        };
        let (rows, tally) = fingerprint::passing(workspace, &spec, &entity.name, Told::By(DIGEST)).await?;
        self.replace(&[&spec, &tables::seen(&entity.name)], rows, &tally).await
    }

    /// Replaces the rows of a table, unless they are those that are published.
    pub(super) async fn overwrite(
        &mut self,
        spec: &TableSpec,
        from: &str,
        ignored: &'static [&'static str],
    ) -> Result<()> {
        let workspace = self.workspace;
        if spec.partition_by.is_empty() {
            let (rows, tally) = fingerprint::passing(workspace, spec, from, Told::ByAllBut(ignored)).await?;
            return self.replace(&[spec], rows, &tally).await;
        }
        let version = self.there.get(&spec.name).copied().filter(|_| !self.options.full_refresh);
        if let (Some(version), Some(before)) = (version, self.before.get(&steps::of_table(&spec.name))) {
            let rows = fingerprint::of(workspace, spec, from, ignored).await?;
            if rows.fingerprint == before.fingerprint {
                let table = PublishedRows { table: spec.name.clone(), rows: rows.count, version, is_written: false };
                self.note(spec, Some(rows.fingerprint), table);
                return Ok(());
            }
        }
        let (passing, tally) = fingerprint::passing(workspace, spec, from, Told::ByAllBut(ignored)).await?;
        let turn = self.lease.turn().await?;
        let (opened, started) = (&workspace.opened, Instant::now());
        let written = opened.warehouse.overwrite(spec, passing, &self.commit, &opened.session).await?;
        drop(turn);
        self.timed(spec, started, written.rows);
        let rows = tally.rows();
        let (table, version) = (spec.name.clone(), written.version);
        self.note(spec, Some(rows.fingerprint), PublishedRows { table, rows: rows.count, version, is_written: true });
        Ok(())
    }

    /// Writes the files of tables that are made of the same rows, and puts them in the place of those that are published, unless
    /// they are the same.
    pub(super) async fn replace(
        &mut self,
        specs: &[&TableSpec],
        rows: Vec<SendableRecordBatchStream>,
        tally: &Tally,
    ) -> Result<()> {
        let started = Instant::now();
        let files = self.workspace.stage.prepare(specs, rows).await?;
        let Rows { count, fingerprint } = tally.rows();
        for (spec, files) in specs.iter().zip(files) {
            let before = self.before.get(&steps::of_table(&spec.name)).filter(|_| !self.options.full_refresh);
            let same = before.is_some_and(|before| before.fingerprint == fingerprint);
            let version = self.there.get(&spec.name).copied().filter(|_| same);
            let is_written = version.is_none();
            let version = match version {
                Some(version) => version,
                None => {
                    let _turn = self.lease.turn().await?;
                    let written = self.workspace.opened.warehouse.adopt(spec, &files, &self.commit).await?;
                    self.timed(spec, started, written.rows);
                    written.version
                }
            };
            let table = PublishedRows { table: spec.name.clone(), rows: count, version, is_written };
            self.note(spec, Some(fingerprint.clone()), table);
        }
        Ok(())
    }

    pub(super) async fn append(&mut self, spec: &TableSpec, from: &str) -> Result<()> {
        let plan = self.workspace.plan(from).await?;
        self.add(spec, plan.into()).await
    }

    pub(super) async fn add(&mut self, spec: &TableSpec, rows: Input) -> Result<()> {
        let _turn = self.lease.turn().await?;
        let (opened, started) = (&self.workspace.opened, Instant::now());
        let Written { rows, version, .. } = opened.warehouse.append(spec, rows, &self.commit, &opened.session).await?;
        self.timed(spec, started, rows);
        self.note(spec, None, PublishedRows { table: spec.name.clone(), rows, version, is_written: true });
        Ok(())
    }
}
