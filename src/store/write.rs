//! Writing a table: each write is one atomic Delta commit, and its input streams through.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::{Column, ScalarValue};
use datafusion::datasource::provider_as_source;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, UNNAMED_TABLE, lit};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use datafusion::prelude::SessionContext;
use deltalake::delta_datafusion::planner::DeltaPlanner;
use deltalake::kernel::Transaction;
use deltalake::kernel::transaction::CommitProperties;
use deltalake::operations::write::{SchemaMode, WriteBuilder};
use deltalake::protocol::SaveMode;
use futures::StreamExt;

use super::failpoint;
use super::failures::{failure_from, writing};
use super::statistics::{mend_properties, properties, writer_properties};
use super::stored_types::{conform, stored_schema};
use super::table::StoredTable;
use super::warehouse::Warehouse;
use crate::diag::{Failure, Result};

/// What a table is: its name and columns, and how it is laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSpec {
    /// Name: the table's folder below the warehouse's schema.
    pub name: String,
    /// Columns, in order. Types are stored as [`stored_schema`] says.
    pub schema: SchemaRef,
    /// Columns whose values name the folders of the files.
    pub partition_by: Vec<String>,
    /// Columns with personal data: their least and greatest values never reach the log or the footer of a file.
    pub personal: Vec<String>,
    /// What the table is, for its readers.
    pub description: String,
}

/// The key under which a commit names the run that made it.
pub(crate) const OF_RUN: &str = "cohorte_run";

/// What is recorded with a commit beside its data.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commit {
    /// The run that wrote.
    pub run: Option<String>,
    /// Application transactions: [`StoredTable::has_transaction`] finds them again.
    pub transactions: Vec<String>,
}

impl Commit {
    /// A commit of a run.
    #[must_use]
    pub fn of_run(run: impl Into<String>) -> Self {
        Self { run: Some(run.into()), transactions: Vec::new() }
    }

    pub(crate) fn properties(&self) -> CommitProperties {
        failpoint::pass();
        let run = self.run.iter().map(|run| (OF_RUN.to_owned(), serde_json::Value::String(run.clone())));
        let transactions = self.transactions.iter().map(|id| Transaction::new(id, 1)).collect();
        CommitProperties::default().with_metadata(run).with_application_transactions(transactions)
    }
}

/// What a write did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The version that the table has now.
    pub version: u64,
    /// Rows that were written.
    pub rows: u64,
    /// Data files that the table has now.
    pub files: usize,
}

/// The rows of a write.
pub enum Input {
    /// The result of a plan, run on the session that is given to the write.
    Plan(Box<LogicalPlan>),
    /// Streams of the same columns, read side by side.
    Streams(Vec<SendableRecordBatchStream>),
}

impl From<LogicalPlan> for Input {
    fn from(plan: LogicalPlan) -> Self {
        Self::Plan(Box::new(plan))
    }
}

impl From<Vec<SendableRecordBatchStream>> for Input {
    fn from(streams: Vec<SendableRecordBatchStream>) -> Self {
        Self::Streams(streams)
    }
}

impl From<datafusion::arrow::record_batch::RecordBatch> for Input {
    fn from(batch: datafusion::arrow::record_batch::RecordBatch) -> Self {
        let schema = batch.schema();
        Self::Streams(vec![Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::iter([Ok(batch)])))])
    }
}

impl Warehouse {
    /// Replaces all rows of a table, and its columns. Makes the table where there is none.
    pub async fn overwrite(
        &self,
        spec: &TableSpec,
        input: impl Into<Input>,
        commit: &Commit,
        session: &SessionContext,
    ) -> Result<Written> {
        let write = |builder: WriteBuilder, _: bool| {
            builder.with_save_mode(SaveMode::Overwrite).with_schema_mode(SchemaMode::Overwrite)
        };
        self.write(&mut None, &self.own(spec), spec, input.into(), commit, session, false, write).await
    }

    /// Adds rows to a table. Makes the table where there is none; adds columns that it lacks.
    pub async fn append(
        &self,
        spec: &TableSpec,
        input: impl Into<Input>,
        commit: &Commit,
        session: &SessionContext,
    ) -> Result<Written> {
        self.append_to(&mut None, spec, input, commit, session).await
    }

    /// As [`Self::append`], to the table at a path below the root, such as `raw/orders`.
    pub async fn append_at(
        &self,
        path: &str,
        spec: &TableSpec,
        input: impl Into<Input>,
        commit: &Commit,
        session: &SessionContext,
    ) -> Result<Written> {
        self.write(&mut None, path, spec, input.into(), commit, session, true, appending).await
    }

