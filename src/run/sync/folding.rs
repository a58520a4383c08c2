//! The state of a sync with its journal folded in, as streams.
//!
//! Both are dealt out by key, sorted by place and key (the journal then by number, so that entries come in the order in which they were
//! written) and merged: what is in memory is one batch of each, and the entries of one row. Sorting spills.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;

use datafusion::arrow::array::{Array, BooleanArray, RecordBatch, StringViewArray};
use datafusion::arrow::compute::{SortOptions, filter_record_batch};
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::arrow::error::ArrowError;
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_expr::expressions as physical;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{EmptyRecordBatchStream, ExecutionPlan, Partitioning};
use datafusion::prelude::{cast, col, lit};
use futures::StreamExt;
use futures::stream::try_unfold;

use super::super::workspace::Workspace;
use super::remembered::{Place, places, texts, unreadable, with_constants};
use crate::diag::Result;
use crate::store::{TableSpec, failure_from, tables};
use crate::sync::clock::Backoff;
use crate::sync::journal::{Entry, Verdict};
use crate::sync::state::{State, after};
use crate::sync::tables::{JOURNAL, STATE, journal_entries, state_batch, state_rows};

/// Rows of one batch of the stream.
const CHUNK: usize = 8_192;

/// The rows of `sync_state` of one sync, after its journal; `mark` names the journal's last entry. As many streams as there are threads.
pub(super) async fn folded(workspace: &Workspace, sync: &str, mark: &str) -> Result<Vec<SendableRecordBatchStream>> {
    let states = sorted(workspace, &tables::sync_state(), sync, &STATE, None).await?;
    let entries = sorted(workspace, &tables::sync_journal(), sync, &JOURNAL, Some("seq")).await?;
    let parts = states.into_iter().zip(entries).map(|(states, entries)| merged(sync, mark, states, entries));
    parts.collect::<Result<_, _>>().map_err(|_| unreadable("sync_state"))
}

/// Merges both, which are in order.
fn merged(
    sync: &str,
    mark: &str,
    states: SendableRecordBatchStream,
    entries: SendableRecordBatchStream,
) -> Result<SendableRecordBatchStream, ArrowError> {
    let folding = Folding {
        sync: sync.to_owned(),
        mark: mark.to_owned(),
        states: Sorted {
            stream: states,
            pick: |states| Ok(states.clone()),
            read: state_rows,
            key: |state| &state.key,
            ready: VecDeque::new(),
        },
        entries: Sorted {
            stream: entries,
            pick: without_settled,
            read: journal_entries,
            key: |entry| &entry.intent().key,
            ready: VecDeque::new(),
        },
    };
    let schema = folding.batch(&Place::default(), &[])?.schema();
    let batches =
        try_unfold(folding, |mut folding| async move { Ok(folding.next().await?.map(|batch| (batch, folding))) });
    Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
}

/// The rows of one sync at the table's latest version, dealt out by key; each part by place, key and what else orders them. Texts are copied
/// as they are read: a view holds on to the page that it was read from, and rows that are dealt out and sorted would count for many times
/// what they are.
async fn sorted(
    workspace: &Workspace,
    spec: &TableSpec,
    sync: &str,
    columns: &Schema,
    then: Option<&str>,
) -> Result<Vec<SendableRecordBatchStream>> {
    let session = &workspace.opened.session;
    let parts = session.state().config().target_partitions();
    let Some(provider) = workspace.opened.warehouse.provider(&spec.name, None).await? else {
        let nothing = || Box::pin(EmptyRecordBatchStream::new(Arc::new(columns.clone()))) as SendableRecordBatchStream;
        return Ok(std::iter::repeat_with(nothing).take(parts).collect());
    };
    let names = columns.fields().iter().map(|field| field.name().as_str());
    let names = names.chain(["account", "object", "audience"]).chain(then);
    let streams = async {
        let rows = session.read_table(provider)?.filter(col("sync").eq(lit(sync)))?;
        let stored = Arc::clone(rows.schema().inner());
        let copied = names.map(|name| match stored.field_with_name(name)?.data_type() {
            kind if kind.is_string() => Ok(cast(col(name), DataType::Utf8).alias(name)),
            _ => Ok(col(name)),
        });
        let copied = copied.collect::<EngineResult<Vec<_>>>()?;
        let rows = rows.select(copied)?;
        let task = Arc::new(rows.task_ctx());
        let rows = rows.create_physical_plan().await?;
        let key = physical::col("key", &rows.schema())?;
        let dealt = Arc::new(RepartitionExec::try_new(Arc::clone(&rows), Partitioning::Hash(vec![key], parts))?);
        let order = ["account", "object", "audience", "key"].into_iter().chain(then);
        let order = order.map(|name| Ok(PhysicalSortExpr::new(physical::col(name, &rows.schema())?, FIRST_IS_LEAST)));
        let Some(order) = LexOrdering::new(order.collect::<EngineResult<Vec<_>>>()?) else { return Ok(Vec::new()) };
        let sorted = SortExec::new(order, dealt).with_preserve_partitioning(true);
        (0..parts).map(|part| sorted.execute(part, Arc::clone(&task))).collect()
    };
    streams.await.map_err(|error| failure_from(format!("reading the table `{}`", spec.name), &error))
}

