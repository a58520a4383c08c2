//! The accumulator of all groups: reads batches tap by tap, and emits results or states.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, LargeBinaryBuilder, StructArray};
use datafusion::arrow::compute::cast;
use datafusion::common::{Result, exec_datafusion_err, exec_err};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};

use super::batch::{BEFORE_TIMES, Batch};
use super::counters::Counters;
use super::plan::{Change, Place, Plan, Tap};
use super::state::{Hit, Move, State, vec_size};
use super::wire::{Wire, push_usize};

/// Everything that a pass remembers of its groups.
pub(super) struct PassAccumulator {
    plan: Arc<Plan>,
    groups: usize,
    counters: Counters,
    states: Vec<Box<dyn State>>,
    /// The rows of the tap being read; kept for its memory.
    hits: Vec<Hit>,
}

impl PassAccumulator {
    pub(super) fn new(plan: Arc<Plan>) -> Self {
        let (counters, states) = (Counters::new(plan.counters), plan.states());
        Self { plan, groups: 0, counters, states, hits: Vec::new() }
    }

    /// Makes room for so many groups.
    pub(super) fn resize(&mut self, groups: usize) {
        if groups > self.groups {
            self.groups = groups;
            self.counters.resize(groups);
            self.states.iter_mut().for_each(|state| state.resize(groups));
        }
    }

    /// Takes rows: their times, keys, filters and values, the group of each, and which of them count.
    pub(super) fn take(
        &mut self,
        columns: &[ArrayRef],
        groups: &[usize],
        only: Option<&BooleanArray>,
        n_groups: usize,
    ) -> Result<()> {
        self.resize(n_groups);
        let plan = Arc::clone(&self.plan);
        let batch = Batch::new(columns, plan.n_filters, &plan.kinds, groups, only)?;
        plan.taps.iter().try_for_each(|tap| self.read(tap, &batch))
    }

    /// Forgets all groups but the first.
    pub(super) fn truncate(&mut self, groups: usize) {
        if groups < self.groups {
            self.groups = groups;
            self.counters.truncate(groups);
            self.states.iter_mut().for_each(|state| state.truncate(groups));
        }
    }

    fn count(&self, emit_to: EmitTo) -> usize {
        match emit_to {
            EmitTo::All => self.groups,
            EmitTo::First(groups) => groups.min(self.groups),
        }
    }

    fn forget(&mut self, groups: usize) {
        if groups == self.groups {
            *self = Self::new(Arc::clone(&self.plan));
        } else {
            self.groups -= groups;
            self.counters.drop_first(groups);
            self.states.iter_mut().for_each(|state| state.drop_first(groups));
        }
    }

    fn read(&mut self, tap: &Tap, batch: &Batch<'_>) -> Result<()> {
        if let (true, [counter]) = (tap.states.is_empty(), tap.counters.as_slice()) {
            let counters = &mut self.counters;
            visit(tap, batch, |row, class| counters.add_one(batch.groups[row], counter + class as usize));
            return Ok(());
        }
        self.hits.clear();
        let hits = &mut self.hits;
        visit(tap, batch, |row, class| hits.push(Hit { row: row as u32, class }));
        self.give(tap, batch)
    }

    /// Takes rows that were taken before a moment, or could not be since they had not happened yet: what time has done to them.
    pub(super) fn grow_older(
        &mut self,
        columns: &[ArrayRef],
        groups: &[usize],
        only: &BooleanArray,
        moment: i64,
    ) -> Result<()> {
        let plan = Arc::clone(&self.plan);
        let batch = Batch::new(columns, plan.n_filters, &plan.kinds, groups, Some(only))?;
        for tap in &plan.taps {
            let (mut new, mut moved) = (std::mem::take(&mut self.hits), Vec::new());
            new.clear();
            each(tap, &batch, |row| match tap.change(batch.times[row], moment) {
                Change::None => {}
                Change::New(class) => new.push(Hit { row: row as u32, class }),
                Change::Moved { from, to } => moved.push(Move { row: row as u32, from, to }),
            });
            self.hits = new;
            for Move { row, from, to } in &moved {
                for counter in &tap.counters {
                    let group = batch.groups[*row as usize];
                    self.counters.take_one(group, counter + *from as usize)?;
                    if let Some(to) = to {
                        self.counters.add_one(group, counter + *to as usize);
                    }
                }
            }
            for state in &tap.states {
                self.states[*state].shift(&batch, &moved)?;
            }
            self.give(tap, &batch)?;
        }
        Ok(())
    }

