//! The accumulator of one group, for queries without `GROUP BY`.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};

use super::accumulator::PassAccumulator;
use super::plan::Plan;

/// A pass with one group.
pub(super) struct OneGroup {
    pass: PassAccumulator,
    zeros: Vec<usize>,
}

impl OneGroup {
    pub(super) fn new(plan: Arc<Plan>) -> Self {
        let mut pass = PassAccumulator::new(plan);
        // Without rows there is a result all the same: counts of 0.
        pass.resize(1);
        Self { pass, zeros: Vec::new() }
    }

    /// Every row belongs to the one group.
    fn belong(&mut self, rows: usize) {
        self.zeros.resize(rows, 0);
    }
}

impl fmt::Debug for OneGroup {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("OneGroup")
    }
}

impl Accumulator for OneGroup {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let rows = values.first().map_or(0, |values| values.len());
        self.belong(rows);
        self.pass.update_batch(values, &self.zeros, None, 1)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        ScalarValue::try_from_array(&self.pass.evaluate(EmitTo::All)?, 0)
    }

    fn size(&self) -> usize {
        self.pass.size() + self.zeros.capacity() * size_of::<usize>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.pass.state(EmitTo::All)?.iter().map(|state| ScalarValue::try_from_array(state, 0)).collect()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let rows = states.first().map_or(0, |states| states.len());
        self.belong(rows);
        self.pass.merge_batch(states, &self.zeros, 1)
    }
}
