//! `cohorte explain`: the page of an error code.

use serde_json::json;

use crate::cli::{Context, Exit, Format};
use crate::diag::{Failure, Result, codes, nearest};
use crate::report::Table;

/// Explain an error code
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The code, such as `E001` [default: list all of them]
    pub code: Option<String>,
}

/// Runs the verb.
pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Exit> {
    match &arguments.code {
        Some(code) => explain(&code.to_uppercase(), context)?,
        None => list(context)?,
    }
    Ok(Exit::Done)
}

fn explain(code: &str, context: &Context) -> Result<()> {
    let page = codes::page(code).ok_or_else(|| unknown(code))?;
    match context.printer.format() {
        Format::Human => context.printer.data(page),
        Format::Json => context.printer.object(&json!({"kind": "code", "code": code, "page": page})),
    }
}

fn list(context: &Context) -> Result<()> {
    if context.printer.format() == Format::Json {
        return codes::all().try_for_each(|(code, title)| {
            context.printer.object(&json!({"kind": "code", "code": code, "title": title}))
        });
    }
    let mut table = Table::new().left("").left("");
    for (code, title) in codes::all() {
        table.row([code, title]);
    }
    context.printer.data(&table.text())
}

fn unknown(code: &str) -> Failure {
    let help = match nearest(code, codes::all().map(|(known, _)| known)) {
        Some(near) => format!("did you mean `{near}`? `cohorte explain` lists all codes"),
        None => "`cohorte explain` lists all codes".to_owned(),
    };
    Failure::project("E001", format!("looking up the code `{code}`"), "there is no such code").help(help)
}
