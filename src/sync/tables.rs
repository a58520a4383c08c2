//! The journal and the state as tables, there and back.
//!
//! A journal row without an `outcome` is an intent. The store adds what tells runs and syncs apart (`sync, account, object, audience,
//! sync_run_id`) and must keep the order of entries.

use std::sync::{Arc, LazyLock};

use chrono::{DateTime, Utc};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, StringViewArray, StringViewBuilder, TimestampMicrosecondArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::record_batch::RecordBatch;

use super::destination::Operation;
use super::journal::{Action, Entry, Intent, Receipt, Verdict};
use super::state::{Doubt, State, Status};

fn text(name: &str, nullable: bool) -> Field {
    Field::new(name, DataType::Utf8View, nullable)
}

fn instant(name: &str) -> Field {
    Field::new(name, instant_type(), true)
}

fn instant_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// Columns of the journal.
pub static JOURNAL: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        text("batch_id", false),
        text("key", false),
        text("customer_id", false),
        text("action", false),
        text("operation", false),
        text("desired_hash", true),
        text("outcome", true),
        text("code", true),
        text("message", true),
        instant("at"),
        text("destination_id", true),
    ]))
});

/// Columns of `sync_state`, without those that are constant within a sync.
pub static STATE: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        text("key", false),
        text("customer_id", false),
        text("delivered_hash", true),
        instant("delivered_at"),
        Field::new("deliveries", DataType::Int64, false),
        text("in_doubt_batch", true),
        text("in_doubt_action", true),
        text("in_doubt_operation", true),
        text("in_doubt_hash", true),
        text("status", false),
        text("destination_id", true),
        text("attempted_hash", true),
        Field::new("attempts", DataType::Int64, false),
        instant("next_attempt_at"),
        text("error", true),
    ]))
});

/// Journal entries as a table: intents, and receipts with theirs.
pub fn journal_batch<'a>(
    entries: &(impl Iterator<Item = (&'a Intent, Option<&'a Receipt>)> + Clone),
) -> Result<RecordBatch, ArrowError> {
    let intent = |of: fn(&Intent) -> Option<&str>| texts(entries.clone().map(|(intent, _)| of(intent)));
    let told = |of: fn(&Receipt) -> Option<&str>| texts(entries.clone().map(|(_, receipt)| receipt.and_then(of)));
    RecordBatch::try_new(
        Arc::clone(&JOURNAL),
        vec![
            intent(|intent| Some(&intent.batch_id)),
            intent(|intent| Some(&intent.key)),
            intent(|intent| Some(&intent.customer_id)),
            intent(|intent| Some(intent.action.name())),
            intent(|intent| Some(intent.operation.name())),
            intent(|intent| intent.desired_hash.as_deref()),
            told(|receipt| Some(receipt.verdict.name())),
            told(|receipt| receipt.code.as_deref()),
            told(|receipt| receipt.message.as_deref()),
            instants(entries.clone().map(|(_, receipt)| receipt.map(|receipt| receipt.at))),
            told(|receipt| receipt.destination_id.as_deref()),
        ],
    )
}

/// A table of the journal as entries, in its order. Other columns are passed over.
pub fn journal_entries(table: &RecordBatch) -> Result<Vec<Entry>, ArrowError> {
    let read = Reader(table);
    let (batches, keys, customers) = (read.texts("batch_id")?, read.texts("key")?, read.texts("customer_id")?);
    let (actions, operations) = (read.texts("action")?, read.texts("operation")?);
    let (hashes, outcomes, codes) = (read.texts("desired_hash")?, read.texts("outcome")?, read.texts("code")?);
    let (messages, times, ids) = (read.texts("message")?, read.instants("at")?, read.texts("destination_id")?);
    (0..table.num_rows())
        .map(|row| {
            let intent = Intent {
                batch_id: needed(&batches, row, "batch_id")?,
                key: needed(&keys, row, "key")?,
                customer_id: needed(&customers, row, "customer_id")?,
                action: word(&actions, row, "action", Action::named)?,
                operation: word(&operations, row, "operation", Operation::named)?,
                desired_hash: value(&hashes, row),
            };
            if outcomes.is_null(row) {
                return Ok(Entry::Intent(intent));
            }
            Ok(Entry::Receipt(Receipt {
                intent,
                verdict: word(&outcomes, row, "outcome", Verdict::named)?,
                code: value(&codes, row),
                message: value(&messages, row),
                at: moment(&times, row).ok_or_else(|| missing("at"))?,
                destination_id: value(&ids, row),
            }))
        })
        .collect()
}

