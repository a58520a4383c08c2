//! Alerts: what changed since somebody was last told is said once, by the connections that the project names.
//!
//! What was told is in the table `alerts`, written after the message went: a message that could not be sent is sent by the next run,
//! one whose run died between the two may come twice.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value as Json, json};

use super::columns::{batch, instants, texts};
use super::opened::Opened;
use super::request::Stopped;
use super::stored::rows_of;
use super::sync::{Outcome, Report, shared_account};
use super::workspace::Workspace;
use crate::connector::Row;
use crate::diag::{Failure, Fault, Finding, Result};
use crate::project::{Alert, Connection};
use crate::report::count;
use crate::sql::text_literal;
use crate::store::{Commit, Lease, tables};
use crate::sync::clock::{Cancel, Clock, SystemClock};
use crate::sync::http::Accounts;
use crate::sync::journal::Verdict;

/// A condition that holds, or does not.
struct Observed {
    /// What it is about: `build`, or `sync:name`.
    subject: String,
    condition: &'static str,
    is_on: bool,
    /// Says so; empty where it is only noted.
    text: String,
}

impl Observed {
    fn new(subject: &str, condition: &'static str, on: Option<String>, off: String) -> Self {
        Self { subject: subject.to_owned(), condition, is_on: on.is_some(), text: on.unwrap_or(off) }
    }

    fn key(&self) -> (String, String) {
        (self.subject.clone(), self.condition.to_owned())
    }
}

/// Tells everybody what has changed: this build went through, and these syncs ended so. Gives the alerts that could not be told.
pub(super) async fn of_syncs(
    workspace: &Workspace,
    teller: &Teller<'_>,
    syncs: &[(String, Result<Report>)],
    has_built: bool,
) -> Vec<(String, Failure)> {
    let mut failed = Vec::new();
    for (alert, connection) in delivered(&workspace.opened) {
        let told = async {
            let mut observed = Vec::new();
            if has_built {
                observed.push(build_works());
            }
            for (sync, report) in syncs {
                observed.extend(of_sync(workspace, alert, sync, report).await?);
            }
            tell(workspace, teller, alert, connection, &observed).await
        };
        if let Err(failure) = told.await {
            failed.push((alert.name.clone(), failure));
        }
    }
    failed
}

/// Who tells, and how.
pub(super) struct Teller<'a> {
    pub(super) lease: &'a Lease,
    pub(super) cancel: &'a Cancel,
    /// Messages count against the quota of the account, as everything does that is sent there.
    pub(super) accounts: &'a Accounts,
}

/// The alerts whose connections deliver; the others say nothing, and remember nothing.
fn delivered(opened: &Opened) -> impl Iterator<Item = (&Alert, &Connection)> {
    let project = &opened.project;
    let alerts = project.alerts.values();
    alerts.filter_map(|alert| Some((alert, project.connections.get(&alert.connection).filter(|one| one.deliver)?)))
}

fn build_works() -> Observed {
    Observed::new("build", "failure", None, "the build works again".to_owned())
}

/// Tells everybody who was told that the build failed that it works again. Gives the alerts that could not be told.
pub(super) async fn of_built(workspace: &Workspace, cancel: &Cancel) -> Result<Vec<Finding>> {
    let mut due = Vec::new();
    for (alert, connection) in delivered(&workspace.opened) {
        let observed = build_works();
        if told(workspace, alert).await?.get(&observed.key()).copied().unwrap_or(false) {
            due.push((alert, connection, observed));
        }
    }
    if due.is_empty() {
        return Ok(Vec::new());
    }
    let lease = super::job::take_lease(workspace).await?;
    let teller = Teller { lease: &lease, cancel, accounts: &Accounts::default() };
    let mut untold = Vec::new();
    for (alert, connection, observed) in due {
        if let Err(failure) = tell(workspace, &teller, alert, connection, &[observed]).await {
            untold.push(Finding::warning(failure.code, failure.to_string()));
        }
    }
    lease.release().await?;
    Ok(untold)
}

