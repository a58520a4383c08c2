//! `cohorte check`: parses, resolves and type-checks everything; no data is read beyond schemas.

use serde_json::json;

use crate::cli::{Context, Exit, Format};
use crate::diag::Result;
use crate::project::{Graph, Kind};
use crate::report::counted;
use crate::run;

/// Parse, resolve and type-check everything; no data is read beyond schemas
#[derive(Debug, clap::Args)]
pub struct Arguments {}

/// Runs the verb.
pub(super) async fn run(_: Arguments, context: &Context) -> Result<Exit> {
    let opened = match run::open(&context.request()).await {
        Ok(opened) => opened,
        Err(stopped) => return context.stopped(stopped),
    };
    context.printer.findings(&opened.files, &opened.findings)?;
    let project = &opened.project;
    let graph = Graph::new(&opened.spec, project);
    let sizes = Kind::ALL.map(|kind| (kind, graph.models().iter().filter(|model| model.kind == kind).count()));
    if context.printer.format() == Format::Json {
        let models: serde_json::Map<String, serde_json::Value> =
            sizes.iter().map(|(kind, size)| (kind.section().to_owned(), json!(size))).collect();
        context.printer.object(&json!({"kind": "check", "project": project.settings.name, "models": models, "features": project.features.iter().count()}))?;
        return Ok(Exit::Done);
    }
    let said: Vec<String> = sizes
        .iter()
        .filter(|(_, size)| *size > 0)
        .map(|(kind, size)| counted(*size as u64, kind.name(), kind.section()))
        .collect();
    context.printer.talk(&format!("{} is in order: {}", project.settings.name, said.join(", ")));
    Ok(Exit::Done)
}
