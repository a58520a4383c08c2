//! `cohorte schema`: prints the JSON Schema of the YAML files.

use crate::cli::{Context, Exit};
use crate::diag::Result;
use crate::spec;

/// Print the JSON Schema of the YAML files, for editors
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// That of the files under `connectors/`, instead of that of `warehouse.yaml` and the files under `models/`
    #[arg(long)]
    connector: bool,
}

/// Runs the verb.
pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Exit> {
    let schema = if arguments.connector { spec::connector_json_schema() } else { spec::json_schema() };
    context.printer.data(&schema)?;
    Ok(Exit::Done)
}
