//! `cohorte sync`: pushes what is due to the destinations.

use crate::cli::{Context, Exit};
use crate::cli::{summary, summary_syncs};
use crate::diag::Result;
use crate::run::{self, SyncOptions};
use crate::sync::clock::Cancel;

/// Push what is due to the destinations
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Only these syncs
    pub names: Vec<String>,
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
    let options = SyncOptions {
        names: arguments.names,
        selection,
        accept: context.global.accept.clone(),
        dry_run: arguments.dry_run,
        retry: arguments.retry,
    };
    let progress = context.printer.progress();
    let cancel = Cancel::default();
    heed_interrupts(&cancel);
    match run::sync(opened, &options, &cancel, progress.as_ref()).await {
        Ok(delivered) => {
            context.printer.findings(&delivered.workspace.opened.files, &delivered.findings)?;
            let exit = summary::of_findings(&delivered.findings);
            summary_syncs::delivered(context, &delivered.workspace, &delivered.syncs, exit, false)
        }
        Err(stopped) => context.stopped(stopped),
    }
}

/// Ctrl-C ends a sync after the batch that is under way; a second one ends the process.
pub(super) fn heed_interrupts(cancel: &Cancel) {
    let cancel = cancel.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            cancel.cancel();
        }
    });
}
