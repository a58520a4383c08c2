//! What a sync would send, exactly: the first requests of each action, built by the code that sends them, personal values masked.
//! Nothing is connected, no secret is needed, nothing is written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::super::workspace::Workspace;
use super::destination::{self, target_of_pass};
use super::difference::{Difference, Preview, Wanted, figures};
use super::mask::{self, Sample};
use super::remembered::{Place, Remembered};
use crate::connector::{Shown, Whom};
use crate::diag::Result;
use crate::project::{Connection, Connector, Sync};
use crate::sql::text_literal;
use crate::store::failure_from;
use crate::sync::clock::{Cancel, Clock};
use crate::sync::destination::{Batch, Destination as _, Outcome, Target};
use crate::sync::files::{self, Format, file_of};
use crate::sync::http::{Http, Load};
use crate::sync::postgres;
use crate::sync::queue::first_batches;

/// Requests of a kind that are shown.
const SHOWN: usize = 3;

/// What would be sent for one action.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rehearsed {
    /// `withdraw`, `remove`, `clear`, `add`, `update`.
    pub action: String,
    /// Rows that are due.
    pub rows: u64,
    /// The first of what is sent, in order.
    pub steps: Vec<Step>,
    /// One row, where what is sent is no request.
    pub sample: Option<Sample>,
    /// About how many requests, files or transactions more.
    pub more: u64,
    /// Of the rows that were looked at those that would be rejected without being sent, by code.
    pub rejected: BTreeMap<String, u64>,
}

/// One thing that would be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A request to an HTTP API.
    Request(Shown),
    /// A file that would be written.
    File(String),
    /// A statement that a database would run.
    Statement(String),
}

/// What a sync would do, and its first requests.
pub(super) async fn dry_run(
    workspace: &Workspace,
    sync: &Sync,
    clock: &Arc<dyn Clock>,
    attempts_until: DateTime<Utc>,
) -> Result<Preview> {
    let connection = destination::connection(workspace, sync)?;
    let remembered = Remembered::load(workspace, &sync.name).await?;
    let wanted = Wanted::stage(workspace, sync).await?;
    remembered.register(workspace, &Place::of(sync, connection)).await?;
    let difference = Difference::stage(workspace, sync, &wanted, attempts_until).await?;
    let mut preview = difference.preview;
    if !preview.is_baseline {
        let target = Target { ours: preview.delivered, ..wanted.target };
        preview.rehearsal = rehearse(workspace, sync, connection, &target, clock).await?;
    }
    Ok(preview)
}

/// Rows of one action that are due, and the first of them as they are sent.
struct Due {
    action: String,
    rows: u64,
    target: Target,
    batches: Vec<Batch>,
    sample: Option<Sample>,
}

/// The first requests of `_sync_due`, action by action, in the order in which they are sent.
async fn rehearse(
    workspace: &Workspace,
    sync: &Sync,
    connection: &Connection,
    target: &Target,
    clock: &Arc<dyn Clock>,
) -> Result<Vec<Rehearsed>> {
    let per_request = destination::rows_per_request(connection, sync);
    let stage = Stage::of(workspace, sync, connection, clock)?;
    // The name of a file is that of all its rows; of a transaction the statement is shown alone.
    let (most, limit) = match &stage {
        Stage::Files(..) => (files::MAX_ROWS, files::MAX_ROWS),
        Stage::Postgres => (1, 1),
        Stage::Http(http) => (http.max_rows(), http.max_rows().max(per_request as usize * SHOWN)),
    };
    let mut actions = Vec::new();
    for (pass, action, rows) in counted(workspace, sync).await? {
        let target = target_of_pass(sync, target, pass);
        let what = format!("select * from _sync_due where pass = {pass} and action = {}", text_literal(&action));
        let first = workspace.collect(&doing(sync), &format!("{what} order by rank, key limit 1")).await?;
        let first = first.first().map(|first| mask::samples(&workspace.opened.project, sync, first)).transpose();
        let sample = first.map_err(|error| failure_from(doing(sync), &error.into()))?.and_then(|mut all| all.pop());
        let sql = format!("{what} order by rank, key limit {limit}");
        let stream = async { workspace.opened.session.sql(&sql).await?.execute_stream().await };
        let stream = stream.await.map_err(|error| failure_from(doing(sync), &error))?;
        let batches = first_batches(&target, stream, most, destination::withdrawal(sync)).await?;
        actions.push(Due { action, rows, target, batches, sample });
    }
    let mut rehearsed = match stage {
        Stage::Files(place, format) => in_files(&place, format, &actions)?,
        Stage::Postgres => in_database(&actions)?,
        Stage::Http(http) => over_http(&http, &actions, &mask::personal(&workspace.opened.project, sync)).await?,
    };
    for (one, due) in rehearsed.iter_mut().zip(&actions) {
        let looked_at: usize = due.batches.iter().map(|batch| batch.rows.num_rows()).sum();
        one.more += due.rows.saturating_sub(looked_at as u64).div_ceil(per_request.max(1));
    }
    Ok(rehearsed)
}

