//! The state of a sync with its journal folded in, as a stream.
//!
//! Both are sorted by place and key (the journal then by number, so that entries come in the order in which they were written) and
//! merged: what is in memory is one batch of each, and the entries of one row. Sorting spills.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::Schema;
use datafusion::arrow::error::ArrowError;
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::EmptyRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::prelude::{col, lit};
use futures::StreamExt;
use futures::stream::try_unfold;

use super::super::workspace::Workspace;
use super::remembered::{Place, places, unreadable, with_constants};
use crate::diag::Result;
use crate::store::{TableSpec, failure_from, tables};
use crate::sync::clock::Backoff;
use crate::sync::journal::Entry;
use crate::sync::state::{State, after};
use crate::sync::tables::{JOURNAL, STATE, journal_entries, state_batch, state_rows};

/// Rows of one batch of the stream.
const CHUNK: usize = 8_192;

/// The rows of `sync_state` of one sync, after its journal; `mark` names the journal's last entry.
pub(super) async fn folded(workspace: &Workspace, sync: &str, mark: &str) -> Result<SendableRecordBatchStream> {
    let states = sorted(workspace, &tables::sync_state(), sync, &STATE, None).await?;
    let entries = sorted(workspace, &tables::sync_journal(), sync, &JOURNAL, Some("seq")).await?;
    merged(sync, mark, states, entries).map_err(|_| unreadable("sync_state"))
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
        states: Sorted { stream: states, read: state_rows, key: |state| &state.key, ready: VecDeque::new() },
        entries: Sorted {
            stream: entries,
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

/// The rows of one sync at the table's latest version, by place, key and what else orders them.
async fn sorted(
    workspace: &Workspace,
    spec: &TableSpec,
    sync: &str,
    columns: &Schema,
    then: Option<&str>,
) -> Result<SendableRecordBatchStream> {
    let Some(provider) = workspace.opened.warehouse.provider(&spec.name, None).await? else {
        return Ok(Box::pin(EmptyRecordBatchStream::new(Arc::new(columns.clone()))));
    };
    let order = ["account", "object", "audience", "key"].into_iter().chain(then);
    let names = columns.fields().iter().map(|field| field.name().as_str());
    let names = names.chain(["account", "object", "audience"]).chain(then);
    let stream = async {
        let rows = workspace.opened.session.read_table(provider)?.filter(col("sync").eq(lit(sync)))?;
        let rows = rows.select(names.map(col).collect::<Vec<_>>())?;
        rows.sort(order.map(|name| col(name).sort(true, true)).collect())?.execute_stream().await
    };
    stream.await.map_err(|error| failure_from(format!("reading the table `{}`", spec.name), &error))
}

/// A sorted table, row by row.
struct Sorted<T> {
    stream: SendableRecordBatchStream,
    read: fn(&RecordBatch) -> Result<Vec<T>, ArrowError>,
    key: fn(&T) -> &String,
    ready: VecDeque<(Arc<Place>, T)>,
}

impl<T> Sorted<T> {
    /// Reads on where no row is at hand. At the end there is none afterwards.
    async fn fill(&mut self, table: &str) -> EngineResult<()> {
        while self.ready.is_empty() {
            let Some(batch) = self.stream.next().await.transpose()? else { return Ok(()) };
            let read = || Ok(places(&batch)?.into_iter().zip((self.read)(&batch)?).collect());
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
