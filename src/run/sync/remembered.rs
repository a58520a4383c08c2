//! What is remembered of a sync: its state per place, and the journal since. Folding moves the one into the other.

use std::sync::Arc;
use std::time::Instant;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringViewArray, new_null_array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use datafusion::functions_aggregate::expr_fn::{max, min};
use datafusion::logical_expr::when;
use datafusion::prelude::{col, lit};

use super::super::workspace::Workspace;
use super::folding::folded;
use crate::diag::{Failure, Result};
use crate::project::{Connection, Sync};
use crate::sql::{ident, text_literal};
use crate::store::{Commit, Lease, failure_from, tables};
use crate::sync::state::State;
use crate::sync::tables::{STATE, state_rows};

/// Where a sync delivers to. The state of an object that was renamed stays apart.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
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

/// What the journal of a sync holds. An empty one costs nothing: the state stays in its table.
#[derive(Debug)]
pub(super) struct Remembered {
    sync: String,
    /// Names the last entry of the journal; none where it is empty.
    journal: Option<Mark>,
    /// The number of the journal's first receipt.
    first_receipt: Option<i64>,
    /// Does the stored state lack what the journal says?
    is_behind: bool,
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
    /// Looks where the journal begins and ends, and whether the state has it already.
    pub(super) async fn load(workspace: &Workspace, sync: &str) -> Result<Self> {
        let mut found = Self { sync: sync.to_owned(), journal: None, first_receipt: None, is_behind: false };
        let spec = tables::sync_journal();
        let Some(journal) = workspace.opened.warehouse.provider(&spec.name, None).await? else { return Ok(found) };
        // A journal is one run's: the next one empties it before it writes.
        let bounds = async {
            let rows = workspace.opened.session.read_table(journal)?.filter(col("sync").eq(lit(sync)))?;
            let receipts = when(col("outcome").is_not_null(), col("seq")).end()?;
            let figures = vec![
                max(col("sync_run_id")).alias("sync_run_id"),
                max(col("seq")).alias("seq"),
                min(receipts).alias("first_receipt"),
            ];
            rows.aggregate(Vec::new(), figures)?.collect().await
        };
        let bounds =
            bounds.await.map_err(|error| failure_from(format!("reading the table `{}`", spec.name), &error))?;
        for batch in bounds.iter().filter(|batch| batch.num_rows() > 0) {
            let number = |name: &str| -> Result<Option<i64>, ArrowError> {
                let column = column(batch, name, &DataType::Int64)?;
                Ok(column.is_valid(0).then(|| column.as_primitive::<Int64Type>().value(0)))
            };
            let read = || Ok((texts(batch, "sync_run_id")?, number("seq")?, number("first_receipt")?));
            let (runs, seq, first_receipt) = read().map_err(|_: ArrowError| unreadable(&spec.name))?;
            found.journal = seq.filter(|_| runs.is_valid(0)).map(|seq| Mark { run: runs.value(0).to_owned(), seq });
            found.first_receipt = first_receipt;
        }
        found.is_behind = match &found.journal {
            Some(mark) => !has_state(workspace, sync, &mark.text()).await?,
            None => false,
        };
        Ok(found)
    }

    /// Makes the state of one place readable as `_sync_state`.
    pub(super) async fn register(&self, workspace: &Workspace, place: &Place) -> Result<()> {
        let stored = "_sync_state_stored";
        match &self.journal {
            Some(mark) if self.is_behind => {
                let rows = folded(workspace, &self.sync, &mark.text()).await?;
                workspace.stage.keep_streams(&workspace.opened.session, stored, rows).await?;
            }
            _ => match workspace.opened.warehouse.provider(&tables::sync_state().name, None).await? {
                Some(provider) => workspace.register(stored, provider)?,
                None => {
                    let session = &workspace.opened.session;
                    return workspace.stage.hold(session, "_sync_state", SchemaRef::clone(&STATE), Vec::new());
                }
            },
        }
        let columns: Vec<String> = STATE.fields().iter().map(|field| ident(field.name())).collect();
        let here = place.constants(&self.sync).map(|(name, value)| match value {
            Some(value) => format!("{} = {}", ident(name), text_literal(value)),
            None => format!("{} is null", ident(name)),
        });
        let sql = format!("select {} from {stored} where {}", columns.join(", "), here.join(" and "));
        workspace.view("_sync_state", &sql).await
    }