    /// As [`Self::append`], again and again: the table is kept as the last write left it, and of its log only what is new is read.
    pub async fn append_to(
        &self,
        held: &mut Option<StoredTable>,
        spec: &TableSpec,
        input: impl Into<Input>,
        commit: &Commit,
        session: &SessionContext,
    ) -> Result<Written> {
        self.write(held, &self.own(spec), spec, input.into(), commit, session, true, appending).await
    }

    /// Replaces the rows of some partitions: those where the partition column `column` is one of `values`. The input may only hold
    /// such rows. Values end up in the log: they may not be personal data.
    pub async fn replace_where(
        &self,
        spec: &TableSpec,
        column: &str,
        values: &[ScalarValue],
        input: impl Into<Input>,
        commit: &Commit,
        session: &SessionContext,
    ) -> Result<Written> {
        let column = Expr::Column(Column::from_name(column));
        let predicate = match values {
            [one] => column.eq(lit(one.clone())),
            several => column.in_list(several.iter().cloned().map(lit).collect(), false),
        };
        let write = |builder: WriteBuilder, widen: bool| {
            let builder = builder.with_save_mode(SaveMode::Overwrite).with_replace_where(predicate);
            if widen { builder.with_schema_mode(SchemaMode::Merge) } else { builder }
        };
        self.write(&mut None, &self.own(spec), spec, input.into(), commit, session, true, write).await
    }

    fn own(&self, spec: &TableSpec) -> String {
        format!("{}/{}", self.schema_name(), spec.name)
    }

    #[allow(clippy::too_many_arguments)] // All of them vary from write to write.
    async fn write(
        &self,
        held: &mut Option<StoredTable>,
        path: &str,
        spec: &TableSpec,
        input: Input,
        commit: &Commit,
        session: &SessionContext,
        keep_schema: bool,
        how: impl FnOnce(WriteBuilder, bool) -> WriteBuilder,
    ) -> Result<Written> {
        let existing = match held.take() {
            Some(table) => Some(table.renewed().await?),
            None => self.table_at(path, None).await?,
        };
        let widen = match &existing {
            Some(table) if keep_schema => lacks_columns(spec, table)?,
            _ => false,
        };
        let schema = stored_schema(&spec.schema);
        let gauge = Arc::new(Gauge::default());
        let source = source(spec, &schema, input, session, &gauge).await?;

        let (log_store, snapshot) = match &existing {
            Some(table) => (table.delta().log_store(), Some(table.snapshot()?.clone())),
            None => (self.handle(path)?.log_store(), None),
        };
        let builder = WriteBuilder::new(log_store, snapshot)
            .with_input_plan(source)
            .with_session_state(Arc::new(write_session(session)))
            .with_partition_columns(spec.partition_by.clone())
            .with_writer_properties(writer_properties(spec))
            .with_commit_properties(commit.properties())
            .with_table_name(spec.name.clone())
            .with_description(spec.description.clone())
            .with_configuration(properties(spec).into_iter().map(|(key, value)| (key, Some(value))));
        let table = how(builder, widen)
            .await
            .map_err(|error| gauge.failure().unwrap_or_else(|| writing(&spec.name, &error)))?;
        let table = mend_properties(spec, table, commit).await?;
        let stored = StoredTable::new(&spec.name, table);
        let rows = gauge.rows.load(Ordering::Relaxed);
        let written = Written { version: stored.version(), rows, files: stored.files()? };
        *held = Some(stored);
        Ok(written)
    }
}

fn appending(builder: WriteBuilder, widen: bool) -> WriteBuilder {
    let builder = builder.with_save_mode(SaveMode::Append);
    if widen { builder.with_schema_mode(SchemaMode::Merge) } else { builder }
}

/// Compares a table that keeps its schema with what cohorte would write. Does it lack columns that are to be added?
fn lacks_columns(spec: &TableSpec, table: &StoredTable) -> Result<bool> {
    let wanted = stored_schema(&spec.schema);
    let found = stored_schema(&table.snapshot()?.arrow_schema());
    let mut wrong: Vec<String> = Vec::new();
    for field in found.fields() {
        match wanted.field_with_name(field.name()) {
            Err(_) => wrong.push(format!("`{}` is not one of its columns", field.name())),
            Ok(expected) if expected.data_type() != field.data_type() => {
                wrong.push(format!("`{}` is {} instead of {}", field.name(), field.data_type(), expected.data_type()));
            }
            Ok(_) => {}
        }
    }
    let partitions = table.snapshot()?.metadata().partition_columns().to_vec();
    if partitions != spec.partition_by {
        wrong.push(format!("its files are laid out by {partitions:?} instead of {:?}", spec.partition_by));
    }
    if wrong.is_empty() {
        return Ok(wanted.fields().len() > found.fields().len());
    }
    Err(Failure::world("W404", format!("writing the table `{}`", spec.name), wrong.join("; ")).help(format!(
        "another program has given `{}` another schema: move it away, or set `warehouse.schema` to a folder of \
         cohorte's own",
        spec.name
    )))
}

