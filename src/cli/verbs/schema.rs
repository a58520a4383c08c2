//! `cohorte schema`: prints the JSON Schema of the YAML files.

use crate::cli::{Context, Exit};
use crate::diag::Result;
use crate::spec;

/// Print the JSON Schema of the YAML files, for editors
#[derive(Debug, clap::Args)]
pub struct Arguments {}

/// Runs the verb.
pub(super) fn run(_arguments: &Arguments, context: &Context) -> Result<Exit> {
    context.printer.data(&spec::json_schema())?;
    Ok(Exit::Done)
}
