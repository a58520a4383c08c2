//! The verbs: one file each, with its arguments and what it does with them.

mod build;
mod check;
mod compile;
mod completions;
mod connector;
mod connector_try;
mod demo;
mod explain;
mod graph;
mod init;
mod load;
mod plan;
mod query;
mod receipts;
mod run;
mod runs;
mod schema;
mod show;
mod sync;

use clap::Subcommand;

use super::{Context, Exit};
use crate::diag::Result;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Write a small new project that runs at once
    Init(init::Arguments),
    /// Write the demonstration data, at any size
    Demo(demo::Arguments),
    /// Load files into a source's Delta table
    Load(load::Arguments),
    /// Parse, resolve and type-check everything
    Check(check::Arguments),
    /// Print the SQL of a model
    Compile(compile::Arguments),
    /// Show what would be built and sent, and why; nothing is written
    Plan(plan::Arguments),
    /// Bring the tables up to date
    Build(build::Arguments),
    /// Push what is due to the destinations
    Sync(sync::Arguments),
    /// Build, then sync: the main job
    Run(run::Arguments),
    /// Show rows, size and trend of a model
    Show(show::Arguments),
    /// Run SQL over sources and outputs
    Query(query::Arguments),
    /// Show the history of runs
    Runs(runs::Arguments),
    /// Show what became of each row that was sent
    Receipts(receipts::Arguments),
    /// See the destinations that there are
    #[command(subcommand)]
    Connector(connector::Arguments),
    /// Print the JSON Schema of the YAML files, for editors
    Schema(schema::Arguments),
    /// Print the lineage of the models
    Graph(graph::Arguments),
    /// Explain an error code, or how a model is computed
    Explain(explain::Arguments),
    /// Print completions for a shell
    Completions(completions::Arguments),
}

impl Verb {
    /// Does it.
    pub async fn run(self, context: &Context) -> Result<Exit> {
        match self {
            Self::Init(arguments) => init::run(&arguments, context),
            Self::Demo(arguments) => demo::run(arguments, context).await,
            Self::Load(arguments) => load::run(arguments, context).await,
            Self::Check(arguments) => check::run(arguments, context).await,
            Self::Compile(arguments) => compile::run(arguments, context).await,
            Self::Plan(arguments) => plan::run(arguments, context).await,
            Self::Build(arguments) => build::run(arguments, context).await,
            Self::Sync(arguments) => sync::run(arguments, context).await,
            Self::Run(arguments) => run::run(arguments, context).await,
            Self::Show(arguments) => show::run(arguments, context).await,
            Self::Query(arguments) => query::run(arguments, context).await,
            Self::Runs(arguments) => runs::run(arguments, context).await,
            Self::Receipts(arguments) => receipts::run(arguments, context).await,
            Self::Connector(arguments) => connector::run(arguments, context).await,
            Self::Schema(arguments) => schema::run(&arguments, context),
            Self::Graph(arguments) => graph::run(arguments, context).await,
            Self::Explain(arguments) => explain::run(arguments, context).await,
            Self::Completions(arguments) => completions::run(&arguments, context),
        }
    }
}
