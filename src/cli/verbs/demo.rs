//! `cohorte demo`: writes the demonstration data; the same seed gives the same bytes.

use std::path::PathBuf;

use super::unfinished;
use crate::cli::{Context, Exit};
use crate::diag::Result;

/// Write the demonstration data, at any size
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The folder to write
    pub dir: PathBuf,
    /// How many people
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub customers: u64,
    /// Another seed gives other people; the same seed gives the same files
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

/// Runs the verb.
pub(super) async fn run(_arguments: Arguments, _context: &Context) -> Result<Exit> {
    Err(unfinished("demo"))
}
