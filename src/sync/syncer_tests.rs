use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use datafusion::arrow::array::{Array, AsArray, Int64Array, StringViewArray};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use proptest::prelude::*;

use super::*;
use crate::sync::destination::Batch;
use crate::sync::journal::Entry;
use crate::sync::state::{Desired, due, fold};

/// Everything outside the process: what survives when it dies.
#[derive(Default)]
struct World {
    rows: BTreeMap<String, Option<i64>>,
    batches: BTreeSet<String>,
    journal: Vec<Entry>,
    /// How often each row was added or updated.
    applied: BTreeMap<String, u32>,
    /// Effects until the process dies; none: it lives.
    fuse: Option<u32>,
    random: u64,
    /// Does the destination misbehave?
    chaos: bool,
    now: i64,
    sent: Vec<(Operation, String, usize)>,
    slept: Vec<u64>,
    /// Rows that the destination never takes.
    poison: BTreeSet<String>,
}

impl World {
    /// An effect boundary: the process may die here, and nothing happens after it.
    fn step(&mut self) -> Result<(), Failure> {
        match &mut self.fuse {
            Some(0) => Err(Failure::world("W602", "testing", "the process died")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn roll(&mut self, sides: u64) -> u64 {
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

type Shared = Arc<Mutex<World>>;

fn lock(world: &Shared) -> MutexGuard<'_, World> {
    world.lock().unwrap()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Takes rows one by one, may be asked twice: a table.
    Table,
    /// Takes a batch whole and can say whether it has it: a folder.
    Folder,
    /// Takes a batch whole, can say whether it has it, must not be asked twice.
    Ledger,
    /// Can say nothing and must not be asked twice.
    Mailbox,
}

struct Fake {
    world: Shared,
    kind: Kind,
}

#[async_trait]
impl Destination for Fake {
    async fn prepare(&mut self, _: &Target) -> Result<(), Failure> {
        Ok(())
    }

    async fn send(&mut self, _: &Target, batch: &Batch) -> Result<Vec<Outcome>, Failure> {
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
        Ok(outcomes)
    }

    async fn delivered(&mut self, _: &Target, batch_id: &str) -> Result<Option<bool>, Failure> {
        let mut world = lock(&self.world);
        world.step()?;
        let tells = matches!(self.kind, Kind::Folder | Kind::Ledger);
        Ok(tells.then(|| world.batches.contains(batch_id)))
    }

    fn idempotent(&self) -> bool {
        matches!(self.kind, Kind::Table | Kind::Folder)
    }

    fn max_rows(&self) -> usize {
        3
    }
}

struct Durable(Shared);

#[async_trait]
impl Journal for Durable {
    async fn intend(&mut self, intents: &[Intent]) -> Result<(), Failure> {
        let mut world = lock(&self.0);
        world.step()?;
        world.journal.extend(intents.iter().cloned().map(Entry::Intent));
        world.step()
    }

    async fn record(&mut self, receipts: &[Receipt]) -> Result<(), Failure> {
        let mut world = lock(&self.0);
        world.step()?;
        world.journal.extend(receipts.iter().cloned().map(Entry::Receipt));
        world.step()
    }
}

struct Ticking(Shared);

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

fn target() -> Target {
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
    }
}

const TERMS: Terms = Terms {
    on_withdraw: Operation::Remove,
    window_rows: 7,
    attempts: 3,
    backoff: Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(4) },
    give_up_after: 2,
};

struct DueRow {
    action: Action,
    key: String,
    hash: Option<String>,
    value: Option<i64>,
    deliveries: u64,
}

fn queue_schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8View, true);
    Arc::new(Schema::new(vec![
        text("customer_id"),
        text("key"),
        text("action"),
        text("desired_hash"),
        Field::new("deliveries", DataType::Int64, true),
        text("field_email"),
        Field::new("field_n", DataType::Int64, true),
    ]))
}

fn stream(rows: &[DueRow], chunk: usize) -> SendableRecordBatchStream {
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
                    text(|row| Some(&row.key)),
                    number(|row| row.value),
                ],
            )
            .unwrap())
        })
        .collect();
    Box::pin(RecordBatchStreamAdapter::new(queue_schema(), futures::stream::iter(batches)))
}

