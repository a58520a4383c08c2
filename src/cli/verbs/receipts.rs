//! `cohorte receipts`: what became of each row that was sent.

use super::unfinished;
use crate::cli::{Context, Exit};
use crate::diag::Result;

/// Show what became of each row that was sent
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Only of this sync
    #[arg(value_name = "SYNC")]
    pub sync: Option<String>,
    /// Only these: accepted, unchanged, rejected, retry, unknown, withheld
    #[arg(long, value_name = "OUTCOME")]
    pub outcome: Vec<String>,
    /// How many, the newest first
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
}

/// Runs the verb.
pub(super) async fn run(_arguments: Arguments, _context: &Context) -> Result<Exit> {
    Err(unfinished("receipts"))
}
