//! Files as they were read, places in them, and YAML as a tree in which every node knows its place.

mod decode;
mod located;
mod scalar;
mod span;
mod yaml;

pub use decode::{Unknown, decode};
pub use located::{Constant, Located, OneOrMany, Section, TextOr, ValueSpec};
pub use scalar::part_of_scalar;
pub use span::{FileId, Files, SourceFile, Span};
pub use yaml::{Key, Node, Repeated, Tree, Value, YamlError, merge, parse};
