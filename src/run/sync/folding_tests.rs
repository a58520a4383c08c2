//! The merge of two sorted streams adds up to what a fold in memory gives, wherever batches are cut.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta};
use datafusion::arrow::array::AsArray;
use futures::TryStreamExt;

use super::*;
use crate::report::NoProgress;
use crate::run::sync::journal::DeltaJournal;
use crate::run::sync::testing::Shop;
use crate::store::{Lease, LeaseOptions};
use crate::sync::destination::Operation;
use crate::sync::journal::{Action, Intent, Journal as _, Receipt, Verdict};
use crate::sync::state::fold;
use crate::sync::tables::journal_batch;

/// Pseudo-random numbers below a bound.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

fn place(n: u64) -> Place {
    let object = (n > 0).then(|| format!("object {n}"));
    Place { account: Some("a".to_owned()), object, audience: None }
}

fn entry(dice: &mut Dice, seq: i64) -> Entry {
    let intent = Intent {
        batch_id: format!("b{}", dice.roll(5)),
        key: format!("k{:02}", dice.roll(12)),
        customer_id: format!("c{}", dice.roll(3)),
        action: Action::Add,
        operation: if dice.roll(4) == 0 { Operation::Remove } else { Operation::Add },
        desired_hash: Some(format!("h{}", dice.roll(3))),
    };
    let at = DateTime::UNIX_EPOCH + TimeDelta::seconds(seq);
    let verdict = Verdict::ALL[dice.roll(Verdict::ALL.len() as u64) as usize];
    if dice.roll(2) == 0 {
        return Entry::Intent(intent);
    }
    Entry::Receipt(Receipt { intent, verdict, code: None, message: None, at, destination_id: None })
}

/// Rows of places in order, in batches of a few.
fn batches<T>(
    rows: &BTreeMap<Place, Vec<T>>,
    size: usize,
    table: impl Fn(&[T]) -> RecordBatch,
) -> SendableRecordBatchStream {
    let mut all = Vec::new();
    for (place, rows) in rows {
        for rows in rows.chunks(size) {
            all.push(with_constants(&table(rows), &place.constants("s")).unwrap());
        }
    }
    let schema = all.first().map_or_else(|| Arc::new(Schema::empty()), RecordBatch::schema);
    Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::iter(all.into_iter().map(Ok))))
}

fn table_of(entries: &[Entry]) -> RecordBatch {
    let parts = entries.iter().map(|entry| match entry {
        Entry::Intent(intent) => (intent, None),
        Entry::Receipt(receipt) => (&receipt.intent, Some(receipt)),
    });
    journal_batch(&parts).unwrap()
}

#[tokio::test]
async fn merging_is_folding() {
    let backoff = Backoff::BETWEEN_RUNS;
    for seed in 0..200 {
        let mut dice = Dice(seed);
        let (mut before, mut journal, mut expected) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        for n in 0..3 {
            let older: Vec<Entry> = (0..dice.roll(20)).map(|seq| entry(&mut dice, seq as i64)).collect();
            let newer: Vec<Entry> = (0..dice.roll(20)).map(|seq| entry(&mut dice, 100 + seq as i64)).collect();
            let state = fold([], &older, &backoff);
            expected.extend(fold(state.clone(), &newer, &backoff).into_iter().map(|row| (place(n), row)));
            let mut sorted = newer;
            sorted.sort_by(|one, other| one.intent().key.cmp(&other.intent().key));
            before.insert(place(n), state);
            journal.insert(place(n), sorted);
        }
        let (size, other) = (dice.roll(4) as usize + 1, dice.roll(4) as usize + 1);
        let states = batches(&before, size, |rows| state_batch(rows).unwrap());
        let entries = batches(&journal, other, table_of);
        let merged: Vec<RecordBatch> = merged("s", "r:7", states, entries).unwrap().try_collect().await.unwrap();
        let mut found = Vec::new();
        for batch in &merged {
            assert!(batch["journal_mark"].as_string_view().iter().all(|mark| mark == Some("r:7")));
            let places = places(batch).unwrap().into_iter().map(|place| place.as_ref().clone());
            found.extend(places.zip(state_rows(batch).unwrap()));
        }
        assert_eq!(found, expected, "seed {seed}");
    }
}

/// More than fits: what is sorted spills, and no sort takes the room of another.
#[tokio::test(flavor = "multi_thread")]
async fn a_fold_keeps_within_the_memory_of_the_engine() {
    let shop = Shop::with(
        "from: {entity: customer}, to: {connection: drop}, mode: upsert, key: [{email: email}], fields: {city: city}, consent: {none: \"a test\"}",
    );
    let settings = shop.folder.path().join("warehouse.yaml");
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, format!("{text}engine: {{memory: 48MiB, threads: 2}}\n")).unwrap();
    let workspace = shop.workspace().await;
    let lease = LeaseOptions::new("test", shop.now);
    let lease = Lease::acquire(&workspace.opened.warehouse, lease).await.unwrap();
    let mut journal = DeltaJournal {
        workspace: &workspace,
        lease: &lease,
        progress: &NoProgress,
        sync: "out",
        place: &place(0),
        sync_run_id: "a-run-whose-name-is-as-long-as-they-are",
        seq: 0,
        folded: 0,
        table: None,
    };
    for window in 0..10_u64 {
        let intents: Vec<Intent> = (window * 20_000..(window + 1) * 20_000)
            .map(|n| Intent {
                batch_id: format!("{:032x}", n / 500),
                key: format!("{{\"email\":\"{:016x}@example.com\"}}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
                customer_id: format!("{n:022}"),
                action: Action::Add,
                operation: Operation::Add,
                desired_hash: Some(format!("{n:032x}")),
            })
            .collect();
        let accepted = |intent: &Intent| Receipt {
            intent: intent.clone(),
            verdict: Verdict::Accepted,
            code: None,
            message: None,
            at: shop.now,
            destination_id: None,
        };
        let receipts = intents.iter().map(accepted).collect();
        journal.write(Vec::new(), intents).await.unwrap();
        journal.write(receipts, Vec::new()).await.unwrap();
    }
    journal.fold().await.unwrap();
    drop(workspace);
    assert_eq!(shop.ask("sync_state", "status").await.len(), 200_000);
}
