//! What is remembered of a sync: its state per place, and the journal since. Folding moves the one into the other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringViewArray, new_null_array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::common::{ScalarValue, TableReference};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::prelude::{col, lit};
use futures::StreamExt;

use super::super::workspace::Workspace;
use crate::diag::{Failure, Result};
use crate::project::{Connection, Sync};
use crate::sql::{ident, text_literal};
use crate::store::{Commit, Lease, TableSpec, failure_from, tables};
use crate::sync::clock::Backoff;
use crate::sync::journal::Entry;
use crate::sync::state::{State, fold};
use crate::sync::tables::{STATE, journal_entries, state_batch, state_rows};

/// Rows of one batch of a table that is written.
const CHUNK: usize = 8_192;

/// Where a sync delivers to. The state of an object that was renamed stays apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) account: Option<String>,
    pub(super) object: Option<String>,
    pub(super) audience: Option<String>,
}

impl Place {
    pub(super) fn of(sync: &Sync, connection: &Connection) -> Self {
        Self { account: Some(connection.account.clone()), object: sync.object.clone(), audience: sync.audience.clone() }
    }

    /// The columns that tell places apart, in front of a table's own.
    pub(super) fn constants<'a>(&'a self, sync: &'a str) -> [(&'static str, Option<&'a str>); 4] {
        [
            ("sync", Some(sync)),
            ("account", self.account.as_deref()),
            ("object", self.object.as_deref()),
            ("audience", self.audience.as_deref()),
        ]
    }
}

/// The journal of a sync, and what it makes of the state. An empty journal costs nothing: the state stays in its table.
#[derive(Debug)]
pub(super) struct Remembered {
    sync: String,
    /// The state with the journal folded in, where the stored one lacks it.
    folded: Option<BTreeMap<Place, Vec<State>>>,
    /// The last entry of the journal; none where it is empty.
    journal: Option<Mark>,
    /// The number of the journal's first receipt.
    first_receipt: Option<i64>,
}

/// Names an entry of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    run: String,
    seq: i64,
}

impl Mark {
    fn text(&self) -> String {
        format!("{}:{}", self.run, self.seq)
    }
}

impl Remembered {
    /// Reads the journal, and where it has something new folds it into the state, in memory.
    pub(super) async fn load(workspace: &Workspace, sync: &str) -> Result<Self> {
        let mut entries: BTreeMap<Place, Vec<Entry>> = BTreeMap::new();
        let mut journal: Option<Mark> = None;
        let mut first_receipt = None;
        read(workspace, &tables::sync_journal(), sync, &["seq"], |batch| {
            let place = places_of(batch)?;
            for (row, entry) in journal_entries(batch)?.into_iter().enumerate() {
                entries.entry(place(row)).or_default().push(entry);
            }
            let (runs, outcomes) = (texts(batch, "sync_run_id")?, texts(batch, "outcome")?);
            let seq = column(batch, "seq", &DataType::Int64)?;
            let seq = seq.as_primitive::<Int64Type>();
            let receipt = (0..batch.num_rows()).find(|&row| outcomes.is_valid(row));
            first_receipt = first_receipt.or(receipt.map(|row| seq.value(row)));
            if let Some(last) = batch.num_rows().checked_sub(1) {
                journal = Some(Mark { run: runs.value(last).to_owned(), seq: seq.value(last) });
            }
            Ok(())
        })
        .await?;
        let mut folded = None;
        if let Some(mark) = &journal {
            let mut places: BTreeMap<Place, Vec<State>> = BTreeMap::new();
            let mut marks = BTreeSet::new();
            read(workspace, &tables::sync_state(), sync, &[], |batch| {
                let place = places_of(batch)?;
                marks.extend(texts(batch, "journal_mark")?.iter().flatten().map(str::to_owned));
                for (row, state) in state_rows(batch)?.into_iter().enumerate() {
                    places.entry(place(row)).or_default().push(state);
                }
                Ok(())
            })
            .await?;
            // A run may have died between storing the fold and emptying the journal.
            if !marks.contains(&mark.text()) {
                for (place, entries) in entries {
                    let state = places.remove(&place).unwrap_or_default();
                    places.insert(place, fold(state, &entries, &Backoff::BETWEEN_RUNS));
                }
                folded = Some(places);
            }
        }
        Ok(Self { sync: sync.to_owned(), folded, journal, first_receipt })
    }

