//! Tables whose rows are made as they are read: all that is in them is known by number already, so neither the memory nor a disk
//! needs to hold their texts.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};

/// Things of which rows are made at once.
const CHUNK: usize = 8_192;

/// What rows are made of.
pub(crate) trait Rows: Send + Sync + 'static {
    /// The columns.
    fn schema(&self) -> SchemaRef;

    /// How many things there are. Each makes rows of its own.
    fn things(&self) -> usize;

    /// How many rows they make.
    fn count(&self) -> Precision<usize>;

    /// The rows of some of the things: these columns of them.
    fn make(&self, things: Range<usize>, columns: &[usize]) -> Result<RecordBatch>;
}

/// Columns as rows.
pub(crate) fn batch(
    schema: &SchemaRef,
    columns: &[usize],
    rows: usize,
    column: impl Fn(usize) -> ArrayRef,
) -> Result<RecordBatch> {
    let arrays = columns.iter().map(|&index| column(index)).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::new(schema.project(columns)?), arrays, &options)?)
}

/// A table that is made as it is read; by several threads at once, in the order of its things within each.
#[derive(Clone)]
pub struct Made {
    rows: Arc<dyn Rows>,
}

impl Made {
    pub(crate) fn of(rows: impl Rows) -> Self {
        Self { rows: Arc::new(rows) }
    }

    /// How many things there are that rows are made of.
    pub(crate) fn things(&self) -> usize {
        self.rows.things()
    }

    /// Its columns.
    pub(crate) fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    /// The rows of some of the things: these columns of them.
    pub(crate) fn make(&self, things: Range<usize>, columns: &[usize]) -> Result<RecordBatch> {
        self.rows.make(things, columns)
    }

    /// All of its rows, in order.
    #[cfg(test)]
    pub(crate) fn batches(&self) -> Vec<RecordBatch> {
        let columns: Vec<usize> = (0..self.rows.schema().fields().len()).collect();
        let chunks = chunks(0..self.rows.things());
        let made = chunks.map(|things| self.rows.make(things, &columns).unwrap());
        made.filter(|batch| batch.num_rows() > 0).collect()
    }
}

impl fmt::Debug for Made {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a table of {} things", self.rows.things())
    }
}

fn chunks(things: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let end = things.end;
    things.step_by(CHUNK).map(move |from| from..end.min(from + CHUNK))
}

#[async_trait]
impl TableProvider for Made {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = self.rows.schema();
        let columns = projection.cloned().unwrap_or_else(|| (0..schema.fields().len()).collect());
        let parts = session.config().target_partitions().clamp(1, self.rows.things().div_ceil(CHUNK).max(1));
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::new(schema.project(&columns)?)),
            Partitioning::UnknownPartitioning(parts),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Arc::new(MadeExec { rows: Arc::clone(&self.rows), columns, parts, properties: Arc::new(properties) }))
    }
}

/// Makes the rows.
struct MadeExec {
    rows: Arc<dyn Rows>,
    columns: Vec<usize>,
    parts: usize,
    properties: Arc<PlanProperties>,
}

impl fmt::Debug for MadeExec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_as(DisplayFormatType::Default, formatter)
    }
}

impl DisplayAs for MadeExec {
    fn fmt_as(&self, _: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "MadeExec: things={}, columns={:?}", self.rows.things(), self.columns)
    }
}

impl ExecutionPlan for MadeExec {
    fn name(&self) -> &'static str {
        "MadeExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn statistics_from_inputs(&self, _: &[Arc<Statistics>], args: &StatisticsArgs) -> Result<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.schema());
        if args.partition().is_none() {
            statistics.num_rows = self.rows.count();
        }
        Ok(Arc::new(statistics))
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let things = self.rows.things();
        let part = things * partition / self.parts..things * (partition + 1) / self.parts;
        let (rows, columns) = (Arc::clone(&self.rows), self.columns.clone());
        let made = chunks(part).map(move |things| rows.make(things, &columns));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), futures::stream::iter(made))))
    }
}
