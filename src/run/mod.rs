//! The use-cases behind the verbs: the only place that sequences effects.

mod build;
mod compile;
mod connections;
mod customers;
mod expectations;
mod history;
mod identity;
mod job;
mod load;
mod opened;
mod publish;
mod query;
mod request;
mod segments;
mod selection;
mod show;
mod stored;
pub mod sync;
mod workspace;

pub use build::{BuildOptions, Built, Why, build};
pub use compile::{Compiled, compile};
pub use connections::{Checked, check_connections};
pub use customers::Customers;
pub use expectations::Broken;
pub use history::{ReceiptRow, RunRow, receipts, runs};
pub use job::{Delivered, Planned, SyncOptions, plan, run, sync};
pub use load::load;
pub use opened::{Opened, Read, open, read};
pub use publish::PublishedRows;
pub use query::{Rows, query};
pub use request::{Request, Stopped};
pub use segments::{SegmentChange, TrippedSegment};
pub use selection::Selection;
pub use show::{Fact, Series, Shown, show};
pub use stored::{Stored, open_stored};
pub use workspace::Workspace;
