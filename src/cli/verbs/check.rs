//! `cohorte check`: everything is parsed, resolved and typed; no data is read beyond schemas.

use super::unfinished;
use crate::cli::{Context, Exit};
use crate::diag::Result;

/// Parse, resolve and type-check everything
#[derive(Debug, clap::Args)]
pub struct Arguments {}

/// Runs the verb.
pub(super) async fn run(_arguments: Arguments, _context: &Context) -> Result<Exit> {
    Err(unfinished("check"))
}
