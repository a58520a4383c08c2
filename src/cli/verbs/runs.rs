//! `cohorte runs`: the history of runs.

use super::unfinished;
use crate::cli::{Context, Exit};
use crate::diag::Result;

/// Show the history of runs
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// How many, the newest first
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: usize,
}

/// Runs the verb.
pub(super) async fn run(_arguments: Arguments, _context: &Context) -> Result<Exit> {
    Err(unfinished("runs"))
}
