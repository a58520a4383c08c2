//! `cohorte receipts`: what became of each row that was sent.

use serde_json::json;

use super::runs::seconds;
use crate::cli::{Context, Exit, Format};
use crate::diag::Result;
use crate::report::Table;
use crate::run;

/// Show what became of each row that was sent
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Only of this sync
    #[arg(value_name = "SYNC")]
    pub sync: Option<String>,
    /// Only these: accepted, unchanged, rejected, retry, unknown, withheld
    #[arg(long, value_name = "OUTCOME")]
    pub outcome: Vec<String>,
    /// How many, the newest first
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
}

/// Runs the verb.
pub(super) async fn run(arguments: Arguments, context: &Context) -> Result<Exit> {
    let stored = match run::open_stored(&context.request()) {
        Ok(stored) => stored,
        Err(stopped) => return context.stopped(stopped),
    };
    let receipts = run::receipts(&stored, arguments.sync.as_deref(), &arguments.outcome, arguments.limit).await?;
    if context.printer.format() == Format::Json {
        for receipt in &receipts {
            context.printer.object(&json!({"kind": "receipt", "receipt": receipt}))?;
        }
        return Ok(Exit::Done);
    }
    if receipts.is_empty() {
        context.printer.talk("there are no such receipts");
        return Ok(Exit::Done);
    }
    let mut table = Table::new().left("at").left("sync").left("customer").left("operation").left("outcome").left("code").left("message");
    for receipt in &receipts {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        table.row([
            seconds(&receipt.at),
            text(&receipt.sync),
            text(&receipt.customer_id),
            text(&receipt.operation),
            text(&receipt.outcome),
            text(&receipt.code),
            text(&receipt.message),
        ]);
    }
    context.printer.data(&table.text())?;
    Ok(Exit::Done)
}
