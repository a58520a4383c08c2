//! The use-cases behind the verbs: the only place that sequences effects.

mod build;
mod customers;
mod expectations;
mod identity;
mod job;
mod opened;
mod publish;
mod request;
mod segments;
pub mod sync;
mod workspace;

pub use build::{BuildOptions, Built, Why, build};
pub use customers::Customers;
pub use expectations::Broken;
pub use job::{Delivered, Planned, SyncOptions, plan, run, sync};
pub use opened::{Opened, Read, open, read};
pub use publish::PublishedRows;
pub use request::{Request, Stopped};
pub use segments::{SegmentChange, TrippedSegment};
pub use workspace::Workspace;
