//! `cohorte plan`: what would be built and why, who would enter and leave, what would be sent and withheld. Nothing is written.

use super::unfinished;
use crate::cli::{Context, Exit};
use crate::diag::Result;

/// Show what would be built and sent, and why; nothing is written
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// End with code 1 when there are changes
    #[arg(long)]
    pub exit_code: bool,
}

/// Runs the verb.
pub(super) async fn run(_arguments: Arguments, _context: &Context) -> Result<Exit> {
    Err(unfinished("plan"))
}
