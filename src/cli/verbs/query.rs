//! `cohorte query`: SQL over sources and outputs; it can only read.

use serde_json::json;

use crate::cli::{Context, Exit, Format};
use crate::diag::Result;
use crate::report::{Table, cell, count, counted, json_rows};
use crate::run::{self, Rows};

/// Run SQL over sources and outputs
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Tables: each source by its name, <source>_resolved with its customers, and all that was built: customer, \
                        segment_members, consents, runs…\n\n\
                        Example: cohorte query \"select country, count(*) from customer group by country\""
)]
pub struct Arguments {
    /// One statement that only reads
    pub sql: String,
    /// How many rows are shown [default: 100; all with `--format json`]
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
}

/// Rows that people are shown where they do not say how many.
const LIMIT: usize = 100;

/// Runs the verb.
pub(super) async fn run(arguments: Arguments, context: &Context) -> Result<Exit> {
    let opened = match run::open(&context.request()).await {
        Ok(opened) => opened,
        Err(stopped) => return context.stopped(stopped),
    };
    let is_json = context.printer.format() == Format::Json;
    let shown = arguments.limit.unwrap_or(LIMIT);
    // One row more than is shown tells whether there are more.
    let limit = if is_json { arguments.limit } else { Some(shown.saturating_add(1)) };
    match run::query(opened, &arguments.sql, limit).await {
        Ok(rows) if is_json => as_json(rows, context).await,
        Ok(rows) => as_table(rows, shown, context).await,
        Err(stopped) => context.stopped(stopped),
    }
}

async fn as_json(mut rows: Rows, context: &Context) -> Result<Exit> {
    loop {
        let batch = match rows.next().await {
            Ok(Some(batch)) => batch,
            Ok(None) => break,
            Err(stopped) => return context.stopped(stopped),
        };
        for row in json_rows(&batch)? {
            context.printer.object(&json!({"kind": "row", "row": row}))?;
        }
        if context.printer.closed() {
            break;
        }
    }
    Ok(Exit::Done)
}

async fn as_table(mut rows: Rows, shown: usize, context: &Context) -> Result<Exit> {
    let mut table = Table::new();
    for field in rows.schema().fields() {
        table = if field.data_type().is_numeric() { table.right(field.name()) } else { table.left(field.name()) };
    }
    let mut n = 0;
    loop {
        let batch = match rows.next().await {
            Ok(Some(batch)) => batch,
            Ok(None) => break,
            Err(stopped) => return context.stopped(stopped),
        };
        for row in json_rows(&batch)? {
            n += 1;
            if n <= shown {
                table.row(row.values().map(cell));
            }
        }
    }
    context.printer.data(&table.text())?;
    let said = match n {
        _ if n > shown => {
            format!("the first {} rows; `--limit N` shows more, `--format json` all", count(shown as u64))
        }
        _ => counted(n as u64, "row", "rows"),
    };
    context.printer.talk(&said);
    Ok(Exit::Done)
}
