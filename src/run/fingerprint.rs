//! A fingerprint of a relation's rows, whatever their order: a table whose rows are those that are published is not
//! written again.
//!
//! Each row has 128 bits of a digest that tells lists, nulls and floats apart; the fingerprint is their sum, with the number of
//! rows, so that a row which is there twice counts twice.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use datafusion::arrow::array::RecordBatch;
use datafusion::error::Result as EngineResult;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use futures::StreamExt;

use super::workspace::Workspace;
use crate::diag::Result;
use crate::engine::functions::sum_of_rows;
use crate::sql::ident;
use crate::store::{TableSpec, failure_from, stored_schema};

/// Rows and their fingerprint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rows {
    pub(super) count: u64,
    pub(super) fingerprint: String,
}

/// Adds up rows as they pass. Some columns say nothing about a row, such as which run wrote it.
pub(super) struct Tally {
    /// What the table is apart from its rows.
    shape: String,
    told: Told,
    sum: Mutex<(u64, u128)>,
}

/// What tells rows apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// All columns but these.
    ByAllBut(&'static [&'static str]),
    /// This column, which is no part of the table, says all that the others say.
    By(&'static str),
}

impl Told {
    fn takes(self, column: &str) -> bool {
        match self {
            Self::ByAllBut(ignored) => !ignored.contains(&column),
            Self::By(one) => one == column,
        }
    }
}

impl Tally {
    fn of(spec: &TableSpec, told: Told) -> Self {
        let stored = stored_schema(&spec.schema);
        let types: Vec<_> = stored.fields().iter().map(|field| (field.name(), field.data_type())).collect();
        let shape = format!("{types:?}\0{:?}\0{:?}\0{}", spec.partition_by, spec.personal, spec.description);
        Self { shape: blake3::hash(shape.as_bytes()).to_hex()[..16].to_owned(), told, sum: Mutex::default() }
    }

    fn add(&self, batch: &RecordBatch) -> EngineResult<()> {
        let schema = batch.schema();
        let told = schema.fields().iter().zip(batch.columns()).filter(|(field, _)| self.told.takes(field.name()));
        let columns: Vec<_> = told.map(|(_, column)| Arc::clone(column)).collect();
        let sum = sum_of_rows(&columns, batch.num_rows())?;
        let mut all = self.sum.lock().unwrap_or_else(PoisonError::into_inner);
        *all = (all.0 + batch.num_rows() as u64, all.1.wrapping_add(sum));
        Ok(())
    }

    /// What has passed.
    pub(super) fn rows(&self) -> Rows {
        let (count, sum) = *self.sum.lock().unwrap_or_else(PoisonError::into_inner);
        Rows { count, fingerprint: format!("{}-{count}-{sum:032x}", self.shape) }
    }
}

/// The rows of a relation that are about to be written to a table, in its columns, and who adds them up as they are read.
pub(super) async fn passing(
    workspace: &Workspace,
    spec: &TableSpec,
    from: &str,
    told: Told,
) -> Result<(Vec<SendableRecordBatchStream>, Arc<Tally>)> {
    let all = stored_schema(&spec.schema);
    let mut columns: Vec<String> = all.fields().iter().map(|field| ident(field.name())).collect();
    if let Told::By(one) = told {
        columns.push(ident(one));
    }
    let (streams, tally, _) = tallied(workspace, spec, from, &columns, told).await?;
    Ok((streams, tally))
}

/// Reads what is about to be written to a table, once.
pub(super) async fn of(
    workspace: &Workspace,
    spec: &TableSpec,
    from: &str,
    ignored: &'static [&'static str],
) -> Result<Rows> {
    let started = Instant::now();
    let stored = stored_schema(&spec.schema);
    let names = stored.fields().iter().map(|field| field.name().as_str()).filter(|name| !ignored.contains(name));
    let columns: Vec<String> = names.map(ident).collect();
    let (streams, tally, plan) = tallied(workspace, spec, from, &columns, Told::ByAllBut(ignored)).await?;
    let mut readers = tokio::task::JoinSet::new();
    for mut stream in streams {
        readers.spawn(async move {
            while let Some(batch) = stream.next().await {
                batch?;
            }
            EngineResult::Ok(())
        });
    }
    while let Some(read) = readers.join_next().await {
        let read = read.map_err(|error| datafusion::error::DataFusionError::External(Box::new(error)));
        read.flatten().map_err(|error| failure_from(doing(from), &error))?;
    }
    let rows = tally.rows();
    workspace.stage.timings.note(doing(from), started, Some(rows.count), Some(plan.as_ref()));
    Ok(rows)
}

fn doing(from: &str) -> String {
    format!("comparing `{from}` with what is published")
}

async fn tallied(
    workspace: &Workspace,
    spec: &TableSpec,
    from: &str,
    columns: &[String],
    told: Told,
) -> Result<(Vec<SendableRecordBatchStream>, Arc<Tally>, Arc<dyn ExecutionPlan>)> {
    let tally = Arc::new(Tally::of(spec, told));
    let sql = format!("select {} from {}", columns.join(", "), ident(from));
    let streams = async {
        let frame = workspace.opened.session.sql(&sql).await?;
        let context = Arc::new(frame.task_ctx());
        let plan = frame.create_physical_plan().await?;
        let parts = 0..plan.output_partitioning().partition_count();
        let streams = parts.map(|part| {
            let (stream, tally) = (plan.execute(part, Arc::clone(&context))?, Arc::clone(&tally));
            let schema = stream.schema();
            let told = stream.map(move |batch| {
                let batch = batch?;
                tally.add(&batch)?;
                Ok(batch)
            });
            Ok(Box::pin(RecordBatchStreamAdapter::new(schema, told)) as SendableRecordBatchStream)
        });
        Ok((streams.collect::<EngineResult<Vec<_>>>()?, plan))
    };
    let (streams, plan) = streams.await.map_err(|error| failure_from(doing(from), &error))?;
    Ok((streams, tally, plan))
}
