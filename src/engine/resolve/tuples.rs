//! The distinct tuples of identifiers of a `link` source: millions of rows, far fewer tuples.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanBuilder, RecordBatch, TimestampMicrosecondArray};
use datafusion::arrow::compute::{cast, filter_record_batch};
use datafusion::arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::prelude::{DataFrame, SessionContext};
use futures::StreamExt;
use tokio::task::JoinSet;

use super::gather::Seen;
use crate::engine::Held;
use crate::engine::digest::{Digest, Digests};
use crate::engine::functions::json_value::Values;
use crate::engine::functions::key::push_key;

/// Distinct tuples, and when each was seen.
pub(super) struct Tuples {
    /// The first row of each: its scopes, its identifiers.
    pub(super) rows: Vec<RecordBatch>,
    /// In the order of the rows.
    pub(super) keys: Vec<String>,
    pub(super) seen: Vec<Seen>,
    /// The memory of it.
    held: Held,
}

/// Reads a statement of `n_scopes` scopes, identifiers and `seen_at`, every partition on its own: what several partitions
/// have is there several times.
pub(super) async fn distinct(session: &SessionContext, sql: &str, n_scopes: usize) -> Result<Vec<Tuples>> {
    let frame: DataFrame = session.sql(sql).await?;
    let context = Arc::new(frame.task_ctx());
    let plan = frame.create_physical_plan().await?;
    let mut readers = JoinSet::new();
    for partition in 0..plan.properties().partitioning.partition_count() {
        let held = Held::of(session, "the distinct identifiers of a source");
        readers.spawn(of_stream(plan.execute(partition, Arc::clone(&context))?, n_scopes, held));
    }
    let mut all = Vec::new();
    while let Some(done) = readers.join_next().await {
        all.push(done.map_err(|error| DataFusionError::External(Box::new(error)))??);
    }
    Ok(all)
}

async fn of_stream(mut stream: SendableRecordBatchStream, n_scopes: usize, held: Held) -> Result<Tuples> {
    let tuples = Tuples { rows: Vec::new(), keys: Vec::new(), seen: Vec::new(), held };
    let mut distinct = Distinct { places: Digests::default(), tuples, size: 0, text: String::new() };
    while let Some(batch) = stream.next().await {
        distinct.add(&batch?, n_scopes)?;
        let numbers = distinct.tuples.seen.capacity() * (size_of::<Seen>() + size_of::<String>());
        distinct.tuples.held.resize(distinct.size + numbers + distinct.places.capacity() * 25)?;
    }
    Ok(distinct.tuples)
}

struct Distinct {
    places: Digests,
    tuples: Tuples,
    /// Bytes of the rows and of the keys' texts.
    size: usize,
    /// Of the row at hand.
    text: String,
}

impl Distinct {
    fn add(&mut self, batch: &RecordBatch, n_scopes: usize) -> Result<()> {
        let (seen, columns) = batch.columns().split_last().map_or((None, &[][..]), |(seen, rest)| (Some(seen), rest));
        let (scopes, ids) = columns.split_at(n_scopes.min(columns.len()));
        let seen = seen.map(instants).transpose()?;
        let values = |columns: &[ArrayRef]| columns.iter().map(Values::new).collect::<Result<Vec<_>>>();
        let (scopes, ids) = (values(scopes)?, values(ids)?);
        let mut is_new = BooleanBuilder::with_capacity(batch.num_rows());
        let before = self.tuples.seen.len();
        for row in 0..batch.num_rows() {
            self.text.clear();
            if !push_key(&mut self.text, &ids, row) {
                is_new.append_value(false);
                continue;
            }
            let key = self.text.len();
            push_key(&mut self.text, &scopes, row);
            let at = seen.as_ref().filter(|seen| seen.is_valid(row)).map(|seen| seen.value(row));
            let here = at.map_or(Seen::NEVER, Seen::at);
            let next = self.tuples.seen.len() as u32;
            let place = *self.places.entry(Digest::of(&self.text)).or_insert(next);
            is_new.append_value(place == next);
            if place == next {
                self.tuples.keys.push(self.text[..key].to_owned());
                self.size += key;
                self.tuples.seen.push(here);
            } else {
                let known = &mut self.tuples.seen[place as usize];
                *known = known.and(here);
            }
        }
        if self.tuples.seen.len() > before {
            let rows = filter_record_batch(batch, &is_new.finish())?;
            let rows = alone(&rows)?;
            self.size += rows.get_array_memory_size();
            self.tuples.rows.push(rows);
        }
        Ok(())
    }
}

/// The rows without the buffers of all the rows that they were among.
fn alone(rows: &RecordBatch) -> Result<RecordBatch> {
    let columns = rows.columns().iter().map(|column| match column.as_string_view_opt() {
        Some(texts) => Arc::new(texts.gc()) as ArrayRef,
        None => Arc::clone(column),
    });
    Ok(RecordBatch::try_new(rows.schema(), columns.collect())?)
}

fn instants(column: &ArrayRef) -> Result<TimestampMicrosecondArray> {
    let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Ok(cast(column, &instant)?.as_primitive::<TimestampMicrosecondType>().clone())
}
