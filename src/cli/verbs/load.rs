//! `cohorte load`: CSV, NDJSON, JSON or Parquet files into a source's Delta table.

use std::path::Path;

use serde_json::json;

use crate::cli::{Context, Exit, Format};
use crate::diag::Result;
use crate::report::counted;
use crate::run;

/// Load files into a source's Delta table
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The source, as the models name it
    pub source: String,
    /// CSV, NDJSON, JSON or Parquet files, folders, globs or URLs; a file that is loaded already is skipped
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<String>,
}

/// Runs the verb.
pub(super) async fn run(arguments: Arguments, context: &Context) -> Result<Exit> {
    let progress = context.printer.progress();
    progress.step(&format!("loading into `{}`", arguments.source), None);
    // Files are meant as the shell means them, wherever the project is.
    let loaded = run::load(&context.request(), &arguments.source, &arguments.files, Path::new(".")).await;
    progress.finish();
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(stopped) => return context.stopped(stopped),
    };
    if context.printer.format() == Format::Json {
        context.printer.object(&json!({
            "kind": "load", "source": arguments.source, "rows": loaded.rows, "files": loaded.files, "skipped": loaded.skipped, "version": loaded.version,
        }))?;
        return Ok(Exit::Done);
    }
    let files = |n: usize| counted(n as u64, "file", "files");
    let were = if loaded.rows == 1 { "was" } else { "were" };
    let rows = counted(loaded.rows, "row", "rows");
    let mut said = format!("{rows} of {} {were} loaded into `{}`", files(loaded.files), arguments.source);
    if loaded.skipped > 0 {
        let were = if loaded.skipped == 1 { "was" } else { "were" };
        said.push_str(&format!("; {} {were} loaded before and skipped", files(loaded.skipped)));
    }
    context.printer.talk(&said);
    Ok(Exit::Done)
}
