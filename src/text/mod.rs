//! Files as they were read, and places in them.

mod span;

pub use span::{FileId, Files, SourceFile, Span};
