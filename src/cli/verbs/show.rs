//! `cohorte show`: rows, size and trend of a model.

use super::unfinished;
use crate::cli::{Context, Exit};
use crate::diag::Result;

/// Show rows, size and trend of a model
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The model; `kind:name` where a name is ambiguous
    pub name: String,
    /// How many rows
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub limit: usize,
}

/// Runs the verb.
pub(super) async fn run(_arguments: Arguments, _context: &Context) -> Result<Exit> {
    Err(unfinished("show"))
}
