//! The accumulator of all groups: reads batches tap by tap, and emits results or states.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, LargeBinaryBuilder, StructArray};
use datafusion::arrow::compute::cast;
use datafusion::common::{Result, exec_datafusion_err, exec_err};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};

use super::batch::{BEFORE_TIMES, Batch};
use super::counters::Counters;
use super::plan::{Place, Plan, Tap};
use super::state::{Hit, State, vec_size};
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

    fn write(&self, groups: usize) -> ArrayRef {
        let mut builder = LargeBinaryBuilder::with_capacity(groups, groups * 16);
        let mut out = Vec::new();
        for group in 0..groups {
            out.clear();
            self.counters.write(group, &mut out);
            for (place, state) in self.states.iter().enumerate().filter(|(_, state)| !state.is_empty(group)) {
                push_usize(&mut out, place + 1);
                state.write(group, &mut out);
            }
            push_usize(&mut out, 0);
            builder.append_value(&out);
        }
        Arc::new(builder.finish())
    }

    fn merge(&mut self, group: usize, state: &[u8]) -> Result<()> {
        let mut wire = Wire(state);
        self.counters.merge(group, &mut wire)?;
        loop {
            match wire.place(self.states.len() + 1)? {
                0 => return Ok(()),
                place => self.states[place - 1].merge(group, &mut wire)?,
            }
        }
    }
}

/// Calls back with each row that a tap takes, and its age class.
#[inline]
fn visit(tap: &Tap, batch: &Batch<'_>, mut take: impl FnMut(usize, u32)) {
    let mut row = |row: usize| {
        if let Some(class) = tap.class(batch.times[row]) {
            take(row, class);
        }
    };
    match batch.rows(tap.filter) {
        Some(rows) => rows.set_indices().for_each(&mut row),
        None => (0..batch.groups.len()).for_each(&mut row),
    }
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
        let state = self.write(groups);
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
                self.merge(*group, states.value(row))?;
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