    /// Makes the state of one place readable as `_sync_state`.
    pub(super) async fn register(&self, workspace: &Workspace, place: &Place) -> Result<()> {
        let session = &workspace.opened.session;
        let spec = tables::sync_state();
        if let Some(places) = &self.folded {
            let rows = places.get(place).map_or(&[][..], Vec::as_slice);
            let batches = rows.chunks(CHUNK).map(state_batch).collect::<Result<Vec<_>, _>>();
            let batches = batches.map_err(|_| unreadable(&spec.name))?;
            return workspace.stage.hold(session, "_sync_state", SchemaRef::clone(&STATE), batches);
        }
        let Some(stored) = workspace.opened.warehouse.provider(&spec.name, None).await? else {
            return workspace.stage.hold(session, "_sync_state", SchemaRef::clone(&STATE), Vec::new());
        };
        let name = TableReference::bare("_sync_state_stored");
        let registered = session.deregister_table(name.clone()).and_then(|_| session.register_table(name, stored));
        registered.map_err(|error| failure_from(format!("reading the table `{}`", spec.name), &error))?;
        let columns: Vec<String> = STATE.fields().iter().map(|field| ident(field.name())).collect();
        let here = place.constants(&self.sync).map(|(name, value)| match value {
            Some(value) => format!("{} = {}", ident(name), text_literal(value)),
            None => format!("{} is null", ident(name)),
        });
        let sql = format!("select {} from _sync_state_stored where {}", columns.join(", "), here.join(" and "));
        workspace.view("_sync_state", &sql).await
    }

    /// Stores the fold and empties the journal. The order makes it safe to die between any two steps: receipts are known by
    /// their run and number, a state that has the journal in it by the mark.
    pub(super) async fn save(&mut self, workspace: &Workspace, lease: &Lease) -> Result<()> {
        let Some(mark) = self.journal.take() else { return Ok(()) };
        let (warehouse, session) = (&workspace.opened.warehouse, &workspace.opened.session);
        let commit = Commit::of_run(&workspace.run_id);
        let partition = || ScalarValue::from(self.sync.as_str());
        if let Some(places) = self.folded.take() {
            self.receipts(workspace, lease, &mark, &commit).await?;
            let spec = tables::sync_state();
            let rows = self.stored(&places, &mark.text())?;
            drop(places);
            let _turn = lease.turn().await?;
            if warehouse.version(&spec.name).await?.is_some() {
                warehouse.replace_where(&spec, "sync", partition(), rows, &commit, session).await?;
            } else {
                warehouse.append(&spec, rows, &commit, session).await?;
            }
        }
        let spec = tables::sync_journal();
        let nothing = RecordBatch::new_empty(Arc::clone(&spec.schema));
        let _turn = lease.turn().await?;
        warehouse.replace_where(&spec, "sync", partition(), nothing, &commit, session).await?;
        Ok(())
    }

    /// The state as a table.
    fn stored(&self, places: &BTreeMap<Place, Vec<State>>, mark: &str) -> Result<SendableRecordBatchStream> {
        let mut batches = Vec::new();
        for (place, rows) in places {
            let mut constants = place.constants(&self.sync).to_vec();
            constants.push(("journal_mark", Some(mark)));
            for rows in rows.chunks(CHUNK) {
                let batch = state_batch(rows).and_then(|batch| with_constants(&batch, &constants));
                batches.push(batch.map_err(|_| unreadable("sync_state"))?);
            }
        }
        let schema = batches.first().map_or_else(|| tables::sync_state().schema, RecordBatch::schema);
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::iter(batches.into_iter().map(Ok)))))
    }

    /// Copies the answers of the journal to where they stay, once.
    async fn receipts(&self, workspace: &Workspace, lease: &Lease, mark: &Mark, commit: &Commit) -> Result<()> {
        let (warehouse, session) = (&workspace.opened.warehouse, &workspace.opened.session);
        let doing = "recording the receipts of a sync";
        let Some(first) = self.first_receipt else { return Ok(()) };
        let spec = tables::sync_receipts();
        if let Some(receipts) = warehouse.provider(&spec.name, None).await? {
            let same = col("sync").eq(lit(self.sync.as_str())).and(col("sync_run_id").eq(lit(mark.run.as_str())));
            let copied = async {
                let copied = session.read_table(receipts)?.filter(same.and(col("seq").gt_eq(lit(first))))?;
                copied.limit(0, Some(1))?.count().await
            };
            if copied.await.map_err(|error| failure_from(doing, &error))? > 0 {
                return Ok(());
            }
        }
        let Some(journal) = warehouse.provider(&tables::sync_journal().name, None).await? else { return Ok(()) };
        let plan = || {
            let names = ["sync_run_id", "sync", "customer_id", "action", "operation", "outcome", "code", "message"];
            let mut columns: Vec<_> = names.into_iter().map(col).collect();
            columns.extend([col("batch_id").alias("request_id"), col("at"), col("seq")]);
            let rows = session.read_table(journal)?;
            let rows = rows.filter(col("sync").eq(lit(self.sync.as_str())).and(col("outcome").is_not_null()))?;
            Ok(rows.select(columns)?.into_unoptimized_plan())
        };
        let plan = plan().map_err(|error| failure_from(doing, &error))?;
        let _turn = lease.turn().await?;
        warehouse.append(&spec, plan, commit, session).await?;
        Ok(())
    }
}

