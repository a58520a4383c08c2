//! `cohorte build`: brings the tables up to date; what is unchanged is skipped.

use crate::cli::{Context, Exit};
use crate::cli::{summary, timings};
use crate::diag::Result;
use crate::run::{self, BuildOptions};
use crate::sync::clock::Cancel;

/// Bring the tables up to date
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Build everything anew from the sources; ids of customers are kept
    #[arg(long)]
    pub full_refresh: bool,
    /// Also show what each step of the build cost: time, rows, bytes read and spilled
    #[arg(long)]
    pub timings: bool,
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
    match run::build_alone(opened, &options, &Cancel::default(), progress.as_ref()).await {
        Ok(built) => {
            let exit = summary::built(context, &built)?;
            if arguments.timings {
                timings::steps(&context.printer, &built)?;
            }
            Ok(exit)
        }
        Err(stopped) => context.stopped(stopped),
    }
}
