//! `cohorte sync`: pushes what is due.

use super::unfinished;
use crate::cli::{Context, Exit};
use crate::diag::Result;

/// Push what is due to the destinations
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The syncs [default: all]
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Show what would be sent, and send nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Runs the verb.
pub(super) async fn run(_arguments: Arguments, _context: &Context) -> Result<Exit> {
    Err(unfinished("sync"))
}
