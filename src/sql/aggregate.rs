//! How rows are reduced to one value per customer.

use serde::{Deserialize, Serialize};

/// How the rows of a stream are reduced. Rows whose value is null count only for `Count`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregate {
    /// Number of rows; 0 without rows.
    Count,
    /// Number of distinct values; 0 without rows.
    CountDistinct,
    /// Exact sum of `Decimal128(38, 9)` values, given as `Float64` rounded once; 0 without rows.
    Sum,
    /// Exact sum divided by the number of values, as `Float64`; null without rows.
    Avg,
    /// Least value; null without rows.
    Min,
    /// Greatest value; null without rows.
    Max,
    /// The value at the least (time, key); null without rows.
    First,
    /// The value at the greatest (time, key); null without rows.
    Last,
    /// The most frequent value; ties go to the least value; null without rows.
    Mode,
}
