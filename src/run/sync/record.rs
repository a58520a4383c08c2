//! What stays of a run of a sync: a row in `sync_runs`, and receipts of rows whose reason to be withheld is new.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Int64Array, RecordBatch, StringViewArray, TimestampMicrosecondArray, new_null_array,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::common::TableReference;
use datafusion::datasource::MemTable;
use datafusion::prelude::{col, lit};

use super::super::workspace::Workspace;
use super::deliver::{Outcome, Report};
use super::remembered::Place;
use crate::compile::passes::instant;
use crate::diag::{Failure, Result};
use crate::project::Sync;
use crate::sql::text_literal;
use crate::store::{Commit, Lease, failure_from, tables};
use crate::sync::journal::{Action, Verdict};

/// Appends the run of a sync.
pub(super) async fn run(
    workspace: &Workspace,
    lease: &Lease,
    place: &Place,
    report: &Report,
    started: DateTime<Utc>,
    finished: DateTime<Utc>,
) -> Result<()> {
    let spec = tables::sync_runs();
    let mut columns = columns(workspace, report, started, finished);
    columns.extend(place.constants(&report.sync).map(|(name, value)| (name, Cell::Text(value.map(str::to_owned)))));
    let batch = row(&spec.schema, &columns);
    let batch = batch
        .map_err(|error| Failure::world("W001", format!("recording the run of the sync `{}`", report.sync), error))?;
    let _turn = lease.turn().await?;
    let commit = Commit::of_run(&workspace.run_id);
    workspace.opened.warehouse.append(&spec, batch, &commit, &workspace.opened.session).await?;
    Ok(())
}

enum Cell {
    Text(Option<String>),
    Whole(u64),
    Truth(bool),
    At(DateTime<Utc>),
}

fn columns(
    workspace: &Workspace,
    report: &Report,
    started: DateTime<Utc>,
    finished: DateTime<Utc>,
) -> BTreeMap<&'static str, Cell> {
    let text = |text: &str| Cell::Text(Some(text.to_owned()));
    let verdict = |verdict: Verdict| Cell::Whole(report.count(verdict));
    let done = |action: Action| Cell::Whole(report.done(action));
    let held = report.preview.hold.iter().filter(|hold| !hold.can_pass()).map(ToString::to_string);
    let guard: Vec<String> = held.chain(report.preview.guards()).collect();
    BTreeMap::from([
        ("sync_run_id", text(&report.sync_run_id)),
        ("run_id", text(&workspace.run_id)),
        ("sync", text(&report.sync)),
        ("started_at", Cell::At(started)),
        ("finished_at", Cell::At(finished)),
        ("outcome", text(report.outcome.name())),
        ("desired", Cell::Whole(report.preview.desired)),
        ("accepted", verdict(Verdict::Accepted)),
        ("unchanged", verdict(Verdict::Unchanged)),
        ("rejected", verdict(Verdict::Rejected)),
        ("retry", verdict(Verdict::Retry)),
        ("unknown", verdict(Verdict::Unknown)),
        ("not_sent", verdict(Verdict::NotSent)),
        ("withheld", Cell::Whole(report.preview.withheld.values().sum())),
        ("added", done(Action::Add)),
        ("updated", done(Action::Update)),
        ("removed", done(Action::Remove)),
        ("cleared", done(Action::Clear)),
        ("withdrawn", done(Action::Withdraw)),
        ("withheld_reasons", Cell::Text(serde_json::to_string(&report.preview.withheld).ok())),
        ("guard", Cell::Text((!guard.is_empty()).then(|| guard.join("; ")))),
        ("guard_accepted", Cell::Truth(report.guard_accepted)),
        (
            "error",
            Cell::Text(match &report.outcome {
                Outcome::Failed(failure) => Some(format!("{}: {failure}", failure.code)),
                _ => None,
            }),
        ),
    ])
}

fn row(schema: &SchemaRef, cells: &BTreeMap<&str, Cell>) -> Result<RecordBatch, ArrowError> {
    let columns = schema.fields().iter().map(|field| {
        let column: ArrayRef = match cells.get(field.name().as_str()) {
            Some(Cell::Text(text)) => Arc::new(StringViewArray::from(vec![text.as_deref()])),
            Some(Cell::Whole(number)) => Arc::new(Int64Array::from(vec![i64::try_from(*number).unwrap_or(i64::MAX)])),
            Some(Cell::Truth(truth)) => Arc::new(BooleanArray::from(vec![*truth])),
            Some(Cell::At(at)) => {
                Arc::new(TimestampMicrosecondArray::from(vec![at.timestamp_micros()]).with_timezone("UTC"))
            }
            None => new_null_array(field.data_type(), 1),
        };
        cast(&column, field.data_type())
    });
    RecordBatch::try_new(Arc::clone(schema), columns.collect::<Result<Vec<_>, _>>()?)
}

