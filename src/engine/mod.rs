//! Running relations with DataFusion, and what SQL cannot do: identity and the fused pass.

mod digest;
pub mod functions;
mod held;
pub mod identity;
pub mod lookup;
mod made;
mod members;
pub mod pass;
pub mod readers;
pub mod repeated;
mod repeats;
pub mod resolve;
mod roster;
mod row_file;
pub mod same;
mod session;
mod stage;
mod timings;
mod zipped;

pub use held::Held;
pub use made::Made;
pub use members::{Counts, Members};
pub use pass::PassExec;
pub use roster::{Roster, part_of};
pub use row_file::RowFile;
pub use session::{Limits, fork, session};
pub use stage::Stage;
pub use timings::{Step, Timings, peak_memory};
pub use zipped::{InOrder, Zipped};
