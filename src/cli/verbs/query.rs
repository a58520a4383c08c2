//! `cohorte query`: SQL over sources and outputs; it can only read.

use super::unfinished;
use crate::cli::{Context, Exit};
use crate::diag::Result;

/// Run SQL over sources and outputs
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// One statement that only reads
    pub sql: String,
}

/// Runs the verb.
pub(super) async fn run(_arguments: Arguments, _context: &Context) -> Result<Exit> {
    Err(unfinished("query"))
}