/// Tells everybody that the build failed, and adds to why who could not be told. Whoever only found the warehouse held says nothing.
pub(super) async fn of_build(opened: Opened, stopped: Stopped, cancel: &Cancel) -> Stopped {
    let text = match &stopped {
        Stopped::Failure(failure) if failure.fault == Fault::Held => return stopped,
        Stopped::Failure(failure) => format!("the build fails: {}: {failure}", failure.code),
        Stopped::Findings(_, findings) => {
            let first = findings.first().map_or_else(String::new, |one| format!(": {}: {}", one.code, one.message));
            format!("the build fails{first}")
        }
    };
    if delivered(&opened).next().is_none() {
        return stopped;
    }
    let Err(untold) = build_failed(opened, text, cancel).await else { return stopped };
    match stopped {
        Stopped::Failure(failure) => {
            let help = format!("{}; besides, {untold}", failure.help);
            Stopped::Failure(Failure { help, ..failure })
        }
        Stopped::Findings(files, mut findings) => {
            findings.push(Finding::warning(untold.code, untold.to_string()));
            Stopped::Findings(files, findings)
        }
    }
}

async fn build_failed(opened: Opened, text: String, cancel: &Cancel) -> Result<()> {
    let workspace = Workspace::new(opened).await?;
    let lease = super::job::take_lease(&workspace).await?;
    let observed = [Observed::new("build", "failure", Some(text), String::new())];
    let teller = Teller { lease: &lease, cancel, accounts: &Accounts::default() };
    let mut told = Ok(());
    for (alert, connection) in delivered(&workspace.opened) {
        told = told.and(tell(&workspace, &teller, alert, connection, &observed).await);
    }
    lease.release().await?;
    told
}

/// What is to be said of a sync; nothing of one that was stopped, or did not send.
async fn of_sync(workspace: &Workspace, alert: &Alert, sync: &str, report: &Result<Report>) -> Result<Vec<Observed>> {
    let subject = format!("sync:{sync}");
    let fails = |failure: &Failure| format!("the sync `{sync}` fails: {}: {failure}", failure.code);
    let report = match report {
        Err(failure) => return Ok(vec![Observed::new(&subject, "failure", Some(fails(failure)), String::new())]),
        Ok(report) if matches!(report.outcome, Outcome::Cancelled | Outcome::DryRun | Outcome::NotDelivering) => {
            return Ok(Vec::new());
        }
        Ok(report) => report,
    };
    let failing = report.failure().map(|failure| fails(&failure));
    let mut observed = vec![Observed::new(&subject, "failure", failing, format!("the sync `{sync}` works again"))];
    if let Some(most) = alert.rejects {
        let attempted: u64 = report.rows.values().sum();
        let rejected = report.count(Verdict::Rejected);
        let most_often = report.reasons.iter().filter(|((verdict, _), _)| *verdict == Verdict::Rejected);
        let code = most_often.max_by_key(|(_, reason)| reason.rows).map_or("", |((_, code), _)| code.as_str());
        let share = rejected as f64 / attempted.max(1) as f64;
        let (rejected_rows, attempted_rows) = (count(rejected), count(attempted));
        let on = (rejected > 0 && share >= most).then(|| {
            format!(
                "of the sync `{sync}` {rejected_rows} of {attempted_rows} rows were rejected ({:.0} %), most often `{code}`",
                share * 100.0
            )
        });
        // Where nothing was attempted, nothing is known.
        if attempted > 0 {
            let off =
                format!("of the sync `{sync}` {rejected_rows} of {attempted_rows} rows were rejected, fewer again");
            observed.push(Observed::new(&subject, "rejects", on, off));
        }
    }
    if let Some(most) = alert.size
        && let Some(before) = desired_before(workspace, sync, &report.sync_run_id).await?
    {
        let now = report.preview.desired;
        let share = now.abs_diff(before) as f64 / before.max(1) as f64;
        let (now, before) = (count(now), count(before));
        let on = (share >= most).then(|| format!("the sync `{sync}` wants {now} rows, in the run before {before}"));
        observed.push(Observed::new(&subject, "size", on, String::new()));
    }
    Ok(observed)
}

