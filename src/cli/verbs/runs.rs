//! `cohorte runs`: the history of runs.

use serde_json::json;

use crate::cli::{Context, Exit, Format};
use crate::diag::Result;
use crate::report::{Table, duration};
use crate::run::{self, RunRow};

/// Show the history of runs
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// How many, the newest first
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: usize,
}

/// Runs the verb.
pub(super) async fn run(arguments: Arguments, context: &Context) -> Result<Exit> {
    let stored = match run::open_stored(&context.request()) {
        Ok(stored) => stored,
        Err(stopped) => return context.stopped(stopped),
    };
    let runs = run::runs(&stored, arguments.limit).await?;
    if context.printer.format() == Format::Json {
        for run in &runs {
            context.printer.object(&json!({"kind": "run", "run": run}))?;
        }
        return Ok(Exit::Done);
    }
    if runs.is_empty() {
        context.printer.talk("nothing was run yet: `cohorte run`");
        return Ok(Exit::Done);
    }
    let mut table = Table::new()
        .left("run")
        .left("started")
        .right("took")
        .left("as of")
        .left("command")
        .left("outcome")
        .right("tables");
    for run in &runs {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let tables = run.tables.map(|n| n.to_string()).unwrap_or_default();
        table.row([
            text(&run.run_id).chars().take(8).collect(),
            seconds(run.started_at.as_deref()),
            took(run),
            seconds(run.as_of.as_deref()),
            text(&run.command),
            run.error.as_ref().map_or(text(&run.outcome), |code| format!("{} ({code})", text(&run.outcome))),
            tables,
        ]);
    }
    context.printer.data(&table.text())?;
    Ok(Exit::Done)
}

/// A time without its fractions.
pub(super) fn seconds(time: Option<&str>) -> String {
    let parsed = time.and_then(|time| chrono::DateTime::parse_from_rfc3339(time).ok());
    parsed.map_or_else(|| time.unwrap_or_default().to_owned(), |time| time.format("%Y-%m-%d %H:%M:%SZ").to_string())
}

/// From its begin to the end of its last sync.
fn took(run: &RunRow) -> String {
    let parse =
        |time: &Option<String>| time.as_deref().and_then(|time| chrono::DateTime::parse_from_rfc3339(time).ok());
    let ended = parse(&run.finished_at).max(parse(&run.synced_at));
    let took = parse(&run.started_at).zip(ended).and_then(|(from, to)| (to - from).to_std().ok());
    took.map(duration).unwrap_or_default()
}
