//! `cohorte schema`: prints the JSON Schema of the YAML files.

use super::unfinished;
use crate::cli::{Context, Exit};
use crate::diag::Result;

/// Print the JSON Schema of the YAML files, for editors
#[derive(Debug, clap::Args)]
pub struct Arguments {}

/// Runs the verb.
pub(super) async fn run(_arguments: Arguments, _context: &Context) -> Result<Exit> {
    Err(unfinished("schema"))
}
