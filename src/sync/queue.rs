//! The due rows of a sync, cut into windows of batches.
//!
//! Due rows arrive in the order in which they are sent: withdrawals, removals, clears, adds, updates. Their columns:
//!
//! | column | type | |
//! |---|---|---|
//! | `customer_id` | text | |
//! | `key` | text | canonical JSON of the key |
//! | `action` | text | `withdraw`, `remove`, `clear`, `add`, `update` |
//! | `desired_hash` | text, nullable | what the destination then holds; null where the row is deleted |
//! | `deliveries` | integer, nullable | of the row's state; null is 0 |
//! | `destination_id` | text, nullable | of the row's state |
//! | `field_<name>` | the target's type | one per column of the target's schema; for leavers only the key matters |
//!
//! Memory: four windows of rows (one is sent, one intended, one waits, one is read), as Arrow and as intents.

use std::collections::VecDeque;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, UInt64Array, new_null_array};
use datafusion::arrow::compute::{cast, concat_batches, take_record_batch};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::runtime::SpawnedTask;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use tokio::sync::mpsc;

use super::destination::{Batch, Operation, Target};
use super::journal::{Action, Intent};
use crate::diag::Failure;

/// A batch with what is journaled about each of its rows.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) batch: Batch,
    pub(super) intents: Vec<Intent>,
    /// Of each row's state; part of the batch's id.
    pub(super) deliveries: Vec<u64>,
    /// How often these rows were sent in this run.
    pub(super) attempt: u32,
}

impl Prepared {
    /// Some of the rows, as a batch of its own.
    pub(super) fn part(&self, target: &Target, rows: &[usize]) -> Result<Self, Failure> {
        let indices = UInt64Array::from_iter_values(rows.iter().map(|&row| row as u64));
        let taken = take_record_batch(&self.batch.rows, &indices).map_err(|error| malformed(target, error))?;
        let intents: Vec<Intent> = rows.iter().map(|&row| self.intents[row].clone()).collect();
        let deliveries = rows.iter().map(|&row| self.deliveries[row]).collect();
        let ids = rows.iter().map(|&row| self.batch.ids[row].clone()).collect();
        let batch = Batch { operation: self.batch.operation, id: String::new(), rows: taken, ids };
        Ok(Self::new(target, batch, intents, deliveries, self.attempt))
    }

    /// Gives the batch and its intents their id.
    fn new(target: &Target, mut batch: Batch, mut intents: Vec<Intent>, deliveries: Vec<u64>, attempt: u32) -> Self {
        batch.id = batch_id(target, batch.operation, &intents, &deliveries);
        for intent in &mut intents {
            intent.batch_id.clone_from(&batch.id);
        }
        Self { batch, intents, deliveries, attempt }
    }
}

