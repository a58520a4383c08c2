//! One row, sent to see what the destination says. What is tried leaves no trace in the state of a sync: its row stays due.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use serde_json::{Map, Value};

use super::job::{is_there, named, to_send, unbuilt};
use super::opened::Opened;
use super::request::Stopped;
use super::stored::Stored;
use super::sync::{Single, account, due_row, veiled_account};
use crate::connector::{Columns, Row, Shown, ShownAnswer};
use crate::diag::{Failure, Result, nearest};
use crate::project::{Connection, Connector, Remote, STATUS};
use crate::report::Progress;
use crate::sync::clock::{Cancel, Clock, SystemClock};
use crate::sync::destination::{Operation, Outcome, Target};
use crate::sync::http::{Http, Load, what};

/// A row that was given.
#[derive(Debug, Clone)]
pub struct Given {
    /// The object or the kind of audience; may be left out where there is but one.
    pub object: Option<String>,
    /// The name of the audience.
    pub audience: Option<String>,
    /// The row, as a JSON object.
    pub row: String,
    /// What is done with it.
    pub operation: Operation,
}

/// A row that is about to be sent.
pub struct Trial {
    /// The connection.
    pub connection: String,
    /// Its connector.
    pub connector: String,
    /// The account.
    pub account: String,
    /// Does it deliver? Else the requests are shown, and nothing is sent.
    pub delivers: bool,
    /// What the row is there, and what is done with it: `add a row of member`.
    pub intent: String,
    http: Http,
    target: Target,
    load: Load,
    personal: BTreeSet<String>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrialOutcome {
    /// The connection does not deliver: nothing was sent.
    NotDelivering,
    /// What the destination said about the row.
    Row(Outcome),
    /// It could not go on.
    Failed(Failure),
}

/// An exchange that may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// What was asked, and what came back; nothing where it was not sent.
    pub exchanges: Vec<(Shown, Option<ShownAnswer>)>,
    /// What came of it.
    pub outcome: TrialOutcome,
}

/// A row that is due in a sync.
pub async fn of_sync(
    opened: Opened,
    connection: &str,
    sync: &str,
    key: Option<&str>,
    progress: &dyn Progress,
) -> Result<Trial, Stopped> {
    let named_sync = named(&opened.project, sync)?;
    if named_sync.connection != connection {
        let cause = format!("the sync `{sync}` sends to `{}`, not to `{connection}`", named_sync.connection);
        return Err(unfit(connection, cause)
            .help(format!("name that one: `cohorte connector try {}`", named_sync.connection))
            .into());
    }
    let (workspace, ..) = to_send(opened, &[], progress).await?;
    let project = &workspace.opened.project;
    let sync = named(project, sync)?;
    if !is_there(&workspace, sync)? {
        return Err(unbuilt().into());
    }
    let connection = &project.connections[&sync.connection];
    if !matches!(connection.connector, Connector::Http(_)) {
        return Err(no_api(connection).into());
    }
    let row = due_row(&workspace, sync, connection, key, &SystemClock).await?;
    progress.finish();
    let intent = row.action.clone();
    Ok(Trial::new(connection, row, &intent)?)
}

/// A row that was given on the command line.
pub fn of_given(stored: &Stored, connection: &str, given: &Given) -> Result<Trial> {
    let connection = stored.connections.get(connection).ok_or_else(|| {
        let near = nearest(connection, stored.connections.keys().map(String::as_str));
        let help =
            near.map_or("connections are in warehouse.yaml".to_owned(), |near| format!("did you mean `{near}`?"));
        Failure::project("E140", format!("trying `{connection}`"), format!("there is no connection `{connection}`"))
            .help(help)
    })?;
    let Connector::Http(http) = &connection.connector else { return Err(no_api(connection)) };
    let remote = remote(connection, http, given)?;
    let what = what(http, &remote).ok_or_else(|| unfit(&connection.name, "it has no such object"))?;
    let is_consent = remote == Remote::Consent;
    let row = row(connection, what.columns(), is_consent, &given.row)?;
    let personal = row.key.keys().chain(row.fields.keys()).filter(|name| *name != STATUS).cloned().collect();
    let load = Load { operation: given.operation, id: uuid::Uuid::new_v4().simple().to_string(), rows: vec![row] };
    let target = Target {
        sync: "try".to_owned(),
        object: given.object.clone(),
        key: load.rows[0].key.keys().cloned().collect(),
        schema: Arc::new(Schema::empty()),
        clear: Vec::new(),
        may_create: given.operation != Operation::Update,
        may_update: true,
        ours: 0,
        omit_nulls: false,
    };
    let action = given.operation.name().to_owned();
    Trial::new(connection, Single { remote, target, load, personal, action: action.clone() }, &action)
}

fn unfit(connection: &str, cause: impl std::fmt::Display) -> Failure {
    Failure::project("E156", format!("trying a row at `{connection}`"), cause)
}

fn no_api(connection: &Connection) -> Failure {
    unfit(
        &connection.name,
        format!("`{}` is no HTTP API, so there is no exchange to show", connection.connector.name()),
    )
    .help("`cohorte sync --dry-run` shows what would be written there")
}

