//! The specification of one fused pass over a source: what the aggregate function `cohorte_pass` computes per customer.
//!
//! A *stream* is (filter, value, aggregate); it is seen through nested windows, each a lower bound in time. A row that
//! matches a stream's filter falls into exactly one age class of it, and a window is the union of the classes up to its own.
//! See DESIGN §5.2 for why this is not a list of `FILTER` clauses.

use serde::{Deserialize, Serialize};

use crate::sql::{Aggregate, DataType};

/// What one pass computes. Travels as a JSON literal, the first argument of `cohorte_pass`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassSpec {
    /// The streams; a row touches only those whose filter it matches.
    pub streams: Vec<Stream>,
    /// The columns of the result, in order.
    pub features: Vec<PassFeature>,
    /// How many filter columns follow the time and key columns among the arguments.
    pub n_filters: usize,
}

impl PassSpec {
    /// Is what a stream remembers of rows still enough when its windows have moved on, together with those rows that have left one?
    /// What was first in a window, or the least text, is not known of what is left of it.
    #[must_use]
    pub fn outlasts_windows(&self, stream: usize) -> bool {
        let is_text = || {
            let mut features = self.features.iter().filter(|feature| feature.stream == stream);
            features.any(|feature| feature.data_type == DataType::Text)
        };
        match self.streams.get(stream).map(|stream| stream.aggregate) {
            None | Some(Aggregate::First) => false,
            Some(Aggregate::Min | Aggregate::Max) => !is_text(),
            Some(_) => true,
        }
    }
}

/// Rows that pass a filter, reduced by one aggregate, kept by age class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// Index among the filter columns (booleans; null is false); `None` takes every row.
    pub filter: Option<usize>,
    /// Index among the value columns, which follow the filter columns; `None` for `count`.
    pub value: Option<usize>,
    /// Index among the value columns of the whole number that tells first and last, in place of the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<usize>,
    /// How rows are reduced.
    pub aggregate: Aggregate,
    /// Lower bounds (inclusive, microseconds since the epoch, UTC) of the windows, strictly descending: the narrowest
    /// window first. `i64::MIN` stands for all time and takes rows without a time too.
    pub since: Vec<i64>,
}

/// One column of the result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassFeature {
    /// Column name.
    pub name: String,
    /// Index of the stream.
    pub stream: usize,
    /// Index into the stream's `since`: this window and the narrower ones are folded.
    pub window: usize,
    /// Type of the column: `Integer` for counts, `Number` for sums and averages, the value's own type otherwise.
    pub data_type: DataType,
}
