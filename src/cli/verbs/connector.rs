//! `cohorte connector`: the destinations that there are, and whether the project's connections are in order.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use crate::cli::{Context, Exit, Format};
use crate::connector::{BUILT_IN, Capabilities, Columns, Connector, SHIPPED, shipped};
use crate::diag::Result;
use crate::report::{Table, count, counted};
use crate::run::{self, Checked};

/// See the destinations that there are
#[derive(Debug, Subcommand)]
pub enum Arguments {
    /// List the destinations and what they can do
    List,
    /// Send one row, and show what is asked and answered, masked; nothing of it is remembered
    ///
    /// The row is one that is due in a sync (`--sync`), or one of your own (`--row`), which no consent is asked for: use an address of
    /// yours. What is tried leaves no trace in the state of a sync, so its row stays due. Where neither the target nor the connection says
    /// `deliver: true`, the requests are shown and nothing is sent.
    Try(super::connector_try::Arguments),
    /// Check connections (are they there, do they let us in) and connectors' files (are they right, do their tests pass); nothing is sent
    Check {
        /// Names of connections, or files of connectors [default: all of the project]
        #[arg(value_name = "CONNECTION|FILE")]
        names: Vec<String>,
    },
}

/// Runs the verb.
pub(super) async fn run(arguments: Arguments, context: &Context) -> Result<Exit> {
    match arguments {
        Arguments::List => list(context),
        Arguments::Try(arguments) => super::connector_try::run(arguments, context).await,
        Arguments::Check { names } => check(&names, context).await,
    }
}

fn list(context: &Context) -> Result<Exit> {
    let shipped: Vec<Connector> = SHIPPED.iter().filter_map(|(name, _)| shipped(name)).collect();
    if context.printer.format() == Format::Json {
        for one in BUILT_IN {
            context.printer.object(&json!({
                "kind": "connector", "connector": one.name, "description": one.description, "settings": one.settings, "modes": one.modes,
                "removes": one.removes, "formats": one.formats, "keys": one.keys, "max_rows": one.max_rows, "repeatable": one.repeatable,
            }))?;
        }
        for one in &shipped {
            context.printer.object(&json!({
                "kind": "connector", "connector": one.name, "description": one.description, "docs": one.docs, "checked": one.checked,
                "settings": names(one.settings.iter().map(|setting| &setting.name)), "auth": names(one.secrets.iter().map(|secret| &secret.name)),
                "objects": names(one.objects.iter().map(|object| &object.name)), "audiences": names(one.audiences.iter().map(|audience| &audience.name)),
                "consents": one.consent.is_some(), "erases": one.erase.is_some(),
            }))?;
        }
        return Ok(Exit::Done);
    }
    let texts: Vec<String> = BUILT_IN.iter().map(describe).chain(shipped.iter().map(describe_http)).collect();
    context.printer.data(&texts.join("\n"))?;
    Ok(Exit::Done)
}

fn names<'a>(names: impl Iterator<Item = &'a String>) -> Vec<&'a str> {
    names.map(String::as_str).collect()
}

fn describe_http(one: &Connector) -> String {
    let mut table = Table::new().left("").left("");
    let columns = |columns: &Columns| match &columns.keys {
        Some(keys) => keys.iter().map(|key| key.name.as_str()).collect::<Vec<_>>().join(" or "),
        None => "any".to_owned(),
    };
    let mut rows = vec![
        ("auth".to_owned(), names(one.secrets.iter().map(|secret| &secret.name)).join(", ")),
        ("settings".to_owned(), names(one.settings.iter().map(|setting| &setting.name)).join(", ")),
    ];
    rows.extend(one.objects.iter().map(|object| {
        let operations = [
            ("upsert", &object.upsert),
            ("create", &object.create),
            ("update", &object.update),
            ("delete", &object.delete),
        ];
        let operations: Vec<&str> =
            operations.iter().filter(|(_, there)| there.is_some()).map(|(name, _)| *name).collect();
        (format!("object {}", object.name), format!("{}; key: {}", operations.join(", "), columns(&object.columns)))
    }));
    rows.extend(
        one.audiences
            .iter()
            .map(|audience| (format!("audience {}", audience.name), format!("key: {}", columns(&audience.columns)))),
    );
    rows.extend(
        one.consent.iter().map(|consent| ("consents".to_owned(), format!("key: {}", columns(&consent.columns)))),
    );
    rows.extend(one.erase.iter().map(|erase| ("erasure".to_owned(), erase.description.clone())));
    rows.extend(one.docs.iter().map(|docs| ("documentation".to_owned(), docs.clone())));
    for (name, text) in rows.into_iter().filter(|(_, text)| !text.is_empty()) {
        table.row([format!("  {name}"), text]);
    }
    format!("{}: {}\n{}", one.name, one.description, table.text())
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
    // Connections are names, and names have no dots.
    let (written, connections): (Vec<&String>, Vec<&String>) = names.iter().partition(|name| name.contains('.'));
    let mut paths: Vec<PathBuf> = written.into_iter().map(PathBuf::from).collect();
    let mut exit = Exit::Done;
    if !connections.is_empty() || names.is_empty() {
        let stored = match run::open_stored(&context.request()) {
            Ok(stored) => stored,
            Err(stopped) => return context.stopped(stopped),
        };
        let connections: Vec<String> = connections.into_iter().cloned().collect();
        let checked = run::check_connections(&stored, &connections).await?;
        if checked.is_empty() {
            context.printer.talk("the project has no connections");
        }
        for one in &checked {
            tell(one, context)?;
            if let Some(failure) = &one.failure {
                exit = Exit::of(failure);
            }
        }
        if names.is_empty() {
            paths = run::own_connectors(&stored);
        }
    }
    for path in &paths {
        let checked = run::check_file(path)?;
        context.printer.findings(&checked.files, &checked.findings)?;
        if !checked.findings.is_empty() {
            exit = Exit::Project;
        }
        match (&checked.connector, context.printer.format()) {
            (Some((name, tests)), Format::Json) => context.printer.object(&json!({
                "kind": "connector_file", "connector": name, "tests": tests, "ok": checked.findings.is_empty(),
            }))?,
            (Some((name, tests)), Format::Human) if checked.findings.is_empty() => {
                context
                    .printer
                    .data(&format!("{name} is in order: {}\n", counted(*tests as u64, "test passes", "tests pass")))?;
            }
            _ => {}
        }
    }
    Ok(exit)
}

fn tell(one: &Checked, context: &Context) -> Result<()> {
    let connector = one.connector.name();
    match (context.printer.format(), &one.failure) {
        (Format::Json, failure) => context.printer.object(&json!({
            "kind": "connection", "connection": one.connection, "connector": connector, "deliver": one.deliver, "asked": one.asked, "ok": failure.is_none(),
            "code": failure.as_ref().map(|failure| failure.code), "cause": failure.as_ref().map(|failure| &failure.cause),
        })),
        (Format::Human, None) => {
            let sends = if one.deliver { "" } else { "; `deliver` is off: nothing would be sent" };
            let asked =
                if one.asked { "" } else { "; nobody was asked, since the connector declares no `account`" };
            context.printer.data(&format!("{} ({connector}) is in order{asked}{sends}\n", one.connection))
        }
        (Format::Human, Some(failure)) => {
            context.printer.failure(failure);
            Ok(())
        }
    }
}