/// The table with a column `seq` that counts on from a number.
pub(super) fn numbered(batch: &RecordBatch, from: i64) -> Result<RecordBatch, ArrowError> {
    let mut fields = batch.schema().fields().to_vec();
    fields.push(Arc::new(Field::new("seq", DataType::Int64, false)));
    let mut columns = batch.columns().to_vec();
    columns.push(Arc::new((from..).take(batch.num_rows()).collect::<Int64Array>()));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// Was this sync ever brought to its end at this place? It may have found nobody to send.
pub(super) async fn has_run(workspace: &Workspace, sync: &Sync, place: &Place) -> Result<bool> {
    let opened = &workspace.opened;
    let spec = tables::sync_runs();
    let Some(provider) = opened.warehouse.provider(&spec.name, None).await? else { return Ok(false) };
    let runs = async {
        let mut runs = opened
            .session
            .read_table(provider)?
            .filter(col("outcome").in_list(vec![lit("done"), lit("baseline")], false))?;
        for (name, value) in place.constants(&sync.name) {
            runs = runs.filter(value.map_or_else(|| col(name).is_null(), |value| col(name).eq(lit(value))))?;
        }
        runs.limit(0, Some(1))?.count().await
    };
    let runs = runs.await.map_err(|error| failure_from(format!("reading the table `{}`", spec.name), &error))?;
    Ok(runs > 0)
}

/// Appends a receipt per customer that is withheld and was not withheld for the same reason before. Reads the sync's
/// receipts where somebody is withheld: their customers and outcomes alone.
pub(super) async fn withheld(
    workspace: &Workspace,
    lease: &Lease,
    sync: &str,
    sync_run_id: &str,
    at: DateTime<Utc>,
) -> Result<()> {
    let opened = &workspace.opened;
    let spec = tables::sync_receipts();
    let doing = format!("recording who is withheld by the sync `{sync}`");
    let failed = |error: datafusion::error::DataFusionError| failure_from(doing.as_str(), &error);
    let before = match opened.warehouse.provider(&spec.name, None).await? {
        Some(provider) => provider,
        None => Arc::new(MemTable::try_new(Arc::clone(&spec.schema), vec![vec![]]).map_err(failed)?),
    };
    let name = TableReference::bare("_sync_receipts");
    opened.session.deregister_table(name.clone()).map_err(failed)?;
    opened.session.register_table(name, before).map_err(failed)?;
    let sql = format!(
        "with w as (select entity_id as customer_id, min(withheld) as reason from _sync_rows where is_member and withheld is not null group by entity_id), \
         r as (select w.customer_id, outcome, code, row_number() over (partition by w.customer_id order by at desc, seq desc nulls last) as n \
         from w join _sync_receipts as r on r.customer_id = w.customer_id where r.sync = {sync}) \
         select {run} as sync_run_id, {sync} as sync, w.customer_id, cast(null as varchar) as action, cast(null as varchar) as operation, \
         'withheld' as outcome, w.reason as code, cast(null as varchar) as message, cast(null as varchar) as request_id, {at} as at, cast(null as bigint) as seq \
         from w left join r on r.customer_id = w.customer_id and r.n = 1 \
         where (r.outcome is distinct from 'withheld') or (r.code is distinct from w.reason)",
        run = text_literal(sync_run_id),
        sync = text_literal(sync),
        at = instant(at.timestamp_micros()),
    );
    workspace.view("_sync_withheld", &sql).await?;
    if workspace
        .collect(&doing, "select 1 from _sync_withheld limit 1")
        .await?
        .iter()
        .all(|batch| batch.num_rows() == 0)
    {
        return Ok(());
    }
    let plan = workspace.plan("_sync_withheld").await?;
    let _turn = lease.turn().await?;
    opened.warehouse.append(&spec, plan, &Commit::of_run(&workspace.run_id), &opened.session).await?;
    Ok(())
}
