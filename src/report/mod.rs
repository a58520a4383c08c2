//! How results look: figures, tables, and the progress of long work.

mod figures;
mod progress;
mod table;

pub use figures::{bytes, change, count, duration};
pub use progress::{NoProgress, Progress};
pub use table::Table;
