//! The arguments that all verbs share. Each verb's own are in its file under `verbs/`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Parser, ValueEnum};

use super::colour::ColourChoice;
use super::verbs::Verb;
use super::{AsOf, Verbosity};

/// Composable customer data platform: YAML to customers, segments and delivered audiences, in your own warehouse.
#[derive(Debug, Parser)]
#[command(
    name = "cohorte",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "Exit codes: 0 done; 1 the project, its data or the command is at fault; 2 the world or cohorte is at \
                  fault; 3 a guard tripped; 4 another run holds the warehouse.",
    after_long_help = "Exit codes:\n  0  done\n  1  the project, its data or the command is at fault\n  \
                       2  the world or cohorte is at fault\n  3  a guard tripped\n  4  another run holds the warehouse"
)]
pub struct Args {
    /// The options that all verbs share.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// The options that all verbs share.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The project: the folder of `warehouse.yaml`
    #[arg(long, global = true, value_name = "DIR", default_value = ".")]
    pub project: PathBuf,

    /// The target whose overrides apply
    #[arg(long, global = true, value_name = "NAME")]
    pub target: Option<String>,

    /// Only these models: `name`, `+name` with what it needs, `name+` with what needs it, `tag:x`, `segments:*`
    #[arg(long, short = 's', global = true, value_name = "MODELS", action = ArgAction::Append)]
    pub select: Vec<String>,

    /// Everything as it was then: `2026-01-15`, `2026-01-15T09:00:00Z` [default: now]
    #[arg(long, global = true, value_name = "TIME")]
    pub as_of: Option<AsOf>,

    /// Let this guard pass once; it is recorded
    #[arg(long, global = true, value_name = "NAME", action = ArgAction::Append)]
    pub accept: Vec<String>,

    /// Wait so long for a run that holds the warehouse, and take over from one that is silent for two minutes: `30s`, `10min`
    #[arg(long, global = true, value_name = "DURATION", value_parser = exact)]
    pub wait: Option<Duration>,

    /// Set `${vars.KEY}`
    #[arg(long = "var", global = true, value_name = "KEY=VALUE", value_parser = key_value, action = ArgAction::Append)]
    pub vars: Vec<(String, String)>,

    /// What the output is for
    #[arg(long, global = true, value_enum, default_value_t)]
    pub format: Format,

    /// Say nothing but findings, failures and the data that was asked for; twice, nothing at all
    #[arg(long, short, global = true, action = ArgAction::Count, conflicts_with = "verbose")]
    pub quiet: u8,

    /// Say more
    #[arg(long, short, global = true, action = ArgAction::Count)]
    pub verbose: u8,

    /// Colours
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t)]
    pub color: ColourChoice,
}

impl Global {
    /// How much is said.
    #[must_use]
    pub fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (0, 0) => Verbosity::Normal,
            (0, _) => Verbosity::Verbose,
            (1, _) => Verbosity::Quiet,
            _ => Verbosity::Silent,
        }
    }
}

/// What the output is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// Text for people.
    #[default]
    Human,
    /// One JSON object per line for programs.
    Json,
}

fn exact(text: &str) -> Result<Duration, String> {
    let length: crate::spec::Duration = text.parse()?;
    length.exact().ok_or_else(|| "write seconds, minutes, hours or days, such as `30s` or `10min`".to_owned())
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write `key=value`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn global_options_stand_before_or_after_the_verb() {
        for line in [
            "cohorte --project p --select a --select +b --var k=v=w --as-of 2026-01-15 --accept g -v build",
            "cohorte build --project p --select a --select +b --var k=v=w --as-of 2026-01-15 --accept g -v",
        ] {
            let global = Args::try_parse_from(line.split(' ')).unwrap().global;
            assert_eq!(global.project, PathBuf::from("p"));
            assert_eq!(global.select, ["a", "+b"]);
            assert_eq!(global.vars, [("k".to_owned(), "v=w".to_owned())]);
            assert_eq!(global.as_of, Some("2026-01-15".parse().unwrap()));
            assert_eq!(global.accept, ["g"]);
            assert_eq!((global.format, global.verbosity()), (Format::Human, Verbosity::Verbose));
        }
    }

    #[test]
    fn wrong_values_are_refused() {
        for line in [
            "cohorte build --format parquet",
            "cohorte demo a --as csv",
            "cohorte build --var k",
            "cohorte build --var =v",
            "cohorte build --as-of soon",
            "cohorte build --wait 2w",
            "cohorte build -q -v",
        ] {
            assert!(Args::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