/// What the row is at the destination.
fn remote(connection: &Connection, http: &crate::connector::Connector, given: &Given) -> Result<Remote> {
    let mut names: Vec<&str> = http.objects.iter().map(|object| object.name.as_str()).collect();
    names.extend(http.audiences.iter().map(|audience| audience.name.as_str()));
    names.extend(http.consent.iter().map(|_| CONSENT));
    let known = || format!("it has `{}`", names.join("`, `"));
    let name = match (&given.object, names.as_slice()) {
        (Some(name), _) => name.as_str(),
        (None, [only]) => only,
        (None, _) => return Err(unfit(&connection.name, "`--object` does not say what the row is").help(known())),
    };
    if http.audiences.iter().any(|audience| audience.name == name) {
        let Some(audience) = given.audience.clone() else {
            let help = format!("name it: `--object {name} --audience NAME`");
            return Err(unfit(&connection.name, format!("rows of `{name}` are members, and it is not said of which"))
                .help(help));
        };
        return Ok(Remote::Audience { kind: name.to_owned(), name: audience });
    }
    if given.audience.is_some() {
        let help = "leave out `--audience`, or name a kind of audience with `--object`";
        return Err(unfit(&connection.name, format!("`{name}` is no kind of audience")).help(help));
    }
    if name == CONSENT && http.consent.is_some() {
        return Ok(Remote::Consent);
    }
    if http.objects.iter().any(|object| object.name == name) {
        return Ok(Remote::Object(name.to_owned()));
    }
    let help = nearest(name, names.iter().copied()).map_or_else(known, |near| format!("did you mean `{near}`?"));
    Err(unfit(&connection.name, format!("`{}` has no object `{name}`", http.name)).help(help))
}

/// The name under which a consent is tried.
const CONSENT: &str = "consent";

/// The row: the first of its columns that identifies rows is its key, all others are fields.
fn row(connection: &Connection, columns: &Columns, is_consent: bool, text: &str) -> Result<Row> {
    let wrong = |cause: String, help: String| unfit(&connection.name, cause).help(help);
    let example = || "write it as `--row '{\"email\": \"jane@example.com\", \"city\": \"Lyon\"}'`".to_owned();
    // The parser says where, and quotes no value.
    let value: Value =
        serde_json::from_str(text).map_err(|error| wrong(format!("the row is no JSON: {error}"), example()))?;
    let Value::Object(mut fields) = value else {
        return Err(wrong("the row is no JSON object".to_owned(), example()));
    };
    let is_key = |name: &String| columns.keys.as_ref().is_none_or(|keys| keys.iter().any(|key| key.name == *name));
    let Some(name) = fields.keys().find(|name| is_key(name)).cloned() else {
        let keys: Vec<&str> = columns.keys.iter().flatten().map(|key| key.name.as_str()).collect();
        let help = if keys.is_empty() { example() } else { format!("rows are identified by `{}`", keys.join("`, `")) };
        return Err(wrong("nothing in the row identifies it".to_owned(), help));
    };
    let key = Map::from_iter(fields.shift_remove_entry(&name));
    if is_consent && fields.get(STATUS).and_then(Value::as_str).is_none() {
        let help = format!("add `\"{STATUS}\": \"granted\"`, or any other status to take it back");
        return Err(wrong("the row does not say which way the consent goes".to_owned(), help));
    }
    for name in fields.keys().filter(|name| !(columns.custom || is_consent && *name == STATUS)) {
        let known = || columns.fields.iter().map(|field| field.name.as_str());
        if known().any(|field| field == name) {
            continue;
        }
        let help = nearest(name, known()).map_or_else(
            || format!("it has {}", known().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
            |near| format!("did you mean `{near}`?"),
        );
        return Err(wrong(format!("the destination has no field `{name}`"), help));
    }
    let mut row = Row::of_id(None);
    (row.key, row.fields) = (key, fields);
    Ok(row)
}

impl Trial {
    fn new(connection: &Connection, row: Single, action: &str) -> Result<Self> {
        let Connector::Http(http) = &connection.connector else { return Err(no_api(connection)) };
        let opened = if connection.deliver { account(connection, http)? } else { veiled_account(connection, http)? };
        let object = match &row.remote {
            Remote::Object(name) => name.clone(),
            Remote::Audience { kind, name } => format!("{kind} `{name}`"),
            Remote::Consent => CONSENT.to_owned(),
        };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        Ok(Self {
            connection: connection.name.clone(),
            connector: http.name.clone(),
            account: connection.account.clone(),
            delivers: connection.deliver,
            intent: format!("{action} one row of {object}"),
            http: Http::new(Arc::new(opened), row.remote, clock, Cancel::default(), None),
            target: row.target,
            load: row.load,
            personal: row.personal,
        })
    }

    /// Sends it, where the connection delivers; else shows what would be asked.
    pub async fn run(self) -> Result<Tried> {
        if !self.delivers {
            let shown = self.http.rehearse(vec![(&self.target, self.load)], &self.personal).await?;
            let exchanges = shown.into_iter().flat_map(|(requests, _)| requests).map(|request| (request, None));
            return Ok(Tried { exchanges: exchanges.collect(), outcome: TrialOutcome::NotDelivering });
        }
        let attempt = self.http.attempt(&self.target, self.load, &self.personal).await;
        let exchanges = attempt.exchanges.into_iter().map(|(request, answer)| (request, Some(answer)));
        let outcome = match attempt.sent {
            Ok(sent) => match (sent.stop, sent.outcomes.into_iter().next()) {
                (Some(failure), _) => TrialOutcome::Failed(failure),
                (None, outcome) => TrialOutcome::Row(outcome.unwrap_or(Outcome::NotSent)),
            },
            Err(failure) => TrialOutcome::Failed(failure),
        };
        Ok(Tried { exchanges: exchanges.collect(), outcome })
    }
}