/// A plan that yields the input, cast to the columns of the table.
async fn source(
    spec: &TableSpec,
    schema: &SchemaRef,
    input: Input,
    session: &SessionContext,
    gauge: &Arc<Gauge>,
) -> Result<LogicalPlan> {
    let doing = format!("building the table `{}`", spec.name);
    let rows = |stream| Rows {
        table: spec.name.clone(),
        doing: doing.clone(),
        schema: Arc::clone(schema),
        gauge: Arc::clone(gauge),
        from: stream,
    };
    let partitions: Vec<Arc<dyn PartitionStream>> = match input {
        Input::Streams(streams) => streams
            .into_iter()
            .map(|stream| Arc::new(rows(Origin::Stream(Mutex::new(Some(stream))))) as Arc<dyn PartitionStream>)
            .collect(),
        Input::Plan(plan) => {
            let plan =
                session.state().create_physical_plan(&plan).await.map_err(|error| failure_from(&*doing, &error))?;
            (0..plan.output_partitioning().partition_count())
                .map(|index| Arc::new(rows(Origin::Plan(Arc::clone(&plan), index))) as Arc<dyn PartitionStream>)
                .collect()
        }
    };
    StreamingTable::try_new(Arc::clone(schema), partitions)
        .and_then(|table| LogicalPlanBuilder::scan(UNNAMED_TABLE, provider_as_source(Arc::new(table)), None)?.build())
        .map_err(|error| failure_from(&*doing, &error))
}

/// Counts rows, and keeps the first failure: the Delta writer would only hand on its text.
#[derive(Debug, Default)]
struct Gauge {
    rows: AtomicU64,
    failure: Mutex<Option<Failure>>,
}

impl Gauge {
    fn failure(&self) -> Option<Failure> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn keep(&self, failure: &Failure) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| failure.clone());
    }
}

/// One partition of the input.
struct Rows {
    table: String,
    doing: String,
    schema: SchemaRef,
    gauge: Arc<Gauge>,
    from: Origin,
}

enum Origin {
    Plan(Arc<dyn ExecutionPlan>, usize),
    /// Taken by the one write that it is for.
    Stream(Mutex<Option<SendableRecordBatchStream>>),
}

impl fmt::Debug for Rows {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "rows of {}", self.table)
    }
}

impl PartitionStream for Rows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let started = match &self.from {
            Origin::Plan(plan, index) => plan.execute(*index, context),
            Origin::Stream(stream) => stream.lock().unwrap_or_else(PoisonError::into_inner).take().ok_or_else(|| {
                datafusion::error::DataFusionError::Internal("the input of a write is read once".to_owned())
            }),
        };
        let stream = match started {
            Ok(stream) => stream.left_stream(),
            Err(error) => futures::stream::iter([Err(error)]).right_stream(),
        };
        let (table, doing, schema) = (self.table.clone(), self.doing.clone(), Arc::clone(&self.schema));
        let gauge = Arc::clone(&self.gauge);
        let cast = stream.map(move |batch| {
            let batch = batch.map_err(|error| failure_from(&*doing, &error));
            let batch = batch.and_then(|batch| conform(&table, &batch, &schema));
            match batch {
                Ok(batch) => {
                    gauge.rows.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
                    Ok(batch)
                }
                Err(failure) => {
                    gauge.keep(&failure);
                    Err(datafusion::error::DataFusionError::External(Box::new(failure)))
                }
            }
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), cast))
    }
}

/// The caller's session (its memory and its settings) with the planner that Delta's own plan nodes need.
pub(crate) fn write_session(session: &SessionContext) -> SessionState {
    SessionStateBuilder::new_from_existing(session.state()).with_query_planner(DeltaPlanner::new()).build()
}

/// A schema from names and types, every column nullable.
pub(crate) fn columns<'a>(columns: impl IntoIterator<Item = (&'a str, DataType)>) -> SchemaRef {
    let fields: Vec<Field> = columns.into_iter().map(|(name, data_type)| Field::new(name, data_type, true)).collect();
    Arc::new(Schema::new(fields))
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