fn adds(count: i64) -> Vec<DueRow> {
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

async fn delivered(world: &Shared, kind: Kind, rows: &[DueRow], cancel: &Cancel) -> Summary {
    let mut fake = Fake { world: Arc::clone(world), kind };
    let mut journal = Durable(Arc::clone(world));
    let clock = Ticking(Arc::clone(world));
    deliver(&mut fake, &target(), stream(rows, 5), &mut journal, &TERMS, &clock, cancel).await
}

#[tokio::test]
async fn batches_hold_one_operation_and_go_in_order() {
    let world = Shared::default();
    let mut rows = Vec::new();
    for (action, count) in
        [(Action::Withdraw, 1), (Action::Remove, 2), (Action::Clear, 1), (Action::Add, 4), (Action::Update, 1)]
    {
        for n in 0..count {
            let leaves = matches!(action, Action::Withdraw | Action::Remove);
            let hash = (!leaves).then(|| "h".to_owned());
            rows.push(DueRow { action, key: format!("{}{n}", action.name()), hash, value: Some(1), deliveries: 0 });
        }
    }
    let summary = delivered(&world, Kind::Table, &rows, &Cancel::default()).await;
    assert_eq!((summary.ended.clone(), summary.count(Verdict::Accepted)), (Ended::Complete, 9));
    let sent: Vec<_> = lock(&world).sent.iter().map(|(operation, _, rows)| (*operation, *rows)).collect();
    let expected = [
        // A withdrawal and two removals are one deletion.
        (Operation::Remove, 3),
        (Operation::Clear, 1),
        (Operation::Add, 3),
        (Operation::Add, 1),
        (Operation::Update, 1),
    ];
    assert_eq!(sent, expected, "cut by operation and by the most rows of a batch; windows hold seven rows");
}

#[tokio::test]
async fn the_same_rows_have_the_same_batch_id_and_later_ones_another() {
    let ids = |rows: Vec<DueRow>| async move {
        let world = Shared::default();
        delivered(&world, Kind::Table, &rows, &Cancel::default()).await;
        lock(&world).sent.iter().map(|(_, id, _)| id.clone()).collect::<Vec<_>>()
    };
    let first = ids(adds(2)).await;
    assert_eq!(first, ids(adds(2)).await);
    let mut later = adds(2);
    later[1].deliveries = 1;
    assert_ne!(first, ids(later).await, "sent again after it was removed");
    let mut other = adds(2);
    other[1].hash = Some("other".into());
    assert_ne!(first, ids(other).await);
}

#[tokio::test]
async fn a_destination_that_is_down_is_tried_and_given_up_and_nothing_is_lost() {
    let world = Shared::default();
    // Two effects of the journal's intent, then every send fails; the journal works.
    struct Down(Shared);
    #[async_trait]
    impl Destination for Down {
        async fn prepare(&mut self, _: &Target) -> Result<(), Failure> {
            Ok(())
        }
        async fn send(&mut self, _: &Target, batch: &Batch) -> Result<Vec<Outcome>, Failure> {
            lock(&self.0).sent.push((batch.operation, batch.id.clone(), 0));
            Err(Failure::world("W602", "testing", "down"))
        }
        async fn delivered(&mut self, _: &Target, _: &str) -> Result<Option<bool>, Failure> {
            Ok(None)
        }
        fn idempotent(&self) -> bool {
            true
        }
        fn max_rows(&self) -> usize {
            2
        }
    }
    let mut journal = Durable(Arc::clone(&world));
    let clock = Ticking(Arc::clone(&world));
    let rows = adds(9);
    let summary = deliver(
        &mut Down(Arc::clone(&world)),
        &target(),
        stream(&rows, 4),
        &mut journal,
        &TERMS,
        &clock,
        &Cancel::default(),
    )
    .await;
    assert!(matches!(&summary.ended, Ended::Failed(failure) if failure.code == "W602"), "{summary:?}");
    assert_eq!((summary.count(Verdict::Retry), summary.count(Verdict::NotSent)), (4, 3));
    let world = lock(&world);
    assert_eq!(world.slept, [1, 2, 1, 2]);
    assert_eq!(world.sent.len(), 6, "two batches, three attempts each");
    let state = fold([], &world.journal, &Backoff::BETWEEN_RUNS);
    assert!(state.iter().all(|row| row.delivered_hash.is_none() && row.doubt.is_none()), "{state:?}");
    assert_eq!(state.len(), 7, "the last two rows were never read into a window");
}

#[tokio::test]
async fn a_stop_is_heeded_and_what_was_not_sent_stays_due() {
    let world = Shared::default();
    let cancel = Cancel::default();
    cancel.cancel();
    let summary = delivered(&world, Kind::Table, &adds(4), &cancel).await;
    assert_eq!(summary.ended, Ended::Cancelled);
    let world = lock(&world);
    assert_eq!((world.sent.len(), world.journal.len()), (0, 0));
}

#[tokio::test]
async fn a_malformed_queue_is_refused_before_anything_is_sent() {
    for spoil in [
        |rows: &mut Vec<DueRow>| rows[0].hash = None,
        |rows: &mut Vec<DueRow>| rows[0].action = Action::Update,
        |rows: &mut Vec<DueRow>| rows[0].action = Action::Withdraw,
        |rows: &mut Vec<DueRow>| rows[0].value = None,
    ] {
        let world = Shared::default();
        let mut rows = adds(2);
        spoil(&mut rows);
        let summary = delivered(&world, Kind::Table, &rows, &Cancel::default()).await;
        assert!(matches!(&summary.ended, Ended::Failed(failure) if failure.code == "W604"), "{summary:?}");
        assert!(lock(&world).sent.is_empty());
    }
}

#[tokio::test]
async fn a_queue_that_breaks_and_a_connector_that_miscounts_end_the_sync() {
    struct Miscounts;
    #[async_trait]
    impl Destination for Miscounts {
        async fn prepare(&mut self, _: &Target) -> Result<(), Failure> {
            Ok(())
        }
        async fn send(&mut self, _: &Target, _: &Batch) -> Result<Vec<Outcome>, Failure> {
            Ok(Vec::new())
        }
        async fn delivered(&mut self, _: &Target, _: &str) -> Result<Option<bool>, Failure> {
            Ok(None)
        }
        fn idempotent(&self) -> bool {
            true
        }
        fn max_rows(&self) -> usize {
            100
        }
    }
    let world = Shared::default();
    let mut journal = Durable(Arc::clone(&world));
    let clock = Ticking(Arc::clone(&world));
    let run =
        deliver(&mut Miscounts, &target(), stream(&adds(2), 2), &mut journal, &TERMS, &clock, &Cancel::default()).await;
    assert!(matches!(&run.ended, Ended::Failed(failure) if failure.code == "W606"), "{run:?}");
    assert_eq!(run.count(Verdict::Unknown), 2, "nobody knows what became of them");

    let broken = futures::stream::iter([Err(DataFusionError::Execution("spilled".into()))]);
    let broken = Box::pin(RecordBatchStreamAdapter::new(queue_schema(), broken));
    let run = deliver(&mut Miscounts, &target(), broken, &mut journal, &TERMS, &clock, &Cancel::default()).await;
    assert!(matches!(&run.ended, Ended::Failed(failure) if failure.code == "W605"), "{run:?}");
}

/// What the project wants at one moment.
#[derive(Clone, Default)]
struct Wanted {
    rows: BTreeMap<String, i64>,
    withdrawn: BTreeSet<String>,
}

/// One run of a sync, as the use-case does it: fold, settle, fold, compare, deliver.
async fn run(world: &Shared, kind: Kind, wanted: &Wanted, clear: bool) -> Option<usize> {
    let backoff = Backoff::BETWEEN_RUNS;
    let mut fake = Fake { world: Arc::clone(world), kind };
    let mut journal = Durable(Arc::clone(world));
    let clock = Ticking(Arc::clone(world));
    let doubts: Vec<State> =
        fold([], &lock(world).journal, &backoff).into_iter().filter(|row| row.doubt.is_some()).collect();
    settle(&mut fake, &target(), &doubts, &mut journal, &clock).await.ok()?;
    let state = fold([], &lock(world).journal, &backoff);
    let state: BTreeMap<&str, &State> = state.iter().map(|row| (row.key.as_str(), row)).collect();
    let keys: BTreeSet<&str> = state.keys().copied().chain(wanted.rows.keys().map(String::as_str)).collect();
    let mut rows = Vec::new();
    for key in keys {
        let value = wanted.rows.get(key).copied();
        let hash = value.map(|value| format!("h{value}"));
        let desired = match &hash {
            Some(hash) => Desired::Row(hash),
            None if wanted.withdrawn.contains(key) => Desired::Withdrawn(None),
            None if clear => Desired::Cleared("cleared"),
            None => Desired::Gone,
        };
        let row = state.get(key).copied();
        if let Some(action) = due(row, desired, clock.now(), fake.idempotent()) {
            let hash = hash.or_else(|| (action == Action::Clear).then(|| "cleared".to_owned()));
            rows.push(DueRow {
                action,
                key: key.to_owned(),
                hash,
                value,
                deliveries: row.map_or(0, |row| row.deliveries),
            });
        }
    }
    rows.sort_by(|a, b| (a.action, &a.key).cmp(&(b.action, &b.key)));
    let chunk = lock(world).roll(6) as usize + 1;
    let count = rows.len();
    deliver(&mut fake, &target(), stream(&rows, chunk), &mut journal, &TERMS, &clock, &Cancel::default()).await;
    Some(count)
}

/// What the state says without doubt is so.
fn assert_honest(world: &World) {
    for row in fold([], &world.journal, &Backoff::BETWEEN_RUNS) {
        if row.doubt.is_some() {
            continue;
        }
        let there = world.rows.get(&row.key).copied();
        let expected = match row.delivered_hash.as_deref() {
            None => None,
            // A row that may have been there, and was cleared to be sure, may not be there at all.
            Some("cleared") => there.and(Some(None)),
            Some(hash) => Some(hash.strip_prefix('h').and_then(|value| value.parse().ok())),
        };
        assert_eq!(there, expected, "{row:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_fails_and_wherever_it_dies_the_destination_ends_with_what_is_desired(
        seed in any::<u64>(),
        kind in prop_oneof![Just(Kind::Table), Just(Kind::Folder), Just(Kind::Ledger), Just(Kind::Mailbox)],
        fuses in prop::collection::vec(prop::option::of(0_u32..40), 1..7),
        clear in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let world = Shared::default();
            let resends = matches!(kind, Kind::Table | Kind::Folder);
            {
                let mut world = lock(&world);
                world.random = seed;
                world.chaos = true;
                if kind == Kind::Table {
                    world.poison = BTreeSet::from(["p05".to_owned(), "p11".to_owned()]);
                }
            }
            let mut wanted = Wanted::default();
            for (number, fuse) in fuses.iter().enumerate() {
                let mut outside = lock(&world);
                // Where a row must not be sent twice, its value stays, so that sending it once can be counted.
                if number == 0 || resends {
                    wanted.rows.clear();
                    for person in 0..16 {
                        let key = format!("p{person:02}");
                        let value = outside.roll(3) as i64;
                        if resends && outside.roll(12) == 0 {
                            wanted.withdrawn.insert(key);
                        } else if outside.roll(3) > 0 && !wanted.withdrawn.contains(&key) {
                            wanted.rows.insert(key, value);
                        }
                    }
                }
                outside.fuse = *fuse;
                outside.now += 3600;
                drop(outside);
                run(&world, kind, &wanted, clear).await;
                assert_honest(&lock(&world));
            }
            lock(&world).fuse = None;
            lock(&world).chaos = false;
            let mut left = None;
            for _ in 0..4 {
                lock(&world).now += 40 * 24 * 3600;
                left = run(&world, kind, &wanted, clear).await;
                assert_honest(&lock(&world));
            }
            let world = lock(&world);
            if kind != Kind::Mailbox {
                let poisoned = wanted.rows.keys().filter(|key| world.poison.contains(*key)).count();
                assert_eq!(left, Some(poisoned), "only what can never be taken is still due");
                let there: BTreeMap<_, _> =
                    world.rows.iter().filter_map(|(key, value)| value.map(|value| (key.clone(), value))).collect();
                let mut desired = wanted.rows.clone();
                desired.retain(|key, _| !world.poison.contains(key));
                assert_eq!(there, desired);
                for (key, value) in &world.rows {
                    assert!(!wanted.withdrawn.contains(key), "{key} was withdrawn and is still there");
                    assert!(clear || value.is_some(), "{key} was cleared, not deleted");
                }
            }
            if !resends {
                assert!(world.applied.values().all(|&times| times == 1), "sent twice: {:?}", world.applied);
            }
            // The journal may be folded in pieces.
            let backoff = Backoff::BETWEEN_RUNS;
            let cut = world.journal.len() * (seed % 100) as usize / 100;
            let (first, second) = world.journal.split_at(cut);
            assert_eq!(fold(fold([], first, &backoff), second, &backoff), fold([], &world.journal, &backoff));
        });
    }
}