/// Looks at the rows of one sync, at the latest version, batch by batch.
async fn read(
    workspace: &Workspace,
    spec: &TableSpec,
    sync: &str,
    order: &[&str],
    mut look: impl FnMut(&RecordBatch) -> Result<(), ArrowError>,
) -> Result<()> {
    let Some(provider) = workspace.opened.warehouse.provider(&spec.name, None).await? else { return Ok(()) };
    let failed = |error: DataFusionError| failure_from(format!("reading the table `{}`", spec.name), &error);
    let rows = async {
        let mut rows = workspace.opened.session.read_table(provider)?.filter(col("sync").eq(lit(sync)))?;
        if !order.is_empty() {
            rows = rows.sort(order.iter().map(|name| col(*name).sort(true, false)).collect())?;
        }
        rows.execute_stream().await
    };
    let mut rows = rows.await.map_err(failed)?;
    while let Some(batch) = rows.next().await {
        look(&batch.map_err(failed)?).map_err(|_| unreadable(&spec.name))?;
    }
    Ok(())
}

/// The rows of the place that may or may not be there.
pub(super) async fn doubts(workspace: &Workspace) -> Result<Vec<State>> {
    let name = tables::sync_state().name;
    let doing = format!("reading the table `{name}`");
    let mut doubts = Vec::new();
    for batch in workspace.collect(&doing, "select * from _sync_state where in_doubt_operation is not null").await? {
        doubts.extend(state_rows(&batch).map_err(|_| unreadable(&name))?);
    }
    Ok(doubts)
}

/// The table, with columns that are the same in every row in front.
pub(super) fn with_constants(
    batch: &RecordBatch,
    constants: &[(&str, Option<&str>)],
) -> Result<RecordBatch, ArrowError> {
    let mut fields = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for (name, value) in constants {
        fields.push(Arc::new(Field::new(*name, DataType::Utf8View, true)));
        columns.push(match value {
            Some(value) => Arc::new(std::iter::repeat_n(Some(*value), batch.num_rows()).collect::<StringViewArray>()),
            None => new_null_array(&DataType::Utf8View, batch.num_rows()),
        });
    }
    fields.extend(batch.schema().fields().iter().cloned());
    columns.extend(batch.columns().iter().cloned());
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

fn places_of(batch: &RecordBatch) -> Result<impl Fn(usize) -> Place + use<>, ArrowError> {
    let (accounts, objects, audiences) = (texts(batch, "account")?, texts(batch, "object")?, texts(batch, "audience")?);
    Ok(move |row| {
        let value = |column: &StringViewArray| column.is_valid(row).then(|| column.value(row).to_owned());
        Place { account: value(&accounts), object: value(&objects), audience: value(&audiences) }
    })
}

pub(super) fn texts(batch: &RecordBatch, name: &str) -> Result<StringViewArray, ArrowError> {
    Ok(column(batch, name, &DataType::Utf8View)?.as_string_view().clone())
}

fn column(batch: &RecordBatch, name: &str, kind: &DataType) -> Result<ArrayRef, ArrowError> {
    let column = batch.column_by_name(name);
    cast(column.ok_or_else(|| ArrowError::SchemaError(format!("`{name}` is missing")))?, kind)
}

/// The texts of such errors may quote values, so they are not shown.
fn unreadable(table: &str) -> Failure {
    Failure::world("W402", format!("reading the table `{table}`"), "a column is missing or has a value of another type")
        .help("another program has written to it: restore the table to its version before")
}
