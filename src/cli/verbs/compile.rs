//! `cohorte compile`: prints the SQL of models.

use serde_json::json;

use crate::cli::{Context, Exit, Format};
use crate::diag::Result;
use crate::run::{self, Compiled};

/// Print the SQL of a model
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The models: `name`, `+name`, `name+`, `tag:x`, `segments:*` [default: all]
    #[arg(value_name = "SELECT")]
    pub models: Vec<String>,
}

/// Runs the verb.
pub(super) async fn run(arguments: Arguments, context: &Context) -> Result<Exit> {
    let opened = match run::open(&context.request()).await {
        Ok(opened) => opened,
        Err(stopped) => return context.stopped(stopped),
    };
    let selectors = [arguments.models, context.global.select.clone()].concat();
    let compiled = run::compile(&opened, &selectors)?;
    for (index, model) in compiled.iter().enumerate() {
        match context.printer.format() {
            Format::Human => context.printer.data(&text(model, index == 0))?,
            Format::Json => {
                for (what, sql) in &model.statements {
                    let id = format!("{}:{}", model.kind, model.name);
                    context.printer.object(&json!({"kind": "statement", "model": id, "gives": what, "sql": sql}))?;
                }
            }
        }
    }
    Ok(Exit::Done)
}

fn text(model: &Compiled, is_first: bool) -> String {
    let mut text = if is_first { String::new() } else { "\n".to_owned() };
    text.push_str(&format!("-- {} {}", model.kind, model.name));
    if let Some(description) = &model.description {
        text.push_str(": ");
        // A description of several lines stays within the comment.
        text.push_str(&description.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    text.push('\n');
    for (what, sql) in &model.statements {
        text.push_str(&format!("-- {what}\n{sql};\n"));
    }
    text
}
