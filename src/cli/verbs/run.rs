//! `cohorte run`: builds, then syncs: the main job.

use crate::cli::{Context, Exit};
use crate::cli::{summary, summary_syncs, timings};
use crate::diag::Result;
use crate::run::{self, BuildOptions, SyncOptions};
use crate::sync::clock::Cancel;

/// Build, then sync: the main job
#[derive(Debug, clap::Args)]
#[allow(clippy::struct_excessive_bools)] // Each is a switch of its own.
pub struct Arguments {
    /// Build everything anew from the sources; ids of customers are kept
    #[arg(long)]
    pub full_refresh: bool,
    /// Also show what each step of the build cost: time, rows, bytes read and spilled
    #[arg(long)]
    pub timings: bool,
    /// Show what would be sent, and send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Also attempt rows that failed and wait for a later attempt
    #[arg(long)]
    pub retry: bool,
}

/// Runs the verb.
pub(super) async fn run(arguments: Arguments, context: &Context) -> Result<Exit> {
    let opened = match run::open(&context.request()).await {
        Ok(opened) => opened,
        Err(stopped) => return context.stopped(stopped),
    };
    let selection = run::Selection::of(&opened, &context.global.select, &context.global.accept)?;
    let accept = context.global.accept.clone();
    let build = BuildOptions {
        command: "run".to_owned(),
        accept: accept.clone(),
        selection: selection.clone(),
        full_refresh: arguments.full_refresh,
        plan_only: false,
    };
    let options =
        SyncOptions { names: Vec::new(), selection, accept, dry_run: arguments.dry_run, retry: arguments.retry };
    let progress = context.printer.progress();
    let cancel = Cancel::default();
    super::sync::heed_interrupts(&cancel);
    match run::run(opened, &build, &options, &cancel, progress.as_ref()).await {
        Ok((built, syncs)) => {
            let exit = summary::built(context, &built)?;
            if arguments.timings {
                timings::steps(&context.printer, &built)?;
            }
            summary_syncs::delivered(context, &built.workspace, &syncs, exit, true)
        }
        Err(stopped) => context.stopped(stopped),
    }
}