/// How many rows the run before this one wanted.
async fn desired_before(workspace: &Workspace, sync: &str, sync_run_id: &str) -> Result<Option<u64>> {
    let spec = tables::sync_runs();
    let Some(provider) = workspace.opened.warehouse.provider(&spec.name, None).await? else { return Ok(None) };
    workspace.register("_alert_runs", provider)?;
    let (sync, run) = (text_literal(sync), text_literal(sync_run_id));
    let sql = format!(
        "select cast(desired as varchar) from _alert_runs where sync = {sync} and sync_run_id <> {run} and outcome in ('done', 'baseline') \
         order by started_at desc, sync_run_id limit 1"
    );
    let doing = "reading the table `sync_runs`";
    let rows = rows_of(doing, &workspace.collect(doing, &sql).await?)?;
    Ok(rows.into_iter().next().and_then(|row| row.into_iter().next().flatten()?.parse().ok()))
}

/// What was last told by an alert: (subject, condition) → is it on?
async fn told(workspace: &Workspace, alert: &Alert) -> Result<BTreeMap<(String, String), bool>> {
    let spec = tables::alerts();
    let Some(provider) = workspace.opened.warehouse.provider(&spec.name, None).await? else {
        return Ok(BTreeMap::new());
    };
    workspace.register("_alerts", provider)?;
    let sql = format!(
        "select subject, condition, state from _alerts where alert = {} order by at",
        text_literal(&alert.name)
    );
    let doing = "reading the table `alerts`";
    let rows = rows_of(doing, &workspace.collect(doing, &sql).await?)?;
    let told = rows.into_iter().filter_map(|row| {
        let mut row = row.into_iter();
        let (subject, condition, state) = (row.next()??, row.next()??, row.next()??);
        Some(((subject, condition), state == "on"))
    });
    // Of several, the latest.
    Ok(told.collect())
}

/// Says what has changed, and notes it once it is said.
async fn tell(
    workspace: &Workspace,
    teller: &Teller<'_>,
    alert: &Alert,
    connection: &Connection,
    observed: &[Observed],
) -> Result<()> {
    let before = told(workspace, alert).await?;
    for one in observed {
        let was_on = before.get(&one.key()).copied().unwrap_or(false);
        if one.is_on == was_on {
            continue;
        }
        let at = SystemClock.now();
        if !one.text.is_empty() {
            say(workspace, teller, alert, connection, one, at).await?;
        }
        let text = |value: &str| texts(std::iter::once(Some(value)));
        let columns = BTreeMap::from([
            ("alert", text(&alert.name)),
            ("subject", text(&one.subject)),
            ("condition", text(one.condition)),
            ("state", text(state(one))),
            ("text", text(&one.text)),
            ("at", instants(std::iter::once(Some(at.timestamp_micros())))),
            ("run_id", text(&workspace.run_id)),
        ]);
        let spec = tables::alerts();
        let row = batch(&spec.schema, columns)?;
        let _turn = teller.lease.turn().await?;
        let opened = &workspace.opened;
        opened.warehouse.append(&spec, row, &Commit::of_run(&workspace.run_id), &opened.session).await?;
    }
    Ok(())
}

fn state(observed: &Observed) -> &'static str {
    if observed.is_on { "on" } else { "off" }
}

/// Sends one message.
async fn say(
    workspace: &Workspace,
    teller: &Teller<'_>,
    alert: &Alert,
    connection: &Connection,
    observed: &Observed,
    at: DateTime<Utc>,
) -> Result<()> {
    let name = &workspace.opened.project.settings.name;
    let field = |field: &str| match field {
        "text" => json!(format!("{name}: {}", observed.text)),
        "project" => json!(name),
        "subject" => json!(observed.subject),
        "condition" => json!(observed.condition),
        "state" => json!(state(observed)),
        _ => json!(at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)),
    };
    let fields: Map<String, Json> = alert.fields.iter().map(|one| ((*one).to_owned(), field(one))).collect();
    let key = Map::from_iter([("alert".to_owned(), json!(format!("{} {}", alert.name, observed.subject)))]);
    let mut row = Row::default();
    (row.key, row.fields) = (key, fields);
    let account = shared_account(teller.accounts, connection)?;
    let said = account.say(&alert.object, row, &SystemClock, teller.cancel, &teller.lease.watch()).await;
    said.map_err(|failure| Failure { doing: format!("telling the alert `{}`", alert.name), ..failure })
}