/// Rows of the state as a table.
pub fn state_batch(rows: &[State]) -> Result<RecordBatch, ArrowError> {
    let state = |of: fn(&State) -> Option<&str>| texts(rows.iter().map(of));
    let doubt = |of: fn(&Doubt) -> Option<&str>| texts(rows.iter().map(|row| row.doubt.as_ref().and_then(of)));
    let deliveries: Int64Array =
        rows.iter().map(|row| Some(i64::try_from(row.deliveries).unwrap_or(i64::MAX))).collect();
    let attempts: Int64Array = rows.iter().map(|row| Some(i64::from(row.attempts))).collect();
    RecordBatch::try_new(
        Arc::clone(&STATE),
        vec![
            state(|row| Some(&row.key)),
            state(|row| Some(&row.customer_id)),
            state(|row| row.delivered_hash.as_deref()),
            instants(rows.iter().map(|row| row.delivered_at)),
            Arc::new(deliveries),
            doubt(|doubt| doubt.batch.as_deref()),
            doubt(|doubt| Some(doubt.action.name())),
            doubt(|doubt| Some(doubt.operation.name())),
            doubt(|doubt| doubt.hash.as_deref()),
            state(|row| Some(row.status.name())),
            state(|row| row.destination_id.as_deref()),
            state(|row| row.attempted_hash.as_deref()),
            Arc::new(attempts),
            instants(rows.iter().map(|row| row.next_attempt_at)),
            state(|row| row.error.as_deref()),
        ],
    )
}

/// A table of the state as rows. Other columns are passed over.
pub fn state_rows(table: &RecordBatch) -> Result<Vec<State>, ArrowError> {
    let read = Reader(table);
    let (keys, customers, delivered) = (read.texts("key")?, read.texts("customer_id")?, read.texts("delivered_hash")?);
    let (times, deliveries) = (read.instants("delivered_at")?, read.integers("deliveries")?);
    let (doubt_batches, doubt_actions) = (read.texts("in_doubt_batch")?, read.texts("in_doubt_action")?);
    let (doubt_operations, doubt_hashes) = (read.texts("in_doubt_operation")?, read.texts("in_doubt_hash")?);
    let (statuses, ids, attempted) =
        (read.texts("status")?, read.texts("destination_id")?, read.texts("attempted_hash")?);
    let (attempts, next, errors) =
        (read.integers("attempts")?, read.instants("next_attempt_at")?, read.texts("error")?);
    let (deliveries, attempts) = (deliveries.as_primitive::<Int64Type>(), attempts.as_primitive::<Int64Type>());
    (0..table.num_rows())
        .map(|row| {
            let doubt = if doubt_operations.is_null(row) {
                None
            } else {
                Some(Doubt {
                    batch: value(&doubt_batches, row),
                    action: word(&doubt_actions, row, "in_doubt_action", Action::named)?,
                    operation: word(&doubt_operations, row, "in_doubt_operation", Operation::named)?,
                    hash: value(&doubt_hashes, row),
                })
            };
            Ok(State {
                key: needed(&keys, row, "key")?,
                customer_id: needed(&customers, row, "customer_id")?,
                delivered_hash: value(&delivered, row),
                delivered_at: moment(&times, row),
                deliveries: deliveries.value(row).unsigned_abs(),
                doubt,
                status: word(&statuses, row, "status", Status::named)?,
                destination_id: value(&ids, row),
                attempted_hash: value(&attempted, row),
                attempts: u32::try_from(attempts.value(row)).unwrap_or(u32::MAX),
                next_attempt_at: moment(&next, row),
                error: value(&errors, row),
            })
        })
        .collect()
}

fn texts<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    let mut builder = StringViewBuilder::new();
    values.for_each(|value| builder.append_option(value));
    Arc::new(builder.finish())
}

fn instants(values: impl Iterator<Item = Option<DateTime<Utc>>>) -> ArrayRef {
    let values: TimestampMicrosecondArray = values.map(|at| at.map(|at| at.timestamp_micros())).collect();
    Arc::new(values.with_timezone("UTC"))
}