    /// Gives the rows of `hits` to the streams of a tap.
    fn give(&mut self, tap: &Tap, batch: &Batch<'_>) -> Result<()> {
        for counter in &tap.counters {
            for hit in &self.hits {
                self.counters.add_one(batch.groups[hit.row as usize], counter + hit.class as usize);
            }
        }
        for state in &tap.states {
            self.states[*state].update(batch, &self.hits)?;
        }
        Ok(())
    }

    /// What a group has seen: of each stream that has seen something, its number and its state by itself.
    pub(super) fn write(&self, group: usize, number: impl Fn(usize) -> usize, own: &mut Vec<u8>, out: &mut Vec<u8>) {
        for (stream, (place, classes)) in self.plan.streams.iter().enumerate() {
            own.clear();
            match *place {
                Place::Counter(counter) => self.counters.write(group, counter..counter + classes, own),
                Place::State(state) if self.states[state].is_empty(group) => {}
                Place::State(state) => self.states[state].write(group, own),
            }
            if !own.is_empty() {
                push_usize(out, number(stream));
                push_usize(out, own.len());
                out.extend_from_slice(own);
            }
        }
    }

    /// Adds what was written elsewhere, of those streams of which `own` knows what they are here.
    pub(super) fn merge(&mut self, group: usize, state: &[u8], own: impl Fn(usize) -> Option<usize>) -> Result<()> {
        let mut wire = Wire(state);
        while !wire.is_empty() {
            let stream = own(wire.number()?);
            let mut part = wire.part()?;
            match stream.and_then(|stream| self.plan.streams.get(stream)) {
                Some((Place::Counter(counter), classes)) => {
                    self.counters.merge(group, *counter..counter + classes, &mut part)?;
                }
                Some((Place::State(state), _)) => self.states[*state].merge(group, &mut part)?,
                None => {}
            }
        }
        Ok(())
    }

    fn states_of(&self, groups: usize) -> ArrayRef {
        let mut builder = LargeBinaryBuilder::with_capacity(groups, groups * 16);
        let (mut own, mut out) = (Vec::new(), Vec::new());
        for group in 0..groups {
            out.clear();
            self.write(group, |stream| stream, &mut own, &mut out);
            builder.append_value(&out);
        }
        Arc::new(builder.finish())
    }
}

/// Calls back with each row that a filter takes.
#[inline]
fn each(tap: &Tap, batch: &Batch<'_>, mut take: impl FnMut(usize)) {
    match batch.rows(tap.filter) {
        Some(rows) => rows.set_indices().for_each(&mut take),
        None => (0..batch.groups.len()).for_each(&mut take),
    }
}

/// Calls back with each row that a tap takes, and its age class.
#[inline]
fn visit(tap: &Tap, batch: &Batch<'_>, mut take: impl FnMut(usize, u32)) {
    each(tap, batch, |row| {
        if let Some(class) = tap.class(batch.times[row]) {
            take(row, class);
        }
    });
}

impl GroupsAccumulator for PassAccumulator {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        let Some(columns) = values.get(BEFORE_TIMES..) else {
            return exec_err!("cohorte_pass was given {} arguments", values.len());
        };
        self.take(columns, group_indices, opt_filter, total_num_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let groups = self.count(emit_to);
        let mut columns = Vec::with_capacity(self.plan.features.len());
        for ((place, window), field) in self.plan.features.iter().zip(&self.plan.fields) {
            let column = match place {
                Place::Counter(counter) => self.counters.column(groups, *counter, *window),
                Place::State(state) => self.states[*state].column(groups, *window)?,
            };
            let same = column.data_type() == field.data_type();
            columns.push(if same { column } else { cast(&column, field.data_type())? });
        }
        let result = StructArray::try_new_with_length(self.plan.fields.clone(), columns, None, groups)?;
        self.forget(groups);
        Ok(Arc::new(result))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let groups = self.count(emit_to);
        let state = self.states_of(groups);
        self.forget(groups);
        Ok(vec![state])
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> Result<()> {
        self.resize(total_num_groups);
        let Some(states) = values.first().and_then(|states| states.as_binary_opt::<i64>()) else {
            return exec_err!("cohorte_pass was given no states to merge");
        };
        for (row, group) in group_indices.iter().enumerate() {
            if states.is_valid(row) {
                self.merge(*group, states.value(row), Some)?;
            }
        }
        Ok(())
    }

    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let rows = values.first().map(Array::len);
        let rows = rows.ok_or_else(|| exec_datafusion_err!("cohorte_pass was given no arguments"))?;
        let each: Vec<usize> = (0..rows).collect();
        let mut alone = Self::new(Arc::clone(&self.plan));
        alone.update_batch(values, &each, opt_filter, rows)?;
        alone.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        let states: usize = self.states.iter().map(|state| state.size()).sum();
        size_of::<Self>() + self.counters.size() + states + vec_size(&self.hits)
    }
}
