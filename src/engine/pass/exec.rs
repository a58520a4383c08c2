//! A pass as a step of a plan: rows with the places of their customers come in, a row per customer goes out, in the order of the roster.
//!
//! Each part of the roster is one thread's: its states lie side by side by place, so that nobody is looked up. All of them are given the
//! same batches, of which each takes the rows that are its own; no row is copied. Where the states of a part do not find room, its second
//! half is left for another round, which reads the rows once more: memory is bounded, and nothing is written to a disk.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::MemoryLimit;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
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

use super::lane::{Fed, Feed, Laid, Lane, columns};
use super::part::Part;
use crate::compile::pass::PassSpec;
use crate::compile::passes::Pass;
use crate::engine::roster::{Roster, part_of};

/// Batches that wait for a part, at most.
const AHEAD: usize = 2;

/// What a pass computes, for whom, and of what.
pub struct Making {
    /// Its name.
    pub name: String,
    /// All of its features.
    pub spec: PassSpec,
    /// Everybody.
    pub roster: Arc<Roster>,
    /// The name of the column of ids.
    pub id: String,
    /// The features by what they are computed of.
    pub lanes: Vec<Lane>,
    /// Is what was seen of each customer's rows a column, [`super::STATE`], so that a later run needs not see them again?
    pub remembers: bool,
    /// By place: whose rows of [`Feed::Before`] are told anew, since what is remembered of them is not right any more.
    pub afresh: Option<BooleanBuffer>,
}

impl Making {
    /// Is some of it computed of what was remembered?
    #[must_use]
    pub fn carries_on(&self) -> bool {
        self.lanes.iter().flat_map(|lane| &lane.feeds).any(|feed| matches!(feed, Feed::States(..)))
    }
}

/// What every part of the roster is computed by.
pub(super) struct Work {
    pub(super) name: String,
    pub(super) lanes: Vec<Laid>,
    pub(super) roster: Arc<Roster>,
    pub(super) schema: SchemaRef,
    pub(super) features: usize,
    pub(super) remembers: bool,
    pub(super) afresh: Option<BooleanBuffer>,
    /// How many of the rows that count belong to nobody.
    pub(super) strays: AtomicU64,
}

/// Computes a pass.
pub struct PassExec {
    work: Arc<Work>,
    parts: usize,
    properties: Arc<PlanProperties>,
    /// Of every feed: whoever reads it for all parts, once one of them has come to it.
    reading: Arc<[Mutex<Option<Reading>>]>,
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

/// Where parts get the rows of feeds from.
#[derive(Clone)]
pub(super) struct Source {
    reading: Arc<[Mutex<Option<Reading>>]>,
    part: usize,
    parts: usize,
    pub(super) context: Arc<TaskContext>,
}

impl PassExec {
    /// The plan of a pass that is computed of all rows, for the customers of a roster; their ids are the first column, `id`.
    pub async fn of(session: &SessionContext, pass: &Pass, roster: Arc<Roster>, id: &str) -> Result<Self> {
        let lanes = vec![Lane::of_all(&pass.spec, session.sql(&pass.placed).await?)];
        let (name, spec, id) = (pass.name.clone(), pass.spec.clone(), id.to_owned());
        Self::made(session, Making { name, spec, roster, id, lanes, remembers: false, afresh: None }).await
    }

    /// The plan of a pass.
    pub async fn made(session: &SessionContext, making: Making) -> Result<Self> {
        let Making { name, spec, roster, id, lanes, remembers, afresh } = making;
        let parts = session.state().config().target_partitions().clamp(1, roster.len().max(1));
        let schema = Arc::new(columns(&id, &spec, remembers)?);
        let mut laid = Vec::with_capacity(lanes.len());
        for lane in lanes {
            laid.push(lane.laid(&spec).await?);
        }
        if laid.iter().map(|lane| lane.features.len()).sum::<usize>() != spec.features.len() {
            return plan_err!("the lanes of a pass have all of its features");
        }
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(parts),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        let strays = AtomicU64::new(0);
        let work = Work { name, lanes: laid, roster, schema, features: spec.features.len(), remembers, afresh, strays };
        Ok(Self::new(Arc::new(work), parts, Arc::new(properties)))
    }