/// Finds columns by name and takes any encoding of their type, such as a reader of Parquet gives.
struct Reader<'a>(&'a RecordBatch);

impl Reader<'_> {
    fn column(&self, name: &str, kind: &DataType) -> Result<ArrayRef, ArrowError> {
        cast(self.0.column_by_name(name).ok_or_else(|| missing(name))?, kind)
    }

    fn texts(&self, name: &str) -> Result<StringViewArray, ArrowError> {
        Ok(self.column(name, &DataType::Utf8View)?.as_string_view().clone())
    }

    fn integers(&self, name: &str) -> Result<ArrayRef, ArrowError> {
        self.column(name, &DataType::Int64)
    }

    fn instants(&self, name: &str) -> Result<ArrayRef, ArrowError> {
        self.column(name, &instant_type())
    }
}

fn missing(name: &str) -> ArrowError {
    ArrowError::SchemaError(format!("`{name}` is missing or null"))
}

fn value(column: &StringViewArray, row: usize) -> Option<String> {
    column.is_valid(row).then(|| column.value(row).to_owned())
}

fn needed(column: &StringViewArray, row: usize, name: &str) -> Result<String, ArrowError> {
    value(column, row).ok_or_else(|| missing(name))
}

fn word<T>(column: &StringViewArray, row: usize, name: &str, named: fn(&str) -> Option<T>) -> Result<T, ArrowError> {
    let text = needed(column, row, name)?;
    named(&text).ok_or_else(|| ArrowError::ParseError(format!("`{name}` has an unknown value")))
}

fn moment(column: &ArrayRef, row: usize) -> Option<DateTime<Utc>> {
    let column = column.as_primitive::<TimestampMicrosecondType>();
    if column.is_null(row) { None } else { DateTime::from_timestamp_micros(column.value(row)) }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::sync::clock::Backoff;
    use crate::sync::destination::Outcome;
    use crate::sync::state::fold;

    fn journal() -> Vec<Entry> {
        let at = |seconds| DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds);
        let intent = |key: &str, operation, hash: Option<&str>| Intent {
            batch_id: "b".into(),
            key: key.into(),
            customer_id: "c".into(),
            action: Action::Withdraw,
            operation,
            desired_hash: hash.map(str::to_owned),
        };
        let (one, two, three) = (
            intent("1", Operation::Add, Some("h")),
            intent("2", Operation::Remove, None),
            intent("3", Operation::Clear, Some("h")),
        );
        let accepted = Outcome::Accepted { destination_id: Some("id".into()) };
        let rejected = Outcome::Rejected { code: "c".into(), message: "m".into() };
        vec![
            Entry::Intent(one.clone()),
            Entry::Intent(two.clone()),
            Entry::Intent(three),
            Entry::Receipt(Receipt::of(one, accepted, at(1))),
            Entry::Receipt(Receipt::of(two, rejected, at(2))),
        ]
    }

    fn entries(journal: &[Entry]) -> impl Iterator<Item = (&Intent, Option<&Receipt>)> + Clone {
        journal.iter().map(|entry| match entry {
            Entry::Intent(intent) => (intent, None),
            Entry::Receipt(receipt) => (&receipt.intent, Some(receipt)),
        })
    }

    #[test]
    fn the_journal_goes_there_and_back() {
        let table = journal_batch(&entries(&journal())).unwrap();
        assert_eq!(journal_entries(&table).unwrap(), journal());
    }

    #[test]
    fn the_state_goes_there_and_back() {
        let rows = fold([], &journal(), &Backoff::BETWEEN_RUNS);
        let table = state_batch(&rows).unwrap();
        assert_eq!(state_rows(&table).unwrap(), rows);
        assert!(rows.iter().any(|row| row.doubt.is_some()) && rows.iter().any(|row| row.error.is_some()));
    }

    #[test]
    fn a_table_with_an_unknown_word_is_an_error() {
        let table = journal_batch(&entries(&journal())).unwrap();
        let mut columns = table.columns().to_vec();
        columns[3] = Arc::new(StringViewArray::from(vec!["dance"; 5]));
        let table = RecordBatch::try_new(table.schema(), columns).unwrap();
        assert!(journal_entries(&table).unwrap_err().to_string().contains("action"));
    }
}