fn doing(sync: &Sync) -> String {
    format!("reading what is due in the sync `{}`", sync.name)
}

/// (pass, action, rows) in the order in which they are sent.
async fn counted(workspace: &Workspace, sync: &Sync) -> Result<Vec<(usize, String, u64)>> {
    let sql = "select action, pass, rank, count(*) from _sync_due group by action, pass, rank";
    let mut counted: Vec<(u64, u64, String, u64)> = Vec::new();
    for (action, figures) in figures(&workspace.collect(&doing(sync), sql).await?, &doing(sync))? {
        if let [pass, rank, rows] = figures[..] {
            counted.push((pass, rank, action, rows));
        }
    }
    counted.sort();
    Ok(counted.into_iter().map(|(pass, _, action, rows)| (pass as usize, action, rows)).collect())
}

/// Where it is rehearsed.
enum Stage {
    /// The place, and what is written there.
    Files(String, Format),
    Postgres,
    Http(Box<Http>),
}

impl Stage {
    fn of(workspace: &Workspace, sync: &Sync, connection: &Connection, clock: &Arc<dyn Clock>) -> Result<Self> {
        Ok(match &connection.connector {
            Connector::Files => {
                let path = connection.path.as_deref().unwrap_or_default();
                let place = match destination::unset(path) {
                    // Shown as it is written: nothing is sent, so it need not be set.
                    Some(_) => path.to_owned(),
                    None => {
                        let url = destination::place(connection, path, &workspace.opened.folder)?;
                        url.to_file_path().map_or_else(|()| url.to_string(), |path| path.display().to_string())
                    }
                };
                Self::Files(place, Format::named(&sync.format)?)
            }
            Connector::Postgres => Self::Postgres,
            Connector::Http(http) => {
                let account = Arc::new(destination::veiled_account(connection, http)?);
                let remote = destination::remote(sync, connection)?;
                Self::Http(Box::new(Http::new(account, remote, Arc::clone(clock), Cancel::default(), None)))
            }
        })
    }
}

impl Due {
    /// What is shown beside the steps.
    fn rehearsed(&self, steps: Vec<Step>) -> Rehearsed {
        Rehearsed { action: self.action.clone(), rows: self.rows, steps, ..Rehearsed::default() }
    }
}

fn in_files(place: &str, format: Format, actions: &[Due]) -> Result<Vec<Rehearsed>> {
    let one = |due: &Due| {
        let file = due.batches.first().map(|batch| file_of(&due.target, batch, format)).transpose()?;
        let steps = file.iter().map(|file| Step::File(format!("{}/{file}", place.trim_end_matches('/'))));
        Ok(Rehearsed { sample: due.sample.clone(), ..due.rehearsed(steps.collect()) })
    };
    actions.iter().map(one).collect()
}

fn in_database(actions: &[Due]) -> Result<Vec<Rehearsed>> {
    let one = |due: &Due| {
        let statement =
            due.batches.first().map(|batch| postgres::statement(&due.target, batch.operation)).transpose()?;
        let steps = statement.into_iter().map(Step::Statement);
        Ok(Rehearsed { sample: due.sample.clone(), ..due.rehearsed(steps.collect()) })
    };
    actions.iter().map(one).collect()
}

async fn over_http(http: &Http, actions: &[Due], personal: &BTreeSet<String>) -> Result<Vec<Rehearsed>> {
    let batches = actions.iter().flat_map(|due| due.batches.iter().map(|batch| (&due.target, batch)));
    let loads = batches.map(|(target, batch)| Ok((target, Load::of(target, batch)?))).collect::<Result<Vec<_>>>()?;
    let mut shown = http.rehearse(loads, personal).await?.into_iter();
    let mut rehearsed = Vec::new();
    for due in actions {
        let mut one = due.rehearsed(Vec::new());
        let mut seen: BTreeMap<(String, Option<Whom>), usize> = BTreeMap::new();
        for (requests, sent) in shown.by_ref().take(due.batches.len()) {
            for request in requests {
                let of_its_kind = seen.entry((request.operation.clone(), request.whom)).or_default();
                *of_its_kind += 1;
                if *of_its_kind <= SHOWN {
                    one.steps.push(Step::Request(request));
                } else {
                    one.more += 1;
                }
            }
            for outcome in sent.outcomes {
                if let Outcome::Rejected { code, .. } = outcome {
                    *one.rejected.entry(code).or_default() += 1;
                }
            }
        }
        rehearsed.push(one);
    }
    Ok(rehearsed)
}
