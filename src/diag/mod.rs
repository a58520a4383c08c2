//! What went wrong, said so that it can be mended: findings are about the user's text, failures about the world.

pub mod codes;
mod failure;
mod finding;
pub mod render;
mod suggest;

pub use failure::{Failure, Fault, Result};
pub use finding::{Code, Finding, Findings, Label, Severity};
pub use suggest::nearest;