    fn new(work: Arc<Work>, parts: usize, properties: Arc<PlanProperties>) -> Self {
        let feeds = work.feeds().count();
        Self { work, parts, properties, reading: (0..feeds).map(|_| Mutex::new(None)).collect() }
    }

    /// How many of the rows that count belong to nobody, once it has been computed.
    #[must_use]
    pub fn strays(&self) -> u64 {
        self.work.strays.load(Ordering::Relaxed)
    }
}

impl Work {
    pub(super) fn feeds(&self) -> impl Iterator<Item = &Fed> {
        self.lanes.iter().flat_map(|lane| &lane.feeds)
    }
}

impl Source {
    /// The rows of a feed, by its number among all: together with all parts the first time, for this part alone after that.
    pub(super) fn rows(&self, feed: usize, fed: &Fed, is_first: bool) -> Result<Rows> {
        if !is_first {
            return match Reading::of(fed, 1, &self.context)?.rows(0) {
                Some(rows) => Ok(rows),
                None => exec_err!("there is nobody to read for"),
            };
        }
        let mut reading = self.reading[feed].lock().unwrap_or_else(PoisonError::into_inner);
        if reading.is_none() {
            *reading = Some(Reading::of(fed, self.parts, &self.context)?);
        }
        match reading.as_mut().and_then(|reading| reading.rows(self.part)) {
            Some(rows) => Ok(rows),
            None => exec_err!("a part of a pass is computed once"),
        }
    }

    /// Bytes of memory that each part may take.
    pub(super) fn share(&self) -> usize {
        match self.context.memory_pool().memory_limit() {
            MemoryLimit::Finite(bytes) => bytes / self.parts.max(1),
            _ => usize::MAX,
        }
    }

    /// Is this the part that counts for all of them?
    pub(super) fn counts(&self) -> bool {
        self.part == 0
    }
}

impl Reading {
    /// Begins to read the rows for so many parts.
    fn of(fed: &Fed, parts: usize, context: &Arc<TaskContext>) -> Result<Self> {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..parts).map(|_| channel(AHEAD)).unzip();
        let mut readers = JoinSet::new();
        for partition in 0..fed.input.output_partitioning().partition_count() {
            readers.spawn(read(fed.input.execute(partition, Arc::clone(context))?, senders.clone()));
        }
        Ok(Self { waiting: receivers.into_iter().map(Some).collect(), readers: Arc::new(readers) })
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
        let Work { features, roster, name, .. } = self.work.as_ref();
        write!(formatter, "PassExec: {name}, features={features}, roster={roster:?}, parts={}", self.parts)
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
        self.work.feeds().map(|fed| &fed.input).collect()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        if children.len() != self.work.feeds().count() {
            return plan_err!("a pass reads one plan per feed");
        }
        let mut children = children.into_iter();
        let laid = |lane: &Laid| {
            let feeds = lane.feeds.iter().zip(children.by_ref());
            let feeds = feeds.map(|(fed, input)| Fed { input, kind: Arc::clone(&fed.kind) }).collect();
            let (plan, streams, features) = (Arc::clone(&lane.plan), lane.streams.clone(), lane.features.clone());
            Laid { plan, streams, features, feeds }
        };
        let work = &self.work;
        let work = Work {
            name: work.name.clone(),
            lanes: work.lanes.iter().map(laid).collect(),
            roster: Arc::clone(&work.roster),
            schema: Arc::clone(&work.schema),
            features: work.features,
            remembers: work.remembers,
            afresh: work.afresh.clone(),
            strays: AtomicU64::new(0),
        };
        Ok(Arc::new(Self::new(Arc::new(work), self.parts, Arc::clone(&self.properties))))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let places = part_of(self.work.roster.len(), partition, self.parts);
        let (reading, parts) = (Arc::clone(&self.reading), self.parts);
        let part = Part::new(Arc::clone(&self.work), places, Source { reading, part: partition, parts, context });
        let batches =
            futures::stream::try_unfold(
                part,
                |mut part| async move { Ok(part.next().await?.map(|batch| (batch, part))) },
            );
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.work.schema), batches)))
    }
}
