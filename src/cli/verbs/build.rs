//! `cohorte build`: brings the tables up to date; what is unchanged is skipped.

use super::unfinished;
use crate::cli::{Context, Exit};
use crate::diag::Result;

/// Bring the tables up to date
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Build everything anew from the sources; ids of customers are kept
    #[arg(long)]
    pub full_refresh: bool,
}

/// Runs the verb.
pub(super) async fn run(_arguments: Arguments, _context: &Context) -> Result<Exit> {
    Err(unfinished("build"))
}
