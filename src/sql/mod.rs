//! SQL as trees: parsed with places, typed against what it reads, built and printed.

mod types;

pub use types::DataType;
