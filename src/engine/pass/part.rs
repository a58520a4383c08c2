//! One part of a roster: its states, and the rows that come of them.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::datatypes::{DataType, UInt32Type};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::{Result, exec_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};

use super::accumulator::PassAccumulator;
use super::exec::{Source, Work};
use super::lane::Kind;

/// Customers of which rows are made at once.
const CHUNK: usize = 65_536;

/// Computes a part of a roster, a round at a time.
pub(super) struct Part {
    work: Arc<Work>,
    /// The places that no row was made for.
    left: Range<usize>,
    source: Source,
    /// Has nothing been read yet?
    is_first: bool,
    /// What was gathered of the first of those places, by lane.
    gathered: Vec<PassAccumulator>,
    /// How many places that is.
    ready: usize,
    memory: MemoryReservation,
    /// The group of each row of a batch; kept for its memory.
    groups: Vec<usize>,
}

impl Part {
    pub(super) fn new(work: Arc<Work>, places: Range<usize>, source: Source) -> Self {
        let consumer = MemoryConsumer::new(format!("the features of {}", work.name));
        let memory = consumer.register(source.context.memory_pool());
        let (gathered, groups) = (Vec::new(), Vec::new());
        Self { work, left: places, source, is_first: true, gathered, ready: 0, memory, groups }
    }

    /// The next rows, in the order of places; none where there are no more.
    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>> {
        if self.left.is_empty() {
            return Ok(None);
        }
        if self.ready == 0 {
            self.gather().await?;
        }
        let count = self.ready.min(CHUNK);
        let places = self.left.start..self.left.start + count;
        let mut columns = vec![self.work.roster.texts(places)];
        let states = self.work.remembers.then(|| self.states(count));
        columns.extend(self.features(count)?);
        columns.extend(states);
        (self.left.start, self.ready) = (self.left.start + count, self.ready - count);
        if self.ready == 0 {
            self.gathered.clear();
            self.memory.free();
        }
        Ok(Some(RecordBatch::try_new(Arc::clone(&self.work.schema), columns)?))
    }

    /// The features of the first places, in the order of the result.
    fn features(&mut self, count: usize) -> Result<Vec<ArrayRef>> {
        let mut columns: Vec<Option<ArrayRef>> = vec![None; self.work.features];
        for (lane, gathered) in self.work.lanes.iter().zip(&mut self.gathered) {
            let made = gathered.evaluate(EmitTo::First(count))?;
            for (place, column) in lane.features.iter().zip(made.as_struct().columns()) {
                columns[*place] = Some(Arc::clone(column));
            }
        }
        match columns.into_iter().collect() {
            Some(columns) => Ok(columns),
            None => exec_err!("a feature of a pass is in no lane"),
        }
    }

    /// What is remembered of the first places. Nothing is null.
    fn states(&self, count: usize) -> ArrayRef {
        let mut builder = BinaryBuilder::with_capacity(count, count * 32);
        let (mut own, mut state) = (Vec::new(), Vec::new());
        for group in 0..count {
            state.clear();
            for (lane, gathered) in self.work.lanes.iter().zip(&self.gathered) {
                gathered.write(group, |stream| lane.streams[stream], &mut own, &mut state);
            }
            builder.append_option((!state.is_empty()).then_some(state.as_slice()));
        }
        Arc::new(builder.finish())
    }

    /// Reads everything for as many of the places as there is room for.
    async fn gather(&mut self) -> Result<()> {
        let work = Arc::clone(&self.work);
        let mut groups = self.left.len();
        self.gathered = work.lanes.iter().map(|lane| PassAccumulator::new(Arc::clone(&lane.plan))).collect();
        self.gathered.iter_mut().for_each(|states| states.resize(groups));
        self.find_room(&mut groups)?;
        let mut feeds = 0..;
        for (place, lane) in work.lanes.iter().enumerate() {
            for (fed, feed) in lane.feeds.iter().zip(feeds.by_ref()) {
                let mut rows = self.source.rows(feed, fed, self.is_first)?;
                while let Some(batch) = rows.next().await? {
                    self.take(place, &fed.kind, &batch, groups)?;
                    self.find_room(&mut groups)?;
                }
            }
        }
        (self.is_first, self.ready) = (false, groups);
        Ok(())
    }

    fn take(&mut self, lane: usize, kind: &Kind, batch: &RecordBatch, groups: usize) -> Result<()> {
        // Of rows that were there before some are counted twice, but those that had not happened never were.
        if lane == 0 && self.is_first && self.source.counts() && !matches!(kind, Kind::States(_)) {
            self.work.strays.fetch_add(batch.column(0).null_count() as u64, Ordering::Relaxed);
        }
        let Some(own) = self.own(batch, groups)? else { return Ok(()) };
        let known = match (kind, self.work.afresh.as_ref()) {
            (Kind::Rows, _) | (_, None) => None,
            (_, Some(afresh)) => {
                let from = self.left.start;
                let is_new = |row: usize| own.value(row) && afresh.value(from + self.groups[row]);
                Some(BooleanBuffer::collect_bool(own.len(), is_new))
            }
        };
        let (columns, states) = (&batch.columns()[1..], &mut self.gathered[lane]);
        let (afresh, own) = match known {
            Some(afresh) => (Some(&own & &afresh), &own & &!&afresh),
            None => (None, own),
        };
        match kind {
            Kind::Rows => states.take(columns, &self.groups, Some(&own.into()), groups),
            Kind::Before(moment) => {
                states.grow_older(columns, &self.groups, &own.into(), *moment)?;
                match afresh.filter(|afresh| afresh.count_set_bits() > 0) {
                    Some(afresh) => states.take(columns, &self.groups, Some(&afresh.into()), groups),
                    None => Ok(()),
                }
            }
            Kind::States(streams) => {
                let Some(remembered) = columns.first() else { return exec_err!("nothing is remembered") };
                let stream = |number: usize| streams.get(number).copied().flatten();
                for row in own.set_indices().filter(|row| remembered.is_valid(*row)) {
                    let state = match remembered.data_type() {
                        DataType::Binary => remembered.as_binary::<i32>().value(row),
                        DataType::BinaryView => remembered.as_binary_view().value(row),
                        other => return exec_err!("what a pass remembers is a {other}"),
                    };
                    states.merge(self.groups[row], state, stream)?;
                }
                Ok(())
            }
        }
    }

    /// Leaves half of the places for another round, and again, until there is room for the states of the others. No part takes more
    /// than its share: those that come later would find nothing.
    fn find_room(&mut self, groups: &mut usize) -> Result<()> {
        let share = self.source.share();
        loop {
            let size = self.gathered.iter().map(GroupsAccumulator::size).sum();
            if size <= share || *groups == 1 {
                match self.memory.try_resize(size) {
                    Err(full) if *groups == 1 => return Err(full),
                    Err(_) => {}
                    Ok(()) => return Ok(()),
                }
            }
            *groups = groups.div_ceil(2);
            self.gathered.iter_mut().for_each(|states| states.truncate(*groups));
        }
    }

    /// The rows of a batch that belong to the first places that are left, and the group of each; none where no row does.
    fn own(&mut self, batch: &RecordBatch, groups: usize) -> Result<Option<BooleanBuffer>> {
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
        Ok((own.count_set_bits() > 0).then_some(own))
    }
}
