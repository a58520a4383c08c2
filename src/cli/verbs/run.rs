//! `cohorte run`: builds, then syncs: the main job.

use super::unfinished;
use crate::cli::{Context, Exit};
use crate::diag::Result;

/// Build, then sync: the main job
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Build everything anew from the sources; ids of customers are kept
    #[arg(long)]
    pub full_refresh: bool,
    /// Show what would be sent, and send nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Runs the verb.
pub(super) async fn run(_arguments: Arguments, _context: &Context) -> Result<Exit> {
    Err(unfinished("run"))
}