    /// Stores the fold and empties the journal. The order makes it safe to die between any two steps: receipts are known by
    /// their run and number, a state that has the journal in it by the mark.
    pub(super) async fn save(&mut self, workspace: &Workspace, lease: &Lease) -> Result<()> {
        let Some(mark) = self.journal.take() else { return Ok(()) };
        let (warehouse, session) = (&workspace.opened.warehouse, &workspace.opened.session);
        let commit = Commit::of_run(&workspace.run_id);
        let partition = || ScalarValue::from(self.sync.as_str());
        if self.is_behind {
            let timed = |what: &str, since: Instant| {
                workspace.stage.timings.note(format!("{what} of `{}`", self.sync), since, None, None);
            };
            let started = Instant::now();
            self.receipts(workspace, lease, &mark, &commit).await?;
            timed("recording the receipts", started);
            let started = Instant::now();
            let spec = tables::sync_state();
            let rows = folded(workspace, &self.sync, &mark.text()).await?;
            let _turn = lease.turn().await?;
            if warehouse.version(&spec.name).await?.is_some() {
                warehouse.replace_where(&spec, "sync", &[partition()], rows, &commit, session).await?;
            } else {
                warehouse.append(&spec, rows, &commit, session).await?;
            }
            timed("folding the journal", started);
        }
        let spec = tables::sync_journal();
        let nothing = RecordBatch::new_empty(Arc::clone(&spec.schema));
        let _turn = lease.turn().await?;
        warehouse.replace_where(&spec, "sync", &[partition()], nothing, &commit, session).await?;
        Ok(())
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

/// Has the stored state this mark? A run may have died between storing the fold and emptying the journal.
async fn has_state(workspace: &Workspace, sync: &str, mark: &str) -> Result<bool> {
    let spec = tables::sync_state();
    let Some(provider) = workspace.opened.warehouse.provider(&spec.name, None).await? else { return Ok(false) };
    let marked = async {
        let same = col("sync").eq(lit(sync)).and(col("journal_mark").eq(lit(mark)));
        workspace.opened.session.read_table(provider)?.filter(same)?.limit(0, Some(1))?.count().await
    };
    let marked = marked.await.map_err(|error| failure_from(format!("reading the table `{}`", spec.name), &error))?;
    Ok(marked > 0)
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

/// The place of every row; neighbours share it.
pub(super) fn places(batch: &RecordBatch) -> Result<Vec<Arc<Place>>, ArrowError> {
    let (accounts, objects, audiences) = (texts(batch, "account")?, texts(batch, "object")?, texts(batch, "audience")?);
    let mut places: Vec<Arc<Place>> = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let [account, object, audience] =
            [&accounts, &objects, &audiences].map(|column| column.is_valid(row).then(|| column.value(row)));
        let same = places.last().filter(|last| {
            (last.account.as_deref(), last.object.as_deref(), last.audience.as_deref()) == (account, object, audience)
        });
        let place = same.map_or_else(
            || {
                let [account, object, audience] = [account, object, audience].map(|value| value.map(str::to_owned));
                Arc::new(Place { account, object, audience })
            },
            Arc::clone,
        );
        places.push(place);
    }
    Ok(places)
}

pub(super) fn texts(batch: &RecordBatch, name: &str) -> Result<StringViewArray, ArrowError> {
    Ok(column(batch, name, &DataType::Utf8View)?.as_string_view().clone())
}

fn column(batch: &RecordBatch, name: &str, kind: &DataType) -> Result<ArrayRef, ArrowError> {
    let column = batch.column_by_name(name);
    cast(column.ok_or_else(|| ArrowError::SchemaError(format!("`{name}` is missing")))?, kind)
}

/// The texts of such errors may quote values, so they are not shown.
pub(super) fn unreadable(table: &str) -> Failure {
    Failure::world("W402", format!("reading the table `{table}`"), "a column is missing or has a value of another type")
        .help("another program has written to it: restore the table to its version before")
}
