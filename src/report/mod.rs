//! How results look: figures, tables, and the progress of long work.

mod figures;
mod progress;
mod rows;
mod table;

pub use figures::{bytes, change, count, counted, duration};
pub use progress::{NoProgress, Progress};
pub use rows::{cell, figure, json_rows};
pub use table::Table;
