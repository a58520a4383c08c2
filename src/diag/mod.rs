//! What went wrong, said so that it can be mended: findings are about the user's text, failures about the world.

mod failure;
mod finding;

pub use failure::{Failure, Fault, Result};
pub use finding::{Code, Finding, Findings, Label, Severity};
