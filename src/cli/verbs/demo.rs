//! `cohorte demo`: writes the demonstration data; the same seed gives the same bytes.

use std::path::PathBuf;

use serde_json::json;

use crate::cli::{Context, Exit, Format};
use crate::demo::{self, Options, Summary};
use crate::diag::Result;
use crate::report::{Table, count};

/// Write the demonstration data, at any size
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The data is that of Maison, a French retailer: CRM contacts, web accounts, web events, orders, tickets of shops, e-mails, \
                        consents; and in truth/ who is really who. Its history ends at --as-of [default: 2026-11-01]."
)]
pub struct Arguments {
    /// The folder to write
    pub dir: PathBuf,
    /// How many people
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub customers: u64,
    /// About how many web events, at most 10,000 a person [default: about three a person]
    #[arg(long, value_name = "N")]
    pub events: Option<u64>,
    /// How the data is written
    #[arg(long = "as", value_name = "FORM", value_enum, default_value_t)]
    pub form: Form,
    /// Another seed gives other people; the same seed gives the same files
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

/// How the data is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Form {
    /// As exports come: CSV and NDJSON, plain or gzip.
    #[default]
    Text,
    /// As folders of Parquet files, typed: for much of it.
    Parquet,
}

/// The zone of Maison.
const ZONE: chrono_tz::Tz = chrono_tz::Europe::Paris;

/// Runs the verb.
pub(super) async fn run(arguments: Arguments, context: &Context) -> Result<Exit> {
    let as_of = context.global.as_of.map_or(Options::default().as_of, |as_of| as_of.resolve(ZONE));
    let format = match arguments.form {
        Form::Text => demo::Format::Text,
        Form::Parquet => demo::Format::Parquet,
    };
    let Arguments { customers, events, seed, .. } = arguments;
    let options = Options { customers, events, format, seed, as_of };
    let progress = context.printer.progress();
    progress.step("writing people", Some(options.customers));
    let mut before = 0;
    let written = tokio::task::block_in_place(|| {
        demo::write(&arguments.dir, &options, &mut |done| {
            progress.advance(done.saturating_sub(before));
            before = done;
        })
    });
    progress.finish();
    tell(&written?, &arguments, context)?;
    Ok(Exit::Done)
}

fn tell(summary: &Summary, arguments: &Arguments, context: &Context) -> Result<()> {
    if context.printer.format() == Format::Json {
        for file in &summary.files {
            context.printer.object(&json!({"kind": "file", "path": file.path, "rows": file.rows}))?;
        }
        return context
            .printer
            .object(&json!({"kind": "demo", "dir": arguments.dir, "people": summary.people, "rows": summary.rows()}));
    }
    let mut table = Table::new().left("file").right("rows");
    for file in &summary.files {
        table.row([file.path.clone(), count(file.rows)]);
    }
    context.printer.data(&table.text())?;
    let folder = arguments.dir.display();
    context.printer.talk(&format!(
        "{} people, {} rows in `{folder}`; who is really who is in `{folder}/truth`",
        count(summary.people),
        count(summary.rows())
    ));
    Ok(())
}
