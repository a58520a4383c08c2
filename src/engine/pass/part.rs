//! One part of a roster: its states, and the rows that come of them.

use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, BooleanArray};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::datatypes::UInt32Type;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::{Result, exec_err};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};

use super::accumulator::PassAccumulator;
use super::exec::{Reading, Rows, Work};

/// Customers of which rows are made at once.
const CHUNK: usize = 65_536;

/// Computes a part of a roster, a round at a time.
pub(super) struct Part {
    work: Arc<Work>,
    /// The places that no row was made for.
    left: Range<usize>,
    /// The rows to read, unless they have been read.
    rows: Option<Rows>,
    /// What was gathered of the first of those places.
    gathered: Option<PassAccumulator>,
    /// How many places that is.
    ready: usize,
    memory: MemoryReservation,
    context: Arc<TaskContext>,
    /// The group of each row of a batch; kept for its memory.
    groups: Vec<usize>,
}

impl Part {
    pub(super) fn new(work: Arc<Work>, places: Range<usize>, rows: Rows, context: Arc<TaskContext>) -> Self {
        let memory = MemoryConsumer::new(format!("the features of {}", work.name)).register(context.memory_pool());
        Self { work, left: places, rows: Some(rows), gathered: None, ready: 0, memory, context, groups: Vec::new() }
    }

    /// The next rows, in the order of places; none where there are no more.
    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>> {
        if self.left.is_empty() {
            return Ok(None);
        }
        if self.ready == 0 {
            self.gather().await?;
        }
        let Some(gathered) = &mut self.gathered else { return exec_err!("nothing was gathered") };
        let count = self.ready.min(CHUNK);
        let features = gathered.evaluate(EmitTo::First(count))?;
        let places = self.left.start..self.left.start + count;
        let mut columns = vec![self.work.roster.texts(places)];
        columns.extend(features.as_struct().columns().iter().cloned());
        (self.left.start, self.ready) = (self.left.start + count, self.ready - count);
        if self.ready == 0 {
            self.gathered = None;
            self.memory.free();
        }
        Ok(Some(RecordBatch::try_new(Arc::clone(&self.work.schema), columns)?))
    }

    /// Reads all rows for as many of the places as there is room for.
    async fn gather(&mut self) -> Result<()> {
        let mut rows = match self.rows.take() {
            Some(rows) => rows,
            None => Reading::again(&self.work, &self.context)?,
        };
        let mut states = PassAccumulator::new(Arc::clone(&self.work.plan));
        let mut groups = self.left.len();
        states.resize(groups);
        self.find_room(&mut states, &mut groups)?;
        while let Some(batch) = rows.next().await? {
            if let Some(own) = self.own(&batch, groups)? {
                states.take(&batch.columns()[1..], &self.groups, Some(&own), groups)?;
                self.find_room(&mut states, &mut groups)?;
            }
        }
        (self.gathered, self.ready) = (Some(states), groups);
        Ok(())
    }

    /// Leaves half of the places for another round, and again, until there is room for the states of the others.
    fn find_room(&self, states: &mut PassAccumulator, groups: &mut usize) -> Result<()> {
        while let Err(full) = self.memory.try_resize(states.size()) {
            if *groups == 1 {
                return Err(full);
            }
            *groups = groups.div_ceil(2);
            states.truncate(*groups);
        }
        Ok(())
    }

    /// The rows of a batch that belong to the first places that are left, and the group of each; none where no row does.
    fn own(&mut self, batch: &RecordBatch, groups: usize) -> Result<Option<BooleanArray>> {
        let Some(places) = batch.column(0).as_primitive_opt::<UInt32Type>() else {
            return exec_err!("the place of a pass is a {}", batch.column(0).data_type());
        };
        let (from, values) = (self.left.start, places.values());
        self.groups.clear();
        // Who comes before wraps around to far beyond.
        self.groups.extend(values.iter().map(|place| (*place as usize).wrapping_sub(from)));
        let mut own = BooleanBuffer::collect_bool(values.len(), |row| self.groups[row] < groups);
        if let Some(nulls) = places.nulls() {
            own = &own & nulls.inner();
        }
        let some = own.count_set_bits() > 0;
        Ok(some.then(|| BooleanArray::new(own, None)))
    }
}
