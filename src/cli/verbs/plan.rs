//! `cohorte plan`: what would be built and sent, and why; nothing is written.

use crate::cli::summary;
use crate::cli::{Context, Exit};
use crate::diag::Result;
use crate::run;

/// Show what would be built and sent, and why; nothing is written
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// End with 1 when there are changes
    #[arg(long)]
    pub exit_code: bool,
}

/// Runs the verb.
pub(super) async fn run(arguments: Arguments, context: &Context) -> Result<Exit> {
    let opened = match run::open(&context.request()).await {
        Ok(opened) => opened,
        Err(stopped) => return context.stopped(stopped),
    };
    let selection = run::Selection::of(&opened, &context.global.select, &context.global.accept)?;
    let progress = context.printer.progress();
    match run::plan(opened, selection, progress.as_ref()).await {
        Ok(planned) => {
            let (changes, exit) = summary::planned(context, &planned)?;
            Ok(if changes && arguments.exit_code { Exit::Project } else { exit })
        }
        Err(stopped) => context.stopped(stopped),
    }
}