/// Ascending, nulls first: as Rust orders places.
const FIRST_IS_LEAST: SortOptions = SortOptions { descending: false, nulls_first: true };

/// A sorted table, row by row.
struct Sorted<T> {
    stream: SendableRecordBatchStream,
    /// Which rows matter.
    pick: fn(&RecordBatch) -> Result<RecordBatch, ArrowError>,
    read: fn(&RecordBatch) -> Result<Vec<T>, ArrowError>,
    key: fn(&T) -> &String,
    ready: VecDeque<(Arc<Place>, T)>,
}

impl<T> Sorted<T> {
    /// Reads on where no row is at hand. At the end there is none afterwards.
    async fn fill(&mut self, table: &str) -> EngineResult<()> {
        while self.ready.is_empty() {
            let Some(batch) = self.stream.next().await.transpose()? else { return Ok(()) };
            let read = || {
                let batch = (self.pick)(&batch)?;
                Ok(places(&batch)?.into_iter().zip((self.read)(&batch)?).collect())
            };
            self.ready = read().map_err(|_: ArrowError| DataFusionError::External(Box::new(unreadable(table))))?;
        }
        Ok(())
    }

    fn first(&self) -> Option<(&Arc<Place>, &String)> {
        self.ready.front().map(|(place, row)| (place, (self.key)(row)))
    }

    fn next(&mut self) -> Option<T> {
        self.ready.pop_front().map(|(_, row)| row)
    }
}

/// Leaves out intents that the row behind them says were accepted: of those, nothing else is to be known.
fn without_settled(entries: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let (keys, batches, outcomes) = (texts(entries, "key")?, texts(entries, "batch_id")?, texts(entries, "outcome")?);
    let places = ["account", "object", "audience"].map(|name| texts(entries, name));
    let [account, object, audience] = places;
    let known_by = [keys, batches, account?, object?, audience?];
    let is_same = |row: usize, next: usize| {
        let same = |column: &StringViewArray| match (column.is_valid(row), column.is_valid(next)) {
            (true, true) => column.value(row) == column.value(next),
            (one, other) => one == other,
        };
        known_by.iter().all(same)
    };
    let is_settled = |row: usize| {
        let next = row + 1;
        next < entries.num_rows()
            && outcomes.is_null(row)
            && outcomes.is_valid(next)
            && outcomes.value(next) == Verdict::Accepted.name()
            && is_same(row, next)
    };
    let stays: BooleanArray = (0..entries.num_rows()).map(|row| Some(!is_settled(row))).collect();
    filter_record_batch(entries, &stays)
}

struct Folding {
    sync: String,
    mark: String,
    states: Sorted<State>,
    entries: Sorted<Entry>,
}

impl Folding {
    /// The next rows of one place; none at the end.
    async fn next(&mut self) -> EngineResult<Option<RecordBatch>> {
        let mut here: Option<Arc<Place>> = None;
        let mut rows = Vec::with_capacity(CHUNK);
        let mut entries = Vec::new();
        while rows.len() < CHUNK {
            self.states.fill("sync_state").await?;
            self.entries.fill("sync_journal").await?;
            let (first, which) = match (self.states.first(), self.entries.first()) {
                (None, None) => break,
                (Some(state), None) => (state, Ordering::Less),
                (None, Some(entry)) => (entry, Ordering::Greater),
                (Some(state), Some(entry)) => (state.min(entry), state.cmp(&entry)),
            };
            if here.as_ref().is_some_and(|here| here != first.0) {
                break;
            }
            let (place, key) = (Arc::clone(first.0), first.1.clone());
            let state = if which.is_le() { self.states.next() } else { None };
            entries.clear();
            while which.is_ge() && self.entries.first() == Some((&place, &key)) {
                entries.extend(self.entries.next());
                self.entries.fill("sync_journal").await?;
            }
            rows.extend(after(state, &entries, &Backoff::BETWEEN_RUNS));
            here = Some(place);
        }
        let Some(place) = here else { return Ok(None) };
        Ok(Some(self.batch(&place, &rows)?))
    }

    /// Rows of a place as they are stored.
    fn batch(&self, place: &Place, rows: &[State]) -> Result<RecordBatch, ArrowError> {
        let mut constants = place.constants(&self.sync).to_vec();
        constants.push(("journal_mark", Some(self.mark.as_str())));
        with_constants(&state_batch(rows)?, &constants)
    }
}

#[cfg(test)]
#[path = "folding_tests.rs"]
mod tests;
