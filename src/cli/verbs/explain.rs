//! `cohorte explain`: the page of an error code, or how models are computed.

use serde_json::json;

use crate::cli::{Context, Exit, Format};
use crate::diag::{Failure, Result, codes, nearest};
use crate::report::Table;
use crate::run;

/// Explain an error code, or how a model is computed
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Arguments {
    /// The code, such as `E001` [default: list all of them]
    pub code: Option<String>,
    /// What else is to be explained.
    #[command(subcommand)]
    pub what: Option<What>,
}

/// What can be explained beside codes.
#[derive(Debug, clap::Subcommand)]
pub enum What {
    /// Show the physical plans by which models are computed, over what is published
    Plan {
        /// The models: `name`, `+name`, `name+`, `tag:x`, `segments:*` [default: all]
        #[arg(value_name = "SELECT")]
        models: Vec<String>,
    },
}

/// Runs the verb.
pub(super) async fn run(arguments: Arguments, context: &Context) -> Result<Exit> {
    match (arguments.what, &arguments.code) {
        (Some(What::Plan { models }), _) => return plan(models, context).await,
        (None, Some(code)) => explain(&code.to_uppercase(), context)?,
        (None, None) => list(context)?,
    }
    Ok(Exit::Done)
}

async fn plan(models: Vec<String>, context: &Context) -> Result<Exit> {
    let opened = match run::open(&context.request()).await {
        Ok(opened) => opened,
        Err(stopped) => return context.stopped(stopped),
    };
    let selectors = [models, context.global.select.clone()].concat();
    for (what, plan) in run::plans(opened, &selectors).await? {
        match context.printer.format() {
            Format::Human => context.printer.data(&format!("-- {what}\n{plan}\n"))?,
            Format::Json => context.printer.object(&json!({"kind": "plan", "of": what, "plan": plan}))?,
        }
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
