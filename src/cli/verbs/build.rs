//! `cohorte build`: brings the tables up to date; what is unchanged is skipped.

use crate::cli::summary;
use crate::cli::{Context, Exit};
use crate::diag::Result;
use crate::run::{self, BuildOptions};

/// Bring the tables up to date
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Build everything anew from the sources; ids of customers are kept
    #[arg(long)]
    pub full_refresh: bool,
}

/// Runs the verb.
pub(super) async fn run(arguments: Arguments, context: &Context) -> Result<Exit> {
    let opened = match run::open(&context.request()).await {
        Ok(opened) => opened,
        Err(stopped) => return context.stopped(stopped),
    };
    let selection = run::Selection::of(&opened, &context.global.select, &context.global.accept)?;
    let options = BuildOptions {
        command: "build".to_owned(),
        accept: context.global.accept.clone(),
        selection,
        full_refresh: arguments.full_refresh,
        plan_only: false,
    };
    let progress = context.printer.progress();
    match run::build(opened, &options, progress.as_ref()).await {
        Ok(built) => summary::built(context, &built),
        Err(stopped) => context.stopped(stopped),
    }
}
