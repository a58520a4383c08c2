//! `cohorte completions`: what a shell needs to complete verbs and options.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::cli::{Args, Context, Exit};
use crate::diag::Result;

/// Print completions for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: cohorte completions bash > /etc/bash_completion.d/cohorte")]
pub struct Arguments {
    /// The shell
    pub shell: Shell,
}

/// Runs the verb.
pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Args::command(), "cohorte", &mut script);
    context.printer.data(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
