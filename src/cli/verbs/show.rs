//! `cohorte show`: rows, size and trend of a model.

use serde_json::{Map, Value, json};

use crate::cli::{Context, Exit, Format};
use crate::diag::Result;
use crate::report::{Table, cell, figure};
use crate::run::{self, Series, Shown};

/// Show rows, size and trend of a model
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The model or table; `kind:name` where a name is ambiguous
    pub name: String,
    /// How many rows of history and of frequent values
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub limit: usize,
}

/// Runs the verb.
pub(super) async fn run(arguments: Arguments, context: &Context) -> Result<Exit> {
    let opened = match run::open(&context.request()).await {
        Ok(opened) => opened,
        Err(stopped) => return context.stopped(stopped),
    };
    match run::show(opened, &arguments.name, arguments.limit).await {
        Ok(shown) => print(&shown, context),
        Err(stopped) => context.stopped(stopped),
    }
}

fn print(shown: &Shown, context: &Context) -> Result<Exit> {
    if context.printer.format() == Format::Json {
        let facts: Map<String, Value> = shown.facts.iter().map(|fact| (fact.name.clone(), fact.value.clone())).collect();
        context.printer.object(&json!({"kind": "model", "model": shown.model, "description": shown.description, "facts": facts}))?;
        for series in &shown.series {
            for row in &series.rows {
                context.printer.object(&json!({"kind": "row", "model": shown.model, "of": series.of, "row": row}))?;
            }
        }
        return Ok(Exit::Done);
    }
    let mut text = shown.model.replacen(':', " ", 1);
    if let Some(description) = &shown.description {
        text.push_str(&format!(": {}", description.split_whitespace().collect::<Vec<_>>().join(" ")));
    }
    text.push('\n');
    let mut facts = Table::new().left("").left("");
    for fact in shown.facts.iter().filter(|fact| !fact.value.is_null()) {
        facts.row([format!("  {}", fact.name.replace('_', " ")), figure(&fact.value)]);
    }
    text.push_str(&facts.text());
    for series in &shown.series {
        text.push('\n');
        text.push_str(&table(series));
    }
    context.printer.data(&text)?;
    Ok(Exit::Done)
}

fn table(series: &Series) -> String {
    let Some(first) = series.rows.first() else { return format!("{}: none\n", series.title) };
    let mut table = Table::new();
    for name in first.keys() {
        let is_figure = series.rows.iter().all(|row| row.get(name).is_none_or(|value| value.is_number() || value.is_null()));
        table = if is_figure { table.right(name.replace('_', " ")) } else { table.left(name.replace('_', " ")) };
    }
    for row in &series.rows {
        table.row(row.values().map(|value| if value.is_number() { figure(value) } else { cell(value) }));
    }
    format!("{}:\n{}", series.title, table.text())
}
