//! `cohorte compile`: prints the SQL of models.

use super::unfinished;
use crate::cli::{Context, Exit};
use crate::diag::Result;

/// Print the SQL of a model
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The models: `name`, `+name`, `name+`, `tag:x`, `segments:*` [default: all]
    #[arg(value_name = "SELECT")]
    pub models: Option<String>,
}

/// Runs the verb.
pub(super) async fn run(_arguments: Arguments, _context: &Context) -> Result<Exit> {
    Err(unfinished("compile"))
}
