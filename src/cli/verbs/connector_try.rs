//! `cohorte connector try`: one row, and what the destination says to it.

use clap::ValueEnum;
use serde_json::json;

use crate::cli::summary_requests::{body, body_json, request, request_json};
use crate::cli::{Context, Exit, Format};
use crate::connector::{Shown, ShownAnswer};
use crate::diag::Result;
use crate::run::{self, Given, Trial, TrialOutcome};
use crate::sync::destination::{Operation, Outcome};

/// Send one row
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The connection
    pub connection: String,
    /// What the row is there: an object, a kind of audience, or `consent` [default: the only one]
    #[arg(long, conflicts_with = "sync")]
    pub object: Option<String>,
    /// The audience that it is a member of
    #[arg(long, value_name = "NAME", conflicts_with = "sync")]
    pub audience: Option<String>,
    /// The row as JSON; its first column that identifies rows is its key
    #[arg(long, value_name = "JSON", required_unless_present = "sync", conflicts_with = "sync")]
    pub row: Option<String>,
    /// What is done with the row
    #[arg(long = "do", value_enum, default_value_t, value_name = "WHAT", conflicts_with = "sync")]
    pub act: Act,
    /// Send a row that is due in this sync
    #[arg(long, value_name = "NAME")]
    pub sync: Option<String>,
    /// The row with this key, or of this customer [default: the first that is due]
    #[arg(long, value_name = "VALUE", requires = "sync")]
    pub key: Option<String>,
}

/// What is done with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Act {
    /// It is made, or changed where it is there.
    #[default]
    Add,
    /// It is changed where it is there.
    Update,
    /// It is removed.
    Remove,
}

/// Runs the verb.
pub(super) async fn run(arguments: Arguments, context: &Context) -> Result<Exit> {
    let trial = match &arguments.sync {
        Some(sync) => {
            let opened = match run::open(&context.request()).await {
                Ok(opened) => opened,
                Err(stopped) => return context.stopped(stopped),
            };
            let progress = context.printer.progress();
            run::of_sync(opened, &arguments.connection, sync, arguments.key.as_deref(), progress.as_ref()).await
        }
        None => match run::open_stored(&context.request()) {
            Ok(stored) => run::of_given(&stored, &arguments.connection, &given(&arguments)).map_err(run::Stopped::from),
            Err(stopped) => Err(stopped),
        },
    };
    match trial {
        Ok(trial) => show(trial, context).await,
        Err(stopped) => context.stopped(stopped),
    }
}

fn given(arguments: &Arguments) -> Given {
    let operation = match arguments.act {
        Act::Add => Operation::Add,
        Act::Update => Operation::Update,
        Act::Remove => Operation::Remove,
    };
    Given {
        object: arguments.object.clone(),
        audience: arguments.audience.clone(),
        row: arguments.row.clone().unwrap_or_default(),
        operation,
    }
}

async fn show(trial: Trial, context: &Context) -> Result<Exit> {
    let printer = &context.printer;
    let Trial { connection, connector, account, intent, delivers, .. } = &trial;
    let (connection, delivers) = (connection.clone(), *delivers);
    printer.talk(&if delivers {
        format!("sending to `{connection}` ({connector}, account `{account}`): {intent}; nothing of it is remembered")
    } else {
        format!("nothing is sent to `{connection}`, since `deliver: true` is not set; this would be: {intent}")
    });
    let tried = trial.run().await?;
    for (shown, answer) in &tried.exchanges {
        match printer.format() {
            Format::Json => printer.object(&exchange_json(shown, answer.as_ref()))?,
            Format::Human => {
                printer.data(&format!("{}{}\n", request(shown), answer.as_ref().map_or_else(String::new, told)))?;
            }
        }
    }
    let (name, code, message, exit) = match &tried.outcome {
        TrialOutcome::NotDelivering => {
            ("not_delivering", None, Some("`deliver: true` is not set".to_owned()), Exit::Done)
        }
        TrialOutcome::Row(Outcome::Accepted { destination_id }) => {
            ("accepted", None, destination_id.as_ref().map(|id| format!("its id is {id}")), Exit::Done)
        }
        TrialOutcome::Row(Outcome::Unchanged) => ("unchanged", None, None, Exit::Done),
        TrialOutcome::Row(Outcome::Rejected { code, message }) => {
            ("rejected", Some(code.clone()), Some(message.clone()), Exit::Project)
        }
        TrialOutcome::Row(Outcome::Retry { code, message }) => {
            ("retry", Some(code.clone()), Some(message.clone()), Exit::World)
        }
        TrialOutcome::Row(Outcome::Unknown { code, message }) => {
            ("unknown", Some(code.clone()), Some(message.clone()), Exit::World)
        }
        TrialOutcome::Row(Outcome::NotSent) => ("not_sent", None, None, Exit::World),
        TrialOutcome::Failed(failure) => {
            printer.failure(failure);
            ("failed", Some(failure.code.to_owned()), Some(failure.cause.clone()), Exit::of(failure))
        }
    };
    if printer.format() == Format::Json {
        printer.object(&json!({
            "kind": "try", "connection": connection, "delivers": delivers, "outcome": name, "code": code, "message": message,
        }))?;
    } else {
        let why: Vec<String> = code.into_iter().chain(message).collect();
        let why = if why.is_empty() { String::new() } else { format!(": {}", why.join(", ")) };
        printer.data(&format!("{name}{why}\n"))?;
    }
    Ok(exit)
}

/// What came back, for people.
fn told(answer: &ShownAnswer) -> String {
    match answer {
        ShownAnswer::Answer(status, text) if text.is_empty() => format!("\n  answered {status}\n"),
        ShownAnswer::Answer(status, text) => format!("\n  answered {status}\n{}\n", body(text)),
        ShownAnswer::None(cause) => format!("\n  no answer: {cause}\n"),
    }
}

fn exchange_json(shown: &Shown, answer: Option<&ShownAnswer>) -> serde_json::Value {
    let mut line = request_json(shown);
    line["kind"] = json!("exchange");
    line["answer"] = match answer {
        Some(ShownAnswer::Answer(status, body)) => json!({"status": status, "body": body_json(body)}),
        Some(ShownAnswer::None(cause)) => json!({"cause": cause}),
        None => serde_json::Value::Null,
    };
    line
}
