//! A world for the syncer's tests: destinations that misbehave, a journal that survives, a process that dies at any effect.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use datafusion::arrow::array::{Array, AsArray, Int64Array, StringViewArray};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;

use super::clock::{Backoff, Cancel, Clock};
use super::destination::{Batch, Destination, Operation, Outcome, Sent, Target};
use super::journal::{Action, Entry, Intent, Journal, Permit, Receipt};
use super::syncer::{Summary, Terms, deliver};
use crate::diag::Failure;

/// Everything outside the process: what survives when it dies.
#[derive(Default)]
pub(super) struct World {
    pub(super) rows: BTreeMap<String, Option<i64>>,
    pub(super) batches: BTreeSet<String>,
    pub(super) journal: Vec<Entry>,
    /// How often each row was added or updated.
    pub(super) applied: BTreeMap<String, u32>,
    /// Effects until the process dies; none: it lives.
    pub(super) fuse: Option<u32>,
    pub(super) random: u64,
    /// Does the destination misbehave?
    pub(super) chaos: bool,
    pub(super) now: i64,
    pub(super) sent: Vec<(Operation, String, usize)>,
    pub(super) slept: Vec<u64>,
    /// Rows that the destination never takes.
    pub(super) poison: BTreeSet<String>,
}

impl World {
    /// An effect boundary: the process may die here, and nothing happens after it.
    pub(super) fn step(&mut self) -> Result<(), Failure> {
        match &mut self.fuse {
            Some(0) => Err(Failure::world("W602", "testing", "the process died")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % sides
    }

    fn apply(&mut self, operation: Operation, key: &str, value: Option<i64>) {
        match operation {
            Operation::Add | Operation::Update => {
                *self.applied.entry(key.to_owned()).or_default() += 1;
                self.rows.insert(key.to_owned(), value);
            }
            Operation::Remove => {
                self.rows.remove(key);
            }
            Operation::Clear => {
                if let Some(row) = self.rows.get_mut(key) {
                    *row = None;
                }
            }
        }
    }
}

pub(super) type Shared = Arc<Mutex<World>>;

pub(super) fn lock(world: &Shared) -> MutexGuard<'_, World> {
    world.lock().unwrap()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Takes rows one by one, may be asked twice: a table.
    Table,
    /// Takes a batch whole and can say whether it has it: a folder.
    Folder,
    /// Takes a batch whole, can say whether it has it, must not be asked twice.
    Ledger,
    /// Can say nothing and must not be asked twice.
    Mailbox,
}

pub(super) struct Fake {
    pub(super) world: Shared,
    pub(super) kind: Kind,
}

#[async_trait]
impl Destination for Fake {
    async fn prepare(&mut self, _: &Target) -> Result<(), Failure> {
        Ok(())
    }

    async fn send(&self, _: &Target, batch: &Batch) -> Result<Sent, Failure> {
        let mut world = lock(&self.world);
        world.step()?;
        if world.chaos && world.roll(5) == 0 {
            return Err(Failure::world("W602", "testing", "nothing was done"));
        }
        let keys = batch.rows.column(0).as_string_view();
        let values = batch.rows.column(1).as_primitive::<Int64Type>();
        world.sent.push((batch.operation, batch.id.clone(), keys.len()));
        let whole = matches!(self.kind, Kind::Folder | Kind::Ledger);
        let all = world.roll(12);
        let mut outcomes = Vec::new();
        for row in 0..keys.len() {
            let key = keys.value(row);
            let writes = matches!(batch.operation, Operation::Add | Operation::Update);
            assert!(writes || values.is_null(row), "leavers carry their key alone");
            let luck = if whole { all } else { world.roll(12) };
            let message = || (String::from("t"), String::from("test"));
            let (code, message) = message();
            let (done, outcome) = if writes && world.poison.contains(key) {
                (false, Outcome::Rejected { code, message })
            } else {
                match luck {
                    0 if world.chaos => (false, Outcome::Retry { code, message }),
                    1 if world.chaos => (false, Outcome::Unknown { code, message }),
                    2 if world.chaos => (true, Outcome::Unknown { code, message }),
                    _ => (true, Outcome::Accepted { destination_id: None }),
                }
            };
            if done {
                world.apply(batch.operation, key, values.is_valid(row).then(|| values.value(row)));
            }
            outcomes.push(outcome);
        }
        if whole && !matches!(all, 0 | 1 if world.chaos) {
            world.batches.insert(batch.id.clone());
        }
        world.step()?;
        Ok(outcomes.into())
    }

    async fn delivered(&self, _: &Target, batch_id: &str) -> Result<Option<bool>, Failure> {
        let mut world = lock(&self.world);
        world.step()?;
        let tells = matches!(self.kind, Kind::Folder | Kind::Ledger);
        Ok(tells.then(|| world.batches.contains(batch_id)))
    }

    fn may_resend(&self, _: Operation) -> bool {
        matches!(self.kind, Kind::Table | Kind::Folder)
    }

