//! `cohorte graph`: prints what is made from what.

use super::unfinished;
use crate::cli::{Context, Exit};
use crate::diag::Result;

/// Print the lineage of the models
#[derive(Debug, clap::Args)]
pub struct Arguments {}

/// Runs the verb.
pub(super) async fn run(_arguments: Arguments, _context: &Context) -> Result<Exit> {
    Err(unfinished("graph"))
}