/// The same for the same rows in the same state, another one for anything else: 32 hex digits.
fn batch_id(target: &Target, operation: Operation, intents: &[Intent], deliveries: &[u64]) -> String {
    let mut hasher = blake3::Hasher::new();
    // Each text goes with its length, so that no two lists of texts run into the same bytes.
    let mut text = |text: Option<&str>| {
        hasher.update(&text.map_or(u64::MAX, |text| text.len() as u64).to_le_bytes());
        hasher.update(text.unwrap_or_default().as_bytes());
    };
    text(Some(&target.sync));
    text(target.object.as_deref());
    text(Some(operation.name()));
    for (intent, deliveries) in intents.iter().zip(deliveries) {
        text(Some(&intent.key));
        text(intent.desired_hash.as_deref());
        text(Some(&deliveries.to_string()));
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

/// Reads due rows and cuts them.
pub(super) struct Queue {
    target: Target,
    stream: SendableRecordBatchStream,
    /// Rows that were read and are not in a window yet; all not empty.
    read: VecDeque<Due>,
    last: Action,
    max_rows: usize,
    window_rows: usize,
    on_withdraw: Operation,
}

/// The first batches of what is due, as `syncer::deliver` would cut them.
pub async fn first_batches(
    target: &Target,
    due: SendableRecordBatchStream,
    max_rows: usize,
    on_withdraw: Operation,
) -> Result<Vec<Batch>, Failure> {
    let mut queue = Queue::new(target, due, max_rows, max_rows, on_withdraw);
    let mut batches = Vec::new();
    loop {
        let window = queue.window().await?;
        if window.is_empty() {
            return Ok(batches);
        }
        batches.extend(window.into_iter().map(|prepared| prepared.batch));
    }
}

/// Windows as they are read.
pub(super) struct Ahead {
    doing: String,
    next: mpsc::Receiver<Result<Vec<Prepared>, Failure>>,
    /// Ends with this.
    _reading: SpawnedTask<()>,
}

impl Ahead {
    /// As [`Queue::window`].
    pub(super) async fn window(&mut self) -> Result<Vec<Prepared>, Failure> {
        let ended = || Failure::world("W605", self.doing.clone(), "it ended early").help("run the sync again");
        self.next.recv().await.unwrap_or_else(|| Err(ended()))
    }
}

/// Some due rows as they were read.
struct Due {
    intents: Vec<Intent>,
    deliveries: Vec<u64>,
    ids: Vec<Option<String>>,
    fields: RecordBatch,
}

impl Queue {
    pub(super) fn new(
        target: &Target,
        stream: SendableRecordBatchStream,
        max_rows: usize,
        window_rows: usize,
        on_withdraw: Operation,
    ) -> Self {
        let max_rows = max_rows.max(1);
        let window_rows = window_rows.max(max_rows);
        let target = target.clone();
        Self { target, stream, read: VecDeque::new(), last: Action::Withdraw, max_rows, window_rows, on_withdraw }
    }

    /// Reads on a task of its own, a window ahead of who takes them.
    pub(super) fn ahead(mut self) -> Ahead {
        let doing = format!("reading what is due in the sync `{}`", self.target.sync);
        let (windows, next) = mpsc::channel(1);
        let reading = SpawnedTask::spawn(async move {
            loop {
                let window = self.window().await;
                let is_last = window.as_ref().map_or(true, Vec::is_empty);
                if windows.send(window).await.is_err() || is_last {
                    return;
                }
            }
        });
        Ahead { doing, next, _reading: reading }
    }

    /// The next batches, together at most a window of rows; none at the end.
    pub(super) async fn window(&mut self) -> Result<Vec<Prepared>, Failure> {
        let mut window = Vec::new();
        let mut room = self.window_rows;
        while room > 0 {
            let Some(batch) = self.batch(room.min(self.max_rows)).await? else { break };
            room -= batch.intents.len();
            window.push(batch);
        }
        Ok(window)
    }

    /// The next rows of one operation.
    async fn batch(&mut self, most: usize) -> Result<Option<Prepared>, Failure> {
        let mut parts: Vec<Due> = Vec::new();
        let mut count = 0;
        let mut operation = None;
        while count < most {
            if self.read.is_empty() && !self.read_more().await? {
                break;
            }
            let Some(mut due) = self.read.pop_front() else { break };
            let first = due.intents.first().map(|intent| intent.operation);
            if operation.is_some() && operation != first {
                self.read.push_front(due);
                break;
            }
            operation = first;
            let same = due.intents.iter().take_while(|intent| Some(intent.operation) == first).count();
            let cut = same.min(most - count);
            if cut < due.intents.len() {
                let rest = Due {
                    intents: due.intents.split_off(cut),
                    deliveries: due.deliveries.split_off(cut),
                    ids: due.ids.split_off(cut),
                    fields: due.fields.slice(cut, due.fields.num_rows() - cut),
                };
                due.fields = due.fields.slice(0, cut);
                self.read.push_front(rest);
            }
            count += cut;
            parts.push(due);
        }
        let Some(operation) = operation else { return Ok(None) };
        let schema = sent_schema(&self.target, operation);
        let sent = parts.iter().map(|due| sent_rows(&self.target, operation, &schema, &due.fields));
        let sent = sent.collect::<Result<Vec<_>, _>>()?;
        let rows = concat_batches(&schema, &sent).map_err(|error| malformed(&self.target, error))?;
        let (mut intents, mut deliveries) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let mut ids = Vec::with_capacity(count);
        for part in parts {
            intents.extend(part.intents);
            deliveries.extend(part.deliveries);
            ids.extend(part.ids);
        }
        let batch = Batch { operation, id: String::new(), rows, ids };
        Ok(Some(Prepared::new(&self.target, batch, intents, deliveries, 0)))
    }

    /// Reads until there are rows; false at the end.
    async fn read_more(&mut self) -> Result<bool, Failure> {
        while let Some(batch) = self.stream.next().await {
            let batch = batch.map_err(|error| {
                Failure::world("W605", format!("reading what is due in the sync `{}`", self.target.sync), error).help(
                    "run the sync again: what was delivered is recorded; if it fails again, run `cohorte build` first",
                )
            })?;
            if batch.num_rows() > 0 {
                let due = self.due(&batch)?;
                self.read.push_back(due);
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn due(&mut self, batch: &RecordBatch) -> Result<Due, Failure> {
        let wrong = |cause: &str| malformed(&self.target, cause);
        let text = |name: &str| -> Result<ArrayRef, Failure> {
            let column = batch.column_by_name(name).ok_or_else(|| wrong(&format!("it has no column `{name}`")))?;
            cast(column, &DataType::Utf8View).map_err(|error| malformed(&self.target, error))
        };
        let (customers, keys, actions, hashes) =
            (text("customer_id")?, text("key")?, text("action")?, text("desired_hash")?);
        let ids = text("destination_id")?;
        let ids = ids.as_string_view().iter().map(|id| id.map(str::to_owned)).collect();
        let deliveries = batch.column_by_name("deliveries").ok_or_else(|| wrong("it has no column `deliveries`"))?;
        let deliveries = cast(deliveries, &DataType::Int64).map_err(|error| malformed(&self.target, error))?;
        let deliveries = deliveries.as_primitive::<Int64Type>();
        let (customers, keys, actions, hashes) =
            (customers.as_string_view(), keys.as_string_view(), actions.as_string_view(), hashes.as_string_view());
        if keys.null_count() + customers.null_count() + actions.null_count() > 0 {
            return Err(wrong("a key, a customer or an action is null"));
        }
        let mut last = self.last;
        let mut intents = Vec::with_capacity(batch.num_rows());
        for row in 0..batch.num_rows() {
            let action = Action::named(actions.value(row)).ok_or_else(|| wrong("an action has an unknown name"))?;
            if action < last {
                return Err(wrong("its rows are not in the order withdraw, remove, clear, add, update"));
            }
            last = action;
            let operation = match action {
                Action::Withdraw => self.on_withdraw,
                Action::Remove => Operation::Remove,
                Action::Clear => Operation::Clear,
                Action::Add => Operation::Add,
                Action::Update => Operation::Update,
            };
            let desired_hash = hashes.is_valid(row).then(|| hashes.value(row).to_owned());
            if desired_hash.is_some() == (operation == Operation::Remove) {
                return Err(wrong("a row that is deleted has a hash, or another has none"));
            }
            intents.push(Intent {
                batch_id: String::new(),
                key: keys.value(row).to_owned(),
                customer_id: customers.value(row).to_owned(),
                action,
                operation,
                desired_hash,
            });
        }
        self.last = last;
        let mut fields = Vec::new();
        let mut columns = Vec::new();
        for field in self.target.schema.fields() {
            let name = format!("field_{}", field.name());
            let column = batch.column_by_name(&name).ok_or_else(|| wrong(&format!("it has no column `{name}`")))?;
            columns.push(cast(column, field.data_type()).map_err(|error| malformed(&self.target, error))?);
            fields.push(Arc::new(field.as_ref().clone().with_nullable(true)));
        }
        let fields = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
            .map_err(|error| malformed(&self.target, error))?;
        let deliveries = deliveries.iter().map(|count| count.unwrap_or(0).unsigned_abs()).collect();
        Ok(Due { intents, deliveries, ids, fields })
    }
}

/// Leavers carry their key alone; what is not needed is not sent.
fn sent_rows(
    target: &Target,
    operation: Operation,
    schema: &SchemaRef,
    fields: &RecordBatch,
) -> Result<RecordBatch, Failure> {
    let columns = schema.fields().iter().zip(fields.columns()).map(|(field, column)| {
        if keeps(target, operation, field) {
            Arc::clone(column)
        } else {
            new_null_array(column.data_type(), column.len())
        }
    });
    RecordBatch::try_new(Arc::clone(schema), columns.collect()).map_err(|error| malformed(target, error))
}

/// The target's schema, with what may be null here.
fn sent_schema(target: &Target, operation: Operation) -> SchemaRef {
    let fields = target.schema.fields().iter().map(|field| {
        let nullable = field.is_nullable() || !keeps(target, operation, field);
        field.as_ref().clone().with_nullable(nullable)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn keeps(target: &Target, operation: Operation, field: &Field) -> bool {
    matches!(operation, Operation::Add | Operation::Update) || target.key.contains(field.name())
}

fn malformed(target: &Target, cause: impl std::fmt::Display) -> Failure {
    Failure::world("W604", format!("reading the queue of the sync `{}`", target.sync), cause)
        .help("this is a defect of cohorte, nothing was sent: report it with the sync's definition")
}
