//! `cohorte connector`: the destinations that there are, and whether a connector's file is valid.

use std::path::PathBuf;

use clap::Subcommand;

use super::unfinished;
use crate::cli::{Context, Exit};
use crate::diag::Result;

/// See the destinations that there are
#[derive(Debug, Subcommand)]
pub enum Arguments {
    /// List the destinations and what they can do
    List,
    /// Check connectors' files and the project's connections
    Check {
        /// Files or names [default: all of the project]
        #[arg(value_name = "CONNECTOR")]
        connectors: Vec<PathBuf>,
    },
}

/// Runs the verb.
pub(super) async fn run(_arguments: Arguments, _context: &Context) -> Result<Exit> {
    Err(unfinished("connector"))
}