    fn max_rows(&self) -> usize {
        3
    }
}

pub(super) struct Durable(pub(super) Shared);

#[async_trait]
impl Permit for Durable {
    async fn permit(&self) -> Result<(), Failure> {
        Ok(())
    }
}

#[async_trait]
impl Journal for Durable {
    async fn write(&mut self, receipts: Vec<Receipt>, intents: Vec<Intent>) -> Result<(), Failure> {
        let mut world = lock(&self.0);
        world.step()?;
        world.journal.extend(receipts.into_iter().map(Entry::Receipt));
        world.journal.extend(intents.into_iter().map(Entry::Intent));
        world.step()
    }
}

pub(super) struct Ticking(pub(super) Shared);

#[async_trait]
impl Clock for Ticking {
    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(lock(&self.0).now)
    }

    async fn sleep(&self, pause: Duration) {
        let mut world = lock(&self.0);
        world.now += pause.as_secs() as i64;
        world.slept.push(pause.as_secs());
    }
}

pub(super) fn target() -> Target {
    Target {
        sync: "s".into(),
        object: None,
        key: vec!["email".into()],
        schema: Arc::new(Schema::new(vec![
            Field::new("email", DataType::Utf8View, false),
            Field::new("n", DataType::Int64, false),
        ])),
        clear: vec!["n".into()],
        may_create: true,
        may_update: true,
        ours: 0,
        omit_nulls: false,
    }
}

pub(super) const TERMS: Terms = Terms {
    on_withdraw: Operation::Remove,
    window_rows: 7,
    attempts: 3,
    backoff: Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(4) },
    give_up_after: 2,
};

pub(super) struct DueRow {
    pub(super) action: Action,
    pub(super) key: String,
    pub(super) hash: Option<String>,
    pub(super) value: Option<i64>,
    pub(super) deliveries: u64,
}

pub(super) fn queue_schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8View, true);
    Arc::new(Schema::new(vec![
        text("customer_id"),
        text("key"),
        text("action"),
        text("desired_hash"),
        Field::new("deliveries", DataType::Int64, true),
        text("destination_id"),
        text("field_email"),
        Field::new("field_n", DataType::Int64, true),
    ]))
}

pub(super) fn stream(rows: &[DueRow], chunk: usize) -> SendableRecordBatchStream {
    let batches: Vec<Result<RecordBatch, DataFusionError>> = rows
        .chunks(chunk.max(1))
        .map(|rows| {
            let text = |of: fn(&DueRow) -> Option<&str>| Arc::new(rows.iter().map(of).collect::<StringViewArray>());
            let number = |of: fn(&DueRow) -> Option<i64>| Arc::new(rows.iter().map(of).collect::<Int64Array>());
            Ok(RecordBatch::try_new(
                queue_schema(),
                vec![
                    text(|_| Some("c")),
                    text(|row| Some(&row.key)),
                    text(|row| Some(row.action.name())),
                    text(|row| row.hash.as_deref()),
                    number(|row| Some(row.deliveries as i64)),
                    text(|_| None),
                    text(|row| Some(&row.key)),
                    number(|row| row.value),
                ],
            )
            .unwrap())
        })
        .collect();
    Box::pin(RecordBatchStreamAdapter::new(queue_schema(), futures::stream::iter(batches)))
}

pub(super) fn adds(count: i64) -> Vec<DueRow> {
    (0..count)
        .map(|n| DueRow {
            action: Action::Add,
            key: format!("k{n:03}"),
            hash: Some(format!("h{n}")),
            value: Some(n),
            deliveries: 0,
        })
        .collect()
}

pub(super) async fn delivered(world: &Shared, kind: Kind, rows: &[DueRow], cancel: &Cancel) -> Summary {
    let mut fake = Fake { world: Arc::clone(world), kind };
    let mut journal = Durable(Arc::clone(world));
    let clock = Ticking(Arc::clone(world));
    let permit = Durable(Arc::clone(world));
    deliver(&mut fake, &target(), stream(rows, 5), &mut journal, &permit, &TERMS, &clock, cancel).await
}

/// A destination that gives the answers it is told to, whatever the rows.
pub(crate) struct Told<F>(pub(crate) Mutex<F>);

#[async_trait]
impl<F: FnMut(&Batch) -> Result<S, Failure> + Send, S: Into<Sent>> Destination for Told<F> {
    async fn prepare(&mut self, _: &Target) -> Result<(), Failure> {
        Ok(())
    }

    async fn send(&self, _: &Target, batch: &Batch) -> Result<Sent, Failure> {
        (self.0.lock().unwrap())(batch).map(Into::into)
    }

    async fn delivered(&self, _: &Target, _: &str) -> Result<Option<bool>, Failure> {
        Ok(None)
    }

    fn may_resend(&self, _: Operation) -> bool {
        true
    }

    fn max_rows(&self) -> usize {
        2
    }
}
