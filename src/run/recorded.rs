//! What stays of a run: its row in `runs`, whether it published, found nothing changed, failed or was killed.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use datafusion::prelude::{SessionContext, col, lit};

use super::columns::{batch, instants, texts, wholes};
use super::request::Stopped;
use crate::diag::{Result, Severity};
use crate::store::{Commit, Lease, Published, Warehouse, failure_from, tables};

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending<'a> {
    /// It published this set.
    Done(&'a Published),
    /// Nothing had changed.
    Unchanged,
    /// It stopped, with this code.
    Failed(&'a str),
}

/// A run that writes.
pub(super) struct Run {
    pub(super) warehouse: Warehouse,
    pub(super) session: SessionContext,
    pub(super) id: String,
    pub(super) command: String,
    /// The instant that it saw, in microseconds.
    pub(super) as_of: i64,
    pub(super) started: DateTime<Utc>,
}

impl Run {
    /// Adds the run to `runs`; what it published is read from then on.
    pub(super) async fn record(&self, lease: &Lease, ending: &Ending<'_>) -> Result<()> {
        let (outcome, set, error) = match ending {
            Ending::Done(set) => ("done", Some((set.tables_json(), set.inputs_json())), None),
            Ending::Unchanged => ("unchanged", None, None),
            Ending::Failed(code) => ("failed", None, Some(*code)),
        };
        let row = Row {
            id: &self.id,
            command: &self.command,
            started: self.started,
            as_of: Some(self.as_of),
            finished: Some(Utc::now()),
            outcome,
            set: set.as_ref().map(|(tables, inputs)| (tables.as_str(), inputs.as_str())),
            error,
        };
        row.append(&self.warehouse, &self.session, lease).await
    }

    /// Records that it stopped. That this fails, too, must not hide why.
    pub(super) async fn record_stop(&self, lease: &Lease, stopped: &Stopped) {
        let code = match stopped {
            Stopped::Failure(failure) => failure.code,
            Stopped::Findings(_, findings) => {
                findings.iter().find(|finding| finding.severity == Severity::Error).map_or("", |finding| finding.code)
            }
        };
        let _ = self.record(lease, &Ending::Failed(code)).await;
    }
}

/// Records the run that a lease was taken over from: it was killed, unless it had come to its end but for the lease.
pub(super) async fn killed(warehouse: &Warehouse, session: &SessionContext, lease: &Lease) -> Result<()> {
    let Some(abandoned) = lease.abandoned() else { return Ok(()) };
    if let Some(runs) = warehouse.provider("runs", None).await? {
        let found = async {
            session.read_table(runs)?.filter(col("run_id").eq(lit(&abandoned.run)))?.limit(0, Some(1))?.count().await
        };
        if found.await.map_err(|error| failure_from("reading the table `runs`", &error))? > 0 {
            return Ok(());
        }
    }
    let row = Row {
        id: &abandoned.run,
        command: abandoned.holder.trim_start_matches("cohorte "),
        started: abandoned.since,
        as_of: None,
        finished: None,
        outcome: "killed",
        set: None,
        error: None,
    };
    row.append(warehouse, session, lease).await
}

/// A row of `runs`.
struct Row<'a> {
    id: &'a str,
    command: &'a str,
    started: DateTime<Utc>,
    as_of: Option<i64>,
    finished: Option<DateTime<Utc>>,
    outcome: &'a str,
    /// Tables and inputs.
    set: Option<(&'a str, &'a str)>,
    error: Option<&'a str>,
}

impl Row<'_> {
    async fn append(&self, warehouse: &Warehouse, session: &SessionContext, lease: &Lease) -> Result<()> {
        let spec = tables::runs();
        let seq = Published::last_seq(warehouse, session).await? + 1;
        let one = |text: Option<&str>| texts(std::iter::once(text));
        let at = |micros: Option<i64>| instants(std::iter::once(micros));
        let columns = BTreeMap::from([
            ("run_id", one(Some(self.id))),
            ("started_at", at(Some(self.started.timestamp_micros()))),
            ("as_of", at(self.as_of)),
            ("finished_at", at(self.finished.map(|finished| finished.timestamp_micros()))),
            ("command", one(Some(self.command))),
            ("outcome", one(Some(self.outcome))),
            ("published", one(self.set.map(|(tables, _)| tables))),
            ("inputs", one(self.set.map(|(_, inputs)| inputs))),
            ("cohorte_version", one(Some(env!("CARGO_PKG_VERSION")))),
            ("seq", wholes(std::iter::once(Some(seq)))),
            ("error", one(self.error)),
        ]);
        let batch = batch(&spec.schema, columns)?;
        let _turn = lease.turn().await?;
        warehouse.append(&spec, batch, &Commit::of_run(self.id), session).await?;
        Ok(())
    }
}
