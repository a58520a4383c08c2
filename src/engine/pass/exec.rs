//! A pass as a step of a plan: rows with the places of their customers come in, a row per customer goes out, in the order of the roster.
//!
//! Each part of the roster is one thread's: its states lie side by side by place, so that nobody is looked up. All of them are given the
//! same batches, of which each takes the rows that are its own; no row is copied. Where the states of a part do not find room, its second
//! half is left for another round, which reads the rows once more: memory is bounded, and nothing is written to a disk.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Column, Result, exec_err, plan_err};
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, cast};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties,
};
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;

use super::batch::BEFORE_TIMES;
use super::part::Part;
use super::plan::{Plan, shape};
use super::udaf::coerced;
use crate::compile::passes::{PLACE, Pass};
use crate::engine::roster::{Roster, part_of};

/// Batches that wait for a part, at most.
const AHEAD: usize = 2;

/// What every part of the roster is computed by.
pub(super) struct Work {
    pub(super) input: Arc<dyn ExecutionPlan>,
    pub(super) plan: Arc<Plan>,
    pub(super) roster: Arc<Roster>,
    pub(super) schema: SchemaRef,
    pub(super) name: String,
}

/// Computes a pass.
pub struct PassExec {
    work: Arc<Work>,
    parts: usize,
    properties: Arc<PlanProperties>,
    /// Whoever reads the rows for all parts, once one of them has been asked for.
    reading: Arc<Mutex<Option<Reading>>>,
}

/// Rows on their way to the parts.
pub(super) struct Reading {
    waiting: Vec<Option<Receiver<Message>>>,
    readers: Arc<JoinSet<()>>,
}

/// A batch, or the end of one reader's rows.
type Message = std::result::Result<Option<RecordBatch>, Arc<DataFusionError>>;

/// The rows of one part, as long as somebody reads them.
pub(super) struct Rows {
    batches: Receiver<Message>,
    /// How many readers have not come to their end.
    reading: usize,
    _readers: Arc<JoinSet<()>>,
}

impl PassExec {
    /// The plan of a pass for the customers of a roster; their ids are the first column, `id`.
    pub async fn of(session: &SessionContext, pass: &Pass, roster: Arc<Roster>, id: &str) -> Result<Self> {
        let frame = session.sql(&pass.placed).await?;
        let mut types = vec![DataType::Null; BEFORE_TIMES];
        let mut columns = Vec::new();
        for (place, field) in frame.schema().fields().iter().enumerate() {
            let column = Expr::Column(Column::from_name(field.name()));
            if place == 0 {
                columns.push(column);
                continue;
            }
            let wanted = coerced(types.len(), field.data_type());
            let same = wanted == *field.data_type();
            columns.push(if same { column } else { cast(column, wanted.clone()).alias(field.name()) });
            types.push(wanted);
        }
        let frame = frame.select(columns)?;
        let parts = session.state().config().target_partitions().clamp(1, roster.len().max(1));
        let input = frame.create_physical_plan().await?;
        if input.schema().field(0).name() != PLACE {
            return plan_err!("a pass is fed places first");
        }
        let shape = shape(&pass.spec);
        let plan = Arc::new(Plan::new(&pass.spec, &types, &shape)?);
        let mut fields = vec![Field::new(id, DataType::Utf8, true)];
        fields.extend(plan.fields.iter().map(|field| field.as_ref().clone()));
        let schema = Arc::new(Schema::new(fields));
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(parts),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        let work = Work { input, plan, roster, schema, name: pass.name.clone() };
        Ok(Self { work: Arc::new(work), parts, properties: Arc::new(properties), reading: Arc::default() })
    }

    /// The rows for one part of all that read together.
    fn rows(&self, part: usize, context: &Arc<TaskContext>) -> Result<Rows> {
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        if reading.is_none() {
            *reading = Some(Reading::of(&self.work, self.parts, context)?);
        }
        match reading.as_mut().and_then(|reading| reading.rows(part)) {
            Some(rows) => Ok(rows),
            None => exec_err!("a part of a pass is computed once"),
        }
    }
}

impl Reading {
    /// Begins to read the rows for so many parts.
    fn of(work: &Work, parts: usize, context: &Arc<TaskContext>) -> Result<Self> {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..parts).map(|_| channel(AHEAD)).unzip();
        let mut readers = JoinSet::new();
        for partition in 0..work.input.output_partitioning().partition_count() {
            readers.spawn(read(work.input.execute(partition, Arc::clone(context))?, senders.clone()));
        }
        Ok(Self { waiting: receivers.into_iter().map(Some).collect(), readers: Arc::new(readers) })
    }

    /// The rows once more, for one part alone.
    pub(super) fn again(work: &Work, context: &Arc<TaskContext>) -> Result<Rows> {
        let mut reading = Self::of(work, 1, context)?;
        match reading.rows(0) {
            Some(rows) => Ok(rows),
            None => exec_err!("there is nobody to read for"),
        }
    }

    fn rows(&mut self, part: usize) -> Option<Rows> {
        let batches = self.waiting.get_mut(part)?.take()?;
        Some(Rows { batches, reading: self.readers.len(), _readers: Arc::clone(&self.readers) })
    }
}

/// Hands every batch to every part that still wants it, and says when there are no more.
async fn read(mut rows: SendableRecordBatchStream, mut parts: Vec<Sender<Message>>) {
    loop {
        let message = rows.next().await.transpose().map_err(Arc::new);
        let is_last = !matches!(message, Ok(Some(_)));
        let mut open = Vec::with_capacity(parts.len());
        for part in parts {
            if part.send(message.clone()).await.is_ok() {
                open.push(part);
            }
        }
        if is_last || open.is_empty() {
            return;
        }
        parts = open;
    }
}

impl Rows {
    /// The next batch, of whichever reader; none where all of them have come to their end.
    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>> {
        while self.reading > 0 {
            match self.batches.recv().await {
                Some(Ok(Some(batch))) => return Ok(Some(batch)),
                Some(Ok(None)) => self.reading -= 1,
                Some(Err(error)) => return Err(DataFusionError::Shared(error)),
                None => return exec_err!("a reader of a pass has ended without a word"),
            }
        }
        Ok(None)
    }
}

impl fmt::Debug for PassExec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_as(DisplayFormatType::Default, formatter)
    }
}

impl DisplayAs for PassExec {
    fn fmt_as(&self, _: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Work { plan, roster, name, .. } = self.work.as_ref();
        write!(formatter, "PassExec: {name}, features={}, roster={roster:?}, parts={}", plan.fields.len(), self.parts)
    }
}

impl ExecutionPlan for PassExec {
    fn name(&self) -> &'static str {
        "PassExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.work.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let Ok([input]) = <[_; 1]>::try_from(children) else { return plan_err!("a pass reads one plan") };
        let Work { plan, roster, schema, name, .. } = self.work.as_ref();
        let (plan, roster, schema, name) = (Arc::clone(plan), Arc::clone(roster), Arc::clone(schema), name.clone());
        let work = Arc::new(Work { input, plan, roster, schema, name });
        let properties = Arc::clone(&self.properties);
        Ok(Arc::new(Self { work, parts: self.parts, properties, reading: Arc::default() }))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let places = part_of(self.work.roster.len(), partition, self.parts);
        let rows = self.rows(partition, &context)?;
        let part = Part::new(Arc::clone(&self.work), places, rows, context);
        let batches =
            futures::stream::try_unfold(
                part,
                |mut part| async move { Ok(part.next().await?.map(|batch| (batch, part))) },
            );
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.work.schema), batches)))
    }
}
