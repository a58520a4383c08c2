//! `cohorte connector`: the destinations that there are, and whether the project's connections are in order.

use clap::Subcommand;
use serde_json::json;

use crate::cli::{Context, Exit, Format};
use crate::connector::{BUILT_IN, Capabilities};
use crate::diag::Result;
use crate::report::{Table, count};
use crate::run::{self, Checked};

/// See the destinations that there are
#[derive(Debug, Subcommand)]
pub enum Arguments {
    /// List the destinations and what they can do
    List,
    /// Check the project's connections: is the folder writable, is the database reachable; nothing is sent
    Check {
        /// Names of connections [default: all of the project]
        #[arg(value_name = "CONNECTION")]
        connections: Vec<String>,
    },
}

/// Runs the verb.
pub(super) async fn run(arguments: Arguments, context: &Context) -> Result<Exit> {
    match arguments {
        Arguments::List => list(context),
        Arguments::Check { connections } => check(&connections, context).await,
    }
}

fn list(context: &Context) -> Result<Exit> {
    if context.printer.format() == Format::Json {
        for one in BUILT_IN {
            context.printer.object(&json!({
                "kind": "connector", "connector": one.name, "description": one.description, "settings": one.settings, "modes": one.modes,
                "removes": one.removes, "formats": one.formats, "keys": one.keys, "max_rows": one.max_rows, "repeatable": one.repeatable,
            }))?;
        }
        return Ok(Exit::Done);
    }
    let texts: Vec<String> = BUILT_IN.iter().map(describe).collect();
    context.printer.data(&texts.join("\n"))?;
    Ok(Exit::Done)
}

fn describe(one: &Capabilities) -> String {
    let mut table = Table::new().left("").left("");
    let rows = [
        ("settings", one.settings.join(", ")),
        ("modes", one.modes.join(", ")),
        ("removes by", one.removes.join(", ")),
        ("formats", one.formats.join(", ")),
        ("key", one.keys.to_owned()),
        ("rows a batch", count(one.max_rows as u64)),
        ("repeatable", one.repeatable.to_owned()),
    ];
    for (name, text) in rows.into_iter().filter(|(_, text)| !text.is_empty()) {
        table.row([format!("  {name}"), text]);
    }
    format!("{}: {}\n{}", one.name, one.description, table.text())
}

async fn check(names: &[String], context: &Context) -> Result<Exit> {
    let stored = match run::open_stored(&context.request()) {
        Ok(stored) => stored,
        Err(stopped) => return context.stopped(stopped),
    };
    let checked = run::check_connections(&stored, names).await?;
    if checked.is_empty() {
        context.printer.talk("the project has no connections");
    }
    let mut exit = Exit::Done;
    for one in &checked {
        tell(one, context)?;
        if let Some(failure) = &one.failure {
            exit = Exit::of(failure);
        }
    }
    Ok(exit)
}

fn tell(one: &Checked, context: &Context) -> Result<()> {
    let connector = one.connector.name();
    match (context.printer.format(), &one.failure) {
        (Format::Json, failure) => context.printer.object(&json!({
            "kind": "connection", "connection": one.connection, "connector": connector, "deliver": one.deliver, "ok": failure.is_none(),
            "code": failure.as_ref().map(|failure| failure.code), "cause": failure.as_ref().map(|failure| &failure.cause),
        })),
        (Format::Human, None) => {
            let sends = if one.deliver { "" } else { "; `deliver` is off: nothing would be sent" };
            context.printer.data(&format!("{} ({connector}) is in order{sends}\n", one.connection))
        }
        (Format::Human, Some(failure)) => {
            context.printer.failure(failure);
            Ok(())
        }
    }
}
