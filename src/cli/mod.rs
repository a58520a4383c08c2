//! The command line: arguments, one file per verb, and the only place that prints.
//!
//! Data goes to stdout, talk to stderr; `printer` decides what is shown. A verb gives an [`Exit`] or a `Failure`;
//! the exit code follows from it.

mod args;
mod as_of;
mod bars;
mod colour;
mod context;
mod exit;
mod printer;
mod reference;
mod summary;
mod summary_requests;
mod summary_syncs;
mod timings;
mod verbs;

use std::ffi::OsString;
use std::io::Write as _;

use clap::Parser as _;

pub use args::{Args, Format, Global};
pub use as_of::AsOf;
pub use context::Context;
pub use exit::Exit;
pub use printer::{Printer, Verbosity};
pub use reference::reference;

use crate::diag::Failure;

/// Query plans are deep: each worker has as much stack as a main thread usually has.
const STACK_BYTES: usize = 8 << 20;

/// Runs the command line that is given, program name first, and says how it ended.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let args = match Args::try_parse_from(arguments) {
        Ok(args) => args,
        Err(usage) => return show_usage(&usage),
    };
    let context = Context::new(args.global);
    pass_over_caught_panics();
    let done = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK_BYTES)
        .build()
        .map_err(|error| Failure::world("W001", "starting the worker threads", error))
        .and_then(|runtime| runtime.block_on(args.verb.run(&context)));
    match done {
        Ok(exit) => exit,
        Err(failure) => {
            context.printer.failure(&failure);
            Exit::of(&failure)
        }
    }
}

/// Where a file cannot be finished (a full disk), Delta's writer aborts it in a way that panics, and catches that itself; the failure
/// is told as any other. The panic is no news to anybody.
fn pass_over_caught_panics() {
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let is_caught = panic.payload_as_str() == Some("Already shut down")
            && panic.location().is_some_and(|place| place.file().ends_with("src/buffered.rs"));
        if !is_caught {
            told(panic);
        }
    }));
}

/// Help and version are data; a wrong use is the caller's fault, like a fault in the project.
fn show_usage(usage: &clap::Error) -> Exit {
    // A reader that is gone wants no help.
    let _ = usage.print().and_then(|()| std::io::stdout().flush());
    if usage.use_stderr() { Exit::Project } else { Exit::Done }
}
