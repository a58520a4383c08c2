//! `cohorte load`: CSV, NDJSON, JSON or Parquet files into a source's Delta table.

use std::path::PathBuf;

use super::unfinished;
use crate::cli::{Context, Exit};
use crate::diag::Result;

/// Load files into a source's Delta table
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The source, as the models name it
    pub source: String,
    /// CSV, NDJSON, JSON or Parquet files; a file that is loaded already is skipped
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// Runs the verb.
pub(super) async fn run(_arguments: Arguments, _context: &Context) -> Result<Exit> {
    Err(unfinished("load"))
}
