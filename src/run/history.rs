//! The history of runs, and what became of the rows that were sent.

use std::collections::BTreeMap;

use super::stored::Stored;
use crate::diag::{Failure, Result, nearest};
use crate::sql::text_literal;
use crate::sync::journal::Verdict;

/// A run, as the table `runs` tells it. Times are RFC 3339 in UTC.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RunRow {
    /// Its id.
    pub run_id: Option<String>,
    /// When it began.
    pub started_at: Option<String>,
    /// When it ended.
    pub finished_at: Option<String>,
    /// When the last of its syncs ended.
    pub synced_at: Option<String>,
    /// The instant that it saw.
    pub as_of: Option<String>,
    /// The verb.
    pub command: Option<String>,
    /// How it ended: done, unchanged, failed or killed.
    pub outcome: Option<String>,
    /// The code of what stopped it.
    pub error: Option<String>,
    /// How many tables are in the set that it published; none where it published nothing.
    pub tables: Option<usize>,
    /// The version of the program.
    pub cohorte_version: Option<String>,
}

/// The last runs, newest first.
pub async fn runs(stored: &Stored, limit: usize) -> Result<Vec<RunRow>> {
    let columns = [
        "run_id",
        "started_at",
        "finished_at",
        "as_of",
        "command",
        "outcome",
        "error",
        "published",
        "cohorte_version",
        "seq",
    ];
    // Rows from before runs were counted come after all that were.
    let by = "cast(c_9 as bigint) desc nulls last, finished_at desc, run_id";
    let rows = stored.newest("runs", &columns, by, "true", limit).await?;
    let synced = synced(stored, rows.iter().filter_map(|row| row.first()?.as_deref())).await?;
    let run = |row: Vec<Option<String>>| {
        let [run_id, started_at, finished_at, as_of, command, outcome, error, published, cohorte_version, _] =
            <[_; 10]>::try_from(row).unwrap_or_default();
        let tables = published
            .and_then(|json: String| serde_json::from_str::<serde_json::Map<_, _>>(&json).ok())
            .map(|map| map.len());
        let synced_at = run_id.as_ref().and_then(|run| synced.get(run)).cloned();
        RunRow { run_id, started_at, finished_at, synced_at, as_of, command, outcome, error, tables, cohorte_version }
    };
    Ok(rows.into_iter().map(run).collect())
}

/// When the last sync of each of these runs ended.
async fn synced(stored: &Stored, runs: impl Iterator<Item = &str>) -> Result<BTreeMap<String, String>> {
    let runs: Vec<String> = runs.map(text_literal).collect();
    if runs.is_empty() {
        return Ok(BTreeMap::new());
    }
    let filter = format!("finished_at is not null and run_id in ({})", runs.join(", "));
    // The last one of each is kept.
    let rows = stored.newest("sync_runs", &["run_id", "finished_at"], "finished_at", &filter, usize::MAX >> 1).await?;
    let pair = |row: Vec<Option<String>>| match <[_; 2]>::try_from(row) {
        Ok([Some(run), Some(at)]) => Some((run, at)),
        _ => None,
    };
    Ok(rows.into_iter().filter_map(pair).collect())
}

/// What became of one row that was sent, or withheld. The id is a surrogate: no personal data.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ReceiptRow {
    /// When.
    pub at: Option<String>,
    /// The sync.
    pub sync: Option<String>,
    /// The customer.
    pub customer_id: Option<String>,
    /// What was asked of the destination.
    pub operation: Option<String>,
    /// What became of it.
    pub outcome: Option<String>,
    /// The destination's code, or the gate's reason.
    pub code: Option<String>,
    /// The destination's words.
    pub message: Option<String>,
    /// The run of the sync.
    pub sync_run_id: Option<String>,
}

/// The last receipts, newest first; of one sync and of some outcomes where they are given.
pub async fn receipts(
    stored: &Stored,
    sync: Option<&str>,
    outcomes: &[String],
    limit: usize,
) -> Result<Vec<ReceiptRow>> {
    let mut filter = "true".to_owned();
    if let Some(sync) = sync {
        // A sync that is no longer written still has its receipts.
        filter = format!("sync = {}", text_literal(sync));
    }
    if !outcomes.is_empty() {
        let known = Verdict::ALL.map(Verdict::name);
        if let Some(unknown) = outcomes.iter().find(|outcome| !known.contains(&outcome.as_str())) {
            let near = nearest(unknown, known.iter().copied())
                .map(|near| format!("did you mean `{near}`? "))
                .unwrap_or_default();
            return Err(Failure::project("E142", "reading the receipts", format!("`{unknown}` is no outcome"))
                .help(format!("{near}the outcomes are {}", known.join(", "))));
        }
        let names: Vec<String> = outcomes.iter().map(|outcome| text_literal(outcome)).collect();
        filter = format!("{filter} and outcome in ({})", names.join(", "));
    }
    let columns = ["at", "sync", "customer_id", "operation", "outcome", "code", "message", "sync_run_id"];
    let rows = stored
        .newest(
            "sync_receipts",
            &columns,
            "at desc nulls first, sync, customer_id, operation",
            &format!("outcome is not null and {filter}"),
            limit,
        )
        .await?;
    if let (true, Some(sync)) = (rows.is_empty(), sync) {
        known_sync(stored, sync)?;
    }
    let receipt = |row: Vec<Option<String>>| {
        let [at, sync, customer_id, operation, outcome, code, message, sync_run_id] =
            <[_; 8]>::try_from(row).unwrap_or_default();
        ReceiptRow { at, sync, customer_id, operation, outcome, code, message, sync_run_id }
    };
    Ok(rows.into_iter().map(receipt).collect())
}

fn known_sync(stored: &Stored, name: &str) -> Result<()> {
    if stored.spec.syncs.contains_key(name) {
        return Ok(());
    }
    let help = match nearest(name, stored.syncs().into_iter()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`cohorte graph -s 'syncs:*'` lists them".to_owned(),
    };
    Err(Failure::project("E140", format!("selecting `{name}`"), format!("there is no sync `{name}`")).help(help))
}
